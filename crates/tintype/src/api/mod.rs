//! Steps 1 and 3 over HTTP. Routes are thin: they read a request, call the domain, word the answer.

mod auth;
mod deliveries;
mod events;
mod extract;
mod health;
pub mod openapi;
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
use http::{HeaderValue, StatusCode, header};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::request_id;
use problem::Problem;

/// Most bytes of a request's body: a hundred uploads with full metadata, or a batch of storage events.
const MAX_BODY: usize = 4 << 20;

/// Every route. Only [`routes!`] puts one in the document too; a test finds those that are not.
fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(health::index))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(openapi::show))
        .routes(routes!(uploads::create, uploads::list))
        .routes(routes!(watch::status, uploads::delete))
        .routes(routes!(watch::events))
        .routes(routes!(uploads::retry))
        .routes(routes!(results::put))
        .routes(routes!(events::push, events::ask))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::resend_many))
        .routes(routes!(deliveries::one))
        .routes(routes!(deliveries::resend))
        .merge(seed::router())
}

/// The API as a service.
pub fn router(app: Arc<App>) -> Router {
    let (router, _) = routes().split_for_parts();
    router
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
