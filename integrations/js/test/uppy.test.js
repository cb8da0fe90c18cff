/** The recipes for Uppy, with Uppy itself: its plugin's present way, and the one it had until 5. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { browser, bundled } from "./browser.js";
import { backend, bmp, closeAll, env, photo } from "./support.js";

after(closeAll);
const html = `${env.folder}/uppy.html`;
writeFileSync(html, `<!doctype html><meta charset="utf-8"><title>Uppy</title><script type="module">
  import { uppy } from "./script.js";
  window.uppy = uppy;
</script>`);
const files = { "/6/": [html, "text/html"], "/6/script.js": [await bundled("uppy.js", "../node_modules"), "text/javascript"],
  "/5/": [html, "text/html"], "/5/script.js": [await bundled("uppy5.js", "uppy5/node_modules"), "text/javascript"] };
const server = await backend({ files });
const chromium = await browser();

for (const major of [6, 5]) {
  const open = async () => {
    const page = await chromium.newPage();
    await page.goto(`${server.url}/${major}/`);
    await page.waitForFunction("window.uppy");
    return page;
  };
  const add = (page, files) => page.evaluate((files) => files.forEach(({ name, type, base64 }) =>
    uppy.addFile({ name, type, data: new Blob([Uint8Array.from(atob(base64), (char) => char.charCodeAt())], { type }) })),
  files.map(({ name, type, data }) => ({ name, type, base64: data.toString("base64") })));

  test(`Uppy ${major} uploads, and is done when there are variants`, async () => {
    const page = await open();
    await add(page, [{ name: "a.jpg", type: "image/jpeg", data: photo }, { name: "b.bmp", type: "image/bmp", data: bmp(900, 900) }]);
    const { files, failed, progress } = await page.evaluate(async () => {
      const progress = [];
      uppy.on("upload-progress", (file, { bytesUploaded }) => file.name === "b.bmp" && progress.push(bytesUploaded));
      const { successful, failed } = await uppy.upload();
      return { progress, failed: failed.length, files: successful.map(({ name, meta }) => [name, meta.manifest]) };
    });
    assert.equal(failed, 0);
    for (const [name, manifest] of files) {
      assert.equal(manifest.variants.length, 8, name);
      assert.ok((await fetch(manifest.variants[2].url)).ok);
    }
    assert.deepEqual(files.map(([, manifest]) => manifest.original.bytes), [photo.length, bmp(900, 900).length]);
    assert.ok(progress.length && progress.at(-1) <= bmp(900, 900).length);
    assert.match(files[0][1].original.key, /\.jpg$/);
    await page.close();
  });

  test(`Uppy ${major} tells why a file came to nothing, and goes on with the rest`, async () => {
    const page = await open();
    await add(page, [{ name: "a.jpg", type: "image/jpeg", data: photo }, { name: "b.jpg", type: "image/jpeg", data: Buffer.from("not an image") }]);
    const { successful, failed } = await page.evaluate(async () => {
      const { successful, failed } = await uppy.upload();
      return { successful: successful.map(({ name }) => name), failed: failed.map(({ name, error }) => [name, error]) };
    });
    assert.deepEqual(successful, ["a.jpg"]);
    assert.equal(failed.length, 1);
    assert.equal(failed[0][0], "b.jpg");
    assert.match(failed[0][1], /image/);
    const before = server.count.presigned;
    assert.equal(await page.evaluate(async () => (await uppy.retryAll()).failed.length), 1);
    assert.equal(server.count.presigned, before); // the store has it, so it is only asked about again
    await page.close();
  });

  test(`Uppy ${major} shows what the backend's refusal says`, async () => {
    const page = await open();
    await add(page, [{ name: "a.jpg", type: "image/pdf?", data: photo }]);
    const failed = await page.evaluate(async () => (await uppy.upload()).failed.map(({ error }) => error));
    assert.equal(failed.length, 1);
    assert.match(failed[0], /content_type/);
    const before = server.count.presigned;
    await page.evaluate(() => uppy.retryAll());
    assert.equal(server.count.presigned, before + 1);
    await page.close();
  });
}
