//! Tintype: image uploads off your servers.
//!
//! The six steps of the flow are folders, in their order: [`api`] (1 and 3), [`presign`] (2), [`store`]
//! (4), [`event`] and [`process`] (5), [`callback`] (6). They stand on the ports [`queue`] and [`ledger`].
//! The words of the domain are files: [`upload`], [`key`], [`preset`], [`manifest`], [`error`].

pub mod api;
pub mod app;
mod aside;
pub mod callback;
pub mod config;
pub mod error;
pub mod event;
pub mod key;
pub mod ledger;
pub mod manifest;
pub mod preset;
pub mod presign;
pub mod process;
pub mod queue;
pub mod serve;
pub mod store;
pub mod sweep;
pub mod token;
pub mod upload;
