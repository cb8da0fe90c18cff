//! Thumbnails, blurs and facts of one image: bytes in, bytes out.
//!
//! No I/O, no async, no configuration: [`probe()`] reads a header, [`render()`] makes every variant of a
//! preset in one pass. Each step of the pipeline is a file of this crate, in this order:
//! `format` → `probe` → `limits` → `decode` → `color` → `resize` → `sharpen` → `blur` → `orient` → `backdrop` →
//! `encode`, with `strip` for the variant that keeps the upload's own pixels and `facts` for what is said of them.
//! `job` says what is to be done for a variant: by `geometry` its sizes, by `smart` which part of the image it
//! shows, by `auto` its format.
//! `render` is where the order can be read. C code is called in `jpeg_codec`, `webp_codec` and, with the
//! feature `heif`, `heif_codec` alone.

mod auto;
mod backdrop;
mod blur;
mod color;
mod container;
mod damage;
mod decode;
mod encode;
mod error;
mod estimate;
mod exif;
mod facts;
mod format;
mod gamut;
mod geometry;
#[cfg(feature = "heif")]
mod heif_codec;
mod job;
mod jpeg_codec;
mod limits;
mod orient;
mod picture;
mod pixels;
mod planes;
mod probe;
mod render;
mod resize;
mod sharpen;
mod simd;
mod smart;
mod spec;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod steps;
mod stream;
mod strip;
mod subsampled;
mod upsample;
mod webp_codec;

pub use damage::{Damage, Tolerance};
pub use error::{Error, ErrorCode};
pub use estimate::estimate;
pub use exif::Camera;
pub use facts::{Facts, NEAR_DUPLICATE, Swatch, hamming_distance, taken};
pub use format::Format;
pub use limits::Limits;
pub use probe::{Probe, probe};
pub use render::{Rendered, Variant, render};
pub use resize::fit_inside;
pub use spec::{BoxSize, Fit, Gravity, MetadataPolicy, OutputFormat, Quality, VariantSpec};
