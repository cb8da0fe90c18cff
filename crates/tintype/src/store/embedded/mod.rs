//! The store inside `tintype serve`: one bucket on disk behind an S3 endpoint that real clients use.
//!
//! `disk` keeps the objects; `form` takes POST uploads (the client's way in); `protocol` answers every
//! other S3 call. What a client writes is announced to [`Arrivals`] before the client gets its answer, so
//! an accepted upload is never forgotten.

mod checksum;
mod condition;
mod disk;
pub(crate) mod form;
mod kept;
mod lenient;
mod protocol;
pub(crate) mod sending;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use tower_http::trace::TraceLayer;
use tracing::Instrument;

use disk::Incoming;
pub use disk::{Condition, DiskError, DiskStore};

use super::{ObjectMeta, PutOptions};
use crate::config::Origins;
use crate::key::Key;
use crate::listen::Refused;
use crate::presign::Credential;
use crate::presign::policy::{Refusal, VERSION_4_ONLY};
use crate::request_id;
use crate::room::{self, Room};

/// The bucket's name, which is part of the contract.
pub const BUCKET: &str = "tintype";
/// The region in its signatures.
pub const REGION: &str = "us-east-1";

/// Who is told of what clients put in the store: step 5, without a wire.
#[async_trait]
pub trait Arrivals: Send + Sync {
    /// Whether bytes may come under a key: not where its upload has its first already. Asked before they are read, and
    /// again before they are put there.
    ///
    /// # Errors
    /// When it cannot be known just now; the client is told to try again.
    async fn may_come(&self, _key: &Key) -> Result<bool, String> {
        Ok(true)
    }

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
    /// Whether clients come by HTTPS.
    pub https: bool,
    /// What is left of the disk.
    pub room: Room,
    /// Pages that may upload and read.
    pub origins: Origins,
    /// The memory of forms before their files.
    pub forms: form::Forms,
    /// Who sends which object.
    pub sending: sending::Sending,
    /// Who is told of uploads.
    pub arrivals: Arc<dyn Arrivals>,
}

/// Why an object was not taken.
enum TakeError {
    Disk(DiskError),
    HasBytes,
    NotAnnounced(String),
}

impl TakeError {
    fn refusal(self, endpoint: &Endpoint) -> Refusal {
        match self {
            Self::Disk(error) => error.into(),
            Self::HasBytes => Refusal::new(
                409,
                "ObjectAlreadyExists",
                "This upload already has its file and takes no other. Ask for a new upload to send another.",
            ),
            // The row had no room, whatever the ledger calls it.
            Self::NotAnnounced(_) if endpoint.room.is_full() => no_room(),
            Self::NotAnnounced(why) => {
                tracing::error!(why, "an upload could not be recorded");
                Refusal::new(503, "SlowDown", "The upload could not be recorded just now. Please try again.")
            }
        }
    }
}

impl From<DiskError> for Refusal {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::NotFound => Self::new(404, "NoSuchKey", "The specified key does not exist."),
            DiskError::NameTooLong => Self::new(400, "KeyTooLongError", error.to_string()),
            DiskError::ConditionFailed => {
                Self::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
            }
            DiskError::Damaged(how) => {
                tracing::error!(how, "the bytes of an object are not those that were written");
                Self::new(500, "InternalError", "The object's bytes are damaged on disk.")
            }
            DiskError::Io(error) if room::is_full(&error) => no_room(),
            DiskError::Io(error) => {
                tracing::error!(%error, "the store's disk failed");
                Self::new(503, "ServiceUnavailable", "The store cannot do that just now. Please try again.")
            }
        }
    }
}

fn no_room() -> Refusal {
    Refusal::new(507, "InsufficientStorage", "The store has no room for this object just now. Please try again later.")
}

impl Endpoint {
    /// Refuses bytes for an upload that has its first, before they are read.
    async fn admit(&self, key: &Key) -> Result<(), Refusal> {
        self.may_come(key).await.map_err(|error| error.refusal(self))
    }

