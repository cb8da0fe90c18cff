/** A page, API and store of three origins, in Chromium: nothing is set for it, and what keeps a page out is named at once. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { after, test } from "node:test";
import { browser } from "./browser.js";
import { backend, closeAll, env, gate, later, photo, statusOf, until } from "./support.js";

after(closeAll);
/** What has to be said within this time, in milliseconds. */
const SOON = 5000;
const script = `<!doctype html><meta charset="utf-8"><title>Empty</title>POLICY<script type="module">
  import * as client from "/tintype.js";
  const moved = (url, origin) => origin ? url.replace(/^http:..[^/]*/, origin) : url;
  Object.assign(window, client, {
    // Uploads through other ways: {store, api, presign}; what was told and how it ended, with the time of each.
    go: async (base64, { store, api, presign }, soon) => {
      const stop = new AbortController(), start = performance.now(), troubles = [];
      const passed = () => performance.now() - start;
      const ticket = async (wanted) => {
        const ticket = await (await fetch("/photos", { method: "POST", body: JSON.stringify(wanted) })).json();
        ticket.presign.url = moved(ticket.presign.url, store);
        for (const name of ["status_url", "events_url"]) ticket[name] = moved(ticket[name], api);
        return ticket;
      };
      const blob = await (await fetch("data:image/jpeg;base64," + base64)).blob();
      const { upload } = createUploader({ presign: presign ?? ticket });
      const onProgress = ({ trouble }) => trouble && troubles.push({ code: trouble.code, message: trouble.message, at: passed() });
      const timer = setTimeout(() => stop.abort(), soon);
      const ended = await upload(blob, { onProgress, signal: stop.signal }).then(
        ({ variants }) => ({ code: "done", variants: variants.length }),
        ({ code, name, message, retryable, uploadId }) => ({ code: name === "AbortError" ? "still at it" : code, message, retryable, id: uploadId }));
      clearTimeout(timer);
      return { ...ended, at: passed(), troubles };
    },
  });
</script>`;
const file = (name, policy) => (writeFileSync(`${env.folder}/${name}`, script.replace("POLICY", policy)), [`${env.folder}/${name}`, "text/html"]);
const strict = `<meta http-equiv="Content-Security-Policy" content="connect-src 'self' data: ${env.store}">`;
const site = await backend({ files: { "/empty": file("open.html", ""), "/strict": file("strict.html", strict) } });
const chromium = await browser();

async function go(ways, path = "/empty", soon = SOON) {
  const page = await chromium.newPage();
  try {
    await page.goto(site.url + path);
    await page.waitForFunction("window.go");
    return await page.evaluate((given) => window.go(...given), [photo.toString("base64"), ways, soon]);
  } finally {
    await page.close();
  }
}

const closed = (target) => gate(target, () => "closed");
const named = ({ code, retryable, message, at }, wanted, ...parts) => {
  assert.deepEqual([code, retryable], [wanted, false], message);
  for (const part of parts) assert.ok(message.includes(part), message);
  assert.ok(at < SOON, `${at} ms`);
};

test("any page sends and follows, without server.cors_origins", async () => {
  const { code, variants, message } = await go({}, "/empty", 60_000);
  assert.deepEqual([code, variants], ["done", 8], message);
});

test("a way to the API that lets no page in is named, and the upload ends all the same", async () => {
  const api = await closed(env.url);
  const ended = await go({ api: api.url });
  named(ended, "cors", api.url, site.url, "Access-Control-Allow-Origin", "server.cors_origins");
  await until("its end", async () => (await statusOf(ended.id)).status === "completed");
});

test("a store that lets no page in is named", async () => {
  const store = await closed(env.store);
  named(await go({ store: store.url }), "cors", store.url, `tintype doctor --fix --origin ${site.url}`, "store.cors_origins");
});

test("a presign route that lets no page in is named", async () => {
  const other = await backend();
  named(await go({ presign: other.route }), "cors", other.url, "Access-Control-Allow-Origin");
});

test("a page's own policy is named", async () => {
  named(await go({}, "/strict"), "blocked", env.url, "connect-src");
});

test("an API that is not there is told of while it is looked for, and found when it is back", async () => {
  const gone = http.createServer();
  await new Promise((done) => gone.listen(0, "127.0.0.1", done));
  const { port } = gone.address();
  await new Promise((done) => gone.close(done));
  const { code, troubles } = await go({ api: `http://127.0.0.1:${port}` });
  assert.equal(code, "still at it");
  assert.ok(troubles[0].message.includes(`127.0.0.1:${port}`) && troubles[0].message.includes("could not be reached"), troubles[0].message);

  const back = await gate(env.url);
  const way = net.createServer((client) => {
    const behind = net.connect(new URL(back.url).port, "127.0.0.1");
    for (const [from, to] of [[client, behind], [behind, client]]) from.on("error", () => to.destroy()).pipe(to);
  });
  const late = setTimeout(() => way.listen(port, "127.0.0.1"), 2000);
  later(() => (clearTimeout(late), way.close()));
  const again = await go({ api: `http://127.0.0.1:${port}` }, "/empty", 60_000);
  assert.deepEqual([again.code, again.variants], ["done", 8], again.message);
  assert.ok(again.troubles.length > 0);
});

test("an API that says nothing is told of", async () => {
  const silent = await gate(env.url, ({ method }) => (method === "GET" ? "silent" : undefined));
  const { code, troubles } = await go({ api: silent.url }, "/empty", SOON + 2000);
  assert.equal(code, "still at it");
  assert.ok(troubles[0].message.includes(silent.url) && troubles[0].at < SOON + 1000, JSON.stringify(troubles));
});
