/** After step 4: the upload is followed to its end, by server-sent events, and by long polls where these fail. */
import type { Manifest, Status, Ticket, Upload } from "./api.js";
import { explain, watchSilence } from "./cause.js";
import { mayPass, refused, TintypeError, unreachable } from "./error.js";
import { RETRIES, retrying, sleep, type Retry } from "./retry.js";
import { messages } from "./sse.js";
import { tell } from "./tell.js";

/** Seconds of one long poll. */
const WAIT = 25;
/** Milliseconds without a byte after which a stream is given up: the server sends something every 15 seconds. */
const SILENCE = 40_000;
/** The first event comes at once, unless something on the way holds it back. */
const FIRST = 10_000;
/** Milliseconds that a long poll may be late. */
const LATE = 20_000;
/** Nothing has to be sent again to look again, so it is tried more often than other steps. */
const PATIENCE = 2;
/** Least milliseconds between polls, should something answer them at once. */
const BETWEEN = 1000;

export interface FollowOptions extends Retry {
  signal?: AbortSignal;
  /** Told of each status as it is seen. */
  onStatus?: (status: Status) => void;
  /** Told why nothing is heard, while it is tried again. */
  onTrouble?: (error: TintypeError) => void;
}

type Followed = Pick<Ticket, "id" | "token" | "status_url" | "events_url">;

/** Resolves to the manifest of an upload whose file is sent, whoever sent it. */
export async function follow(ticket: Followed, options: FollowOptions = {}): Promise<Manifest> {
  const { signal, onStatus, onTrouble, retries = RETRIES } = options;
  const patient = { ...options, retries: retries * PATIENCE };
  let told: Status | undefined;
  const seen = (upload: Upload) => {
    if (upload.status !== told) tell(onStatus, (told = upload.status));
  };
  const trouble = (error: TintypeError) => tell(onTrouble, error);
  let upload = await listen(ticket, seen, trouble, signal);
  while (!upload) {
    const started = Date.now();
    const now = await retrying(patient, signal, () => look(ticket, WAIT, signal), trouble);
    seen(now);
    if (isEnd(now.status)) upload = now;
    else await sleep(Math.max(0, BETWEEN - (Date.now() - started)), signal);
  }
  return outcome(upload);
}

/** How the upload stands; with `wait`, at its end or after so many seconds. */
export async function look(ticket: Followed, wait: number, signal?: AbortSignal): Promise<Upload> {
  const url = wait ? `${ticket.status_url}${ticket.status_url.includes("?") ? "&" : "?"}wait=${wait}` : ticket.status_url;
  const watch = watchdog(signal);
  watch.expect(wait * 1000 + LATE);
  try {
    const response = await get(url, ticket.token, watch.signal);
    const text = await response.text();
    if (!response.ok) throw refused("Tintype", { status: response.status, header: (name) => response.headers.get(name), text });
    return JSON.parse(text);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof TintypeError) throw cause;
    // A look that was given up had been let in, or nobody was there.
    throw watch.signal.aborted ? unreachable("Tintype", cause) : await explain({ who: "Tintype", url: ticket.status_url }, cause, signal);
  } finally {
    watch.end();
  }
}

/** The upload at its end; nothing when the stream fails, ends early, or falls silent, whatever the reason. */
async function listen(
  ticket: Followed,
  seen: (upload: Upload) => void,
  trouble: (error: TintypeError) => void,
  signal?: AbortSignal,
): Promise<Upload | undefined> {
  const watch = watchdog(signal);
  const heard = watchSilence("Tintype", ticket.events_url, trouble);
  watch.expect(FIRST);
  try {
    const response = await get(ticket.events_url, ticket.token, watch.signal, "text/event-stream");
    if (!response.ok || !response.body) return undefined;
    for await (const message of messages(response.body)) {
      heard();
      watch.expect(SILENCE);
      if (message === "alive" || message.event !== "status") continue;
      const upload: Upload = JSON.parse(message.data);
      seen(upload);
      if (isEnd(upload.status)) return upload;
    }
  } catch {
    signal?.throwIfAborted();
  } finally {
    heard();
    watch.end();
  }
  return undefined;
}

function get(url: string, token: string, signal: AbortSignal, accept = "application/json"): Promise<Response> {
  return fetch(url, { headers: { authorization: `Bearer ${token}`, accept }, credentials: "omit", cache: "no-store", signal });
}

/** A signal that fires with another, or when what is expected does not come in time; ended, it lets go of both. */
function watchdog(outer: AbortSignal | undefined) {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const pass = () => controller.abort(outer?.reason);
  outer?.addEventListener("abort", pass, { once: true });
  if (outer?.aborted) pass();
  return {
    signal: controller.signal,
    expect(within: number) {
      clearTimeout(timer);
      timer = setTimeout(() => controller.abort(), within);
    },
    end() {
      clearTimeout(timer);
      outer?.removeEventListener("abort", pass);
      controller.abort();
    },
  };
}

const isEnd = (status: Status) => status === "completed" || status === "failed" || status === "expired";

function outcome(upload: Upload): Manifest {
  if (upload.manifest) return upload.manifest;
  const { code, message } = upload.error ?? {
    completed: { code: "no_manifest", message: "the upload is completed, but its processor told no manifest" },
    expired: { code: "expired", message: "the credential ran out before the store announced the file" },
  }[upload.status as "completed" | "expired"] ?? { code: "internal", message: "the upload failed without a reason" };
  throw new TintypeError(code, message, { retryable: mayPass(code), uploadId: upload.id });
}
