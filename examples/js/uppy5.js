import { follow } from "@tintype/client";
// Uppy 4 and 5, whose plugin has getUploadParameters.
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";

const tickets = new Map();

export const uppy = new Uppy({ restrictions: { allowedFileTypes: ["image/*"], maxFileSize: 10485760 } });

uppy.use(AwsS3, {
  shouldUseMultipart: false,
  async getUploadParameters(file, { signal }) {
    const answer = await fetch("/photos", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ filename: file.name, content_type: file.type, size: file.size }),
      signal,
    });
    const ticket = await answer.json();
    if (!answer.ok) throw new Error(ticket.detail);
    tickets.set(file.id, ticket);
    const { method, url, fields, headers } = ticket.presign;
    return { method, url, fields, headers };
  },
});

// The store has the file; Uppy is done when Tintype has made the variants, or said why not.
uppy.addPostProcessor((ids) => Promise.all(ids.map(async (id) => {
  const file = uppy.getFile(id);
  if (!file || file.error) return;
  uppy.emit("postprocess-progress", file, { mode: "indeterminate", message: "Developing" });
  try {
    uppy.setFileMeta(id, { manifest: await follow(tickets.get(id)) });
  } catch (error) {
    uppy.emit("upload-error", uppy.getFile(id), error);
  }
  uppy.emit("postprocess-complete", uppy.getFile(id));
})));