    async fn may_come(&self, key: &Key) -> Result<(), TakeError> {
        match self.arrivals.may_come(key).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(TakeError::HasBytes),
            Err(why) => Err(TakeError::NotAnnounced(why)),
        }
    }

    /// Puts finished bytes under a key and tells of it; both happen even if the client goes away meanwhile. Of two that
    /// come at once, the second waits until the first has been told of.
    async fn take(
        &self,
        incoming: Incoming,
        key: Key,
        options: PutOptions,
        condition: Condition,
    ) -> Result<ObjectMeta, TakeError> {
        let this = self.clone();
        let work = async move {
            let _turn = this.disk.turns.of(&key).await;
            this.may_come(&key).await?;
            let disk = this.disk.clone();
            let object = tokio::task::spawn_blocking(move || disk.commit(incoming, &key, &options, &condition))
                .await
                .map_err(|crash| TakeError::Disk(DiskError::Io(crash.into())))?
                .map_err(TakeError::Disk)?;
            this.arrivals.arrived(&object).await.map_err(TakeError::NotAnnounced)?;
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
    let origins = match &endpoint.origins {
        Origins::Any => AllowOrigin::from(Any),
        Origins::These(known) => AllowOrigin::list(known.iter().filter_map(|origin| origin.parse().ok())),
    };
    let cors = CorsLayer::very_permissive()
        .allow_credentials(false)
        .allow_origin(origins)
        .expose_headers([header::ETAG, header::LOCATION, header::RETRY_AFTER])
        .max_age(Duration::from_secs(3600));
    Router::new()
        .fallback(answer)
        .layer(cors)
        .layer(TraceLayer::new_for_http().on_failure(()).make_span_with(request_id::span))
        .layer(axum::middleware::from_fn(|request, next| request_id::name(&request_id::OF_STORE, request, next)))
        .with_state(Shared { endpoint, protocol })
}

/// What goes with every answer: an image may be shown on any page, and can do nothing on one of its own.
pub fn headers() -> HeaderMap {
    let of = HeaderValue::from_static;
    HeaderMap::from_iter([
        (header::X_CONTENT_TYPE_OPTIONS, of("nosniff")),
        (header::CONTENT_SECURITY_POLICY, of("default-src 'none'; style-src 'unsafe-inline'; sandbox")),
        (header::REFERRER_POLICY, of("no-referrer")),
        (http::HeaderName::from_static("cross-origin-resource-policy"), of("cross-origin")),
    ])
}

/// When to come back after a refusal that may pass.
fn retry_after(status: StatusCode) -> Option<HeaderValue> {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Some(HeaderValue::from_static("5")),
        StatusCode::INSUFFICIENT_STORAGE => Some(HeaderValue::from_static("30")),
        _ => None,
    }
}

/// What the network's edge refuses, as S3 words it.
pub fn refuse(why: Refused) -> Response {
    const TOO_LARGE: &str = "RequestHeaderSectionTooLarge";
    form::refuse(&match why {
        Refused::UriTooLong => Refusal::new(414, TOO_LARGE, "Your request's address exceeds 8 KiB."),
        Refused::HeadersTooLarge => {
            Refusal::new(431, TOO_LARGE, "Your request's headers are more than 100, or exceed 32 KiB.")
        }
        Refused::TooSlow => Refusal::new(
            400,
            "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period.",
        ),
        Refused::Crowded => Refusal::new(503, "SlowDown", "There are too many connections. Please try again."),
        Refused::TooManyOfOne => {
            Refusal::new(503, "SlowDown", "Your address has too many requests at once. Please try again.")
        }
    })
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    if request.method() == Method::POST && is_form(&request) {
        return form::post_object(&shared.endpoint, request).await;
    }
    if signs_by_version_2(&request) {
        return form::refuse(&Refusal::new(400, "InvalidRequest", VERSION_4_ONLY));
    }
    let mut protocol = shared.protocol.clone();
    match tower::Service::call(&mut protocol, request).await {
        Ok(response) => unchanged(response.map(Body::new)),
        Err(error) => {
            tracing::error!(?error, "the store's endpoint failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A 304 is of the object, and has none of S3's error document: browsers take its headers for those of the copy they
/// keep, and would block an image that is called XML.
fn unchanged(mut response: Response) -> Response {
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::empty();
    }
    response
}

/// Whether a signature of version 2 is shown, in the header or in the query. It covers too little to be checked here.
fn signs_by_version_2(request: &Request) -> bool {
    let header =
        request.headers().get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS "));
    let query = request.uri().query().unwrap_or_default();
    header
        || url::form_urlencoded::parse(query.as_bytes())
            .any(|(name, _)| matches!(&*name, "Signature" | "AWSAccessKeyId"))
}

fn is_form(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with("multipart/form-data"))
}
