//! The OpenAPI document: made of the routes themselves, so that it tells of every one and of no other.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::LazyLock;

use axum::response::IntoResponse;
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder, Schema};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi as _, PartialSchema, ToSchema};

use crate::upload::create::MAX_BATCH;

/// An error (RFC 9457). Programs decide by `code`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Always `about:blank`: `code` says which.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: String,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: Option<String>,
    /// The HTTP status.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    status: u16,
    /// Stable: one of the names under `components.examples`, which say what to do.
    #[schema(example = "not_found", pattern = "^[a-z_]+$")]
    code: String,
    /// One sentence for a person, which says what to do.
    #[schema(example = "there is no such upload")]
    detail: String,
}

/// Every code with its status, what to do about it, and what a `detail` may say; as docs/api.md.
const CODES: [(&str, u16, &str, &str); 25] = [
    ("invalid_request", 400, "Mend the request as `detail` says.", "size: invalid type: string \"big\", expected u64"),
    (
        "unauthorized",
        401,
        "Send an API key, or the token of that very upload; make another key where `detail` says that it expired or was revoked.",
        "send an API key: `Authorization: Bearer KEY`",
    ),
    (
        "forbidden",
        403,
        "Use a key with the scope that `detail` names. While there are no keys: call from this machine, and not from a page of another host.",
        "this needs the scope `uploads:read`, which key 7d1f does not have",
    ),
    ("not_found", 404, "Look at the id or the path.", "there is no such upload"),
    ("method_not_allowed", 405, "Use a method that this document has for the path.", "this path takes another method"),
    (
        "request_timeout",
        408,
        "The body came too slowly: send it again.",
        "the body came too slowly; send it again on a better line",
    ),
    (
        "original_missing",
        409,
        "The store does not have the original (any more): send it, or ask for a new upload.",
        "the original is not in the store (any more); send it, or ask for a new upload",
    ),
    (
        "original_changed",
        409,
        "Other bytes are at its key than the upload is made of: ask for a new upload.",
        "other bytes are at its key by now than the upload was made of; ask for a new upload",
    ),
    (
        "upload_expired",
        409,
        "Nobody claimed it in time, or its original never came: ask for a new upload.",
        "it has expired, and nothing of it is left; ask for a new upload",
    ),
    (
        "variant_missing",
        409,
        "Write every variant to the store before the result names it.",
        "image/abc_50x50.jpg is not in the store, so this upload is not completed",
    ),
    (
        "foreign_variant",
        422,
        "A result names the variants of its own upload alone, as this server's presets name them.",
        "image/def_50x50.jpg cannot be a variant of temp/abc.jpg, by the presets of this server",
    ),
    (
        "unsupported_format",
        422,
        "Send an image; what is read is in `detail`. `filenames = \"any\"` in a preset takes any name.",
        ".pdf is not an image format that this server reads; it reads jpeg, jpg, jpe, jfif, png, apng, gif, webp, tiff, tif, bmp, dib",
    ),
    (
        "upload_deleted",
        409,
        "That `Idempotency-Key` was answered with an upload that is gone: use a new key.",
        "an upload that this Idempotency-Key was answered with has been deleted; use a new key",
    ),
    (
        "too_large",
        413,
        "Send a smaller body, or ask for a smaller file, or raise `upload.max_bytes`.",
        "size is 20971520 bytes; it must be from 1 to 10485760",
    ),
    ("uri_too_long", 414, "Send less: 8 KiB at most.", "path and query are more than 8 KiB"),
    (
        "idempotency_conflict",
        422,
        "Use a new `Idempotency-Key` for a new request.",
        "this Idempotency-Key was used for another request; use a new one",
    ),
    (
        "queue_full",
        429,
        "Ask for uploads again after `Retry-After`.",
        "1000 originals wait to be developed, which is as many as may (limits.max_queue)",
    ),
    (
        "quota_exceeded",
        429,
        "Ask for uploads again after `Retry-After`.",
        "this caller has asked for 600 uploads in a minute, which is its quota (limits.uploads_per_minute)",
    ),
    (
        "too_many_streams",
        429,
        "Close an event stream or end a long poll, or try again after `Retry-After`.",
        "this upload's token has 8 event streams and long polls, which is as many as may (limits.streams_per_upload); try again once one has ended",
    ),
    (
        "too_many_requests",
        429,
        "Send less at once: try again after `Retry-After`.",
        "this key or address has too many requests at once; try again once one has been answered",
    ),
    (
        "headers_too_large",
        431,
        "Send less: 100 headers and 32 KiB at most.",
        "the headers are more than 100, or more than 32 KiB",
    ),
    (
        "storage_full",
        503,
        "The server's disk is nearly full: try again after `Retry-After`, while someone makes room.",
        "there is too little room on the server's disk; try again once there is more",
    ),
    (
        "overloaded",
        503,
        "Much is under way, and nothing was done: try again after `Retry-After`.",
        "the memory for request bodies is taken (limits.body_memory); try again",
    ),
    ("too_many_connections", 503, "Try again after `Retry-After`.", "there are too many connections; try again"),
    ("unavailable", 503, "Try again after `Retry-After`.", "the service cannot do that just now; try again"),
];

