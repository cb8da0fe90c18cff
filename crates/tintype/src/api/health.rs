//! Is it alive, and is it ready.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

use super::auth::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::auth::Scope;
use crate::ledger::sql::damage;

/// What to do about a part, where it says no more itself. Why it fails is in the log, which strangers do not read.
const ADVICE: [(&str, &str); 3] = [
    ("ledger", "look at the database of ledger.url; the log says why it does not answer"),
    (
        "store",
        "look at store.url, store.endpoint, store.region and the credentials; the log says why it does not answer",
    ),
    ("workers", "no worker is alive: restart Tintype"),
];

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
/// For a readiness probe: an upload would be taken and done. The ledger takes a write (which is rolled back) and is not known
/// to be damaged, queue and store answer, workers are alive, and the disk has room and inodes. `detail` says what to do where
/// that is known. Who may see uploads is told how many there are, and how many jobs.
#[utoipa::path(
    get, path = "/readyz", operation_id = "ready", tag = "service",
    responses(
        (status = 200, description = "All answer", body = Object,
         example = json!({"ledger": "ok", "queue": "ok", "store": "ok", "disk": "ok", "workers": "ok",
                          "uploads": {"completed": 5}, "jobs": 0})),
        (status = 503, description = "One does not: `failing`", body = Object)
    )
)]
pub async fn ready(State(app): State<Arc<App>>, caller: Result<Caller, Problem>) -> impl IntoResponse {
    // Keys are in the ledger: where it cannot say who asks, that is what is wrong.
    let (rehearsed, uploads, jobs, store) = match &caller {
        Ok(_) => {
            let ledger = (app.health.rehearse(&app), app.ledger.count(), app.queue.depth());
            let (rehearsed, uploads, jobs, store) = tokio::join!(ledger.0, ledger.1, ledger.2, app.store.check());
            (rehearsed, uploads.map_err(|e| e.to_string()), jobs.map_err(|e| e.to_string()), store)
        }
        Err(_) => {
            let away = || "it cannot say whose API key that is".to_owned();
            (Err(away()), Err(away()), Err(away()), app.store.check().await)
        }
    };
    // At a stop workers end one after another, while what is asked is still answered.
    let idle = app.health.workers() == 0 && !app.signals.stopping.is_cancelled();
    let low = app.room.shortage();
    let parts = [
        ("ledger", rehearsed.err().or(uploads.as_ref().err().cloned())),
        ("queue", jobs.as_ref().err().cloned()),
        ("store", store.err().map(|error| error.to_string())),
        ("disk", low.clone()),
        ("workers", idle.then(|| "no worker is alive: restart Tintype".to_owned())),
    ];
    let (mut body, mut failing) = (json!({}), Vec::new());
    for (name, error) in parts {
        body[name] = if error.is_some() { "failing" } else { "ok" }.into();
        if let Some(error) = error {
            tracing::warn!(part = name, error, "not ready");
            failing.push(name);
        }
    }
    let advice = || ADVICE.iter().find(|(part, _)| failing.contains(part)).map(|(_, what)| (*what).to_owned());
    if let Some(detail) = damage::found().map(|_| damage::ADVICE.to_owned()).or(low).or_else(advice) {
        body["detail"] = detail.into();
    }
    if caller.is_ok_and(|caller| caller.must(Scope::UploadsRead).is_ok()) {
        let counts = uploads.iter().flatten().map(|(status, n)| (status.as_str().to_owned(), (*n).into()));
        body["uploads"] = counts.collect::<serde_json::Map<_, _>>().into();
        body["jobs"] = jobs.ok().map(|jobs| jobs.waiting + jobs.leased).into();
    }
    (if failing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}
