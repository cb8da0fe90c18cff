// The operator's page: how the service does, its uploads and callbacks, and its configuration.

import { Refused, askForKey, call, key } from "./api.js";
import { find, folded, h, seconds, time } from "./dom.js";
import { plot, ranking } from "./plots.js";
import { callback, timeline } from "./timeline.js";

/** How often the overview is looked at, in milliseconds, and how many looks its lines go back. */
const EVERY = 2000;
const LOOKS = 150;
const STATUSES = { uploads: ["pending", "processing", "completed", "failed", "expired"], callbacks: ["pending", "delivered", "dead"] };

const view = find("#view");
/** What was seen on the overview: queue depth and latency are known of the moment alone. */
const seen = [];
let overview = null;
let shown = 0;

function say(text) {
  find("#told").textContent = text;
}

// --- overview ----------------------------------------------------------------------------------------------------------

function makeOverview() {
  const plots = {
    queue: plot("Queue"), throughput: plot("Uploads a minute, last hour"),
    latency: plot("Latency, event to end", (ms) => seconds(ms / 1000)), failures: ranking("Failures by code, last hour", "Code"),
  };
  const tiles = h("ul", { class: "tiles", "aria-label": "Now" });
  const element = h("div", {}, h("h2", { tabindex: "-1" }, "Overview"), tiles, h("div", { class: "plots" }, Object.values(plots).map((one) => one.element)));
  return { element, tiles, plots };
}

function tile(name, value, href, bad = false) {
  return h("li", { class: bad ? "bad" : "" }, h("a", { href }, h("b", {}, value), " ", name));
}

function draw({ tiles, plots }, stats) {
  const { queue, callbacks, uploads, last_hour: hour } = stats;
  const focused = tiles.contains(document.activeElement) ? [...tiles.querySelectorAll("a")].indexOf(document.activeElement) : -1;
  tiles.replaceChildren(
    ...STATUSES.uploads.map((status) => tile(status, uploads[status] ?? 0, `#uploads?status=${status}`)),
    tile("dead jobs", queue.dead, "#uploads?status=failed", queue.dead > 0),
    tile("callbacks due", callbacks.pending, "#callbacks?status=pending"),
    tile("dead callbacks", callbacks.dead, "#callbacks?status=dead", callbacks.dead > 0));
  if (focused >= 0) tiles.querySelectorAll("a")[focused].focus();
  const clock = (text) => new Date(text).toLocaleTimeString();
  const looks = seen.map((one) => clock(one.at));
  const oldest = queue.oldest_seconds == null ? "" : `, the oldest for ${seconds(queue.oldest_seconds)}`;
  plots.queue.draw(looks, [
    { name: "waiting", values: seen.map((one) => one.queue.waiting) },
    { name: "in work", values: seen.map((one) => one.queue.running) },
  ], `${queue.waiting} waiting${oldest}; ${queue.running} in work`);
  const { p50_ms: half, p99_ms: most, jobs } = hour.latency;
  plots.latency.draw(looks, [
    { name: "p50", values: seen.map((one) => one.last_hour.latency.p50_ms) },
    { name: "p99", values: seen.map((one) => one.last_hour.latency.p99_ms) },
  ], half == null ? "nothing ended in the last hour" : `p50 ${seconds(half / 1000)}, p99 ${seconds(most / 1000)} of ${jobs} jobs`);
  plots.throughput.draw(hour.per_minute.map((one) => clock(one.at)), [
    { name: "completed", values: hour.per_minute.map((one) => one.completed), bars: true },
    { name: "failed", values: hour.per_minute.map((one) => one.failed), bars: true },
  ], `${hour.completed} completed, ${hour.failed} failed`);
  plots.failures.draw(hour.failures);
}

/** Looks while the page is seen; what was missed meanwhile is not made up. */
async function look() {
  if (!overview || document.hidden) return;
  try {
    const stats = await call("GET", "/v1/stats");
    seen.push(stats);
    seen.splice(0, seen.length - LOOKS);
    find("#said").textContent = "";
    if (overview) draw(overview, stats);
  } catch (error) {
    failed(error);
  }
}

// --- lists -------------------------------------------------------------------------------------------------------------

/** A list by status, a page at a time; `row` makes what is shown of one. */
function list(name, title, asked, extra, table, row) {
  const status = h("select", { id: "status", name: "status" }, h("option", { value: "" }, "any"), STATUSES[name].map((word) => h("option", { value: word, selected: asked.get("status") === word }, word)));
  const form = h("form", { class: "row filters" }, h("label", { for: "status" }, "Status"), status, extra, h("button", { class: "primary" }, "Show"));
  form.onsubmit = (event) => {
    event.preventDefault();
    const given = [...new FormData(form)].map(([key, value]) => [key, value.trim()]).filter(([, value]) => value);
    const whole = given.find(([key, value]) => key === "q" && /^[0-9a-f]{32}$/.test(value));
    if (whole) {
      location.hash = `uploads/${whole[1]}`;
      return;
    }
    location.hash = `${name}?${new URLSearchParams(given)}`;
  };
  const none = h("p", { class: "hint" });
  const more = h("button", { type: "button", hidden: true }, "Show more");
  const query = new URLSearchParams([...asked].filter(([key]) => ["status", "q", "upload"].includes(key)));
  const load = async () => {
    more.disabled = true;
    const answer = await call("GET", `/v1/${name === "uploads" ? "uploads" : "deliveries"}?limit=50&${query}`);
    const rows = answer.uploads ?? answer.deliveries;
    table.append(...rows.map(row));
    none.textContent = table.children.length ? "" : "There are none.";
    more.hidden = !answer.cursor;
    more.disabled = false;
    if (answer.cursor) query.set("cursor", answer.cursor);
    say(`${table.children.length} shown`);
  };
  more.onclick = () => load().catch(failed);
  const around = table.tagName === "TBODY" ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, h("table", {}, h("thead", {}, h("tr", {}, ["Upload", "Status", "Asked for", "Outcome"].map((text) => h("th", { scope: "col" }, text)))), table)) : table;
  return load().then(() => h("div", {}, h("h2", { tabindex: "-1" }, title), form, around, none, more));
}

