/** Calls a listener. What it throws is its own affair, as with events: it is reported, and the upload goes on. */
export function tell<T>(listener: ((news: T) => void) | undefined, news: T): void {
  try {
    listener?.(news);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