/// One, or a list of up to 100 in the same order: a shape for the document alone.
pub struct OneOrMany<T>(PhantomData<T>);

impl<T: ToSchema> PartialSchema for OneOrMany<T> {
    fn schema() -> RefOr<Schema> {
        let one = || Ref::from_schema_name(T::name());
        let many = ArrayBuilder::new().items(one()).min_items(Some(1)).max_items(Some(MAX_BATCH));
        OneOfBuilder::new().item(one()).item(many).into()
    }
}

impl<T: ToSchema> ToSchema for OneOrMany<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tintype",
        description = "Image uploads off your servers: a credential for the client, variants in the store, a signed \
                       callback. Errors are problem documents (RFC 9457): decide by their `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "this server")),
    tags(
        (name = "uploads", description = "An upload: one intent to deliver one original"),
        (name = "processing", description = "Storage events and results, from stores and remote processors"),
        (name = "deliveries", description = "The callback log"),
        (name = "operation", description = "What the operator looks at"),
        (name = "service", description = "Health, the web pages, and this document"),
        (name = "monitoring", description = "What Prometheus reads"),
        (name = "seed", description = "The seed's API, for its existing clients"),
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Security)
)]
struct Base;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = |what: &str| {
            let mut http = Http::new(HttpAuthScheme::Bearer);
            http.description = Some(what.to_owned());
            SecurityScheme::Http(http)
        };
        let named = |name, what| ApiKeyValue::with_description(name, what);
        components.add_security_scheme("api_key", bearer("An API key: a server, and what the key's scopes allow. While there is none, nothing is asked for, and only this machine may call."));
        components.add_security_scheme("upload_token", bearer("The `token` of that very upload: a browser."));
        components
            .examples
            .extend(CODES.map(|(code, status, _, _)| (code.to_owned(), RefOr::T(example(code, status)))));
        components.add_security_scheme(
            "upload_token_query",
            SecurityScheme::ApiKey(ApiKey::Query(named(
                "token",
                "The same, where no header can be set (EventSource).",
            ))),
        );
        components.add_security_scheme(
            "provider",
            bearer("What the provider of a store proves itself by: SNS's signature, Pub/Sub's token, Event Grid's key (docs/auth.md)."),
        );
        components.add_security_scheme(
            "signature",
            SecurityScheme::ApiKey(ApiKey::Header(named(
                "webhook-signature",
                "With `webhook-id` and `webhook-timestamp`, as Standard Webhooks say, made with `callback.secret`.",
            ))),
        );
    }
}

/// The document before its routes.
pub fn base() -> OpenApi {
    let mut base = Base::openapi();
    // The macro would give the crate's name and authors.
    base.info.version = env!("CARGO_PKG_VERSION").to_owned();
    base.info.contact = None;
    base
}

/// The document of every route.
pub fn document() -> OpenApi {
    finish(super::routes().into_openapi())
}

/// This document
///
/// OpenAPI 3.1, made of the routes themselves. `tintype openapi` prints the same.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "service",
    responses((status = 200, description = "This document, OpenAPI 3.1", body = Object))
)]
pub async fn show() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(text);
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}

/// Adds what holds of every route: the problems that it can answer with, and an operation id for each method.
fn finish(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let methods = [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("delete", &mut item.delete),
            ("options", &mut item.options),
        ];
        let mut taken = BTreeSet::new();
        for (method, operation) in methods {
            let Some(operation) = operation else { continue };
            add_problems(path, operation);
            // One handler may answer two methods.
            if let Some(id) = operation.operation_id.as_mut().filter(|id| !taken.insert((**id).clone())) {
                *id = format!("{id}_by_{method}");
                let summary = operation.summary.get_or_insert_default();
                *summary = format!("{summary}, by {}", method.to_uppercase());
            }
        }
    }
    document
}

fn add_problems(path: &str, operation: &mut Operation) {
    let mut may = Vec::new();
    if operation.security.is_none() {
        may.push(("403", "`forbidden`: from elsewhere than this machine, while there are no keys"));
    } else {
        may.push((
            "403",
            "`forbidden`: a key without the scope, or from elsewhere than this machine while there are no keys",
        ));
        may.push(("401", "`unauthorized`: an API key, or that very upload's token, is asked for"));
    }
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let in_query =
        |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(known) if known.parameter_in == ParameterIn::Query);
    if parameters.iter().any(in_query) {
        may.push(("400", "`invalid_request`: `detail` says what to mend"));
    }
    if path.contains('{') {
        may.push(("404", "`not_found`"));
    }
    if operation.request_body.is_some() {
        may.push(("400", "`invalid_request`: `detail` says what to mend"));
        may.push(("413", "`too_large`: a body of more than 4 MiB, or a file of more bytes than are taken"));
    }
    if operation.request_body.is_some() {
        may.push(("408", "`request_timeout`: the body came too slowly"));
    }
    may.push(("414", "`uri_too_long`: more than 8 KiB"));
    may.push(("431", "`headers_too_large`: more than 100, or than 32 KiB"));
    may.push(("429", "`too_many_requests`: again after `Retry-After`"));
    may.push((
        "503",
        "`unavailable`, `overloaded`, `storage_full`, `too_many_connections`: try again after `Retry-After`",
    ));
    for (status, why) in may {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(why)));
    }
    for (status, response) in &mut operation.responses.responses {
        let (RefOr::T(response), Ok(status)) = (response, status.parse()) else { continue };
        if let Some(RefOr::T(content)) = response.content.get_mut("application/problem+json") {
            content.examples = examples(&response.description, status);
        }
    }
}

