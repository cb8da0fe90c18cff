// The API's reference: /openapi.json, for people. Whatever it says becomes text.

import { code, find, folded, h } from "./dom.js";
import { quoted } from "./snippets.js";

const PROBLEM = "application/problem+json";
let api;

const resolve = (value) =>
  value?.$ref ? value.$ref.slice(2).split("/").reduce((at, step) => at[step], api) : value;
const nameOf = (value) => value?.$ref?.split("/").at(-1);

/** Text with `code` and <addresses>. */
function prose(text) {
  return text.split(/(`[^`]+`|<https:[^>]+>)/).map((part) => {
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    if (part.startsWith("<https:")) return h("a", { href: part.slice(1, -1) }, part.slice(1, -1));
    return part;
  });
}

const paragraphs = (text = "") => text.split("\n\n").filter(Boolean).map((part) => h("p", {}, ...prose(part)));

// --- shapes ---

const isNull = (schema) => schema.type === "null";
const isNullable = (schema) => [schema.type].flat().includes("null");

/** What a schema's values are, in a few words; known shapes are links. */
function kind(schema = {}) {
  if (schema.$ref) return [h("a", { href: `#schema-${nameOf(schema)}` }, nameOf(schema))];
  const several = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (several) return several.flatMap((one, n) => [...(n && !schema.allOf ? [" or "] : []), ...kind(one)]);
  if (schema.enum) return schema.enum.flatMap((value, n) => [n ? ", " : "", h("code", {}, JSON.stringify(value))]);
  const types = [schema.type ?? "any"].flat().map((type) => {
    if (type === "array") return ["list of ", ...kind(schema.items)];
    if (type !== "object" || !schema.additionalProperties) return [type];
    return ["object of ", ...kind(schema.additionalProperties)];
  });
  return types.flatMap((one, n) => [...(n ? [" or "] : []), ...one]).concat(bounds(schema));
}

/** What else a value must be. */
function bounds(schema) {
  const said = [];
  const range = (least, most, unit) => {
    if (least != null && most != null) said.push(`${least} to ${most}${unit}`);
    else if (most != null) said.push(`${most}${unit} at most`);
    else if (least) said.push(`${least}${unit} at least`);
  };
  range(schema.minimum, schema.maximum, "");
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " of them");
  if (schema.format === "date-time") said.push("RFC 3339");
  if (schema.pattern) said.push(h("code", {}, schema.pattern));
  return said.flatMap((one) => [", ", one]);
}

/** An answer or a request as it may look. A plain value that may be null and has no example is null. */
function example(given) {
  const schema = resolve(given) ?? {};
  if (schema.example !== undefined) return schema.example;
  if (schema.examples?.length) return schema.examples[0];
  if (given.example !== undefined) return given.example;
  if (isNullable(schema)) return null;
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map(example));
  const one = (schema.oneOf ?? schema.anyOf)?.find((one) => !isNull(one));
  if (one) return example(one);
  if (schema.enum) return schema.enum[0];
  switch ([schema.type].flat()[0]) {
    case "object":
      return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, of]) => [name, example(of)]));
    case "array":
      return [example(schema.items)];
    case "string":
      return schema.format === "date-time" ? "2026-05-01T12:30:00Z" : "text";
    case "boolean":
      return false;
    case undefined:
      return null;
    default:
      return schema.minimum ?? 0;
  }
}

/** The example of a body: its own, or one of its shape. */
const exampleOf = (content) => content.example ?? Object.values(content.examples ?? {}).map((one) => resolve(one).value)[0] ?? example(content.schema);

/** Names, what they are, and what they mean. */
function list(entries) {
  return h("dl", { class: "fields" }, ...entries.map(([name, about, text]) =>
    h("div", {}, h("dt", {}, h("code", {}, name), " ", h("small", {}, ...about)), h("dd", {}, ...prose(text ?? "")))));
}

