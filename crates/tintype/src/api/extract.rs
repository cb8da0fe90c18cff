//! What axum takes out of a request, with its refusals as problem documents.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query, as a struct.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let taken = Query::<T>::from_request_parts(parts, state).await;
        taken
            .map(|Query(params)| Self(params))
            .map_err(|e: QueryRejection| Problem::invalid(format!("the query cannot be read: {}", e.body_text())))
    }
}

/// The one variable part of a path.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let taken = Path::<String>::from_request_parts(parts, state).await;
        taken
            .map(|Path(id)| Self(id))
            .map_err(|_: PathRejection| Problem::not_found("there is no such thing: the path cannot be read"))
    }
}

/// The body, whole, within the limit.
pub struct Body(pub axum::body::Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let taken = axum::body::Bytes::from_request(request, state).await;
        taken.map(Self).map_err(|e: BytesRejection| match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is larger than 4 MiB; send less at once",
            ),
            _ => Problem::invalid(format!("the body cannot be read: {}", e.body_text())),
        })
    }
}
