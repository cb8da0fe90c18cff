//! Is it alive, and is it ready.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

use super::auth::Caller;
use crate::app::App;
use crate::auth::Scope;

/// Whether the process answers
///
/// For a liveness probe: it looks at nothing else, so that a fault elsewhere does not restart the process.
#[utoipa::path(
    get, path = "/healthz", operation_id = "live", tag = "service",
    responses((status = 200, description = "`ok`", body = String))
)]
pub async fn live() -> &'static str {
    "ok\n"
}

/// Whether it can work
///
/// For a readiness probe: ledger, queue and store answer, and there is room on the disk. Who may see uploads is told how
/// many there are, and how many jobs.
#[utoipa::path(
    get, path = "/readyz", operation_id = "ready", tag = "service",
    responses(
        (status = 200, description = "All answer", body = Object,
         example = json!({"ledger": "ok", "queue": "ok", "store": "ok", "disk": "ok", "uploads": {"completed": 5}, "jobs": 0})),
        (status = 503, description = "One does not: `failing`", body = Object)
    )
)]
pub async fn ready(State(app): State<Arc<App>>, caller: Caller) -> impl IntoResponse {
    let (uploads, jobs, store) = (app.ledger.count().await, app.queue.depth().await, app.store.check().await);
    let low = app.room.is_low() || app.room.is_full();
    let good = uploads.is_ok() && jobs.is_ok() && store.is_ok() && !low;
    let say = |error: Option<String>| {
        error.map_or_else(
            || "ok".to_owned(),
            |error| {
                tracing::warn!(error, "not ready");
                "failing".to_owned()
            },
        )
    };
    let counts: serde_json::Map<_, _> =
        uploads.iter().flatten().map(|(status, n)| (status.as_str().to_owned(), (*n).into())).collect();
    let mut body = json!({
        "ledger": say(uploads.err().map(|e| e.to_string())),
        "queue": say(jobs.as_ref().err().map(ToString::to_string)),
        "store": say(store.err().map(|e| e.to_string())),
        "disk": say(low.then(|| format!("{} bytes are free: see limits.min_free_disk", app.room.free()))),
    });
    if caller.must(Scope::UploadsRead).is_ok() {
        body["uploads"] = counts.into();
        body["jobs"] = jobs.ok().map(|jobs| jobs.waiting + jobs.leased).into();
    }
    (if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}
