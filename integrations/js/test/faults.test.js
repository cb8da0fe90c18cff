/** What goes wrong between here and there, really: connections that break, servers that restart, credentials that run out. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createUploader, follow } from "../dist/tintype.js";
import { api, backend, bmp, brisk, closeAll, env, gate, photo, reroute, rerouted, restart, ticketFor, until, wire } from "./support.js";

after(closeAll);
const jpeg = () => new Blob([photo], { type: "image/jpeg" });
const failing = (promise) => promise.then(() => assert.fail("it did not fail"), (error) => error);
const posts = (gate) => gate.seen.filter((line) => line.startsWith("POST"));
const polls = (gate) => gate.seen.filter((line) => line.includes("?wait="));
const xml = (code) => `<Error><Code>${code}</Code><Message>${code}</Message></Error>`;

/** Sends a ticket's file, as whoever else might. */
async function sendByHand(ticket) {
  const form = new FormData();
  for (const [name, value] of Object.entries(ticket.presign.fields)) form.append(name, value);
  form.append("file", jpeg());
  const { status } = await fetch(ticket.presign.url, { method: "POST", body: form });
  assert.equal(status, 204);
}

test("events come by one stream, and nobody polls", async () => {
  const seen = await gate(env.url);
  const { upload, tickets } = rerouted({ api: seen.url });
  await upload(jpeg());
  // The token is in a header: addresses are logged.
  const [{ id }] = tickets;
  assert.deepEqual(seen.seen.toSorted(), [`GET /v1/uploads/${id}/events`, `POST /v1/uploads/${id}/uploaded`]);
});

test("a stream that is cut is followed by long polls", async () => {
  const stream = await wire(env.url);
  const rest = await gate(env.url);
  const ticket = await ticketFor();
  const told = [];
  ticket.events_url = ticket.events_url.replace(env.url, stream.url);
  ticket.status_url = ticket.status_url.replace(env.url, rest.url);
  const end = follow(ticket, { ...brisk, onStatus: (status) => told.push(status) });
  await until("the first event", () => told.length);
  stream.cut();
  await until("a poll", () => polls(rest).length);
  await sendByHand(ticket);
  assert.equal((await end).variants.length, 8);
  assert.deepEqual([told[0], told.at(-1)], ["pending", "completed"]);
});

test("where no stream gets through, polls do", async () => {
  for (const fault of [{ status: 503 }, { status: 404 }, { status: 200, body: "no events" }, "reset"]) {
    const through = await gate(env.url, ({ url }) => (url.includes("/events") ? fault : undefined));
    const { upload } = rerouted({ api: through.url });
    assert.equal((await upload(jpeg())).variants.length, 8);
    assert.ok(polls(through).length);
  }
});

test("a stream may come in crumbs, and with any line ends", async () => {
  for (const newline of ["\r\n", "\r"]) {
    const crumbs = await gate(env.url, ({ url }) => (url.includes("/events") ? { each: newline } : undefined));
    const { upload } = rerouted({ api: crumbs.url });
    const manifest = await upload(jpeg());
    assert.equal(manifest.variants.length, 8);
    assert.deepEqual(polls(crumbs), []);
  }
});

test("a stream that something on the way holds back is given up after ten seconds", async () => {
  const through = await gate(env.url, ({ url }) => (url.includes("/events") ? "held" : undefined));
  const { upload } = rerouted({ api: through.url });
  const started = Date.now();
  assert.equal((await upload(jpeg())).variants.length, 8);
  assert.ok(Date.now() - started > 9500 && Date.now() - started < 20_000);
});

test("a server that restarts meanwhile is found again", async () => {
  const ticket = await ticketFor();
  const told = [];
  const end = follow(ticket, { onStatus: (status) => told.push(status) });
  await until("the first event", () => told.length);
  await restart();
  await sendByHand(ticket);
  assert.equal((await end).variants.length, 8);
});

test("polls that fail are tried again, and no end is not waited for forever", async () => {
  const shaky = await gate(env.url, ({ url }, n) => (url.includes("/events") || n % 2 ? "reset" : undefined));
  const { upload } = rerouted({ api: shaky.url });
  assert.equal((await upload(jpeg())).variants.length, 8);
  const dead = await gate(env.url, () => "reset");
  const gone = rerouted({ api: dead.url }, { retries: 2 });
  const error = await failing(gone.upload(jpeg()));
  assert.deepEqual([error.code, error.retryable, error.uploadId], ["network", true, gone.tickets[0].id]);
  assert.equal(polls(dead).length, 5);
});

test("a store that is busy is asked again when it says", async () => {
  const busy = await gate(env.store, (_, n) => (n < 2 ? { status: 503, headers: { "retry-after": "1" }, body: xml("SlowDown") } : undefined));
  const { upload, tickets } = rerouted({ store: busy.url });
  const started = Date.now();
  assert.equal((await upload(jpeg())).variants.length, 8);
  assert.ok(Date.now() - started >= 2000);
  assert.deepEqual([posts(busy).length, tickets.length], [3, 1]);
});

test("a store that stays busy is asked so many times", async () => {
  const busy = await gate(env.store, () => ({ status: 503, body: xml("SlowDown") }));
  const error = await failing(rerouted({ store: busy.url }, { retries: 3 }).upload(jpeg()));
  assert.deepEqual([error.code, error.status, error.retryable, posts(busy).length], ["SlowDown", 503, true, 4]);
});

