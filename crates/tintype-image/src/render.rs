//! The pipeline: every variant of one image, in one pass over its frames.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::blur::blur;
use crate::color::ToSrgb;
use crate::decode::{self, Frame, Source};
use crate::encode::{self, FrameSink, Output};
use crate::error::Error;
use crate::facts::{self, Facts};
use crate::format::Format;
use crate::limits::Limits;
use crate::orient::upright;
use crate::pixels::Pixels;
use crate::probe::{self, Header};
use crate::resize::{fit_inside, resize};
use crate::spec::{MetadataPolicy, VariantSpec};
use crate::strip::strip;

/// All that came of one original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What is said of the original.
    pub facts: Facts,
    /// One for each spec, in the order of the specs.
    pub variants: Vec<Variant>,
}

/// One variant's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Of its spec.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// That of the original.
    pub format: Format,
    /// Of the upright image.
    pub width: u32,
    /// Of the upright image.
    pub height: u32,
}

/// Makes every variant. The same bytes and specs give the same files.
///
/// # Errors
/// `UnsupportedFormat` or `Corrupt`: the client should send another file; nothing was made, for a
/// damaged image gives no variant at all. `TooManyPixels` or `TooManyFrames`: a smaller one, or the
/// operator raises the limit. `Timeout`: try again with more time. `Internal`: a fault of this program.
pub fn render(
    bytes: &[u8],
    specs: &[VariantSpec],
    metadata: MetadataPolicy,
    limits: &Limits,
) -> Result<Rendered, Error> {
    // Decoders meet hostile bytes: should one panic, the fault is taken to be the file's.
    catch_unwind(AssertUnwindSafe(|| run(bytes, specs, metadata, limits)))
        .unwrap_or_else(|_| Err(Error::corrupt("the image made its decoder fail")))
}

fn run(bytes: &[u8], specs: &[VariantSpec], metadata: MetadataPolicy, limits: &Limits) -> Result<Rendered, Error> {
    let header = probe::read(bytes, limits)?;
    let mut source = decode::open(bytes, &header, limits)?;
    let to_srgb = ToSrgb::new(source.icc.as_deref());
    let mut jobs = jobs(specs, &header, &source);
    let mut facts = None;
    let mut frames = 0;
    while let Some(Frame { pixels, delay }) = source.frames.next_frame()? {
        limits.check_time()?;
        let pixels = to_srgb.apply(pixels)?;
        if facts.is_none() {
            let (width, height) = facts::sample_size(&header);
            facts = Some(facts::gather(&header, &resize(&pixels, width, height)?));
        }
        let mut bench = Bench { pixels: &pixels, orientation: header.orientation(), resized: Vec::new() };
        for job in &mut jobs {
            job.sink.push(bench.develop(job)?, delay)?;
            limits.check_time()?;
        }
        frames += 1;
    }
    let facts = facts.filter(|_| frames == header.frames).ok_or_else(|| Error::corrupt("frames are missing"))?;
    let developed = jobs.into_iter().map(|job| job.sink.finish()).collect::<Result<Vec<_>, _>>()?;
    let variants = collect(bytes, specs, metadata, &header, developed)?;
    Ok(Rendered { facts, variants })
}

/// One derived variant in the making.
struct Job<'a> {
    spec: &'a VariantSpec,
    /// Of the stored image, before it is turned upright.
    stored_size: (u32, u32),
    sink: Box<dyn FrameSink>,
}

fn jobs<'a>(specs: &'a [VariantSpec], header: &Header<'_>, source: &Source<'_>) -> Vec<Job<'a>> {
    let job = |spec: &'a VariantSpec| {
        let (width, height) = target_size(spec, header);
        let output = Output {
            format: header.format,
            width,
            height,
            frames: header.frames,
            plays: source.plays,
            lossless: source.lossless,
            quality: spec.quality,
        };
        let stored_size = crate::orient::upright_size(width, height, header.orientation());
        Job { spec, stored_size, sink: encode::sink(output) }
    };
    specs.iter().filter(|spec| !spec.is_verbatim()).map(job).collect()
}

/// The upright size of a variant.
fn target_size(spec: &VariantSpec, header: &Header<'_>) -> (u32, u32) {
    let (width, height) = header.upright_size();
    spec.fit.map_or((width, height), |fit| fit_inside(width, height, fit))
}

/// One frame on the bench, with what has been made of it so far.
struct Bench<'a> {
    pixels: &'a Pixels,
    orientation: u8,
    /// A thumbnail and its blur are of one size: it is resized to once.
    resized: Vec<Pixels>,
}

impl Bench<'_> {
    /// Resize, blur, turn upright; in this order, since to turn a small image costs little.
    fn develop(&mut self, job: &Job<'_>) -> Result<Pixels, Error> {
        let resized = self.resize(job.stored_size)?;
        let done = match job.spec.blur {
            Some(sigma) => blur(resized, sigma),
            None => resized.clone(),
        };
        Ok(upright(done, self.orientation))
    }

    fn resize(&mut self, (width, height): (u32, u32)) -> Result<&Pixels, Error> {
        if (self.pixels.width, self.pixels.height) == (width, height) {
            return Ok(self.pixels);
        }
        let place = self.resized.iter().position(|made| (made.width, made.height) == (width, height));
        let place = match place {
            Some(place) => place,
            None => {
                self.resized.push(resize(self.pixels, width, height)?);
                self.resized.len() - 1
            }
        };
        Ok(&self.resized[place])
    }
}

/// Puts the developed files and the verbatim ones in the order of the specs.
fn collect(
    bytes: &[u8],
    specs: &[VariantSpec],
    metadata: MetadataPolicy,
    header: &Header<'_>,
    developed: Vec<Vec<u8>>,
) -> Result<Vec<Variant>, Error> {
    let mut developed = developed.into_iter();
    let variant = |spec: &VariantSpec| {
        let (width, height) = target_size(spec, header);
        let bytes = if spec.is_verbatim() {
            strip(bytes, header.format, metadata)?
        } else {
            developed.next().ok_or_else(|| Error::internal("a variant was not made"))?
        };
        Ok(Variant { name: spec.name.clone(), bytes, format: header.format, width, height })
    };
    specs.iter().map(variant).collect()
}
