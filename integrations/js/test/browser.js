/** Chromium, and pages for it: the example's, or an empty one that has the client. */
import { chromium } from "playwright-core";
import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { env, later } from "./support.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export async function browser() {
  const started = await chromium.launch({
    executablePath: env.chromium,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  later(() => started.close());
  return started;
}

/** A page's script with what it imports, in one file: packages are those of `folder`. */
export async function bundled(script, folder) {
  const outfile = `${env.folder}/${script.replaceAll("/", "-")}`;
  await build({
    entryPoints: [here(`../../../examples/js/${script}`)],
    bundle: true,
    format: "esm",
    outfile,
    nodePaths: [here(folder)],
    alias: { "@tintype/client": here("../dist/tintype.js") },
    logLevel: "error",
  });
  return outfile;
}
