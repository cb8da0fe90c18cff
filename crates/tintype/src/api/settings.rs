//! `GET /v1/config`: what the operator decided, without its secrets.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::auth::Scope;
use crate::config::{Shown, without_secrets};
use crate::manifest::ENGINE;

/// The configuration in force.
#[derive(Serialize, ToSchema)]
pub struct Configuration {
    /// Name and version of the program.
    #[schema(example = "tintype 0.1.0")]
    engine: String,
    settings: Vec<Shown>,
    presets: Vec<ShownPreset>,
}

/// One preset.
#[derive(Serialize, ToSchema)]
pub struct ShownPreset {
    #[schema(example = "default")]
    name: String,
    /// The hash of its content.
    #[schema(example = "5f2c1a9be07d")]
    version: String,
    /// The names of its variants.
    #[schema(example = json!(["original", "400x400"]))]
    variants: Vec<String>,
    /// Folders whose originals get it.
    #[schema(example = json!(["image"]))]
    paths: Vec<String>,
    /// Where its outcomes are told, if not at `callback.url`; less what may be a secret.
    callback_url: Option<String>,
}

/// The configuration in force
///
/// Every setting with where it was set, and the presets. Secrets are not in it.
#[utoipa::path(
    get, path = "/v1/config", operation_id = "get_config", tag = "operation", security(("api_key" = ["admin"])),
    responses((status = 200, description = "The configuration in force", body = Configuration))
)]
pub async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Configuration>, Problem> {
    caller.must(Scope::Admin)?;
    let presets = app.config.presets.iter().map(|preset| ShownPreset {
        name: preset.name.clone(),
        version: preset.version.clone(),
        variants: preset.variants.iter().map(|variant| variant.name.clone()).collect(),
        paths: preset.paths.clone(),
        callback_url: preset.callback_url.as_deref().map(without_secrets),
    });
    let (settings, presets) = (app.config.shown.clone(), presets.collect());
    Ok(Json(Configuration { engine: ENGINE.to_owned(), settings, presets }))
}
