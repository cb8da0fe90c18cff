// One upload on the page: how far it is, and what came of it.

import { bytes, code, folded, h, link, time } from "./dom.js";
import { curl, javascript } from "./snippets.js";
import { draw } from "./thumbhash.js";

const WORDS = {
  waiting: "Waiting", asking: "Asking", sending: "Sending", processing: "Processing",
  completed: "Completed", failed: "Failed", cancelled: "Cancelled",
};

export class Card {
  constructor(file, { cancel, retry }) {
    this.name = file.name;
    this.status = h("span", { class: "status" });
    this.bar = h("progress", { max: "100", value: "0", "aria-label": `Sent of ${file.name}` });
    this.percent = h("span", { class: "percent" });
    this.why = h("p", { class: "error", hidden: true });
    this.advice = h("p", { class: "hint", hidden: true });
    this.cancel = h("button", { type: "button", class: "small", onclick: cancel, "aria-label": `Cancel ${file.name}` }, "Cancel");
    this.retry = h("button", { type: "button", class: "small", onclick: retry, "aria-label": `Retry ${file.name}`, hidden: true }, "Retry");
    this.variants = h("ul", { class: "variants", "aria-label": `Variants of ${file.name}`, hidden: true });
    this.more = h("div", { class: "more" });
    this.element = h(
      "li", { class: "card" },
      h("div", { class: "row spread" },
        h("h3", {}, file.name, " ", h("small", {}, bytes(file.size))),
        h("div", { class: "row" }, this.status, this.cancel, this.retry)),
      h("div", { class: "row sent" }, this.bar, this.percent),
      this.why, this.advice, this.variants, this.more);
    this.show("waiting");
  }

  /** Where it stands; `why` when it came to nothing, and then what can be done: `{retry, advice}`. */
  show(state, why = "", { retry = true, advice = "" } = {}) {
    this.state = state;
    this.element.dataset.state = state;
    this.status.textContent = WORDS[state];
    const hadFocus = document.activeElement;
    this.cancel.hidden = !["waiting", "asking", "sending"].includes(state);
    this.retry.hidden = !retry || !["failed", "cancelled"].includes(state);
    if (hadFocus === this.cancel && this.cancel.hidden && !this.retry.hidden) this.retry.focus();
    this.why.hidden = !why;
    this.why.textContent = why;
    this.advice.hidden = !advice;
    this.advice.textContent = advice;
  }

  /** Begins anew. */
  reset() {
    this.progress(0, 1);
    this.variants.replaceChildren();
    this.variants.hidden = true;
    this.more.replaceChildren();
    this.show("waiting");
  }

  progress(sent, total) {
    const percent = total ? Math.floor((sent / total) * 100) : 100;
    this.bar.value = percent;
    this.percent.textContent = `${percent} %`;
  }

  /** The variants that were promised: names, and keys where they are known. */
  promise(variants) {
    this.variants.replaceChildren(...variants.map(({ name, key }) =>
      h("li", { class: "variant" }, h("div", { class: "frame" }), h("p", {}, h("b", {}, breakable(name)), h("small", { title: key }, key?.replace(/[0-9a-f]{32}/, "…") ?? "not known yet")))));
    this.variants.hidden = false;
  }

  /** What there is now: each variant over its placeholder. */
  develop(manifest) {
    this.variants.replaceChildren(...manifest.variants.map((variant) => tile(this.name, variant, manifest.image.thumbhash)));
    this.variants.hidden = false;
  }

  /** Manifest, callback and the lines that do the same. */
  tell(ticket, manifest, withKey) {
    const { origin } = location;
    this.callback = h("div", { class: "callback", "aria-live": "off" });
    this.more.replaceChildren(
      ...(manifest ? [folded("Manifest", () => code(JSON.stringify(manifest, null, 2), `Manifest of ${this.name}`))] : []),
      this.callback,
      folded("The same with curl", () => code(curl(origin, this.name, ticket.presign, withKey), `curl lines for ${this.name}`)),
      folded("The same in JavaScript", () => code(javascript(origin, ticket.presign, withKey), `JavaScript lines for ${this.name}`)));
  }

  /** The callback that was sent, or why none was. */
  told(delivery, none) {
    if (!delivery) {
      this.callback.replaceChildren(h("p", { class: "hint" }, none));
      return;
    }
    const last = delivery.attempts.at(-1);
    const state = { delivered: "taken", dead: "given up", pending: last ? "not taken yet" : "on its way" }[delivery.status];
    const details = folded(`Callback: ${state}`, () => h(
      "div", {},
      h("p", {}, h("code", {}, `${delivery.method} ${delivery.url}`)),
      h("p", {}, "webhook-id: ", h("code", {}, delivery.id)),
      delivery.attempts.length
        ? h("ol", {}, delivery.attempts.map((attempt) => h("li", {}, time(attempt.at), `: ${attempt.error ?? `answered ${attempt.status}`}, after ${attempt.millis} ms`)))
        : h("p", {}, "No attempt has ended yet."),
      delivery.next_attempt_at ? h("p", {}, "Next attempt: ", time(delivery.next_attempt_at)) : null,
      code(JSON.stringify(delivery.body, null, 2), `Body of the callback of ${this.name}`)));
    this.callback.replaceChildren(details);
  }
}

/** A name that may go on in the next line after each `_`. */
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part, n) => (n ? [h("wbr"), part] : [part]));
}

function tile(file, variant, thumbhash) {
  const frame = h("div", { class: "frame" });
  if (thumbhash) {
    const placeholder = h("canvas", { "aria-hidden": "true" });
    try {
      draw(placeholder, thumbhash);
      frame.append(placeholder);
    } catch {
      // Another program's manifest may hold anything.
    }
  }
  const image = h("img", { alt: `${variant.name} of ${file}`, loading: "lazy", decoding: "async", width: variant.width, height: variant.height });
  image.onload = () => frame.classList.add("loaded");
  image.onerror = () => {
    image.remove();
    frame.append(h("p", { class: "hint" }, "The store does not show it here: it is private, or of a format that this browser does not know."));
  };
  if (variant.url) {
    image.src = variant.url;
    frame.append(image);
  }
  return h("li", { class: "variant" }, frame, h("p", {},
    h("b", {}, link(variant.url, ...breakable(variant.name))), h("small", {}, `${variant.width}×${variant.height}`), h("small", {}, `${bytes(variant.bytes)} ${variant.content_type.replace("image/", "")}`)));
}
