/** The package as it is published: what is in it, in a project that has nothing else, in TypeScript, and its README's code. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { browser } from "./browser.js";
import { backend, closeAll, env, gate, photo, run, statusOf, ticketFor } from "./support.js";
import { createUploader } from "../dist/tintype.js";
import { build } from "esbuild";

after(closeAll);
const root = fileURLToPath(new URL("..", import.meta.url));
const project = `${env.folder}/project`;
mkdirSync(project);
writeFileSync(`${project}/package.json`, JSON.stringify({ name: "app", private: true, type: "module" }));
copyFileSync(env.photo, `${project}/corgi.jpg`);

test("the package has what it should, and nothing else", () => {
  // Packed elsewhere: others may be reading what is built here.
  const copy = `${env.folder}/repository/integrations/js`;
  cpSync(root, copy, { recursive: true, filter: (path) => !/node_modules|dist|\.tgz$/.test(path.slice(root.length)) });
  symlinkSync(`${root}node_modules`, `${copy}/node_modules`);
  for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(`${root}../../${name}`, `${env.folder}/repository/${name}`);
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--silent", "--pack-destination", project], { cwd: copy }));
  const types = ["api", "batch", "cause", "error", "follow", "index", "presign", "retry", "send", "source", "sse", "tell", "uploader"];
  assert.deepEqual(packed.files.map(({ path }) => path).sort(), [
    "LICENSE-APACHE", "LICENSE-MIT", "README.md", ...types.map((name) => `dist/${name}.d.ts`), "dist/tintype.js", "package.json",
  ].sort());
  assert.ok(packed.size < 20_000, `${packed.size} bytes`);
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--silent", `${project}/${packed.filename}`], { cwd: project });
  const installed = JSON.parse(readFileSync(`${project}/node_modules/.package-lock.json`, "utf8"));
  assert.deepEqual(Object.keys(installed.packages), ["node_modules/@tintype/client"]); // no dependencies
});

test("it can be imported, by both names", () => {
  const script = `
    import * as client from "@tintype/client";
    import * as file from "@tintype/client/tintype.js";
    console.log(Object.keys(client).sort().join(), client.createUploader === file.createUploader);`;
  assert.equal(run("node", ["--input-type=module", "-e", script], { cwd: project }), "TintypeError,createUploader,follow true\n");
});

test("its types say what the server says, in each way that TypeScript looks for them", async () => {
  const ticket = await ticketFor({ metadata: { album: "7" } });
  await createUploader({ presign: async () => ticket }).upload(photo);
  const upload = await statusOf(ticket.id);
  writeFileSync(`${project}/app.ts`, `
    import { createUploader, follow, TintypeError } from "@tintype/client";
    import type { Manifest, Progress, Ticket, Upload } from "@tintype/client";
    const ticket: Ticket = ${JSON.stringify(ticket)};
    const upload: Upload = ${JSON.stringify(upload)};
    const uploader = createUploader({ presign: async (wanted, { signal }) => fetch("/", { body: JSON.stringify(wanted), signal: signal ?? null }) });
    const manifest: Manifest = await uploader.upload(new Uint8Array(1), { onProgress: ({ stage, loaded }: Progress) => [stage, loaded.toFixed()] });
    const [first] = await uploader.uploadAll([new Blob([]), { file: new Blob([]), filename: "a.jpg", metadata: { a: 1 } }], { concurrency: 2 });
    if (first?.status === "fulfilled") first.value.variants.map(({ name, width }) => name + width.toFixed());
    try { await follow(ticket); } catch (error) { if (error instanceof TintypeError) error.code.length; }
    // @ts-expect-error: a presign is a must
    createUploader({});
    // @ts-expect-error: a path is no file
    uploader.upload("corgi.jpg");
    // @ts-expect-error: there is no such field
    manifest.width;
    export { manifest, upload };`);
  const types = (lib, names) => ["--lib", lib, "--types", names, "--typeRoots", `${root}node_modules/@types`];
  for (const options of [
    ["--module", "nodenext", ...types("es2022", "node")],
    ["--module", "esnext", "--moduleResolution", "bundler", ...types("es2022,dom,dom.iterable", "")],
  ]) {
    run(`${root}node_modules/.bin/tsc`, ["--noEmit", "--strict", "--target", "es2022", ...options, "app.ts"], { cwd: project });
  }
});

const blocks = (path) => [...readFileSync(path, "utf8").matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
const readme = blocks(`${root}README.md`);

test("the README's code for Node runs", async () => {
  const server = await backend();
  const elsewhere = await gate(env.url, () => ({ status: 200, body: photo }));
  const codes = readme.filter((code) => code.includes("node:fs") || code.includes("process.env"));
  const printed = [];
  for (const code of codes) {
    writeFileSync(`${project}/block.js`, code.replace("http://127.0.0.1:3000", server.url).replace("http://127.0.0.1:8000", env.url)
      .replace("https://example.com", elsewhere.url));
    const { stdout } = await promisify(execFile)("node", ["block.js"], { cwd: project, env: { ...process.env, TINTYPE_KEY: env.key } });
    printed.push(stdout.trim());
  }
  assert.equal(printed.length, 2);
  assert.match(printed[0], /^#[0-9a-f]{6}$/);
  assert.equal(printed[1], "8");
});

test("the README's code for pages runs", async () => {
  const html = `${env.folder}/input.html`;
  writeFileSync(html, `<!doctype html><meta charset="utf-8"><title>Input</title><input type="file" multiple>`);
  const codes = readme.filter((code) => code.includes('"/photos"'));
  const files = { "/input": [html, "text/html"] };
  for (const [index, code] of codes.entries()) {
    // In place of something else that sends the file.
    const send = `const form = new FormData();
      for (const field of Object.entries(ticket.presign.fields)) form.append(...field);
      form.append("file", document.querySelector("input").files[0]);
      await fetch(ticket.presign.url, { method: "POST", body: form });`;
    const contents = code.replace(/^\/\/ ….*$/m, send);
    const outfile = `${project}/block-${index}.js`;
    await build({ stdin: { contents, resolveDir: project }, bundle: true, format: "esm", target: "es2022", outfile, logLevel: "error" });
    files[`/block-${index}.js`] = [outfile, "text/javascript"];
  }
  const server = await backend({ files });
  const page = await (await browser()).newPage();
  const wanted = [/^http.*_400x400\.jpg/s, /^fulfilled temp\//, /^tintype \d/];
  assert.equal(codes.length, wanted.length);
  for (const [index, expected] of wanted.entries()) {
    await page.goto(`${server.url}/input`);
    const choose = () => page.setInputFiles("input", { name: "corgi.jpg", mimeType: "image/jpeg", buffer: photo });
    const load = () => page.addScriptTag({ type: "module", url: `/block-${index}.js` });
    const printed = page.waitForEvent("console", { predicate: (message) => expected.test(message.text()), timeout: 15_000 });
    for (const step of index ? [choose, load] : [load, choose]) await step();
    await printed;
  }
});

test("the recipes' code is that of the examples, which the other tests run", () => {
  const repository = `${root}../../`;
  const examples = ["uppy.js", "uppy5.js", "form.mjs"].map((name) => readFileSync(`${repository}examples/js/${name}`, "utf8"));
  const codes = ["uppy", "html-form"].flatMap((name) => blocks(`${repository}docs/recipes/${name}.md`));
  assert.equal(codes.length, 3);
  for (const code of codes) assert.ok(examples.some((example) => example.includes(code)), code);
});