function uploads(asked) {
  const search = [h("label", { for: "q" }, "Id, key, file name or metadata"), h("input", { id: "q", name: "q", type: "search", maxlength: "1024", value: asked.get("q") ?? "", placeholder: "0c5f… or 2026/photo.jpg" })];
  return list("uploads", "Uploads", asked, search, h("tbody", {}), (upload) => {
    const original = upload.manifest?.original;
    const outcome = upload.error ? `${upload.error.code}: ${upload.error.message}` : original ? `${original.width}×${original.height} ${original.content_type}, ${upload.manifest.variants.length} variants` : "";
    return h("tr", {}, h("th", { scope: "row" }, h("a", { href: `#uploads/${upload.id}` }, h("code", {}, upload.id)), upload.filename ? h("div", {}, upload.filename) : ""),
      h("td", {}, h("span", { class: `tag tag-${upload.status}` }, upload.status)), h("td", {}, time(upload.created_at)), h("td", {}, outcome));
  });
}

function callbacks(asked) {
  const button = (label, what) => h("button", { type: "button", onclick: () => act(what) }, label);
  return list("callbacks", "Callbacks", asked, [], h("div", {}), (delivery) => callback(delivery, button));
}

async function configuration() {
  const { engine, settings, presets } = await call("GET", "/v1/config");
  const changed = settings.filter((one) => one.from);
  const table = (rows, title) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, h("table", {},
    h("thead", {}, h("tr", {}, ["Setting", "Value", "From"].map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, rows.map((one) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, one.key)), h("td", {}, h("code", {}, typeof one.value === "string" ? one.value : JSON.stringify(one.value))), h("td", {}, one.from ?? "default"))))));
  const rest = folded(`All ${settings.length} settings`, () => table(settings, "All settings"));
  return h("div", {}, h("h2", { tabindex: "-1" }, "Configuration"), h("p", {}, engine, ". Secrets are never shown here."),
    h("h3", {}, "Changed from the defaults"), changed.length ? table(changed, "Changed settings") : h("p", { class: "hint" }, "Nothing."), rest,
    h("h3", {}, "Presets"), h("ul", {}, presets.map((preset) => h("li", {}, h("b", {}, preset.name), ` (version ${preset.version}): ${preset.variants.join(", ")}`, preset.callback_url ? `; told at ${preset.callback_url}` : ""))));
}

// --- what is done ------------------------------------------------------------------------------------------------------

/** Asks, and does it. */
function act({ title, text, yes, danger, method, path, done, then }) {
  const dialog = find("#confirm");
  find("#confirm-title").textContent = title;
  find("#confirm-text").textContent = text;
  find("#confirm-yes").textContent = yes;
  find("#confirm-yes").className = danger ? "danger" : "primary";
  dialog.returnValue = "no";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return;
    try {
      await call(method, path);
      say(done);
      if (then) location.hash = then;
      else await again();
    } catch (error) {
      failed(error);
    }
  };
  dialog.showModal();
}

/** Shows the view anew; what had the focus is gone. */
async function again() {
  await show();
  find("h2", view)?.focus();
}

function failed(error) {
  const refused = error instanceof Refused ? error.status : 0;
  const why = key.get() ? error.message : "";
  if (refused === 401) key.forget();
  // A key of fewer scopes stays, for the other page.
  if (refused === 401 || (refused === 403 && key.get())) return signIn(why);
  find("#said").textContent = error.message;
}

// --- where one is ------------------------------------------------------------------------------------------------------

function route() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [name, id] = path.split("/");
  return { name: name || "overview", id, asked: new URLSearchParams(query) };
}

async function make({ name, id, asked }) {
  if (name === "uploads" && id) return timeline(encodeURIComponent(id), act, again);
  if (name === "uploads") return uploads(asked);
  if (name === "callbacks") return callbacks(asked);
  if (name === "config") return configuration();
  overview = makeOverview();
  return overview.element;
}

async function show() {
  const here = route();
  const turn = ++shown;
  overview = null;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.hash === `#${here.name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    const element = await make(here);
    if (turn !== shown) return;
    find("#said").textContent = "";
    view.replaceChildren(element);
    if (overview) await look();
  } catch (error) {
    if (turn === shown) {
      view.replaceChildren();
      failed(error);
    }
  }
}

function signIn(why = "") {
  overview = null;
  shown += 1;
  view.replaceChildren();
  find("#views").hidden = true;
  find("#said").textContent = "";
  askForKey(find("#key-form"), (secret) => call("GET", "/v1/stats", { token: secret }), start);
  find("#key-error").textContent = why;
}

async function start() {
  try {
    await call("GET", "/v1/stats");
  } catch (error) {
    return failed(error);
  }
  find("#views").hidden = false;
  find("#sign-out").hidden = !key.get();
  await show();
}

addEventListener("hashchange", () => {
  // The link past the bar is of the page, not of a view.
  if (!find("#views").hidden && route().name !== "main") again();
});
document.addEventListener("visibilitychange", look);
find("#sign-out").addEventListener("click", () => {
  key.forget();
  signIn();
});
setInterval(look, EVERY);
start();
