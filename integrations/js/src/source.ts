/** What can be uploaded. */

/** A `File`, `Blob`, `Buffer` or other bytes. Of a path in Node: `await openAsBlob(path)`. */
export type Source = Blob | ArrayBuffer | ArrayBufferView;

// By what they do, not by whose they are: those of a frame have another class.
const isBlob = (value: unknown): value is Blob =>
  typeof (value as Blob | undefined)?.size === "number" && typeof (value as Blob).stream === "function";
const isBytes = (value: unknown): value is ArrayBuffer | ArrayBufferView =>
  ArrayBuffer.isView(value) || Object.prototype.toString.call(value) === "[object ArrayBuffer]";

export const isSource = (value: unknown): value is Source => isBlob(value) || isBytes(value);

export const sizeOf = (source: Source): number => (isBlob(source) ? source.size : isBytes(source) ? source.byteLength : 0);

/** The source as a file of this type, or of its own. */
export function asBlob(source: Source, type: string | undefined): Blob {
  if (isBytes(source)) return new Blob([source as BlobPart], type ? { type } : {});
  if (!isBlob(source)) throw new TypeError("upload takes a File, a Blob or bytes; of a path: await openAsBlob(path), from node:fs");
  return type && type !== source.type ? source.slice(0, source.size, type) : source;
}
