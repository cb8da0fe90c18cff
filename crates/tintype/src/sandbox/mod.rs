//! Decoders in a box: on Linux, pixels are made in child processes that can do nothing else.
//!
//! A decoder is this program, started again (`child`). It sets itself apart from who started it and closes its box
//! (`confine`): `landlock`, `limits`, `seccomp`, each told in a `report`. From then on it has one descriptor, the wire,
//! and reads jobs from it (`protocol`). The service's end of it is `decoder`; a `pool` has as many as there are workers.
//! What a decoder answers is held against what was asked (`verify`), since an image may have taken it over; how it
//! fails is an `ending`. `tries` are attempts to get out. On systems other than Linux, `elsewhere` stands for all this.

mod child;
mod confine;
mod decoder;
mod ending;
mod landlock;
mod limits;
mod open;
mod pool;
mod protocol;
mod report;
mod seccomp;
mod sys;
mod tries;
mod verify;

pub use child::run_if_asked;
pub use confine::Layers;
pub use decoder::Job;
pub use ending::Ending;
pub use open::{open, program};
pub use pool::{NotRendered, Pool};
pub use report::{Enforced, Piece};
pub use tries::{Attempt, Seen, holes};
