// What can be done about an upload that came to nothing. Sent again, the same file helps only where the file is not the reason.

/** Codes that the same file would meet again, and what helps instead. */
const OTHERWISE = {
  unsupported_format: "Choose a JPEG, PNG, GIF, WebP, TIFF or BMP.",
  corrupt: "Choose the file again from where it came, or another copy of it: this one is damaged.",
  too_large: "Choose a smaller file, or raise upload.max_bytes on the server.",
  too_many_pixels: "Make the picture smaller first, or raise limits.max_pixels on the server.",
  too_many_frames: "Choose a picture of fewer frames, or raise limits.max_frames on the server.",
  type_mismatch: "Give the file the name ending of its format, or save it in the format of its name.",
  rejected: "Choose another picture.",
  invalid_request: "Mend what is said, then choose the file again.",
  forbidden: "Use an API key that may do this.",
  unauthorized: "Sign in with an API key, then choose the file again.",
  empty: "Choose the file again from where it came.",
  // Of the store.
  EntityTooLarge: "Choose a smaller file, or raise upload.max_bytes on the server.",
  EntityTooSmall: "Choose the file again from where it came.",
};

/** `{retry, advice}`: whether to offer the same file again, and what to do if not. */
export function remedy(code) {
  const advice = Object.hasOwn(OTHERWISE, code ?? "") ? OTHERWISE[code] : "";
  return { retry: !advice, advice };
}
