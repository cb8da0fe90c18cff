//! What can be counted, for Prometheus; requests are counted here.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header;

use super::auth::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::auth::Scope;
use crate::metrics;

/// The route of what has none.
const NO_ROUTE: &str = "none";

/// All that is counted
///
/// Prometheus's text format. docs/monitoring.md names each metric and has rules for alerts.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "monitoring", security(("api_key" = ["metrics"])),
    responses((status = 200, description = "Text format 0.0.4", body = String, content_type = "text/plain"))
)]
pub async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    caller.must(Scope::Metrics)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::scrape(&app).await))
}

/// Counts a request, by the template of its path: there are few of those, and nobody's id is in them.
pub async fn count(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, began) = (request.method().clone(), Instant::now());
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    metrics::request(route, &method, response.status(), began);
    response
}

/// The metrics alone, for an address of their own.
pub fn router(app: Arc<App>) -> Router {
    let router = Router::new().route("/metrics", axum::routing::get(show));
    let guard = axum::middleware::from_fn_with_state(app.clone(), super::origin::guard);
    router.with_state(app).layer(guard)
}
