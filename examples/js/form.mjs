/* A form without any script: the browser sends it to the store itself, and a frame shows what comes of it. */

const escape = (text) => String(text).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

/** The ticket's fields, in their order, then the file. The store answers 204, so the page stays. */
export async function formPage(tintype) {
  const response = await tintype("/v1/uploads", { content_type: "image/*" });
  if (!response.ok) {
    console.error(`Tintype answered ${response.status}: ${await response.text()}`);
    return { status: 503, text: "uploads are not possible just now; try again in a minute" };
  }
  const { id, presign } = await response.json();
  const hidden = Object.entries(presign.fields)
    .map(([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`);
  const text = `<!doctype html>
<title>Photo</title>
<form action="${escape(presign.url)}" method="post" enctype="multipart/form-data">
  ${hidden.join("\n  ")}
  <input type="file" name="file" accept="image/*" required>
  <button>Upload</button>
</form>
<iframe src="/photos/${escape(id)}" title="What comes of it"></iframe>`;
  return { status: 200, type: "text/html", text };
}

/** In the frame, of an upload that is the visitor's own (ask your session): answered at the end of the upload, or after 20 seconds, when the browser asks again. */
export async function statusPage(tintype, id) {
  const response = await tintype(`/v1/uploads/${encodeURIComponent(id)}?wait=20`);
  if (!response.ok) return { status: 404, text: "there is no such upload" };
  const { status, manifest, error } = await response.json();
  const thumbnail = manifest?.variants.find(({ name }) => name === "100x100");
  const pages = {
    completed: () => `<img src="${escape(thumbnail.url)}" alt="Your photo">`,
    failed: () => `<p>${escape(error.message)}</p>`,
    expired: () => `<p>This form is too old. <a href="/form" target="_top">Take a new one.</a></p>`,
  };
  const waiting = () => `<meta http-equiv="refresh" content="0"><p>Your photo will be here.</p>`;
  return { status: 200, type: "text/html", text: `<!doctype html>\n<title>Photo</title>\n${(pages[status] ?? waiting)()}` };
}
