/** Many files, so many at a time. */
import type { Manifest } from "./api.js";
import { isSource, sizeOf, type Source } from "./source.js";
import { tell } from "./tell.js";
import type { BatchItem, BatchOptions, Progress, UploadOptions } from "./uploader.js";

type One = (file: Source, options: UploadOptions) => Promise<Manifest>;

export async function uploadAll(
  upload: One,
  files: Iterable<BatchItem>,
  { concurrency = 3, onProgress, ...shared }: BatchOptions,
): Promise<PromiseSettledResult<Manifest>[]> {
  // What is neither is for `upload` to refuse, as the result of that one.
  const items = [...files].map((item) => (isSource(item) || !item ? { file: item } : item));
  const sizes = items.map(({ file }) => sizeOf(file));
  const loaded = sizes.map(() => 0);
  const results: PromiseSettledResult<Manifest>[] = new Array(items.length);
  let settled = 0;
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  const total = sum(sizes);

  async function one(index: number): Promise<void> {
    const { file, onProgress: own, ...options } = items[index]!;
    const link = either(shared.signal, options.signal);
    let last: Progress = { stage: "presign", loaded: 0, total: sizes[index]! };
    const report = () => tell(onProgress, { ...last, index, all: { loaded: sum(loaded), total, settled, files: items.length } });
    try {
      const value = await upload(file, {
        ...shared,
        ...options,
        ...(link.signal ? { signal: link.signal } : {}),
        onProgress: (progress) => {
          last = progress;
          loaded[index] = progress.loaded;
          tell(own, progress);
          report();
        },
      });
      results[index] = { status: "fulfilled", value };
    } catch (reason) {
      results[index] = { status: "rejected", reason };
    } finally {
      settled++;
      link.end();
      report();
    }
  }

  let next = 0;
  const lane = async () => {
    while (next < items.length) await one(next++);
  };
  const lanes = Math.max(1, Math.min(Math.floor(concurrency) || 1, items.length));
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

/** A signal that fires with the batch's or the file's own; ended, it lets go of both. */
function either(...signals: (AbortSignal | undefined)[]): { signal: AbortSignal | undefined; end: () => void } {
  const given = signals.filter((signal) => signal !== undefined);
  if (given.length < 2) return { signal: given[0], end: () => {} };
  const controller = new AbortController();
  const passes = given.map((signal) => {
    const pass = () => controller.abort(signal.reason);
    signal.addEventListener("abort", pass, { once: true });
    if (signal.aborted) pass();
    return () => signal.removeEventListener("abort", pass);
  });
  return { signal: controller.signal, end: () => passes.forEach((stop) => stop()) };
}
