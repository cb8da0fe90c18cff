/** The client in Chromium, as one file that a page imports; page, API and store are of three origins. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { browser } from "./browser.js";
import { backend, bmp, closeAll, env, gate, photo, statusOf, until, wire } from "./support.js";

after(closeAll);
const empty = `${env.folder}/empty.html`;
writeFileSync(empty, `<!doctype html><meta charset="utf-8"><title>Empty</title><script type="module">
  import * as client from "/tintype.js";
  Object.assign(window, client, {
    random: (size) => { // a BMP without pixels worth the name: it only has to be large
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
      return new File([bytes], "a.jpg", { type: "image/jpeg" });
    },
    through: (store, events) => async (wanted) => { // tickets that lead through other ways to the store, and to the stream
      const ticket = await (await fetch("/photos", { method: "POST", body: JSON.stringify(wanted) })).json();
      ticket.presign.url = ticket.presign.url.replace(/^http:..[^/]*/, store);
      if (events) ticket.events_url = ticket.events_url.replace(/^http:..[^/]*/, events);
      return (window.ticket = ticket);
    },
  });
</script>`);
const files = { "/empty": [empty, "text/html"] };
const named = await backend({ files });
const chromium = await browser();

/** A page with nothing but the client, and its complaints. */
async function blank({ url } = named) {
  const page = await chromium.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(error.message));
  await page.goto(`${url}/empty`);
  await page.waitForFunction("window.createUploader");
  return page;
}

test("the example's page takes files, shows how far they are, and then thumbnails", async () => {
  const page = await chromium.newPage();
  await page.goto(named.url);
  await page.setInputFiles("input", [
    { name: "a.jpg", mimeType: "image/jpeg", buffer: photo },
    { name: "b.bmp", mimeType: "image/bmp", buffer: bmp(600, 400) },
    { name: "c.png", mimeType: "image/png", buffer: Buffer.from("not a picture") },
  ]);
  await page.waitForFunction("document.querySelectorAll('li').length === 3");
  assert.equal(await page.evaluate("document.querySelector('progress').value"), 1);
  assert.match(await page.textContent("li:nth-child(3)"), /^c\.png: /);
  await page.waitForFunction("[...document.images].length === 2 && [...document.images].every((image) => image.complete)");
  assert.deepEqual(await page.evaluate("[...document.images].map((image) => Math.max(image.naturalWidth, image.naturalHeight))"), [100, 100]);
  await page.close();
});

test("progress rises with the bytes that went", async () => {
  const page = await blank();
  // Chromium's own slow network: what a socket on this machine takes at once would be all of it.
  const network = await page.context().newCDPSession(page);
  await network.send("Network.enable");
  await network.send("Network.emulateNetworkConditions", { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: 2_000_000 });
  const told = await page.evaluate(async () => {
    const told = [];
    const { upload } = createUploader({ presign: "/photos" });
    await upload(random(6_000_000), { onProgress: ({ stage, loaded, total }) => told.push([stage, loaded, total]) })
      .catch((error) => told.push([error.code, error instanceof TintypeError]));
    return told;
  });
  assert.deepEqual(told.pop(), ["unsupported_format", true]); // it went all the way, but was no image
  const loaded = told.filter(([stage]) => stage === "upload").map(([, loaded]) => loaded);
  assert.deepEqual(loaded, loaded.toSorted((a, b) => a - b));
  assert.deepEqual([loaded[0], loaded.at(-1)], [0, 6_000_000]);
  assert.ok(new Set(loaded).size >= 5, `only ${loaded}`);
  assert.ok(loaded.some((bytes) => bytes > 1_000_000 && bytes < 5_000_000), `nothing between: ${loaded}`);
  assert.deepEqual([told[0], told.at(-1)], [["presign", 0, 6_000_000], ["develop", 6_000_000, 6_000_000]]);
  await page.close();
});

test("a manifest comes back, as in Node, and a PUT works too", async () => {
  const page = await blank();
  for (const method of ["POST", "PUT"]) {
    const ticket = await (await fetch(`${env.url}/v1/uploads`, {
      method: "POST",
      headers: { authorization: `Bearer ${env.key}`, "content-type": "application/json" },
      body: JSON.stringify({ method, filename: "a.jpg", size: photo.length, metadata: { album: "7" } }),
    })).json();
    const { manifest, told } = await page.evaluate(async ([ticket, base64]) => {
      const told = [];
      const blob = await (await fetch(`data:image/jpeg;base64,${base64}`)).blob();
      const manifest = await createUploader({ presign: async () => ticket }).upload(blob, { onProgress: ({ loaded }) => told.push(loaded) });
      return { manifest, told };
    }, [ticket, photo.toString("base64")]);
    assert.deepEqual([manifest.variants.length, manifest.metadata.album, told.at(-1)], [8, "7", photo.length], method);
  }
  await page.close();
});

test("a page cancels: the request ends, and the store keeps nothing", async () => {
  const page = await blank();
  const slow = await wire(env.store, { rate: 1_000_000 });
  const { name, id } = await page.evaluate(async (store) => {
    const stop = new AbortController();
    const { upload } = createUploader({ presign: through(store) });
    const onProgress = ({ loaded }) => loaded > 500_000 && stop.abort();
    return upload(random(9_000_000), { signal: stop.signal, onProgress }).then(
      () => ({ name: "it went through" }), (error) => ({ name: error.name, id: ticket.id }));
  }, slow.url);
  assert.equal(name, "AbortError");
  await until("closed", () => slow.seen.closed);
  assert.ok(slow.seen.bytes < 9_000_000);
  assert.equal((await statusOf(id)).status, "pending");
  await page.close();
});

test("a batch keeps its order, and to its limit", async () => {
  const page = await blank();
  const { results, peak } = await page.evaluate(async (base64) => {
    const blob = await (await fetch(`data:image/jpeg;base64,${base64}`)).blob();
    const files = [0, 1, 2, 3, 4, 5].map((n) => (n === 4 ? random(1000) : new File([blob, new Uint8Array(n)], `${n}.jpg`, { type: "image/jpeg" })));
    const busy = new Set();
    let peak = 0;
    const { uploadAll } = createUploader({ presign: "/photos" });
    const results = await uploadAll(files, {
      concurrency: 2,
      onProgress: ({ index, stage }) => {
        stage === "develop" ? busy.delete(index) : busy.add(index);
        peak = Math.max(peak, busy.size);
      },
    });
    return { peak, results: results.map(({ value, reason }) => value?.original.bytes - blob.size || reason?.code || 0) };
  }, photo.toString("base64"));
  assert.deepEqual(results, [0, 1, 2, 3, "unsupported_format", 5]);
  assert.ok(peak <= 2);
  await page.close();
});

test("a store that breaks off or is busy is tried again, and a stream that breaks off is not missed", async () => {
  const page = await blank();
  const cors = { "access-control-allow-origin": "*", "retry-after": "1", "access-control-expose-headers": "retry-after" };
  const faults = ["reset", { status: 503, headers: cors, body: "<Error><Code>SlowDown</Code></Error>" }];
  let sent = 0;
  const shaky = await gate(env.store, ({ method }) => (method === "POST" ? faults[sent++] : undefined));
  const noStream = await gate(env.url, ({ method }) => (method === "GET" ? "reset" : undefined));
  const variants = await page.evaluate(async ([store, events, base64]) => {
    const blob = await (await fetch(`data:image/jpeg;base64,${base64}`)).blob();
    return (await createUploader({ presign: through(store, events), pause: 50 }).upload(blob)).variants.length;
  }, [shaky.url, noStream.url, photo.toString("base64")]);
  assert.deepEqual([variants, sent], [8, 3]);
  assert.ok(noStream.seen.some((line) => line.startsWith("GET")));
  await page.close();
});

test("a store that takes nothing any more is given up, and tried again", async () => {
  const page = await blank();
  const stuck = await wire(env.store, { rate: 1 });
  const { code, retryable, zeros } = await page.evaluate(async (store) => {
    let zeros = 0;
    const { upload } = createUploader({ presign: through(store), stall: 1500, retries: 1, pause: 50 });
    return upload(random(9_000_000), { onProgress: ({ stage, loaded }) => void (stage === "upload" && !loaded && zeros++) }).then(
      () => ({ code: "it went through" }), ({ code, retryable }) => ({ code, retryable, zeros }));
  }, stuck.url);
  assert.deepEqual([code, retryable, zeros >= 2], ["network", true, true]);
  await page.close();
});

test("what a listener throws is the page's to see, and changes nothing", async () => {
  const page = await blank();
  const variants = await page.evaluate(async (base64) => {
    const blob = await (await fetch(`data:image/jpeg;base64,${base64}`)).blob();
    const { upload } = createUploader({ presign: "/photos" });
    return (await upload(blob, { onProgress: ({ stage }) => { throw new Error(stage); } })).variants.length;
  }, photo.toString("base64"));
  assert.equal(variants, 8);
  assert.ok(page.complaints.includes("develop"));
  await page.close();
});
