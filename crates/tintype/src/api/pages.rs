//! The web pages: uploads at `/`, the operator's at `/admin`, the API's reference at `/docs`. They are files in the program
//! that call the API as any client does, and may do what their key, or the lack of keys, allows.
//!
//! The reference is a page of ours that reads /openapi.json, since no renderer keeps to the pages' policy: under it RapiDoc,
//! Swagger UI, Redoc and Scalar show nothing. They set markup as text or inject styles, and want `unsafe-inline` or Trusted
//! Types of their own; each but RapiDoc is more than 1 MB; and axe finds serious barriers in RapiDoc, Swagger UI and Scalar.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::extract::Id;
use super::problem::Problem;
use crate::app::App;
use crate::manifest::ENGINE;

/// One file of the pages.
struct File {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

macro_rules! file {
    ($name:literal, $media_type:literal) => {
        File { name: $name, media_type: $media_type, text: include_str!(concat!("../../web/", $name)) }
    };
}

static INDEX: File = file!("index.html", "text/html; charset=utf-8");
static ADMIN: File = file!("admin.html", "text/html; charset=utf-8");
static DOCS: File = file!("docs.html", "text/html; charset=utf-8");
/// What the pages are made of besides.
static PARTS: [File; 14] = [
    file!("style.css", "text/css; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
    file!("upload.js", "text/javascript; charset=utf-8"),
    file!("card.js", "text/javascript; charset=utf-8"),
    file!("send.js", "text/javascript; charset=utf-8"),
    file!("remedy.js", "text/javascript; charset=utf-8"),
    file!("snippets.js", "text/javascript; charset=utf-8"),
    file!("thumbhash.js", "text/javascript; charset=utf-8"),
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("dom.js", "text/javascript; charset=utf-8"),
    file!("admin.js", "text/javascript; charset=utf-8"),
    file!("timeline.js", "text/javascript; charset=utf-8"),
    file!("plots.js", "text/javascript; charset=utf-8"),
    file!("docs.js", "text/javascript; charset=utf-8"),
];

/// Names all files: they fit each other in one version alone.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for file in [&INDEX, &ADMIN, &DOCS].into_iter().chain(&PARTS) {
        hash.update(file.text);
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..12])
});

/// The page for uploads, or addresses
///
/// To whoever asks for HTML, the page; to programs, what this is and where its parts are.
#[utoipa::path(
    get, path = "/", operation_id = "index", tag = "service",
    responses((status = 200, description = "Name and version, and where things are; to a browser, the page for uploads", content(
        (BTreeMap<String, String> = "application/json"), (String = "text/html")
    )))
)]
pub async fn index(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let mut accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut response = if accepts.any(|accepts| accepts.to_ascii_lowercase().contains("text/html")) {
        page(&app, &INDEX, &headers)
    } else {
        Json(addresses(&app)).into_response()
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// The operator's page
///
/// It asks for an API key of the scope `admin` while there are keys; the page itself holds no secret.
#[utoipa::path(
    get, path = "/admin", operation_id = "admin", tag = "service",
    responses((status = 200, description = "A page that asks for an API key of the scope `admin`", body = String, content_type = "text/html"))
)]
pub async fn admin(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    page(&app, &ADMIN, &headers)
}

/// The API's reference
///
/// This document as a page: operations, parameters, shapes, errors by their code, and lines of curl.
#[utoipa::path(
    get, path = "/docs", operation_id = "docs", tag = "service",
    responses((status = 200, description = "A page that reads /openapi.json", body = String, content_type = "text/html"))
)]
pub async fn docs(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    page(&app, &DOCS, &headers)
}

/// A part of the pages
///
/// Scripts, styles and the icon: they may be kept, and are asked for again by their `ETag`.
#[utoipa::path(
    get, path = "/web/{file}", operation_id = "web_file", tag = "service",
    params(("file" = String, Path, description = "Its name", example = "style.css")),
    responses((status = 200, description = "The file", content(
        (String = "text/css"), (String = "text/javascript"), (String = "image/svg+xml")
    )))
)]
pub async fn part(Id(name): Id, headers: HeaderMap) -> Result<Response, Problem> {
    let file = PARTS.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| Problem::not_found("the pages have no such file"))?;
    Ok(answer(file.media_type, file.text.into(), &VERSION, &headers))
}

/// The text, or that the caller has it.
fn answer(media_type: &'static str, text: Cow<'static, str>, version: &str, asked: &HeaderMap) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).expect("a version is a header's value");
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let is_known = known.contains(&format!("\"{version}\""));
    let kept = [(header::ETAG, tag), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if is_known {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(header::CONTENT_TYPE, media_type)], text).into_response()
}

/// `10 MiB`, in the largest unit that needs no fraction.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(bits, _)| bytes >= 1 << bits && bytes.trailing_zeros() >= *bits);
    whole.map_or_else(|| format!("{bytes} bytes"), |(bits, unit)| format!("{} {unit}", bytes >> bits))
}

/// A page may run its own files, call this server, send to its store and show what is in there, and nothing else.
fn page(app: &App, file: &File, asked: &HeaderMap) -> Response {
    let stores = app.origins_of_stores().join(" ");
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data: {stores}; \
         connect-src 'self' {stores}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    // What a file may have is a setting, which the page tells.
    let most = app.config.upload.max_bytes;
    let text = file.text.replace("{most}", &size(most));
    let mut response = answer(file.media_type, text.into(), &format!("{}-{most}", *VERSION), asked);
    let headers = response.headers_mut();
    // An origin has no character that a header may not have.
    headers.extend(HeaderValue::from_str(&policy).ok().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    let isolated = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(isolated, HeaderValue::from_static("same-origin"));
    let nothing = HeaderValue::from_static("camera=(), geolocation=(), microphone=()");
    headers.insert(HeaderName::from_static("permissions-policy"), nothing);
    response
}

fn addresses(app: &App) -> Value {
    let base = app.api_url();
    json!({
        "engine": ENGINE,
        "page": format!("{base}/"),
        "admin": format!("{base}/admin"),
        "uploads": format!("{base}/v1/uploads"),
        "deliveries": format!("{base}/v1/deliveries"),
        "health": format!("{base}/healthz"),
        "ready": format!("{base}/readyz"),
        "metrics": format!("{base}/metrics"),
        "docs": format!("{base}/docs"),
        "openapi": format!("{base}/openapi.json"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_said_in_its_largest_whole_unit() {
        for (bytes, said) in [
            (10 << 20, "10 MiB"),
            (1 << 30, "1 GiB"),
            (1536, "1536 bytes"),
            (512 << 10, "512 KiB"),
            (1_000_001, "1000001 bytes"),
        ] {
            assert_eq!(size(bytes), said);
        }
    }
}