/// An example for each code that a description names.
fn examples(description: &str, status: u16) -> BTreeMap<String, RefOr<Example>> {
    let named = CODES.iter().filter(|(code, ..)| description.contains(&format!("`{code}`")));
    let example = |(code, usual, ..): &(&str, u16, &str, &str)| {
        let shared = || RefOr::Ref(Ref::new(format!("#/components/examples/{code}")));
        ((*code).to_owned(), if status == *usual { shared() } else { RefOr::T(example(code, status)) })
    };
    named.map(example).collect()
}

fn example(code: &str, status: u16) -> Example {
    let known = CODES.iter().find(|(known, ..)| *known == code);
    let (what, mut detail) = known.map(|(_, _, what, detail)| (*what, *detail)).unwrap_or_default();
    let status = StatusCode::from_u16(status).unwrap_or_default();
    // The one code of two statuses.
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        detail = "send JSON with `Content-Type: application/json`";
    }
    let (title, status) = (status.canonical_reason(), status.as_u16());
    let value = json!({"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail});
    ExampleBuilder::new().summary(what).value(Some(value)).build()
}

fn problem(why: &str) -> Response {
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
    ResponseBuilder::new().description(why).content("application/problem+json", content).build()
}

/// The document as it is printed and kept in docs/openapi.json.
pub fn text() -> String {
    let text = serde_json::to_string_pretty(&json!(document())).unwrap_or_default();
    text + "\n"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::manifest::Manifest;

    /// `BLESS=1 cargo test -p tintype openapi` writes it anew.
    #[test]
    fn the_document_that_is_kept_is_this_one() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, text()).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == text(), "docs/openapi.json is not current: BLESS=1 cargo test -p tintype openapi");
    }

    /// axum does not list its routes, but shows them.
    fn routed() -> BTreeSet<String> {
        let shown = format!("{:?}", super::super::routes().split_for_parts().0);
        let listed = shown[shown.find("paths: {").unwrap()..].split('"').skip(1).step_by(2);
        listed.filter(|text| text.starts_with('/') && !text.contains("__private__")).map(str::to_owned).collect()
    }

    #[test]
    fn every_route_is_in_the_document_and_no_other() {
        let documented: BTreeSet<_> = document().paths.paths.into_keys().collect();
        // The seed's clients leave out a last slash or not; one of the two is documented.
        let without_alias = |path: &String| documented.contains(path) || !documented.contains(&format!("{path}/"));
        let routed: BTreeSet<_> = routed().into_iter().filter(without_alias).collect();
        assert!(routed.len() > 10, "{routed:?}");
        assert_eq!(routed, documented);
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_says_who_may_call() {
        let value = json!(document());
        let mut ids = BTreeSet::new();
        for (path, item) in value["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} twice");
                let open = operation["tags"][0] == "service";
                assert_eq!(operation["security"].is_array(), !open, "{method} {path}");
            }
        }
    }

    /// What a reader looks for: what it does, what goes in and comes out, and each error by its code.
    #[test]
    fn every_operation_is_described_with_examples_and_named_errors() {
        let value = json!(document());
        for (path, item) in value["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let at = format!("{method} {path}");
                assert!(operation["summary"].as_str().unwrap().len() < 60, "{at}: a summary is a title");
                assert!(operation["description"].is_string(), "{at}: no description");
                let asked = &operation["requestBody"]["content"]["application/json"];
                assert!(
                    operation["requestBody"].is_null() || asked["example"].is_object(),
                    "{at}: no example of a request"
                );
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(parameter["description"].is_string(), "{at}: {parameter}");
                }
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let problem = &response["content"]["application/problem+json"];
                    assert!(problem.is_null() || problem["examples"].is_object(), "{at}: {status} names no code");
                    let refers = response["content"].as_object().into_iter().flatten().next();
                    let has = |name| refers.is_some_and(|(_, content)| !content[name].is_null());
                    assert!(refers.is_none() || has("schema"), "{at}: {status} has no shape");
                }
            }
        }
        let upload = &value["components"]["schemas"]["Upload"]["example"];
        serde_json::from_value::<Manifest>(upload["manifest"].clone()).unwrap();
        let codes = value["components"]["examples"].as_object().unwrap();
        assert_eq!(codes.len(), CODES.len());
    }
}
