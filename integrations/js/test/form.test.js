/** The plain form, in a browser that runs no script at all. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { browser } from "./browser.js";
import { backend, closeAll, env, photo, statusOf, until } from "./support.js";

after(closeAll);
const chromium = await browser();
const visit = async (options) => {
  const server = await backend(options);
  const context = await chromium.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${server.url}/form`);
  return page;
};
const idOf = async (page) => (await page.getAttribute("iframe", "src")).slice("/photos/".length);
const choose = (page, buffer) => page.setInputFiles("input[type=file]", { name: "a.jpg", mimeType: "image/jpeg", buffer });

test("a form sends a photo, the page stays, and its frame shows the thumbnail", async () => {
  const page = await visit();
  const frame = page.frameLocator("iframe");
  assert.match(await frame.locator("p").textContent(), /will be here/);
  await choose(page, photo);
  const answer = page.waitForResponse((response) => response.request().method() === "POST");
  await page.click("button", { noWaitAfter: true });
  assert.equal((await answer).status(), 204);
  const src = await frame.locator("img").getAttribute("src");
  assert.ok((await fetch(src)).ok);
  assert.match(page.url(), /\/form$/);
  const { manifest } = await statusOf(await idOf(page));
  assert.equal(manifest.original.bytes, photo.length);
});

test("the frame says why a photo came to nothing", async () => {
  const page = await visit();
  await choose(page, Buffer.from("<b>not an image"));
  await page.click("button", { noWaitAfter: true });
  const error = await until("its end", async () => (await statusOf(await idOf(page))).error);
  const shown = page.frameLocator("iframe").locator("p", { hasText: error.message });
  await shown.waitFor();
  assert.equal(error.code, "unsupported_format");
});

test("a form that is too old is refused in the store's words, and its frame offers another", async () => {
  const page = await visit({ url: env.brief });
  await page.frameLocator("iframe").locator("a").waitFor();
  await choose(page, photo);
  await page.click("button");
  assert.match(await page.content(), /Policy expired/);
});
