//! What axum takes out of a request, with its refusals as problem documents.

use std::convert::Infallible;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::auth::May;
use super::problem::Problem;
use crate::app::{App, NoBody, ReadBody};
use crate::listen::Client;

/// Most bytes of a request's body: a hundred uploads with full metadata, or a batch of storage events.
const MAX_BODY: usize = 4 << 20;

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

/// The body, which nobody has read yet: who calls is known first, and only then does it come.
pub struct Unread(Request);

impl<S: Send + Sync> FromRequest<S> for Unread {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request))
    }
}

impl Unread {
    /// The body of a caller that may send it.
    pub async fn read(self, app: &App, may: &May) -> Result<ReadBody, Problem> {
        Ok(app.bodies.read(self.0.into_body(), MAX_BODY, may.key()).await?)
    }

    /// The body of one who says that it is signed: a small one, and not many at once.
    pub async fn read_unproven(self, app: &App) -> Result<ReadBody, Problem> {
        let address = self.0.extensions().get::<Client>().and_then(Client::counted);
        Ok(app.bodies.read_unproven(self.0.into_body(), address).await?)
    }
}

impl From<NoBody> for Problem {
    fn from(why: NoBody) -> Self {
        let (status, code) = match why {
            NoBody::TooLarge(_) | NoBody::TooManyValues => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            NoBody::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            NoBody::TooSlow => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            NoBody::Broken(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
        };
        let remedy = match why {
            NoBody::TooLarge(_) | NoBody::TooManyValues => "; send less at once",
            NoBody::Overloaded => "; try again",
            NoBody::TooSlow => "; send it again on a better line",
            NoBody::Broken(_) => "",
        };
        Self::new(status, code, format!("{why}{remedy}"))
    }
}
