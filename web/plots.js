// Small plots, drawn as SVG, each with a table that says the same.

import { folded, h } from "./dom.js";

const WIDTH = 320;
const HEIGHT = 90;

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A place for a plot, which `draw` fills again and again. `unit` words a value. */
export function plot(title, unit = String) {
  const now = h("p", { class: "figure" });
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none" });
  const top = h("small", {});
  const legend = h("p", { class: "legend" });
  let points = [];
  let series = [];
  const body = h("tbody", {});
  const row = (at, n) => h("tr", {}, h("th", { scope: "row" }, at), series.map((one) => h("td", {}, one.values[n] == null ? "–" : unit(one.values[n]))));
  const fill = () => {
    const rows = points.map((at, n) => row(at, n)).reverse();
    body.replaceChildren(h("tr", {}, h("th", { scope: "col" }, "When"), series.map((one) => h("th", { scope: "col" }, one.name))), ...rows);
  };
  const table = folded("As a table", () => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` }, h("table", {}, h("caption", { class: "unseen" }, title), body)));
  table.addEventListener("toggle", () => table.open && fill());
  const element = h("section", { class: "plot panel", "aria-label": title }, h("h3", {}, title), now, h("div", { class: "drawn" }, picture, top), legend, table);

  return {
    element,
    /** `at` words each point; each of `lines` is `{name, values, bars?}`, values may be null. `says` is the figure now. */
    draw(at, lines, says) {
      [points, series] = [at, lines];
      const most = Math.max(1, ...lines.flatMap((one) => one.values.filter((value) => value != null)));
      picture.setAttribute("aria-label", `${title}: ${says}`);
      picture.replaceChildren(...lines.flatMap((one, n) => (one.bars ? bars(one.values, most, n) : line(one.values, most, n))));
      now.textContent = says;
      top.textContent = unit(most);
      legend.replaceChildren(...(lines.length > 1 ? lines.map((one, n) => h("span", { class: `series ${one.bars ? "fill" : "line"}-${n}` }, one.name)) : []));
      if (table.open) fill();
    },
  };
}

const height = (value, most) => (value / most) * (HEIGHT - 4);

function bars(values, most, n) {
  const width = WIDTH / values.length;
  return values.map((value, place) => {
    const tall = height(value, most);
    return svg("rect", { class: `fill-${n}`, x: place * width, y: HEIGHT - tall, width: Math.max(1, width - 1), height: tall });
  });
}

/** What is null is a gap. */
function line(values, most, n) {
  const step = WIDTH / Math.max(1, values.length - 1);
  let path = "";
  let pen = "M";
  values.forEach((value, place) => {
    if (value == null) {
      pen = "M";
      return;
    }
    path += `${pen}${(place * step).toFixed(1)} ${(HEIGHT - 2 - height(value, most)).toFixed(1)}`;
    pen = "L";
  });
  return path ? [svg("path", { class: `line-${n}`, d: path, "vector-effect": "non-scaling-stroke" })] : [];
}

/** A place for numbers by name, the largest first: a table with a bar in each row. */
export function ranking(title, name) {
  const body = h("tbody", {});
  const none = h("p", { class: "hint" });
  const table = h("table", {}, h("caption", { class: "unseen" }, title),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, name), h("th", { scope: "col" }, "Number"), h("td", {}))), body);
  const element = h("section", { class: "plot panel ranking", "aria-label": title }, h("h3", {}, title), table, none);
  return {
    element,
    draw(numbers) {
      const ranked = Object.entries(numbers).sort((a, b) => b[1] - a[1]);
      const bar = (n) => svg("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { class: "fill-1", width: (n / ranked[0][1]) * 100, height: 1 }));
      body.replaceChildren(...ranked.map(([word, n]) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, word)), h("td", {}, String(n)), h("td", {}, bar(n)))));
      table.hidden = ranked.length === 0;
      none.textContent = ranked.length ? "" : "None.";
    },
  };
}
