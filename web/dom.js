// Elements, and numbers for people. What comes from elsewhere becomes text, never markup.

/** An element: `h("p", {class: "error", onclick: f}, "text", other)`. Null children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

export const find = (selector, within = document) => within.querySelector(selector);

/** A link to what a manifest names, which may come from another program: to a page's address alone. */
export function link(url, ...children) {
  return /^https?:/.test(url ?? "") ? h("a", { href: url }, ...children) : children;
}

/** A text in a box that scrolls, with a button that copies it. */
export function code(text, label) {
  const copy = h("button", { type: "button", class: "small", "aria-label": `Copy: ${label}` }, "Copy");
  copy.addEventListener("click", async () => {
    // Only pages of HTTPS or of this machine may.
    try {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Select it";
    }
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  });
  return h("div", { class: "code" }, h("pre", { tabindex: "0", role: "region", "aria-label": label }, text), copy);
}

/** What is folded until it is asked for; `make` gives its content when it is opened first. */
export function folded(title, make) {
  const details = h("details", {}, h("summary", {}, title));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(make());
  });
  return details;
}

export function bytes(n) {
  if (n < 1024) return `${n} B`;
  const units = ["KiB", "MiB", "GiB"];
  let value = n / 1024;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Seconds as people say them: `1.2 s`, `3 min`, `2 h`. */
export function seconds(n) {
  if (n < 1) return `${Math.round(n * 1000)} ms`;
  if (n < 60) return `${n < 10 ? n.toFixed(1) : Math.round(n)} s`;
  if (n < 3600) return `${Math.round(n / 60)} min`;
  return n < 86400 * 2 ? `${Math.round(n / 3600)} h` : `${Math.round(n / 86400)} d`;
}

/** A time of the API, in this browser's zone. */
export function time(text, options = { dateStyle: "medium", timeStyle: "medium" }) {
  return h("time", { datetime: text, title: text }, new Date(text).toLocaleString(undefined, options));
}
