// Calls to the API of this server. An API key is kept for this tab alone, and is sent in a header, never in an address.

const PLACE = "tintype-key";

export const key = {
  get: () => sessionStorage.getItem(PLACE),
  set: (text) => sessionStorage.setItem(PLACE, text),
  forget: () => sessionStorage.removeItem(PLACE),
};

/** What the API, or the way to it, refused; `message` says why. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/** One call. `token` is an upload's own, or another secret, and is sent instead of the key. Gives the JSON of the answer, or null. */
export async function call(method, path, { body, token, signal } = {}) {
  const headers = { Accept: "application/json" };
  const secret = token ?? key.get();
  if (secret) headers.Authorization = `Bearer ${secret}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "unreachable", "The server cannot be reached. Is it running, and this machine online?");
  }
  const text = await answer.text();
  if (answer.ok) return text ? JSON.parse(text) : null;
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // A proxy said it, perhaps.
  }
  throw new Refused(answer.status, problem.code ?? "internal", problem.detail ?? `The server answered ${answer.status}.`);
}

/** A form that asks for a key until `check(secret)` is content with it; then it is kept, and `done` is called. */
export function askForKey(form, check, done) {
  const input = form.elements.key;
  const error = form.querySelector("[role=alert]");
  form.onsubmit = async (event) => {
    event.preventDefault();
    error.textContent = "";
    const secret = input.value.trim();
    try {
      await check(secret);
    } catch (refused) {
      error.textContent = refused.message;
      input.focus();
      return;
    }
    key.set(secret);
    input.value = "";
    form.hidden = true;
    done();
  };
  form.hidden = false;
  input.focus();
}
