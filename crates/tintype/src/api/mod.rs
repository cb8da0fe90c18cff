//! Steps 1 and 3 over HTTP. Routes are thin: they read a request, call the domain, word the answer.

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

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use http::{HeaderValue, StatusCode, header};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

use crate::app::App;
use crate::request_id;
use problem::Problem;

/// Most bytes of a request's body: a hundred uploads with full metadata, or a batch of storage events.
const MAX_BODY: usize = 4 << 20;

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
        .route("/v1/deliveries/resend", post(deliveries::resend_many))
        .route("/v1/deliveries/{id}", get(deliveries::one))
        .route("/v1/deliveries/{id}/resend", post(deliveries::resend))
        .merge(seed::router())
        .fallback(|| async { Problem::not_found("there is no such path; see docs/api.md") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes another method")
        })
        .layer(axum::middleware::from_fn_with_state(app.clone(), origin::guard))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(TraceLayer::new_for_http().make_span_with(request_id::span))
        .layer(axum::middleware::from_fn(|request, next| request_id::name(&request_id::OF_API, request, next)))
        .with_state(app)
}
