// Step 4: the original goes to the store, as the credential says. XMLHttpRequest, since fetch tells of no progress.

/** Sends a file; `progress(sent, total)` as it goes. Fails with an Error that says why, or an AbortError. */
export function send(presign, file, progress, signal) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open(presign.method, presign.url);
    for (const [name, value] of Object.entries(presign.headers)) {
      // The browser says that itself, and lets no page say it.
      if (name.toLowerCase() !== "content-length") request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded, event.total);
    request.onload = () => (request.status < 300 ? done() : fail(refusal(request)));
    request.onerror = () => fail(new Error("The connection to the store broke off, or its CORS rules do not let this page send."));
    request.onabort = () => fail(new DOMException("cancelled", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    if (signal.aborted) return abort();
    request.send(presign.method === "PUT" ? file : form(presign, file));
  });
}

function form(presign, file) {
  const form = new FormData();
  for (const [name, value] of Object.entries(presign.fields)) form.append(name, value);
  // The store looks at nothing after the file.
  form.append("file", file);
  return form;
}

/** What the store said, which is XML; `refused` is its code. */
function refusal(request) {
  const xml = new DOMParser();
  let code, message;
  try {
    const answer = xml.parseFromString(request.responseText, "application/xml");
    code = answer.querySelector("Code")?.textContent;
    message = answer.querySelector("Message")?.textContent;
  } catch {
    // Something between here and the store said it.
  }
  const said = `The store refused it with ${code ?? request.status}${message ? `: ${message}` : ""}`;
  return Object.assign(new Error(said), { refused: code });
}
