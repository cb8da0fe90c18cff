// Uploads what is chosen in a `.tintype-upload` to the store, and leaves in the form what its field takes. A form is not sent before its
// uploads have ended: whatever sends it (a button of any kind, Enter, requestSubmit) waits, and goes on by itself.
(() => {
  const SECOND = 1000;
  /** How often the site is asked what came of an upload: first, at most, and for how long if nobody waits for it. */
  const FIRST = 0.3 * SECOND, SLOWEST = 3 * SECOND, LONGEST = 600 * SECOND;

  /** What is under way in a box, by the box: `{file, ended, error, seen, stop, since}`. */
  const uploads = new WeakMap();
  /** Forms that wait, each with the button that was pressed. */
  const held = new Map();

  const part = (box, selector) => box.querySelector(selector);
  const formOf = (box) => part(box, "input[type=file]").form;
  const boxesOf = (form) => [...document.querySelectorAll(".tintype-upload")].filter((box) => formOf(box) === form);
  const pause = (time, signal) => new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, time);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

  const csrfToken = (form) =>
    form?.querySelector("[name=csrfmiddlewaretoken]")?.value ??
    document.querySelector("[name=csrfmiddlewaretoken]")?.value ??
    document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";

  async function reason(answer) {
    const told = await answer.json().catch(() => ({}));
    return told.detail ?? `the server answered ${answer.status}`;
  }

  async function reach(who, url, options) {
    try {
      return await fetch(url, options);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new Error(navigator.onLine ? `${who} could not be reached, or does not let this page in` : "this device is offline");
    }
  }

  async function ask(box, file, token, signal) {
    const asked = await reach("the server", box.dataset.presignedurl, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      body: JSON.stringify({
        filename: file.name, size: file.size,
        ...(file.type.startsWith("image/") && { content_type: file.type }),
        ...(box.dataset.preset && { preset: box.dataset.preset }),
      }),
      signal,
    });
    if (!asked.ok) throw new Error(await reason(asked));
    return asked.json();
  }

  async function send(file, { url, fields, method = "POST", headers = {} }, signal) {
    let body = file;
    if (method === "POST") {
      body = new FormData();
      for (const [name, value] of Object.entries(fields)) body.append(name, value);
      body.append("file", file);
    }
    const stored = await reach("the store", url, { method, headers, body, signal });
    if (!stored.ok) throw new Error(`the store answered ${stored.status}`);
  }

  /** Has the site tell the server that the file is there, since not every store does. It goes on without: most stores do. */
  async function tell(box, uuid, token, signal) {
    for (const wait of [0, SECOND, 3 * SECOND]) {
      await pause(wait, signal);
      const answer = await fetch(`${box.dataset.presignedurl}${uuid}/uploaded/`, {
        method: "POST", credentials: "same-origin", keepalive: true, headers: { "X-CSRFToken": token }, signal,
      }).catch(() => null);
      if (answer && answer.status < 429) return;
    }
  }

  /** Asks the site until it has heard what came of the upload. Gives whether it has. */
  async function follow(box, uuid, signal) {
    const end = Date.now() + LONGEST;
    for (let wait = FIRST; Date.now() < end; wait = Math.min(wait * 1.5, SLOWEST)) {
      await pause(wait, signal);
      const answer = await fetch(`${box.dataset.presignedurl}${uuid}/`, { credentials: "same-origin", cache: "no-store", signal }).catch(() => null);
      signal.throwIfAborted();
      if (answer && [401, 403, 404].includes(answer.status)) return false;
      const told = answer?.ok ? await answer.json().catch(() => ({})) : {};
      if (told.status === "completed") return true;
      if (told.status === "failed") throw new Error(told.error?.message || told.error?.code || "it could not be developed");
      if (told.status === "expired") throw new Error("it did not arrive in time");
    }
    return false;
  }

  function show(box, state, text) {
    const said = part(box, "output"), input = part(box, "input[type=file]");
    box.dataset.state = state;
    said.textContent = text;
    said.classList.toggle("errorlist", state === "failed");
    said.setAttribute("role", state === "failed" ? "alert" : "status");
    input.toggleAttribute("aria-invalid", state === "failed");
    settle(input.form);
  }

  async function upload(box, file) {
    const input = part(box, "input[type=file]"), value = part(box, "input[type=hidden]");
    const before = uploads.get(box);
    before?.stop.abort();
    const stop = new AbortController(), { signal } = stop;
    // While it has a name, a form that is sent past this script says that a file was chosen, and the server that it is missing.
    input.name = `${value.name}-chosen`;
    const old = before ? before.old : value.value;
    const mine = { file, stop, old, ended: !file, error: "", seen: true, stored: 0 };
    uploads.set(box, mine);
    value.value = old;
    if (!file) return show(box, "", "");
    try {
      if (file.size === 0) throw new Error("the file is empty");
      show(box, "uploading", "Uploading…");
      const { uuid, credential, form_value } = await ask(box, file, csrfToken(input.form), signal);
      await send(file, credential, signal);
      value.value = form_value;
      input.removeAttribute("name");
      mine.stored = Date.now();
      show(box, "checking", "Uploaded. Looking at it…");
      setTimeout(() => settle(input.form), patience(box) + 50);
      tell(box, uuid, csrfToken(input.form), signal).catch(() => {});  // another file was chosen
      const known = await follow(box, uuid, signal);
      mine.ended = true;
      show(box, "uploaded", known ? "Uploaded" : "Uploaded; what becomes of it is not known yet");
    } catch (error) {
      if (uploads.get(box) !== mine) return;
      Object.assign(mine, { ended: true, error: error.message, seen: false });
      value.value = old;
      input.value = "";
      show(box, "failed", `Not uploaded: ${error.message}`);
    }
  }

  /** How long a form waits to hear what came of a file that the store has. */
  const patience = (box) => Number(box.dataset.patience) * SECOND;

  function keepsWaiting(box) {
    const mine = uploads.get(box);
    return Boolean(mine) && !mine.ended && !(mine.stored && Date.now() - mine.stored >= patience(box));
  }

  /** Failures that nobody was shown as they tried to send the form; from then on it may be sent without these files. */
  function unseenFailures(form) {
    const unseen = boxesOf(form).filter((box) => uploads.get(box)?.seen === false);
    for (const box of unseen) uploads.get(box).seen = true;
    return unseen;
  }

  /** Lets a form go that waits for nothing any more, or says why it stays. */
  function settle(form) {
    if (!held.has(form) || boxesOf(form).some(keepsWaiting)) return;
    const submitter = held.get(form);
    held.delete(form);
    form.removeAttribute("aria-busy");
    const [failed] = unseenFailures(form);
    if (failed) return part(failed, "input[type=file]").focus();
    if (!form.isConnected) return;
    form.requestSubmit(submitter?.isConnected && submitter.form === form ? submitter : null);
  }

  // On the window, before whatever else the page does about it: that happens once the form is really sent.
  window.addEventListener("submit", (event) => {
    const form = event.target;
    const waiting = boxesOf(form).filter(keepsWaiting);
    const [failed] = waiting.length ? [] : unseenFailures(form);
    if (!waiting.length && !failed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (failed) return part(failed, "input[type=file]").focus();
    held.set(form, event.submitter);
    form.setAttribute("aria-busy", "true");
    for (const box of waiting) part(box, "output").textContent = "Uploading… The form is sent once this is done.";
  }, true);

  document.addEventListener("change", ({ target }) => {
    const box = target.closest?.(".tintype-upload");
    if (box && target.type === "file") upload(box, target.files[0]);
  });
})();
