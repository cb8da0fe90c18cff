/** What Tintype's API says, as its OpenAPI document has it. */

/** Where an upload stands; the last three are ends. */
export type Status = "pending" | "processing" | "completed" | "failed" | "expired";

/** What is asked of `POST /v1/uploads`; your backend decides what of it is passed on. */
export interface NewUpload {
  filename?: string;
  content_type?: string;
  size?: number;
  metadata?: Record<string, string | number | boolean>;
  preset?: string;
}

/** The answer of `POST /v1/uploads`. */
export interface Ticket {
  id: string;
  status: Status;
  /** Lets its holder see this upload, and no other. */
  token: string;
  presign: Presign;
  /** What will be made; keys and addresses are null until the extension is known. */
  variants: { name: string; key?: string | null; url?: string | null }[];
  status_url: string;
  events_url: string;
}

/** A signed permission to send one original. */
export interface Presign {
  method: string;
  url: string;
  headers: Record<string, string>;
  /** Of the form, in this order, before `file`; empty for `PUT`. */
  fields: Record<string, string>;
  expires_at: string;
  constraints: { max_bytes: number; content_type: string; enforced_by: "store" | "processor" };
}

/** How an upload stands. */
export interface Upload {
  id: string;
  status: Status;
  created_at: string;
  expires_at: string;
  /** As it was asked for. */
  filename?: string | null;
  metadata?: Record<string, string>;
  manifest?: Manifest | null;
  error?: { code: string; message: string } | null;
  /** When its backend said that it keeps it. */
  claimed_at?: string | null;
}

/** What came of one original. */
export interface Manifest {
  original: Original;
  variants: Variant[];
  image: ImageFacts;
  /** Only of a damaged original: the part of its rows that is there (0 to 1), and what is wrong. */
  damaged?: { rows: number; why: string } | null;
  metadata: Record<string, string>;
  preset: { name: string; version: string };
  engine: string;
}

export interface Original {
  key: string;
  bytes: number;
  content_type: string;
  width: number;
  height: number;
  etag?: string | null;
  sha256: string;
  /** Its version or generation, in a bucket that keeps them. */
  version?: string | null;
  /** Its place in the store's order of what happened to its key. */
  sequencer?: string | null;
  /** When it was written, in seconds since 1970, where neither of these is known. */
  modified?: number | null;
}

export interface Variant {
  name: string;
  key: string;
  /** Where it can be fetched, if the store is public. */
  url?: string | null;
  content_type: string;
  width: number;
  height: number;
  bytes: number;
  sha256: string;
  /** The store's entity tag of it. */
  etag?: string | null;
}

/** Facts of the image, for a page to use before it has any variant. */
export interface ImageFacts {
  format: string;
  /** EXIF, 1 to 8. */
  orientation: number;
  frames: number;
  has_alpha: boolean;
  /** Base64. */
  thumbhash: string;
  blurhash?: string | null;
  /** `#rrggbb`. */
  dominant_color: string;
  palette?: { color: string; share: number }[];
  perceptual_hash?: string | null;
  taken_at?: string | null;
  camera?: { make?: string | null; model?: string | null; lens?: string | null } | null;
}
