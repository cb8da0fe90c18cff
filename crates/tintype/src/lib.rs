//! Tintype: image uploads off your servers.
//!
//! The six steps of the flow are folders, in their order: [`api`] (1 and 3), [`presign`] (2), [`store`]
//! (4), [`event`] and [`process`] (5), [`callback`] (6). They stand on the ports [`queue`] and [`ledger`].
//! The words of the domain are files: [`upload`], [`key`], [`preset`], [`manifest`], [`error`].
//!
//! Without the feature `server` there is what a cloud function needs: [`stateless`] and what it stands on.

#[cfg(feature = "server")]
pub mod api;
#[cfg(feature = "server")]
pub mod app;
mod aside;
pub mod auth;
pub mod aws;
#[cfg(feature = "server")]
pub mod backfill;
pub mod callback;
#[cfg(feature = "server")]
mod checkup;
pub mod config;
#[cfg(feature = "server")]
pub mod doctor;
pub mod error;
pub mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "server")]
pub mod health;
pub mod key;
pub mod ledger;
#[cfg(feature = "server")]
pub mod listen;
pub mod manifest;
#[cfg(feature = "server")]
pub(crate) mod metrics;
pub mod preset;
pub mod presign;
pub mod process;
pub mod queue;
#[cfg(feature = "server")]
pub(crate) mod recheck;
#[cfg(feature = "server")]
mod request_id;
#[cfg(feature = "server")]
pub mod room;
#[cfg(all(feature = "server", target_os = "linux"))]
pub mod sandbox;
#[cfg(all(feature = "server", not(target_os = "linux")))]
#[path = "sandbox/elsewhere.rs"]
pub mod sandbox;
#[cfg(feature = "server")]
mod seldom;
#[cfg(feature = "server")]
pub mod serve;
pub mod stateless;
pub mod store;
#[cfg(feature = "server")]
pub mod sweep;
#[cfg(feature = "server")]
pub mod token;
#[cfg(feature = "server")]
pub mod trace;
pub mod upload;
#[cfg(feature = "server")]
pub mod verify;
