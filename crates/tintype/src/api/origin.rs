//! While no key is asked for, only this machine may call: its programs, and pages of its own loopback addresses. Not a web page of
//! another host that a browser of this machine shows, whether it says so or calls by a name that leads here (DNS rebinding), and
//! not a caller that comes through a proxy on this machine. An upload's own token opens that upload to any page that has it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use url::{Host, Url};

use super::problem::Problem;
use crate::app::App;
use crate::upload::UploadId;

/// What proxies add for whom they call for: RFC 7239, RFC 9110 section 7.6.3, RFC 8586, and the names from before them.
const BY_PROXY: [&str; 21] = [
    "cdn-loop",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-ray",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "true-client-ip",
    "via",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-coming-from",
    "x-envoy-external-address",
    "x-forwarded",
    "x-original-host",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-ip",
];
/// What most of the others begin with: `-for`, `-host`, `-proto`, `-port`, `-server`, `-ssl`, `-by`, `-prefix`, …
const BY_PROXY_TOO: [&str; 2] = ["x-forwarded-", "x-original-forwarded-"];

/// Lets a request through that is not led here by a foreign page, or by a proxy.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.keys.asks().await {
        Ok(false) if !is_ours(&app, &request) && !holds_token(&app, &request) => {
            let detail = "without API keys, only this machine may call: no proxy, and no web page of another host";
            Problem::forbidden(detail).into_response()
        }
        Ok(_) => next.run(request).await,
        // It tells that the ledger is away, and nothing of what is in it.
        Err(_) if request.uri().path() == "/readyz" => next.run(request).await,
        Err(error) => Problem::from(error).into_response(),
    }
}

fn is_ours(app: &App, request: &Request) -> bool {
    if is_by_proxy(request.headers()) {
        return false;
    }
    let is_known = |text: &str| Url::parse(text).is_ok_and(|url| is_loopback(&url));
    let all = |name| request.headers().get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    // Of several names each counts, and so does one in the request line.
    let hosts = all(header::HOST).chain(request.uri().authority().map(|authority| authority.as_str()));
    // A page from a file has the origin `null`.
    // Those that are named may; `*` is for callers that show something.
    let may = |origin: &str| app.config.front.api_origins.name(origin) || is_known(origin);
    hosts.map(|host| format!("http://{host}")).all(|host| is_known(&host)) && all(header::ORIGIN).all(may)
}

/// Whether the request shows the token of the very upload it is about.
fn holds_token(app: &App, request: &Request) -> bool {
    let Some(id) = super::upload_with_token(request.uri().path()) else { return false };
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = header.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
    let shown = shown.or_else(|| super::auth::in_query(request.uri()));
    let Some(id) = UploadId::parse(id) else { return false };
    shown.is_some_and(|token| app.tokens.verify(&id, &token))
}

/// Whether anything shows a proxy.
fn is_by_proxy(headers: &HeaderMap) -> bool {
    let shows = |name: &str| BY_PROXY.contains(&name) || BY_PROXY_TOO.iter().any(|start| name.starts_with(start));
    headers.keys().any(|name| shows(name.as_str()))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4).is_loopback(),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6).is_loopback(),
        None => false,
    }
}
