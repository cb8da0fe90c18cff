/** Steps 1 to 3: your own backend asks Tintype for an upload, and passes the answer on as it is. */
import type { NewUpload, Ticket } from "./api.js";
import { explain } from "./cause.js";
import { refused, TintypeError, unreachable, type Answer } from "./error.js";

/**
 * A route of your backend, asked by `POST` with a `NewUpload` as JSON; or a function that gets a ticket in a way of
 * its own. A function may give back the `Response` itself: then what it refuses is understood, and tried again.
 */
export type Presigning = string | URL | ((wanted: NewUpload, context: { signal?: AbortSignal }) => Promise<Ticket | Response>);

export async function presign(
  presigning: Presigning,
  headers: Record<string, string>,
  wanted: NewUpload,
  signal: AbortSignal | undefined,
): Promise<Ticket> {
  const answer = typeof presigning === "function"
    ? await presigning(wanted, signal ? { signal } : {})
    : await ask(presigning, headers, wanted, signal);
  const ticket: unknown = answer instanceof Response ? await read(answer) : answer;
  if (!isTicket(ticket)) {
    throw new TintypeError("invalid_ticket", "the presign route must pass on the answer of POST /v1/uploads as it is");
  }
  return ticket;
}

async function ask(url: string | URL, headers: Record<string, string>, wanted: NewUpload, signal?: AbortSignal) {
  try {
    return await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", ...headers },
      body: JSON.stringify(wanted),
      signal: signal ?? null,
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw await explain({ who: "your backend", url }, cause, signal);
  }
}

async function read(response: Response): Promise<unknown> {
  const text = await response.text().catch((cause) => {
    throw unreachable("your backend", cause);
  });
  const answer: Answer = { status: response.status, header: (name) => response.headers.get(name), text };
  if (!response.ok) throw refused("your backend", answer);
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isTicket(value: unknown): value is Ticket {
  const ticket = value as Partial<Ticket> | null | undefined;
  const texts = [ticket?.id, ticket?.token, ticket?.status_url, ticket?.events_url, ticket?.presign?.url];
  return texts.every((text) => typeof text === "string") && typeof ticket?.presign?.fields === "object";
}
