//! Steps 1 and 3 over HTTP. Routes are thin: they read a request, call the domain, word the answer.

mod admission;
mod arrival;
mod auth;
mod deliveries;
mod events;
mod extract;
mod health;
mod metrics;
pub mod openapi;
mod origin;
mod pages;
mod paging;
pub mod problem;
mod results;
mod seed;
mod settings;
mod stats;
mod timeline;
mod uploads;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tower::ServiceExt;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::config::Origins;
use crate::listen::Refused;
use crate::request_id;
pub use auth::Keys;
pub use metrics::router as metrics_router;
use problem::Problem;

/// When to come back while one caller has too many requests, in seconds.
const REQUEST_ENDS: u64 = 2;

/// Which pages may put an answer among their own parts, without reading it.
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// How long a browser may remember what a page of another origin may do.
const PREFLIGHT: Duration = Duration::from_secs(3600);

/// What a page of a named origin may do: read.
fn cors(origins: &Origins) -> CorsLayer {
    let origins = match origins {
        Origins::Any => AllowOrigin::from(Any),
        Origins::These(known) => AllowOrigin::list(known.iter().filter_map(|origin| origin.parse().ok())),
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::AUTHORIZATION, header::CACHE_CONTROL, HeaderName::from_static("last-event-id")])
        .expose_headers([header::RETRY_AFTER, HeaderName::from_static("x-request-id")])
        .max_age(PREFLIGHT)
}

/// What any page may do that holds an upload's token: see how that upload stands, and say that its file is sent. A browser sends no
/// token by itself, so a page can do no more than its own script was given.
fn cors_with_token() -> CorsLayer {
    cors(&Origins::Any).allow_methods([Method::GET, Method::HEAD, Method::POST])
}

/// The upload's id, where a path is of a route that the upload's own token opens.
fn upload_with_token(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/v1/uploads/")?;
    let (id, route) = rest.split_once('/').unwrap_or((rest, ""));
    (!id.is_empty() && ["", "events", "uploaded"].contains(&route)).then_some(id)
}

/// What goes with every answer, unless it says otherwise: it is data, for nobody's cache and no page's frame.
pub fn headers() -> HeaderMap {
    let of = HeaderValue::from_static;
    HeaderMap::from_iter([
        (header::X_CONTENT_TYPE_OPTIONS, of("nosniff")),
        (header::CACHE_CONTROL, of("no-store")),
        (header::CONTENT_SECURITY_POLICY, of("default-src 'none'; frame-ancestors 'none'")),
        (header::X_FRAME_OPTIONS, of("DENY")),
        (header::REFERRER_POLICY, of("no-referrer")),
        (CORP, of("same-origin")),
    ])
}

/// What the network's edge refuses, as a problem document.
pub fn refuse(why: Refused) -> Response {
    let (status, code, detail) = match why {
        Refused::UriTooLong => (StatusCode::URI_TOO_LONG, "uri_too_long", "path and query are more than 8 KiB"),
        Refused::HeadersTooLarge => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            "the headers are more than 100, or more than 32 KiB",
        ),
        Refused::TooSlow => {
            (StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body came too slowly; send it again on a better line")
        }
        Refused::Crowded => {
            (StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", "there are too many connections; try again")
        }
        Refused::TooManyOfOne => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "this key or address has too many requests at once; try again once one has been answered",
        ),
    };
    let problem = Problem::new(status, code, detail);
    match why {
        Refused::TooManyOfOne => problem.retry_after(REQUEST_ENDS).into_response(),
        _ => problem.into_response(),
    }
}

/// Every route. Only [`routes!`] puts one in the document too; a test finds those that are not.
fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(pages::index))
        .routes(routes!(pages::admin))
        .routes(routes!(pages::docs))
        .routes(routes!(pages::part))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::show))
        .routes(routes!(openapi::show))
        .routes(routes!(uploads::create, uploads::list))
        .routes(routes!(watch::status, uploads::delete))
        .routes(routes!(watch::events))
        .routes(routes!(uploads::retry))
        .routes(routes!(arrival::uploaded))
        .routes(routes!(arrival::claim))
        .routes(routes!(results::put))
        .routes(routes!(events::push, events::ask))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::resend_many))
        .routes(routes!(deliveries::one))
        .routes(routes!(deliveries::resend))
        .routes(routes!(timeline::show))
        .routes(routes!(stats::show))
        .routes(routes!(settings::show))
        .merge(seed::router())
}

/// The API as a service.
pub fn router(app: Arc<App>) -> Router {
    let (router, _) = routes().split_for_parts();
    let router = router
        .fallback(|| async { Problem::not_found("there is no such path: /docs shows those that there are") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes another method")
        })
        .layer(axum::middleware::from_fn_with_state(app.clone(), admission::explain))
        .layer(axum::middleware::from_fn(metrics::count))
        .with_state(app.clone());
    let listed = cors(&app.config.front.api_origins);
    // A refusal can be read, too, by who may ask.
    for_pages(router.layer(axum::middleware::from_fn_with_state(app, origin::guard)), listed)
        // Why one failed is told by whoever made the problem of it.
        .layer(TraceLayer::new_for_http().on_failure(()).make_span_with(request_id::span))
        .layer(axum::middleware::from_fn(|request, next| request_id::name(&request_id::OF_API, request, next)))
}

/// Lets pages of other origins in. Their browsers ask with OPTIONS what they may do; who asks otherwise is answered by the
/// route (`OPTIONS /v1/events`).
fn for_pages(router: Router, listed: CorsLayer) -> Router {
    let to_listed = router.clone().layer(listed);
    // A page that is not let in (a proxy took the headers away) can still find out that somebody is there.
    let seen_anywhere = SetResponseHeaderLayer::overriding(CORP, HeaderValue::from_static("cross-origin"));
    let to_any = router.clone().layer(cors_with_token()).layer(seen_anywhere);
    let choose = move |request: Request| {
        let preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let chosen = if request.method() == Method::OPTIONS && !preflight {
            router.clone()
        } else if upload_with_token(request.uri().path()).is_some() {
            to_any.clone()
        } else {
            to_listed.clone()
        };
        chosen.oneshot(request)
    };
    Router::new().fallback(choose)
}
