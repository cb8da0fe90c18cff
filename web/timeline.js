// All that is known of one upload.

import { call } from "./api.js";
import { bytes, code, folded, h, link, time } from "./dom.js";

const WORDS = { presigned: "Presigned", uploaded: "Uploaded", event: "Event", attempt: "Attempt", ignored: "Ignored", claimed: "Claimed", expired: "Expired", callback: "Callback" };
const PRECISE = { dateStyle: "short", timeStyle: "medium" };

/** The view of one upload. `act` asks, does it, and shows the view again; `again` only shows it. */
export async function timeline(id, act, again) {
  const known = await call("GET", `/v1/uploads/${id}/timeline`);
  const { upload, moments, jobs, deliveries } = known;
  const button = (label, what, danger) => h("button", { type: "button", class: danger ? "danger" : "", onclick: () => act(what) }, label);
  const facts = [
    ["Status", h("span", { class: `tag tag-${upload.status}` }, upload.status)],
    ["Key", h("code", {}, known.key)],
    ["Preset", known.preset],
    ["Credential", `${known.policy.method} of ${known.policy.content_type}, at most ${bytes(known.policy.max_bytes)}`],
    ["Original", known.original_there ? "still in the store" : "not in the store"],
  ];
  if (Object.keys(known.policy.metadata).length) facts.push(["Metadata", h("code", {}, JSON.stringify(known.policy.metadata))]);
  if (upload.error) facts.push(["Error", h("span", { class: "error" }, `${upload.error.message} (${upload.error.code})`)]);
  return h("div", {},
    h("p", {}, h("a", { href: "#uploads" }, "All uploads")),
    h("h2", { tabindex: "-1" }, "Upload ", h("code", {}, upload.id)),
    h("div", { class: "row" },
      h("button", { type: "button", onclick: again }, "Look again"),
      button("Retry", {
        title: "Develop the original again?", text: "All variants are made anew, and the outcome is told again.", yes: "Retry",
        method: "POST", path: `/v1/uploads/${id}/retry`, done: "A job was added.",
      }),
      button("Delete", {
        title: "Delete this upload?", text: "Its original, every variant, its manifest and what is known of it go, for good.", yes: "Delete", danger: true,
        method: "DELETE", path: `/v1/uploads/${id}`, done: "Deleted.", then: "#uploads",
      }, true)),
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("h3", {}, "What happened"),
    h("ol", { class: "timeline" }, moments.map((moment) => h("li", { class: moment.failed ? "failed" : "" },
      h("p", { class: "row" }, h("b", {}, WORDS[moment.what]), h("small", {}, time(moment.at, PRECISE))), h("p", {}, moment.says)))),
    jobs.length ? h("p", {}, jobs.map((job) => `Job ${job.id} is ${job.state}, tried ${job.attempts} times. `)) : null,
    upload.manifest ? variants(upload.manifest) : null,
    h("h3", {}, "Callbacks"),
    deliveries.length ? deliveries.map((delivery) => callback(delivery, button)) : h("p", { class: "hint" }, "None: no outcome yet, or callback.url is not set."));
}

function variants(manifest) {
  const rows = manifest.variants.map((v) => h("tr", {},
    h("th", { scope: "row" }, link(v.url, v.name)), h("td", {}, `${v.width}×${v.height}`), h("td", {}, bytes(v.bytes)), h("td", {}, h("code", {}, v.key))));
  return h("div", {}, h("h3", {}, "Variants"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Variants" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Name", "Size", "Bytes", "Key"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows))),
    folded("Manifest", () => code(JSON.stringify(manifest, null, 2), "Manifest")));
}

/** One delivery: what was sent, and what came back of each attempt. */
export function callback(delivery, button) {
  const attempts = delivery.attempts.map((attempt) => h("li", { class: attempt.error ? "failed" : "" },
    h("p", {}, time(attempt.at), `: ${attempt.error ?? `answered ${attempt.status}`}, after ${attempt.millis} ms`),
    attempt.response ? code(attempt.response, "Beginning of the response") : null));
  return h("section", { class: "panel", "aria-label": `Delivery ${delivery.id}` },
    h("div", { class: "row spread" },
      h("p", {}, h("code", {}, delivery.id), " ", h("span", { class: `tag tag-${delivery.status}` }, delivery.status)),
      button("Resend", {
        title: "Send this callback again?", text: "It is due at once under the same webhook-id, and its schedule begins anew.", yes: "Resend",
        method: "POST", path: `/v1/deliveries/${delivery.id}/resend`, done: "It is due.",
      })),
    h("p", {}, "Upload: ", h("a", { href: `#uploads/${delivery.upload_id}` }, delivery.upload_id)),
    attempts.length ? h("ol", { class: "timeline" }, attempts) : h("p", { class: "hint" }, "No attempt yet."),
    delivery.next_attempt_at ? h("p", {}, "Next attempt: ", time(delivery.next_attempt_at)) : null,
    folded("Request", () => code(`${delivery.method} ${delivery.url}\ncontent-type: application/json\nwebhook-id: ${delivery.id}\n\n${JSON.stringify(delivery.body, null, 2)}`, "Request")));
}
