/** What the tests stand on: a Tintype that is running, the example's backend before it, and a network that breaks as told. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { backend as start } from "../../../examples/js/backend.mjs";
import { createUploader } from "../dist/tintype.js";

export const env = JSON.parse(process.env.TINTYPE_TEST);
export const photo = readFileSync(env.photo);
/** Pauses short enough for tests. */
export const brisk = { pause: 50 };

const closing = [];
/** Closes what the tests of a file opened. */
export const closeAll = async () => {
  for (const close of closing.reverse()) await close();
};
export const later = (close) => closing.push(close);

/** A POST of JSON to Tintype with the backend's key. */
export async function api(path, body, { method = "POST", url = env.url } = {}) {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${env.key}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  return response.json();
}

export const ticketFor = (wanted = {}, url) => api("/v1/uploads", { filename: "a.jpg", ...wanted }, { url });
export const statusOf = (id) => api(`/v1/uploads/${id}`, undefined, { method: "GET" });

/** The example's backend, before this Tintype or another. */
export async function backend({ url = env.url, key = env.key, port = 0, files } = {}) {
  const server = await start({ url, key, port, files });
  const count = { presigned: 0 };
  server.on("request", (request) => (count.presigned += request.method === "POST"));
  later(() => (server.closeAllConnections(), new Promise((done) => server.close(done))));
  return { url: `http://127.0.0.1:${server.address().port}`, count, route: `http://127.0.0.1:${server.address().port}/photos` };
}

/** An uploader whose tickets lead elsewhere: `{store, api}` are origins to go through. */
export function rerouted({ store, api: through }, options = {}) {
  const tickets = [];
  const presign = async (wanted) => {
    const ticket = reroute(await ticketFor({ content_type: wanted.content_type, size: wanted.size }), { store, api: through });
    tickets.push(ticket);
    return ticket;
  };
  return { ...createUploader({ ...brisk, presign, ...options }), tickets };
}

export function reroute(ticket, { store, api: through }) {
  if (store) ticket.presign.url = ticket.presign.url.replace(/^http:..[^/]*/, store);
  if (through) for (const name of ["status_url", "events_url"]) ticket[name] = ticket[name].replace(/^http:..[^/]*/, through);
  return ticket;
}

/** A TCP proxy: at most `rate` bytes a second from clients; `cut()` resets who is connected. */
export async function wire(target, { rate = Infinity } = {}) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  const seen = { connections: 0, closed: 0, bytes: 0 };
  const server = net.createServer((client) => {
    seen.connections++;
    const behind = net.connect(Number(port), hostname);
    const end = () => (open.delete(end), client.destroy(), behind.destroy());
    open.add(end);
    end.reset = () => (open.delete(end), client.resetAndDestroy(), behind.destroy());
    for (const socket of [client, behind]) socket.on("error", end).on("close", end);
    client.on("close", () => seen.closed++);
    behind.pipe(client);
    client.on("data", async (chunk) => {
      client.pause();
      seen.bytes += chunk.length;
      behind.write(chunk);
      if (rate < Infinity) await sleep((chunk.length / rate) * 1000, undefined, { ref: false });
      client.resume();
    });
  });
  await new Promise((done) => server.listen({ port: 0, host: "127.0.0.1" }, done));
  const cut = () => [...open].forEach((end) => end.reset());
  later(() => (cut(), new Promise((done) => server.close(done))));
  return { url: `http://127.0.0.1:${server.address().port}`, seen, cut };
}

/**
 * An HTTP proxy. `fault(request, n)` decides for the n-th: nothing (handed on), `{status, headers, body}` (answered so),
 * "reset" (before anything is done), "lost" (done, but the answer never comes), "held" (headers come, and nothing else),
 * "silent" (nothing comes), "closed" (nothing lets pages of other origins in), `{each: newline}` (the answer comes byte by byte, with these for its line ends).
 */
export async function gate(target, fault = () => {}) {
  const seen = [];
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    const wrong = fault(request, seen.length - 1);
    if (wrong === "reset") return request.socket.resetAndDestroy();
    if (wrong === "silent") return;
    if (wrong?.status) {
      request.resume();
      return request.on("end", () => response.writeHead(wrong.status, wrong.headers ?? {}).end(wrong.body));
    }
    const onwards = http.request(target + request.url, { method: request.method, headers: request.headers }, (answer) => {
      if (wrong === "lost") return answer.resume().on("end", () => request.socket.resetAndDestroy());
      const { headers } = answer;
      if (wrong === "closed") for (const name of Object.keys(headers)) if (name.startsWith("access-control-")) delete headers[name];
      response.writeHead(answer.statusCode, headers);
      response.flushHeaders();
      if (wrong === "held") return answer.resume();
      if (wrong?.each) return crumble(answer, wrong.each, response);
      answer.on("error", () => response.destroy()).pipe(response);
    });
    onwards.on("error", () => response.destroy());
    response.on("close", () => onwards.destroy());
    request.pipe(onwards);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  later(() => (server.closeAllConnections(), new Promise((done) => server.close(done))));
  return { url: `http://127.0.0.1:${server.address().port}`, seen };
}

async function crumble(answer, newline, response) {
  for await (const chunk of answer) {
    for (const byte of Buffer.from(chunk.toString("latin1").replaceAll("\n", newline), "latin1")) {
      response.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
  }
  response.end();
}

/** Kills this Tintype and starts it again, on the same ports and data. */
export const restart = () => fetch(env.control, { method: "POST" });

/** A BMP of random pixels: large, and an image. */
export function bmp(width, height) {
  const size = 54 + width * height * 3;
  const data = Buffer.alloc(size);
  data.write("BM");
  data.writeUInt32LE(size, 2);
  for (const [value, at] of [[54, 10], [40, 14], [width, 18], [height, 22], [1, 26]]) data.writeUInt32LE(value, at);
  data.writeUInt16LE(24, 28);
  for (let at = 54, seed = 1; at < size; at++) data[at] = (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 16;
  return data;
}

export async function until(what, probe, within = 15_000) {
  for (const end = Date.now() + within; Date.now() < end; await sleep(20)) {
    const got = await probe();
    if (got) return got;
  }
  throw new Error(`${what}: not within ${within} ms`);
}

/** Runs a program; what it prints, or why it failed. */
export function run(program, args, options = {}) {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], ...options });
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")}\n${error.stdout}\n${error.stderr}`);
  }
}
