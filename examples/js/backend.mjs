/*
 * A backend in Node, without dependencies: asks Tintype for uploads on behalf of its pages, which it serves too.
 *
 *   TINTYPE_KEY=tt_… node examples/js/backend.mjs      then open http://127.0.0.1:3000/
 *
 * TINTYPE_URL (http://127.0.0.1:8000) is Tintype's API; the key needs the scopes uploads:create and uploads:read.
 * The client is built first: npm install && npm run build, in integrations/js.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { formPage, statusPage } from "./form.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const FILES = {
  "/": [here("page.html"), "text/html"],
  "/tintype.js": [here("../../integrations/js/dist/tintype.js"), "text/javascript"],
};

/** Steps 1 to 3. What a browser may ask for is for you to say: here, the file's name, type and size. */
async function presign(tintype, wanted) {
  const { filename, content_type, size } = wanted;
  return tintype("/v1/uploads", { filename, content_type, size, metadata: { user: "42" } });
}

async function answer(request, tintype, files) {
  const { pathname } = new URL(request.url, "http://localhost");
  if (request.method === "POST" && pathname === "/photos") return passOn(await presign(tintype, JSON.parse(await body(request))));
  if (pathname === "/form") return formPage(tintype);
  if (pathname.startsWith("/photos/")) return statusPage(tintype, pathname.slice("/photos/".length));
  if (!Object.hasOwn(files, pathname)) return { status: 404, text: "there is no such page" };
  const [path, type] = files[pathname];
  return { status: 200, type, text: await readFile(path, "utf8") };
}

/** Tintype's answer as it is: a ticket, or a problem that says what to do. */
async function passOn(response) {
  const headers = response.headers.has("retry-after") ? { "retry-after": response.headers.get("retry-after") } : {};
  return { status: response.status, type: response.headers.get("content-type"), headers, text: await response.text() };
}

async function body(request) {
  let text = "";
  for await (const chunk of request) if ((text += chunk).length > 16384) throw new SyntaxError("too long");
  return text;
}

export function backend({ url, key, port, files = {} }) {
  const tintype = (path, json) =>
    fetch(url + path, {
      method: json ? "POST" : "GET",
      headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...(json ? { "content-type": "application/json" } : {}) },
      body: json && JSON.stringify(json),
    });
  const server = createServer(async (request, response) => {
    const { status, type = "text/plain", headers = {}, text } = await answer(request, tintype, { ...FILES, ...files })
      .catch((error) => (console.error(error), { status: error instanceof SyntaxError ? 400 : 502, text: "that did not work" }));
    response.writeHead(status, { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store", ...headers }).end(text);
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { TINTYPE_URL: url = "http://127.0.0.1:8000", TINTYPE_KEY: key, PORT: port = 3000 } = process.env;
  await backend({ url, key, port: Number(port) });
  console.log(`open http://127.0.0.1:${port}/ , or /form`);
}
