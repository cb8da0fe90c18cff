/** Answers that are no success, and what can be done about them. */

export interface TintypeErrorDetails {
  /** HTTP status, where there was an answer. */
  status?: number | undefined;
  /** Whether the same file may pass if it is uploaded again. */
  retryable?: boolean | undefined;
  /** Seconds the other side asks to wait. */
  retryAfter?: number | undefined;
  uploadId?: string | undefined;
  cause?: unknown;
}

/**
 * Why an upload came to nothing. `code` is what to decide by: one of the API's, one of the store's (`AccessDenied`,
 * `EntityTooLarge`, …), or `network`, `cors`, `blocked`, `http_error`, `invalid_ticket`, `expired`, `no_manifest`, `empty`.
 */
export class TintypeError extends Error {
  override readonly name = "TintypeError";
  readonly code: string;
  readonly status: number | undefined;
  readonly retryable: boolean;
  readonly retryAfter: number | undefined;
  uploadId: string | undefined;

  constructor(code: string, message: string, details: TintypeErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.retryable = details.retryable ?? false;
    this.retryAfter = details.retryAfter;
    this.uploadId = details.uploadId;
  }
}

/** An answer, however it was asked for. */
export interface Answer {
  status: number;
  header(name: string): string | null;
  text: string;
}

/** Statuses that may pass by themselves. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504, 507]);
/** Codes that may pass, of stores that give them another status, and of uploads that failed. */
const PASSING_CODES = new Set(["RequestTimeout", "SlowDown", "InternalError", "store_unavailable", "internal", "expired"]);

/** Whether an upload that failed with this code may pass the next time. */
export const mayPass = (code: string): boolean => PASSING_CODES.has(code);

/** No answer came: nobody is there, or the connection broke. */
export function unreachable(who: string, cause?: unknown): TintypeError {
  return new TintypeError("network", `${who} could not be reached, or the connection broke`, { retryable: true, cause });
}

/** An answer that is no success, as an error: problem JSON or the store's XML says why. */
export function refused(who: string, answer: Answer): TintypeError {
  const { code, message } = problem(answer.text) ?? xml(answer.text) ?? {
    code: "http_error",
    message: `${who} answered ${answer.status}`,
  };
  return new TintypeError(code, message, {
    status: answer.status,
    retryable: PASSING.has(answer.status) || PASSING_CODES.has(code),
    retryAfter: seconds(answer.header("retry-after")),
  });
}

function problem(text: string): { code: string; message: string } | undefined {
  try {
    const { code, detail, title, message } = JSON.parse(text);
    return typeof code === "string" ? { code, message: String(detail ?? message ?? title ?? code) } : undefined;
  } catch {
    return undefined;
  }
}

function xml(text: string): { code: string; message: string } | undefined {
  const code = element(text, "Code");
  return code ? { code, message: element(text, "Message") ?? code } : undefined;
}

function element(text: string, name: string): string | undefined {
  const start = text.indexOf(`<${name}>`);
  const end = text.indexOf(`</${name}>`, start);
  if (start < 0 || end < 0) return undefined;
  const named: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.slice(start + name.length + 2, end).replace(/&(lt|gt|quot|apos|amp);/g, (_, entity) => named[entity] ?? "");
}

/** `Retry-After`: seconds, or a date. */
function seconds(value: string | null): number | undefined {
  if (!value) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}
