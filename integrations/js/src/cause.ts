/** Why no answer came, as far as a browser can tell: to a page it says no more than that there was none. */
import { TintypeError, unreachable } from "./error.js";

/** Milliseconds for a look whether somebody is there at all. */
const PROBE = 3000;
/** Milliseconds without an answer after which that is told, while it is still waited for. */
export const SILENT = 4000;

/** Who was asked. */
export interface Other {
  who: "your backend" | "the store" | "Tintype";
  url: string | URL;
}

/** What lets a page in. */
const ADVICE = {
  "your backend": "let its presign route answer with Access-Control-Allow-Origin for this page, or put it under the page's own origin",
  "the store": "let the bucket's CORS rules name this page: `tintype doctor --fix --origin ORIGIN s3://BUCKET`, or store.cors_origins of the embedded store",
  Tintype: "let a proxy before it pass on Access-Control-Allow-Origin; a Tintype older than this client needs this page in server.cors_origins",
};

/**
 * The error for a request that got no answer. `cors` where somebody answers there, but not to this page; `blocked` where the
 * browser did not even ask; else `network`, which may pass.
 */
export async function explain({ who, url }: Other, cause: unknown, signal?: AbortSignal): Promise<TintypeError> {
  if (typeof location === "undefined" || !/^https?:/.test(location.protocol)) return unreachable(who, cause);
  let there: URL;
  try {
    there = new URL(url, location.href);
  } catch {
    return new TintypeError("invalid_ticket", `${who} has no address: ${url}`, { cause });
  }
  const name = `${who} (${there.origin})`;
  if (navigator.onLine === false) return new TintypeError("network", `this device is offline: ${name} could not be reached`, { retryable: true, cause });
  if (there.origin === location.origin) return unreachable(name, cause);
  if (location.protocol === "https:" && there.protocol === "http:" && !isLoopback(there.hostname)) {
    return new TintypeError("blocked", `this page is HTTPS, and ${name} is not: browsers do not let it be asked. Give it an HTTPS address`, { cause });
  }
  const { answers, forbidden } = await probe(there, signal);
  if (forbidden) {
    return new TintypeError("blocked", `this page's Content-Security-Policy does not allow ${name}: add it to connect-src`, { cause });
  }
  if (!answers) {
    return new TintypeError("network", `${name} could not be reached, or the connection broke; if it is up, it does not let this page ask (CORS)`, { retryable: true, cause });
  }
  const advice = ADVICE[who].replace("ORIGIN", location.origin);
  return new TintypeError("cors", `${name} answers, but the browser does not let this page (${location.origin}) read it: ${advice}`, { cause });
}

/** Whether somebody answers, whatever it is; and whether the page's own policy forbids to ask. */
async function probe(url: URL, outer?: AbortSignal): Promise<{ answers: boolean; forbidden: boolean }> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  const timer = setTimeout(abort, PROBE);
  outer?.addEventListener("abort", abort, { once: true });
  let forbidden = false;
  const hear = (event: Event) => {
    const { blockedURI, effectiveDirective } = event as SecurityPolicyViolationEvent;
    forbidden ||= effectiveDirective === "connect-src" && blockedURI.startsWith(url.origin);
  };
  globalThis.addEventListener?.("securitypolicyviolation", hear, true);
  try {
    await fetch(url, { method: "HEAD", mode: "no-cors", credentials: "omit", cache: "no-store", signal: stop.signal });
    return { answers: true, forbidden: false };
  } catch {
    // The violation is told a moment later.
    await new Promise((done) => setTimeout(done, 50));
    return { answers: false, forbidden };
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", abort);
    globalThis.removeEventListener?.("securitypolicyviolation", hear, true);
  }
}

/** Browsers take loopback for secure. */
const isLoopback = (host: string) => host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d+){3}$/.test(host);

/** Tells that nothing was heard for a while, unless it is stopped before. */
export function watchSilence(who: Other["who"], url: Other["url"] | undefined, told: (error: TintypeError) => void): () => void {
  const timer = setTimeout(() => told(new TintypeError("network", `${who}${origin(url)} has not answered yet`, { retryable: true })), SILENT);
  return () => clearTimeout(timer);
}

function origin(url: string | URL | undefined): string {
  try {
    return url === undefined ? "" : ` (${new URL(url, globalThis.location?.href).origin})`;
  } catch {
    return "";
  }
}