test("a pause that is too long is told of, and not waited for", async () => {
  const busy = await gate(env.store, () => ({ status: 507, headers: { "retry-after": "3600" }, body: xml("InsufficientStorage") }));
  const error = await failing(rerouted({ store: busy.url }).upload(jpeg()));
  assert.deepEqual([error.code, error.retryAfter, error.retryable, posts(busy).length], ["InsufficientStorage", 3600, true, 1]);
});

test("a refusal that would repeat is not tried again", async () => {
  const strict = await gate(env.store, () => ({ status: 403, body: xml("AccessDenied") }));
  const error = await failing(rerouted({ store: strict.url }).upload(jpeg()));
  assert.deepEqual([error.code, posts(strict).length], ["AccessDenied", 1]);
});

test("a connection that breaks on the way is opened again", async () => {
  const slow = await wire(env.store, { rate: 3_000_000 });
  const { upload, tickets } = rerouted({ store: slow.url });
  const file = new Blob([bmp(1800, 1200)], { type: "image/bmp" });
  const end = upload(file);
  await until("half of it", () => slow.seen.bytes > file.size / 2);
  slow.cut();
  assert.equal((await end).original.bytes, file.size);
  assert.deepEqual([slow.seen.connections, tickets.length], [2, 1]);
});

test("what the store has taken is not sent again, though its answer was lost", async () => {
  const losing = await gate(env.store, () => "lost");
  const { upload, tickets } = rerouted({ store: losing.url });
  assert.equal((await upload(jpeg())).variants.length, 8);
  assert.deepEqual([posts(losing).length, tickets.length], [1, 1]);
});

test("a store that has the file already, since its answer was lost, is as good as one that takes it", async () => {
  let lost = false;
  const losing = await gate(env.store, () => (lost ? undefined : ((lost = true), "lost")));
  const silent = await gate(env.url, ({ url }) => (/[0-9a-f]{32}$/.test(url) ? { status: 404 } : undefined));
  const { upload, tickets } = rerouted({ store: losing.url, api: silent.url });
  assert.equal((await upload(jpeg())).variants.length, 8);
  assert.deepEqual([posts(losing).length, tickets.length], [2, 1]);
});

test("a server that knows nothing of arrivals is followed all the same", async () => {
  const older = await gate(env.url, ({ url }) => (url.endsWith("/uploaded") ? { status: 404 } : undefined));
  const { upload } = rerouted({ api: older.url });
  assert.equal((await upload(jpeg())).variants.length, 8);
});

test("a credential that ran out is replaced", async () => {
  const server = await backend({ url: env.brief });
  for (const method of ["POST", "PUT"]) {
    const ids = [];
    const { upload } = createUploader({
      ...brisk,
      presign: async (wanted) => {
        const ticket = await ticketFor({ ...wanted, method }, env.brief);
        if (!ids.length) await sleep(4500);
        ids.push(ticket.id);
        return ticket;
      },
    });
    const manifest = await upload(jpeg(), { filename: "a.jpg" });
    assert.equal(ids.length, 2);
    assert.ok(manifest.original.key.includes(ids[1]));
  }
  assert.equal(server.count.presigned, 0);
});

test("a credential that is always too old is replaced twice", async () => {
  let asked = 0;
  const stale = await ticketFor({}, env.brief);
  await sleep(4500);
  const error = await failing(createUploader({ ...brisk, presign: async () => (asked++, stale) }).upload(jpeg()));
  assert.deepEqual([error.code, error.status, asked], ["AccessDenied", 403, 3]);
});

test("an upload that nobody sent expires", async () => {
  const error = await failing(follow(await ticketFor({}, env.brief)));
  assert.deepEqual([error.code, error.retryable], ["expired", true]);
});

test("a quota that is used up is waited for", async () => {
  const server = await backend({ url: env.brief });
  while ((await api("/v1/uploads", {}, { url: env.brief })).code !== "quota_exceeded");
  const { upload } = createUploader({ presign: server.route, ...brisk });
  assert.equal((await upload(photo)).variants.length, 8);
  assert.ok(server.count.presigned > 1, "it was refused first");
});

test("a backend that cannot be reached is tried again", async () => {
  const server = await backend();
  const shaky = await gate(server.url, (_, n) => ["reset", { status: 502 }][n]);
  const { upload } = createUploader({ presign: `${shaky.url}/photos`, ...brisk });
  assert.equal((await upload(jpeg())).variants.length, 8);
  assert.deepEqual([shaky.seen.length, server.count.presigned], [3, 1]);
});

test("through a slow network it takes as long as it takes", async () => {
  const [store, through] = [await wire(env.store, { rate: 500_000 }), await wire(env.url, { rate: 2000 })];
  const ticket = reroute(await ticketFor(), { store: store.url, api: through.url });
  const { upload } = createUploader({ presign: async () => ticket });
  const file = new Blob([bmp(1000, 500)], { type: "image/bmp" });
  const started = Date.now();
  assert.equal((await upload(file)).original.bytes, file.size);
  assert.ok(Date.now() - started > 1500);
});
