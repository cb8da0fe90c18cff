//! The store inside `tintype serve`: one bucket on disk behind an S3 endpoint that real clients use.
//!
//! `disk` keeps the objects; `form` takes POST uploads (the client's way in); `protocol` answers every
//! other S3 call. What a client writes is announced to [`Arrivals`] before the client gets its answer, so
//! an accepted upload is never forgotten.

mod checksum;
mod condition;
mod disk;
pub(crate) mod form;
mod protocol;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use tower_http::cors::CorsLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use tracing::Instrument;

use disk::Incoming;
pub use disk::{Condition, DiskError, DiskStore};

use super::{ObjectMeta, PutOptions};
use crate::key::Key;
use crate::presign::Credential;
use crate::request_id;

/// The bucket's name, which is part of the contract.
pub const BUCKET: &str = "tintype";
/// The region in its signatures.
pub const REGION: &str = "us-east-1";

/// Who is told of what clients put in the store: step 5, without a wire.
#[async_trait]
pub trait Arrivals: Send + Sync {
    /// An object is in the store. The client is answered once this returns.
    ///
    /// # Errors
    /// When it could not be recorded; the client is told to try again.
    async fn arrived(&self, object: &ObjectMeta) -> Result<(), String>;
}

/// What the endpoint needs.
#[derive(Clone)]
pub struct Endpoint {
    /// The objects.
    pub disk: DiskStore,
    /// The one account.
    pub account: Credential,
    /// Folder that anyone may read.
    pub public_folder: String,
    /// Longest lifetime of a presigned URL.
    pub longest_lifetime: Duration,
    /// Most bytes of one object.
    pub max_bytes: u64,
    /// Who is told of uploads.
    pub arrivals: Arc<dyn Arrivals>,
}

/// Why an object was not taken.
enum TakeError {
    Disk(DiskError),
    NotAnnounced(String),
}

impl Endpoint {
    /// Puts finished bytes under a key and tells of it; both happen even if the client goes away meanwhile.
    async fn take(
        &self,
        incoming: Incoming,
        key: Key,
        options: PutOptions,
        condition: Condition,
    ) -> Result<ObjectMeta, TakeError> {
        let (disk, arrivals) = (self.disk.clone(), self.arrivals.clone());
        let work = async move {
            let object = tokio::task::spawn_blocking(move || disk.commit(incoming, &key, &options, &condition))
                .await
                .map_err(|crash| TakeError::Disk(DiskError::Io(crash.into())))?
                .map_err(TakeError::Disk)?;
            arrivals.arrived(&object).await.map_err(TakeError::NotAnnounced)?;
            Ok(object)
        };
        tokio::spawn(work.in_current_span()).await.map_err(|crash| TakeError::Disk(DiskError::Io(crash.into())))?
    }
}

#[derive(Clone)]
struct Shared {
    endpoint: Arc<Endpoint>,
    protocol: s3s::service::S3Service,
}

/// The endpoint as a service, path style: `/tintype/<key>`.
pub fn router(endpoint: Endpoint) -> Router {
    let endpoint = Arc::new(endpoint);
    let protocol = protocol::service(endpoint.clone());
    let cors = CorsLayer::very_permissive()
        .allow_credentials(false)
        .allow_origin(tower_http::cors::Any)
        .expose_headers([header::ETAG, header::LOCATION])
        .max_age(Duration::from_secs(3600));
    let nosniff =
        SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Router::new()
        .fallback(answer)
        .layer(cors)
        .layer(nosniff)
        .layer(TraceLayer::new_for_http().make_span_with(request_id::span))
        .layer(axum::middleware::from_fn(|request, next| request_id::name(&request_id::OF_STORE, request, next)))
        .with_state(Shared { endpoint, protocol })
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    if request.method() == Method::POST && is_form(&request) {
        return form::post_object(&shared.endpoint, request).await;
    }
    let mut protocol = shared.protocol.clone();
    match tower::Service::call(&mut protocol, request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!(?error, "the store's endpoint failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn is_form(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with("multipart/form-data"))
}
