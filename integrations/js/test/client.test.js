/** One upload from Node: what comes of it, and each way in which it can end. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { openAsBlob } from "node:fs";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createUploader, follow, TintypeError } from "../dist/tintype.js";
import { api, backend, bmp, brisk, closeAll, env, gate, photo, reroute, rerouted, statusOf, ticketFor, until, wire } from "./support.js";

after(closeAll);
const server = await backend();
const { upload } = createUploader({ presign: server.route, ...brisk });
const jpeg = () => new File([photo], "portrait.jpg", { type: "image/jpeg" });
const failing = (promise) => promise.then(() => assert.fail("it did not fail"), (error) => error);

test("a file goes up, and its manifest comes back", async () => {
  const told = [];
  const manifest = await upload(jpeg(), { onProgress: (progress) => told.push(progress) });
  assert.equal(manifest.variants.length, 8);
  assert.equal(manifest.original.bytes, photo.length);
  assert.deepEqual(manifest.metadata, { user: "42" });
  const { url, bytes } = manifest.variants.find(({ name }) => name === "100x100");
  assert.equal((await (await fetch(url)).arrayBuffer()).byteLength, bytes);
  const sending = told.filter(({ status }) => !status);
  assert.deepEqual(sending.map(({ stage, loaded }) => [stage, loaded]), [
    ["presign", 0], ["upload", 0], ["upload", photo.length], ["develop", photo.length],
  ]);
  assert.deepEqual(told.slice(0, 4), sending);
  assert.equal(told.at(-1).status, "completed");
  assert.ok(told.slice(4, -1).every(({ stage, status }) => stage === "develop" && status === "processing"));
  assert.equal(told[0].total, photo.length);
  assert.ok(manifest.original.key.includes(told.at(-1).uploadId));
});

test("bytes of every kind are files", async () => {
  const whole = new Uint8Array(photo.length + 20);
  whole.set(photo, 10);
  for (const [kind, source] of Object.entries({
    buffer: photo,
    view: whole.subarray(10, 10 + photo.length),
    "array buffer": Uint8Array.from(photo).buffer,
    blob: new Blob([photo]),
    path: await openAsBlob(env.photo),
  })) {
    const manifest = await upload(source, { filename: "a.jpg" });
    assert.equal(manifest.original.bytes, photo.length, kind);
    assert.match(manifest.original.key, /\.jpg$/, kind);
  }
});

test("what is no file is refused, and nobody is asked", async () => {
  const before = server.count.presigned;
  for (const wrong of [undefined, null, "corgi.jpg", 5, {}, [photo]]) {
    assert.match((await failing(upload(wrong))).message, /openAsBlob/);
  }
  assert.equal(server.count.presigned, before);
});

test("the true type is sent where the policy leaves it open", async () => {
  const sent = [];
  const before = await gate(env.store, (request) => void request.once("data", (form) =>
    sent.push(/name="Content-Type"\r\n\r\n(.*)\r\n/.exec(form.toString("latin1"))?.[1])));
  for (const [contentType, wanted] of [["image/jpeg", {}], ["text/plain", {}], [undefined, {}], ["image/png", { content_type: "image/jpeg" }]]) {
    const { upload } = createUploader({ presign: async () => reroute(await ticketFor(wanted), { store: before.url }) });
    assert.equal((await upload(photo, { contentType })).original.content_type, "image/jpeg"); // bytes decide
  }
  assert.deepEqual(sent, ["image/jpeg", "image/*", "image/*", "image/jpeg"]);
});

test("a PUT ticket works as a form does", async () => {
  for (const size of [undefined, photo.length]) {
    const put = createUploader({ presign: () => ticketFor({ method: "PUT", size, metadata: { album: "7" } }) });
    const manifest = await put.upload(jpeg());
    assert.deepEqual(manifest.metadata, { album: "7" });
  }
});

test("a function may give back the backend's response", async () => {
  const { upload } = createUploader({
    presign: (wanted, { signal }) => fetch(server.route, { method: "POST", body: JSON.stringify(wanted), signal }),
  });
  assert.equal((await upload(jpeg())).variants.length, 8);
});

test("headers for the backend are asked for each time", async () => {
  const sent = [];
  const before = await gate(server.url, (request) => void sent.push(request.headers["x-csrf-token"]));
  const { upload } = createUploader({ presign: `${before.url}/photos`, headers: () => ({ "x-csrf-token": `t${sent.length}` }) });
  await upload(jpeg());
  await upload(jpeg());
  assert.deepEqual(sent, ["t0", "t1"]);
});

test("what is no image fails with the processor's code", async () => {
  const error = await failing(upload(Buffer.from("not an image"), { filename: "a.jpg" }));
  assert.ok(error instanceof TintypeError);
  assert.equal(error.code, "unsupported_format");
  assert.equal(error.retryable, false);
  assert.equal((await statusOf(error.uploadId)).error.message, error.message);
});

test("a file that is no image is refused before anything is sent, by its name and by its type", async () => {
  for (const [name, told] of [["a.pdf", /\.pdf is not an image format/], ["a", /"application\/pdf" is not an image/]]) {
    const error = await failing(upload(new File(["%PDF"], name, { type: "application/pdf" })));
    assert.deepEqual([error.code, error.status, error.uploadId], ["unsupported_format", 422, undefined]);
    assert.match(error.message, told);
    assert.doesNotMatch(error.message, /use image/);
  }
});

test("an empty file is named before the backend is asked", async () => {
  let asked = 0;
  const { upload } = createUploader({ presign: () => (asked++, ticketFor()) });
  for (const file of [new File([], "a.jpg", { type: "image/jpeg" }), Buffer.alloc(0)]) {
    const error = await failing(upload(file));
    assert.deepEqual([error.code, error.message, error.retryable], ["empty", "the file is empty", false]);
  }
  assert.equal(asked, 0);
});

test("too large a file is refused by the backend's ticket, by the client, and by the store", async () => {
  const large = new Blob([Buffer.alloc(10485761)], { type: "image/jpeg" });
  const asked = await failing(upload(large));
  assert.deepEqual([asked.code, asked.status, asked.retryable], ["too_large", 413, false]);
  const unasked = createUploader({ presign: () => ticketFor() });
  const kept = await failing(unasked.upload(large));
  assert.deepEqual([kept.code, kept.status], ["too_large", undefined]);
  const lax = createUploader({ presign: () => ticketFor().then((ticket) => (ticket.presign.constraints.max_bytes = 1e9, ticket)) });
  const stored = await failing(lax.upload(large));
  assert.deepEqual([stored.code, stored.status, stored.retryable], ["EntityTooLarge", 400, false]);
  assert.match(stored.message, /10485760/);
});

test("a backend without a good key is told of, and asked once", async () => {
  const poor = await backend({ key: "wrong" });
  const error = await failing(createUploader({ presign: poor.route, ...brisk }).upload(jpeg()));
  assert.deepEqual([error.code, error.status, poor.count.presigned], ["unauthorized", 401, 1]);
});

test("an answer that is no ticket is told of", async () => {
  for (const answer of [{}, { id: "x" }, null, new Response("hello"), new Response("{}")]) {
    const error = await failing(createUploader({ presign: async () => answer }).upload(jpeg()));
    assert.deepEqual([error.code, error.retryable], ["invalid_ticket", false]);
  }
});

test("a tampered form is refused with the store's code", async () => {
  const forged = createUploader({ presign: () => ticketFor().then((ticket) => (ticket.presign.fields.key = "temp/other", ticket)) });
  const error = await failing(forged.upload(jpeg()));
  assert.deepEqual([error.code, error.status, error.retryable], ["AccessDenied", 403, false]);
  assert.match(error.message, /\["eq", "\$key", "temp\//); // the quotes of XML are undone
});

test("an upload is followed with its own token alone", async () => {
  const [ticket, other] = await Promise.all([ticketFor(), ticketFor()]);
  const error = await failing(follow({ ...ticket, token: other.token }));
  assert.deepEqual([error.code, error.status], ["unauthorized", 401]);
});

test("an upload that is deleted while it is followed is not found", async () => {
  const ticket = await ticketFor();
  const end = failing(follow(ticket, { onStatus: () => api(`/v1/uploads/${ticket.id}`, undefined, { method: "DELETE" }).catch(() => {}) }));
  assert.deepEqual([(await end).code, (await end).status], ["not_found", 404]);
});

test("a signal that has fired asks nobody", async () => {
  const before = server.count.presigned;
  const error = await failing(upload(jpeg(), { signal: AbortSignal.abort() }));
  assert.equal(error.name, "AbortError");
  assert.equal(server.count.presigned, before);
});

test("a signal stops the question to the backend", async () => {
  const slow = createUploader({ presign: (_, { signal }) => sleep(60_000, undefined, { signal }) });
  assert.equal((await failing(slow.upload(jpeg(), { signal: AbortSignal.timeout(100) }))).name, "TimeoutError");
});

test("a signal stops the file on its way, and the store keeps nothing", async () => {
  const slow = await wire(env.store, { rate: 1_000_000 });
  const { upload, tickets } = rerouted({ store: slow.url });
  const stop = new AbortController();
  const end = failing(upload(new Blob([bmp(1800, 1800)], { type: "image/bmp" }), { signal: stop.signal }));
  await until("some bytes", () => slow.seen.bytes > 500_000);
  stop.abort(new Error("changed my mind"));
  assert.equal((await end).message, "changed my mind");
  await until("closed", () => slow.seen.closed);
  assert.ok(slow.seen.bytes < 9_000_000, `${slow.seen.bytes} bytes went`);
  assert.equal((await statusOf(tickets[0].id)).status, "pending");
});

test("a signal stops the waiting for the end", async () => {
  const through = await wire(env.url);
  const ticket = await ticketFor();
  ticket.events_url = ticket.events_url.replace(env.url, through.url);
  const stop = new AbortController();
  const end = failing(follow(ticket, { signal: stop.signal, onStatus: () => stop.abort() }));
  assert.equal((await end).name, "AbortError");
  await until("closed", () => through.seen.closed);
});

test("a listener that throws is reported, and the upload goes on", () => {
  const program = `
    import { createUploader } from "./dist/tintype.js";
    process.on("uncaughtException", (error) => console.log(error.message));
    const { upload } = createUploader({ presign: "${server.route}" });
    const listener = ({ stage }) => { throw new Error(stage); };
    const manifest = await upload(Buffer.from("${photo.toString("base64")}", "base64"), { onProgress: listener });
    console.log(manifest.variants.length);`;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ["--input-type=module"], (error, out) => {
      if (error) return reject(error);
      assert.match(out, /^presign\nupload\nupload\n(develop\n){2,3}8\n$/);
      resolve();
    }).stdin.end(program);
  });
});
