//! Who looks on while an original is developed.

use std::time::{Duration, Instant};

use tintype_image::Probe;

use super::load::Original;
use super::render::Rendered;
use crate::manifest::Manifest;
use crate::store::ObjectMeta;

/// A step that is done, and what came of it.
pub enum Step<'a> {
    /// The original is in memory.
    Loaded(&'a Original),
    /// All there is to be made of it was there before: the last step.
    Repeated(&'a Manifest),
    /// Its header keeps the limits.
    Analyzed(&'a Probe),
    /// Its variants are in memory; from now on they are written.
    Rendered(&'a Rendered),
    /// They and their manifest are in the store: the last step.
    Saved(&'a Manifest),
}

/// Hears of each step as it is done.
pub trait Watch: Send + Sync {
    /// The original was read; whether its bytes are an image is not known yet.
    fn read(&self, _original: &ObjectMeta) {}

    /// One is done, and took so long.
    fn done(&self, step: Step<'_>, took: Duration);
}

/// Nobody looks on.
pub struct Unwatched;

impl Watch for Unwatched {
    fn done(&self, _: Step<'_>, _: Duration) {}
}

/// Times steps for who watches.
pub(super) struct Lap<'a> {
    watch: &'a dyn Watch,
    began: Instant,
}

impl<'a> Lap<'a> {
    pub(super) fn new(watch: &'a dyn Watch) -> Self {
        Self { watch, began: Instant::now() }
    }

    pub(super) fn done(&mut self, step: Step<'_>) {
        self.watch.done(step, self.began.elapsed());
        self.began = Instant::now();
    }
}
