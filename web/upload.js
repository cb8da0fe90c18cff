// The page for uploads: files are chosen, sent a few at a time, and shown as they end.

import { askForKey, call, key } from "./api.js";
import { Card } from "./card.js";
import { find } from "./dom.js";
import { remedy } from "./remedy.js";
import { send } from "./send.js";

/** Files at work at once: a browser opens six connections to a server. */
const AT_ONCE = 3;
/** How often the callback is looked for while it is under way, in milliseconds. */
const LOOK = [200, 500, 1000, 2000, 4000, 8000];

/** How often a server that is away is asked again for an outcome, and after how many milliseconds. */
const MISSES = 15;
const AWAY = 2000;

const cards = [];
const queue = [];
let atWork = 0;
let asksForKey = false;

function add(files) {
  find("#list-section").hidden = files.length === 0 && cards.length === 0;
  for (const file of files) {
    const job = { file };
    job.card = new Card(file, { cancel: () => cancel(job), retry: () => enqueue(job) });
    cards.push(job.card);
    find("#list").append(job.card.element);
    enqueue(job);
  }
}

function enqueue(job) {
  job.abort = new AbortController();
  job.card.reset();
  queue.push(job);
  work();
  summarize();
}

function cancel(job) {
  job.abort.abort();
  const waiting = queue.indexOf(job);
  if (waiting >= 0) {
    queue.splice(waiting, 1);
    end(job, "cancelled");
  }
}

function work() {
  while (atWork < AT_ONCE && queue.length > 0) {
    atWork += 1;
    run(queue.shift()).finally(() => {
      atWork -= 1;
      work();
    });
  }
}

async function run(job) {
  const { file, card, abort: { signal } } = job;
  let ticket;
  try {
    card.show("asking");
    if (file.size === 0) throw Object.assign(new Error("The file is empty."), { refused: "empty" });
    const body = { filename: file.name, size: file.size };
    if (file.type.startsWith("image/")) body.content_type = file.type;
    ticket = await call("POST", "/v1/uploads", { body, signal });
    card.promise(ticket.variants);
    card.show("sending");
    await send(ticket.presign, file, (sent, total) => card.progress(sent, total), signal);
    card.progress(1, 1);
    card.show("processing");
    // A bucket may tell nobody of it. What is told besides does no harm, and outcome() sees what came of it.
    call("POST", `/v1/uploads/${ticket.id}/uploaded`, { token: ticket.token }).catch(() => {});
    const upload = await outcome(ticket);
    card.tell(ticket, upload.manifest, asksForKey);
    if (upload.manifest) card.develop(upload.manifest);
    else card.variants.hidden = true;
    const why = upload.error ? `${upload.error.message} (${upload.error.code})` : "";
    end(job, upload.status === "completed" ? "completed" : "failed", why || (upload.status === "expired" ? "The credential ran out." : ""), upload.error?.code);
    callback(card, ticket);
  } catch (error) {
    card.variants.hidden = true;
    if (error.name === "AbortError") {
      end(job, "cancelled");
      // What came of it is nobody's; a key that may not delete leaves it to expire.
      if (ticket) call("DELETE", `/v1/uploads/${ticket.id}`).catch(() => {});
    } else {
      end(job, "failed", error.code ? `${error.message} (${error.code})` : error.message, error.code ?? error.refused);
      if (error.status === 401) signIn(error.message);
    }
  }
}

/** The upload at its end: asked for with its own token, for as long as it takes, though the server is away for a while. */
async function outcome({ id, token }) {
  for (let missed = 0; ; ) {
    try {
      const upload = await call("GET", `/v1/uploads/${id}?wait=30`, { token });
      if (["completed", "failed", "expired"].includes(upload.status)) return upload;
      missed = 0;
    } catch (error) {
      missed += 1;
      if (![0, 503].includes(error.status) || missed === MISSES) throw error;
      await pause(AWAY);
    }
  }
}

const pause = (millis) => new Promise((later) => setTimeout(later, millis));

async function callback(card, { id }) {
  let told = "";
  for (const wait of LOOK) {
    await pause(wait);
    try {
      const { deliveries } = await call("GET", `/v1/deliveries?upload=${id}`);
      if (!deliveries.length) return card.told(null, "No callback: callback.url is not set.");
      const { status, attempts } = deliveries[0];
      const now = `${status} ${attempts.length}`;
      // What is open stays open while nothing is new.
      if (now !== told) card.told(deliveries[0]);
      if (status !== "pending") return;
      told = now;
    } catch (error) {
      return card.told(null, `The callback cannot be shown: ${error.message}`);
    }
  }
}

function end(job, state, why, code) {
  const { retry, advice } = remedy(code);
  job.card.show(state, why, { retry, advice });
  find("#said").textContent = [`${job.file.name}: ${state}.`, why, advice].filter(Boolean).join(" ");
  summarize();
}

function summarize() {
  const count = (state) => cards.filter((card) => card.state === state).length;
  const rest = [["failed", count("failed")], ["cancelled", count("cancelled")]].filter(([, n]) => n > 0);
  find("#summary").textContent = [`${count("completed")} of ${cards.length} completed`, ...rest.map(([word, n]) => `${n} ${word}`)].join(", ");
}

// --- who may -----------------------------------------------------------------------------------------------------------

/** Whether this server knows the caller; what it then may do is another question. */
async function check(secret) {
  try {
    await call("GET", "/v1/uploads?limit=1", { token: secret });
  } catch (error) {
    if (error.status !== 403 || !secret) throw error;
  }
}

function signedIn() {
  find("#signed-in").hidden = !key.get();
  find("#drop").hidden = false;
}

function signIn(why = "") {
  asksForKey = true;
  key.forget();
  find("#drop").hidden = true;
  find("#signed-in").hidden = true;
  askForKey(find("#key-form"), check, () => {
    signedIn();
    find("#files").focus();
  });
  find("#key-error").textContent = why;
}

async function start() {
  try {
    await check(key.get());
    asksForKey = Boolean(key.get());
    signedIn();
  } catch (error) {
    if (error.status === 401) return signIn(key.get() ? error.message : "");
    find("#said").classList.remove("unseen");
    find("#said").classList.add("error");
    find("#said").textContent = error.message;
    find("#drop").hidden = error.status === 403;
  }
}

const drop = find("#drop");
const input = find("#files");
input.addEventListener("change", () => {
  add([...input.files]);
  input.value = "";
});
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
addEventListener("dragleave", (event) => event.relatedTarget === null && drop.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (!drop.hidden) add([...event.dataTransfer.files]);
});
find("#sign-out").addEventListener("click", () => signIn());
start();
