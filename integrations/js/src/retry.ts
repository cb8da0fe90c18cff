/** Trying again what may pass: a bounded number of times, each pause longer than the last, none the same for two clients. */
import { TintypeError } from "./error.js";

export const RETRIES = 5;

export interface Retry {
  /** How often a step is tried again; 5. Twice as often while the upload is followed. */
  retries?: number;
  /** Milliseconds of the first pause, doubled each time; 500. */
  pause?: number;
  /** Longest `Retry-After` that is waited for, in milliseconds; 60000. Past it the upload fails, and says how long. */
  longestPause?: number;
}

export async function retrying<T>(
  { retries = RETRIES, pause = 500, longestPause = 60_000 }: Retry,
  signal: AbortSignal | undefined,
  work: (attempt: number) => Promise<T>,
  /** Told of each error that another attempt follows. */
  trouble?: (error: TintypeError) => void,
): Promise<T> {
  let closed = false;
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof TintypeError) || attempt >= retries) throw error;
      // A server that was just starting may look as if it let no page in: once.
      const chance = error.code === "cors" && !closed;
      closed = error.code === "cors";
      if (!error.retryable && !chance) throw error;
      trouble?.(error);
      const asked = (error.retryAfter ?? 0) * 1000;
      if (asked > longestPause) throw error;
      // Jitter comes on top of what was asked for, so that those who were refused together do not return together.
      await sleep(asked + Math.min(pause * 2 ** attempt, longestPause) * (0.5 + Math.random() / 2), signal);
    }
  }
}

export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
  });
}