function fields(name, schema) {
  // In answers nothing is left out.
  const isAsked = Object.values(api.paths).flatMap(Object.values).some((of) => JSON.stringify(of.requestBody ?? "").includes(`/${name}"`));
  const required = isAsked ? (schema.required ?? []) : [];
  return list(Object.entries(schema.properties ?? {}).map(([name, of]) =>
    [name, [...kind(of), required.includes(name) ? ", required" : ""], of.description ?? resolve(of).description]));
}

function shape(name, schema) {
  const body = schema.properties ? fields(name, schema) : h("p", {}, ...kind(schema));
  return h("article", { id: `schema-${name}`, class: "panel", "aria-labelledby": `title-${name}` },
    h("h3", { id: `title-${name}` }, name), ...paragraphs(schema.description), body,
    folded("Example", () => code(JSON.stringify(example(schema), null, 2), `Example of ${name}`)));
}

// --- operations ---

function callers(operation) {
  const ways = (operation.security ?? []).flatMap(Object.entries);
  if (!ways.length) return h("p", {}, "Nobody is asked for a key.");
  const said = ways.map(([scheme, scopes]) => [
    h("a", { href: `#auth-${scheme}` }, h("code", {}, scheme)),
    ...scopes.flatMap((scope) => [" of the scope ", h("code", {}, scope)]),
  ]);
  return h("p", {}, "Called with ", ...said.flatMap((one, n) => [n ? ", or " : "", ...one]), ".");
}

function curl(method, path, operation) {
  const at = (place) => (operation.parameters ?? []).map(resolve).filter((one) => one.in === place);
  const value = (one) => String(one.example ?? example(one.schema));
  const filled = at("path").reduce((url, one) => url.replace(`{${one.name}}`, encodeURIComponent(value(one))), path);
  const streams = operation.responses[200]?.content?.["text/event-stream"] ? " -N" : "";
  const lines = [`curl -sS${streams}${method === "GET" ? "" : ` -X ${method}`} ${location.origin}${filled}`];
  if (operation.security) lines.push(`-H "Authorization: Bearer $KEY"`);
  for (const one of at("header")) if (one.required) lines.push(`-H ${quoted(`${one.name}: ${value(one)}`)}`);
  for (const [type, content] of Object.entries(operation.requestBody?.content ?? {}).slice(0, 1)) {
    lines.push(`-H ${quoted(`Content-Type: ${type}`)}`, `-d ${quoted(JSON.stringify(exampleOf(content)))}`);
  }
  return lines.join(" \\\n     ");
}

function request(operation, id) {
  if (!operation.requestBody) return [];
  const bodies = Object.entries(operation.requestBody.content).map(([type, content]) => h("div", {},
    h("p", {}, h("code", {}, type), " ", h("small", {}, ...kind(content.schema))),
    code(JSON.stringify(exampleOf(content), null, 2), `Request of ${id}`)));
  return [h("h4", {}, "Body"), ...paragraphs(operation.requestBody.description), ...bodies];
}

function answer(status, response, id) {
  const contents = Object.entries(response.content ?? {});
  const about = contents.flatMap(([type, { schema }], n) => [n ? " or " : "", `${type}: `, ...kind(schema)]);
  const shown = contents.find(([type, content]) => type === "application/json" && content.schema);
  return h("div", {}, h("p", {}, h("b", {}, status), " ", ...prose(response.description), " ", h("small", {}, ...about)),
    shown && folded("Example", () => code(JSON.stringify(exampleOf(shown[1]), null, 2), `Answer ${status} of ${id}`)));
}

function problems(failed) {
  return h("ul", { class: "problems" }, ...failed.map(([status, response]) => {
    const codes = Object.keys(response.content[PROBLEM].examples ?? {});
    // The description names its codes; here they are links.
    const why = response.description.replace(/^(`\w+`(, )?)+(: )?/, "");
    return h("li", {}, h("b", {}, status), " ",
      ...codes.flatMap((name, n) => [n ? ", " : "", h("a", { href: `#error-${name}` }, h("code", {}, name))]),
      ...(why ? [": ", ...prose(why)] : []));
  }));
}

