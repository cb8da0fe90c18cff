/** Uploads images through Tintype: your backend presigns, the file goes straight to the store, the manifest comes back. */
export { TintypeError, type TintypeErrorDetails } from "./error.js";
export { follow, type FollowOptions } from "./follow.js";
export type { Presigning } from "./presign.js";
export type { Retry } from "./retry.js";
export {
  createUploader,
  type BatchItem,
  type BatchOptions,
  type BatchProgress,
  type Progress,
  type UploadOptions,
  type Uploader,
  type UploaderOptions,
} from "./uploader.js";
export type { Source } from "./source.js";
export type * from "./api.js";
