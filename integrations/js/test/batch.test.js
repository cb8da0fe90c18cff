/** Many files: so many at a time, and a result for each. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createUploader } from "../dist/tintype.js";
import { backend, brisk, closeAll, env, photo, rerouted, ticketFor, wire } from "./support.js";

after(closeAll);
const server = await backend();
const { uploadAll } = createUploader({ presign: server.route, ...brisk });

test("results come in the files' order, whatever became of each", async () => {
  const files = Array.from({ length: 12 }, (_, index) =>
    index % 5 === 3 ? new Blob([`not an image ${index}`]) : new Blob([photo, Buffer.alloc(index)]));
  const news = [];
  const results = await uploadAll(files, { onProgress: (progress) => news.push(progress), contentType: "image/jpeg" });
  assert.deepEqual(results.map(({ status }) => status === "fulfilled"), files.map((_, index) => index % 5 !== 3));
  results.forEach(({ value, reason }, index) =>
    value ? assert.equal(value.original.bytes, files[index].size) : assert.equal(reason.code, "unsupported_format"));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const all = news.map((progress) => progress.all.loaded);
  assert.deepEqual(all, all.toSorted((a, b) => a - b));
  assert.deepEqual([all.at(-1), news[0].all.total, news[0].all.files], [total, total, 12]);
  assert.deepEqual(news.filter(({ all }, at) => all.settled !== news[at - 1]?.all.settled).map(({ all }) => all.settled), [...files.keys(), 12]);
  assert.deepEqual(new Set(news.map(({ index }) => index)), new Set(files.keys()));
});

test("no more are under way than may be", async () => {
  for (const [concurrency, most] of [[undefined, 3], [2, 2], [50, 7], [0, 1]]) {
    let now = 0, peak = 0;
    const { uploadAll } = createUploader({
      presign: async (wanted) => {
        peak = Math.max(peak, ++now);
        return ticketFor(wanted);
      },
    });
    const files = Array.from({ length: 7 }, () => ({ file: photo, onProgress: ({ stage, loaded }) => void (stage === "develop" && now--) }));
    const results = await uploadAll(files, { concurrency });
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 7);
    assert.ok(peak <= most, `${peak} at once, ${most} may be`);
  }
});

test("a file may have options of its own, and none is a batch too", async () => {
  assert.deepEqual(await uploadAll([]), []);
  const wanted = [];
  const { uploadAll: asked } = createUploader({ presign: (one) => (wanted.push(one), ticketFor(one)) });
  const [a, b] = await asked(
    [{ file: photo, filename: "a.jpg", metadata: { album: "1" } }, new File([photo], "b.jpeg")],
    { metadata: { album: "0" }, concurrency: 1 });
  assert.deepEqual(wanted, [
    { filename: "a.jpg", size: photo.length, metadata: { album: "1" } },
    { filename: "b.jpeg", size: photo.length, metadata: { album: "0" } },
  ]);
  assert.deepEqual([a.value.metadata.album, b.value.metadata.album], ["1", "0"]);
});

test("what is no file spoils no batch", async () => {
  const results = await uploadAll([undefined, photo, "corgi.jpg", {}, null]);
  assert.deepEqual(results.map(({ value, reason }) => value?.variants.length ?? reason.name), ["TypeError", 8, "TypeError", "TypeError", "TypeError"]);
});

test("one of them may be cancelled", async () => {
  const results = await uploadAll([photo, { file: photo, signal: AbortSignal.abort(new Error("not this one")) }, photo],
    { signal: new AbortController().signal });
  assert.deepEqual(results.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assert.equal(results[1].reason.message, "not this one");
});

test("all of them may be cancelled: what was done stays, the rest is rejected, nothing begins any more", async () => {
  const slow = await wire(env.store, { rate: photo.length * 4 });
  const { uploadAll, tickets } = rerouted({ store: slow.url });
  const stop = new AbortController();
  const results = await uploadAll(Array(10).fill(photo), {
    concurrency: 2,
    signal: stop.signal,
    onProgress: ({ all }) => all.settled >= 3 && stop.abort(new Error("enough")),
  });
  const done = results.filter(({ status }) => status === "fulfilled").length;
  assert.equal(results.length, 10);
  assert.ok(done >= 3 && done < 10, `${done} are done`);
  assert.ok(results.every(({ value, reason }) => value ?? reason.message === "enough"));
  assert.ok(tickets.length <= done + 2);
});