function operation({ method, path, of }) {
  const id = of.operationId;
  const all = Object.entries(of.responses).map(([status, one]) => [status, resolve(one)]);
  const failed = all.filter(([, one]) => one.content?.[PROBLEM]);
  const parameters = (of.parameters ?? []).map(resolve);
  return h("article", { id, class: "panel", "aria-labelledby": `title-${id}` },
    h("h3", { id: `title-${id}` }, of.summary, " ", h("a", { href: `#${id}`, "aria-label": `Link to: ${of.summary}` }, "#")),
    h("p", { class: "call" }, h("span", { class: "tag" }, method), " ", h("code", {}, path), " ", h("small", {}, id)),
    ...paragraphs(of.description), callers(of),
    ...(parameters.length ? [h("h4", {}, "Parameters"), list(parameters.map((one) =>
      [one.name, [one.in, ", ", ...kind(one.schema), one.required ? ", required" : ""], one.description]))] : []),
    ...request(of, id),
    h("h4", {}, "Answers"), ...all.filter((one) => !failed.includes(one)).map(([status, one]) => answer(status, one, id)),
    h("h4", {}, "Errors"), problems(failed),
    h("h4", {}, "curl"), code(curl(method, path, of), `curl line of ${id}`));
}

// --- the page ---

function contents(tags) {
  const links = (items) => h("ul", {}, ...items.map(({ of, method, path }) =>
    h("li", {}, h("a", { href: `#${of.operationId}` }, of.summary), " ", h("small", {}, h("code", {}, `${method} ${path}`)))));
  return h("nav", { class: "contents", "aria-label": "Contents" },
    h("p", {}, h("a", { href: "#auth" }, "Who may call")), h("p", {}, h("a", { href: "#errors" }, "Errors")),
    h("p", {}, h("a", { href: "#shapes" }, "Shapes")),
    ...tags.map(({ name, items }) => h("div", {}, h("p", {}, h("a", { href: `#tag-${name}` }, name)), links(items))));
}

function auth() {
  return [h("h2", { id: "auth" }, "Who may call"),
    h("dl", { class: "fields" }, ...Object.entries(api.components.securitySchemes).map(([name, scheme]) => {
      const how = scheme.type === "http" ? "Authorization: Bearer …" : scheme.in === "query" ? `?${scheme.name}=…` : `${scheme.name}: …`;
      return h("div", { id: `auth-${name}` }, h("dt", {}, h("code", {}, name), " ", h("small", {}, how)), h("dd", {}, ...prose(scheme.description)));
    }))];
}

function errors() {
  return [h("h2", { id: "errors" }, "Errors"),
    h("p", {}, "Each is ", h("code", {}, PROBLEM), ", a ", h("a", { href: "#schema-Problem" }, "Problem"), ". Decide by its ", h("code", {}, "code"), "."),
    h("dl", { class: "fields" }, ...Object.entries(api.components.examples).map(([name, { summary, value }]) =>
      h("div", { id: `error-${name}` }, h("dt", {}, h("code", {}, name), " ", h("small", {}, String(value.status))),
        h("dd", {}, ...prose(summary), " ", h("small", {}, "“", ...prose(value.detail), "”")))))];
}

function render() {
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).filter(([, of]) => of.operationId).map(([method, of]) => ({ path, method: method.toUpperCase(), of })));
  const tags = api.tags.map((tag) => ({ ...tag, items: operations.filter(({ of }) => of.tags.includes(tag.name)) }));
  find("#reference").append(
    h("p", {}, `${api.info.title} ${api.info.version}. `, ...prose(api.info.description)),
    contents(tags), ...auth(), ...errors(),
    ...tags.flatMap(({ name, description, items }) =>
      [h("h2", { id: `tag-${name}` }, name), h("p", {}, ...prose(description)), ...items.map(operation)]),
    h("h2", { id: "shapes" }, "Shapes"),
    ...Object.entries(api.components.schemas).map(([name, schema]) => shape(name, schema)));
  // What the address names was not there yet when the browser looked for it.
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

try {
  api = await (await fetch("/openapi.json")).json();
  render();
} catch (error) {
  find("#error").textContent = `The document cannot be shown: ${error.message}`;
}
