// Uploads what is chosen in a `.tintype-upload` to the store, and leaves the upload's uuid in the form.
(() => {
  const csrfToken = (form) =>
    form?.querySelector("[name=csrfmiddlewaretoken]")?.value ??
    document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";

  async function reason(answer) {
    const told = await answer.json().catch(() => ({}));
    return told.detail ?? `the server answered ${answer.status}`;
  }

  async function upload(box, file, token) {
    const asked = await fetch(box.dataset.presignedurl, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      body: JSON.stringify({
        filename: file.name, size: file.size,
        ...(file.type.startsWith("image/") && { content_type: file.type }),
        ...(box.dataset.preset && { preset: box.dataset.preset }),
      }),
    });
    if (!asked.ok) throw new Error(await reason(asked));
    const { uuid, credential: { url, fields, method = "POST", headers = {} } } = await asked.json();
    let body = file;
    if (method === "POST") {
      body = new FormData();
      for (const [name, value] of Object.entries(fields)) body.append(name, value);
      body.append("file", file);
    }
    const stored = await fetch(url, { method, headers, body });
    if (!stored.ok) throw new Error(`the store answered ${stored.status}`);
    return uuid;
  }

  // What is chosen last counts, whichever upload ends first; a form is not sent before all of its uploads have ended.
  const latest = new WeakMap();
  const running = new WeakMap();
  function busy(form, more) {
    if (!form) return;
    running.set(form, (running.get(form) ?? 0) + more);
    for (const button of form.querySelectorAll("[type=submit]")) button.disabled = running.get(form) > 0;
  }

  document.addEventListener("change", async ({ target }) => {
    const box = target.closest?.(".tintype-upload");
    const file = target.files?.[0];
    if (!box || !file) return;
    const said = box.querySelector("output"), value = box.querySelector("input[type=hidden]");
    latest.set(box, file);
    said.textContent = "Uploading…";
    busy(target.form, 1);
    try {
      const uuid = await upload(box, file, csrfToken(target.form));
      if (latest.get(box) !== file) return;
      value.value = uuid;
      said.textContent = "Uploaded";
    } catch (error) {
      if (latest.get(box) !== file) return;
      target.value = "";
      said.textContent = `Not uploaded: ${error.message}`;
    } finally {
      busy(target.form, -1);
    }
  });
})();
