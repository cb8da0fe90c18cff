//! Steps 1 and 3 over HTTP. Routes are thin: they read a request, call the domain, word the answer.

mod admission;
mod auth;
mod deliveries;
mod events;
mod extract;
mod health;
mod origin;
mod paging;
pub mod problem;
mod results;
mod seed;
mod uploads;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use tower_http::trace::TraceLayer;

use crate::app::App;
use crate::config::Origins;
use crate::listen::Refused;
use problem::Problem;

/// Most bytes of a request's body: a hundred uploads with full metadata, or a batch of storage events.
const MAX_BODY: usize = 4 << 20;

/// How long a browser may remember what a page of another origin may do.
const PREFLIGHT: Duration = Duration::from_secs(3600);

/// What a page of another origin may do: see how an upload stands, with that upload's token.
fn cors(origins: &Origins) -> CorsLayer {
    let origins = match origins {
        Origins::Any => AllowOrigin::from(Any),
        Origins::These(known) => AllowOrigin::list(known.iter().filter_map(|origin| origin.parse().ok())),
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::AUTHORIZATION, header::CACHE_CONTROL, HeaderName::from_static("last-event-id")])
        .expose_headers([header::RETRY_AFTER])
        .max_age(PREFLIGHT)
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
        (HeaderName::from_static("cross-origin-resource-policy"), of("same-origin")),
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
    };
    Problem::new(status, code, detail).into_response()
}

/// Every route of the API.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(health::index))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/v1/uploads", post(uploads::create).get(uploads::list))
        .route("/v1/uploads/{id}", get(watch::status).delete(uploads::delete))
        .route("/v1/uploads/{id}/events", get(watch::events))
        .route("/v1/uploads/{id}/retry", post(uploads::retry))
        .route("/v1/uploads/{id}/result", put(results::put).post(results::put))
        .route("/v1/events", post(events::push).options(events::ask))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/{id}/resend", post(deliveries::resend))
        .merge(seed::router())
        .fallback(|| async { Problem::not_found("there is no such path; see docs/api.md") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes another method")
        })
        .layer(axum::middleware::from_fn_with_state(app.clone(), origin::guard))
        .layer(axum::middleware::from_fn_with_state(app.clone(), admission::explain))
        .layer(cors(&app.config.front.api_origins))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // Why one failed is told by whoever made the problem of it.
        .layer(TraceLayer::new_for_http().on_failure(()).make_span_with(|request: &http::Request<_>| {
            // The path alone: a query may hold a token.
            tracing::debug_span!("http", method = %request.method(), path = request.uri().path())
        }))
        .with_state(app)
}
