/** Step 4: the file goes to the store, as a form or by a signed PUT. */
import type { Presign } from "./api.js";
import { explain } from "./cause.js";
import { refused, TintypeError, unreachable, type Answer } from "./error.js";

export interface Parcel {
  file: Blob;
  filename: string;
  /** Told how many bytes of the file are on their way. */
  report: (loaded: number) => void;
  /** Milliseconds without progress after which it is given up. */
  stall: number;
  signal: AbortSignal | undefined;
}

interface Outgoing {
  method: string;
  url: string;
  headers: [string, string][];
  body: Blob | FormData;
}

/** Sends it once; resolves when the store has taken it. */
export async function send(presign: Presign, parcel: Parcel): Promise<void> {
  const { file, report } = parcel;
  const { max_bytes: most } = presign.constraints;
  if (file.size > most) {
    throw new TintypeError("too_large", `the file has ${file.size} bytes; at most ${most} are taken`);
  }
  const outgoing = prepare(presign, parcel);
  // Only XMLHttpRequest tells how far an upload is; Node and service workers have none.
  const answer = await (typeof XMLHttpRequest === "undefined" ? byFetch : byXhr)(outgoing, parcel);
  if (answer.status < 200 || answer.status > 299) throw refused("the store", answer);
  report(file.size);
}

/** Whether the store refused because the credential has run out, by its own words or by the clock. */
export function hasExpired(error: unknown, presign: Presign): boolean {
  if (!(error instanceof TintypeError) || (error.status !== 403 && error.status !== 400)) return false;
  return /expired/i.test(error.code + error.message) || (error.status === 403 && Date.now() >= Date.parse(presign.expires_at));
}

function prepare({ method, url, headers, fields }: Presign, { file, filename }: Parcel): Outgoing {
  if (method === "PUT") {
    // What is sent of these is for the browser to say, and is what was signed.
    const own = (name: string) => !["content-length", "host"].includes(name.toLowerCase());
    return { method, url, headers: Object.entries(headers).filter(([name]) => own(name)), body: file };
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, isOpen(name, value, file.type) ? file.type : value);
  form.append("file", file, filename);
  return { method, url, headers: Object.entries(headers), body: form };
}

/** `image/*` leaves the type to the client: the policy takes any that starts so. */
function isOpen(name: string, value: string, type: string): boolean {
  return name.toLowerCase() === "content-type" && value.endsWith("/*") && type.startsWith(value.slice(0, -1));
}

async function byFetch(out: Outgoing, { report, signal }: Parcel): Promise<Answer> {
  report(0);
  const { method, headers, body } = out;
  try {
    const response = await fetch(out.url, { method, headers, body, credentials: "omit", signal: signal ?? null });
    return { status: response.status, header: (name) => response.headers.get(name), text: await response.text() };
  } catch (cause) {
    signal?.throwIfAborted();
    throw await explain({ who: "the store", url: out.url }, cause, signal);
  }
}

function byXhr(out: Outgoing, { file, report, stall, signal }: Parcel): Promise<Answer> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    let timer = setTimeout(abort, stall);
    let sent = false;
    xhr.open(out.method, out.url);
    for (const [name, value] of out.headers) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded, total }) => {
      clearTimeout(timer);
      timer = setTimeout(abort, stall);
      sent ||= loaded > 0;
      // Bytes of the form around the file do not count; the fields come first.
      report(Math.min(file.size, Math.max(0, loaded - (total - file.size))));
    };
    xhr.onload = () =>
      resolve({ status: xhr.status, header: (name) => xhr.getResponseHeader(name), text: xhr.responseText });
    // Bytes that went were let through; where none did, perhaps the page was not.
    xhr.onerror = () => (sent ? reject(unreachable("the store")) : explain({ who: "the store", url: out.url }, undefined, signal).then(reject, reject));
    xhr.onabort = () => reject(signal?.aborted ? signal.reason : unreachable("the store"));
    xhr.onloadend = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    signal?.addEventListener("abort", abort, { once: true });
    report(0);
    xhr.send(out.body);
  });
}
