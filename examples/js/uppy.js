import { follow } from "@tintype/client";
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";

const tickets = new Map();

export const uppy = new Uppy({ restrictions: { allowedFileTypes: ["image/*"], maxFileSize: 10485760 } });

uppy.use(AwsS3, {
  shouldUseMultipart: false,
  // Tintype chooses the key; the one that Uppy asks for tells which file it is about.
  generateObjectKey: (file) => file.id,
  async signRequest({ key: id, contentType }) {
    const { name, size } = uppy.getFile(id);
    const answer = await fetch("/photos", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ filename: name, content_type: contentType, size }),
    });
    const ticket = await answer.json();
    if (!answer.ok) throw new Error(ticket.detail);
    tickets.set(id, ticket);
    return { url: ticket.presign.url, fields: ticket.presign.fields };
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
