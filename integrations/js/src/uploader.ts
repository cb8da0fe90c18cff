/** The six steps as a client sees them: a ticket from your backend, the file to the store, the manifest from Tintype. */
import type { Manifest, NewUpload, Status, Ticket } from "./api.js";
import { uploadAll } from "./batch.js";
import { watchSilence } from "./cause.js";
import { TintypeError } from "./error.js";
import { announce, follow, look } from "./follow.js";
import { presign, type Presigning } from "./presign.js";
import { retrying, type Retry } from "./retry.js";
import { hasExpired, send, type Parcel } from "./send.js";
import { asBlob, type Source } from "./source.js";
import { tell } from "./tell.js";

/** How often a credential that ran out is replaced. */
const NEW_TICKETS = 2;
const STALL = 60_000;

export interface UploaderOptions extends Retry {
  /** Who presigns: a route of your own backend, or a function. */
  presign: Presigning;
  /** Sent to that route: a token against forged requests, say. A function is asked for each ticket. */
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);
  /** Milliseconds without progress after which an upload is given up, and tried again; 60000. Only with XMLHttpRequest. */
  stall?: number;
}

export interface Progress {
  /** Asking your backend; sending to the store; waiting while Tintype makes the variants. */
  stage: "presign" | "upload" | "develop";
  /** Bytes of the file that are sent; 0 again when it has to be sent again. Without XMLHttpRequest, 0 until all are. */
  loaded: number;
  total: number;
  /** From the second stage on. */
  uploadId?: string;
  /** In the third: how the upload stands. */
  status?: Status;
  /** Why nothing moves just now, while it is tried again. */
  trouble?: TintypeError;
}

export interface UploadOptions {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
  /** Of bytes that have none; a `File` knows its own. */
  filename?: string;
  contentType?: string;
  /** Passed to your backend, which decides about it. */
  metadata?: Record<string, string | number | boolean>;
  preset?: string;
}

/** A file of a batch, with options of its own. */
export type BatchItem = Source | ({ file: Source } & UploadOptions);

export interface BatchProgress extends Progress {
  /** Which file this is about. */
  index: number;
  /** Over all files. */
  all: { loaded: number; total: number; settled: number; files: number };
}

export interface BatchOptions extends Omit<UploadOptions, "onProgress" | "filename"> {
  /** Uploads at once, from ticket to manifest; 3. */
  concurrency?: number;
  onProgress?: (progress: BatchProgress) => void;
}

export interface Uploader {
  /** Resolves to the manifest; rejects with a `TintypeError`, or with the signal's reason. */
  upload(file: Source, options?: UploadOptions): Promise<Manifest>;
  /** One result for each file, in their order; never rejects. */
  uploadAll(files: Iterable<BatchItem>, options?: BatchOptions): Promise<PromiseSettledResult<Manifest>[]>;
}

export function createUploader(options: UploaderOptions): Uploader {
  const upload = (file: Source, own: UploadOptions = {}) => run(options, file, own);
  return { upload, uploadAll: (files, batch = {}) => uploadAll(upload, files, batch) };
}

async function run(options: UploaderOptions, source: Source, own: UploadOptions): Promise<Manifest> {
  const { signal } = own;
  const file = asBlob(source, own.contentType);
  // Known before anybody is asked; the sentence is for whoever chose the file.
  if (file.size === 0) throw new TintypeError("empty", "the file is empty");
  const filename = own.filename ?? (source as Partial<File>).name;
  const wanted = describe(file, filename, own);
  let ticket: Ticket | undefined;
  let progress: Progress = { stage: "presign", loaded: 0, total: file.size };
  const advance = (change: Partial<Progress>) => {
    const { trouble: _, ...before } = progress;
    tell(own.onProgress, (progress = { ...before, ...change }));
  };
  const trouble = (error: TintypeError) => advance({ trouble: error });
  try {
    for (let renewed = 0; ; renewed++) {
      advance({ stage: "presign", loaded: 0 });
      const headers = typeof options.headers === "function" ? await options.headers() : (options.headers ?? {});
      const got = (ticket = await retrying(options, signal, () => ask(options.presign, headers, wanted, trouble, signal), trouble));
      try {
        const report = (loaded: number) => advance({ stage: "upload", loaded, uploadId: got.id });
        await deliver(options, got, { file, filename: filename ?? "file", report, stall: options.stall ?? STALL, signal }, trouble);
        break;
      } catch (error) {
        if (renewed >= NEW_TICKETS || !hasExpired(error, got.presign)) throw error;
      }
    }
    advance({ stage: "develop", loaded: file.size });
    void announce(ticket, signal);
    const onStatus = (status: Status) => advance({ status });
    return await follow(ticket, { ...options, onStatus, onTrouble: trouble, ...(signal ? { signal } : {}) });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TintypeError) error.uploadId ??= ticket?.id;
    throw error;
  }
}

/** A ticket; that it is long in coming is told. */
async function ask(
  presigning: Presigning,
  headers: Record<string, string>,
  wanted: NewUpload,
  trouble: (error: TintypeError) => void,
  signal: AbortSignal | undefined,
): Promise<Ticket> {
  const url = typeof presigning === "function" ? undefined : presigning;
  const answered = watchSilence("your backend", url, trouble);
  try {
    return await presign(presigning, headers, wanted, signal);
  } finally {
    answered();
  }
}

/** Sends until the store has it. An answer that got lost may have been a yes: Tintype knows, and is asked before all is sent again. */
function deliver(retry: Retry, ticket: Ticket, parcel: Parcel, trouble: (error: TintypeError) => void): Promise<void> {
  return retrying(retry, parcel.signal, async (attempt) => {
    if (attempt > 0 && (await hasArrived(ticket, parcel.signal))) return;
    try {
      await send(ticket.presign, parcel);
    } catch (error) {
      if (attempt === 0 || !isThere(error)) throw error;
    }
  }, trouble);
}

/** Whether the store refused since it has the file: the first bytes count, and these were sent before. */
function isThere(error: unknown): boolean {
  return error instanceof TintypeError && (error.status === 409 || error.status === 412);
}

async function hasArrived(ticket: Ticket, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const { status } = await look(ticket, 0, signal);
    return status === "processing" || status === "completed" || status === "failed";
  } catch {
    signal?.throwIfAborted();
    return false; // Not to be known; the store says so if it has the file.
  }
}

function describe(file: Blob, filename: string | undefined, { metadata, preset }: UploadOptions): NewUpload {
  return {
    ...(filename ? { filename } : {}),
    ...(file.type ? { content_type: file.type } : {}),
    size: file.size,
    ...(metadata ? { metadata } : {}),
    ...(preset ? { preset } : {}),
  };
}
