//! The pipeline: every variant of one image, in one pass over its frames.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::blur::blur;
use crate::color::ToSrgb;
use crate::decode::{self, Delay, Frame, jpeg};
use crate::encode::{self, FrameSink, Output};
use crate::error::Error;
use crate::facts::{self, Facts};
use crate::format::Format;
use crate::limits::Limits;
use crate::orient::upright;
use crate::picture::Picture;
use crate::pixels::Pixels;
use crate::planes::Planes;
use crate::probe::{self, Header};
use crate::resize::fit_inside;
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
    let (facts, developed) = match header.format {
        Format::Jpeg => develop_jpeg(bytes, specs, &header, limits)?,
        _ => develop_frames(bytes, specs, &header, limits)?,
    };
    let variants = collect(bytes, specs, metadata, &header, developed)?;
    Ok(Rendered { facts, variants })
}

/// A still picture in planes, no finer than its variants need.
fn develop_jpeg(
    bytes: &[u8],
    specs: &[VariantSpec],
    header: &Header<'_>,
    limits: &Limits,
) -> Result<(Facts, Vec<Vec<u8>>), Error> {
    let jobs = jobs(specs, header, 1, true);
    let per_side = jobs.iter().map(|job| samples_needed(job, header)).max().unwrap_or(1);
    let decoded = jpeg::decode(bytes, per_side, limits)?;
    let to_srgb = ToSrgb::new(decoded.icc.as_deref());
    let picture = Picture::from_planes(decoded.planes, decoded.inverted, to_srgb)?;
    let mut bench = Bench::new(&picture, header);
    let facts = bench.gather_facts()?;
    let mut files = Vec::new();
    for mut job in jobs {
        files.push(match &picture {
            Picture::Planes(planes, to_srgb) if is_smooth(&job) => smooth(planes, to_srgb, &job, header, limits)?,
            _ => {
                job.sink.push(bench.develop(&job)?, Delay { num: 0, den: 1 })?;
                job.sink.finish()?
            }
        });
        limits.check_time()?;
    }
    Ok((facts, files))
}

/// How much smaller than the decoded picture a variant must be, at least: what lies between is left to Lanczos.
const LEFT_TO_RESIZE: f64 = 1.9;

/// Samples along a side of a block that a variant needs, 1 to 8.
fn samples_needed(job: &Job<'_>, header: &Header<'_>) -> usize {
    if is_smooth(job) {
        return 1;
    }
    let share = |made: u32, of: u32| f64::from(made) / f64::from(of);
    let largest = share(job.stored_size.0, header.width).max(share(job.stored_size.1, header.height));
    ((8.0 * LEFT_TO_RESIZE * largest).ceil() as usize).clamp(1, 8)
}

/// From this blur on, in pixels, the means of blocks say all that is left of them.
const SMOOTH_FROM_SIGMA: f32 = 12.0;

/// Whether a variant is of full size and so blurred that it is written from means.
fn is_smooth(job: &Job<'_>) -> bool {
    job.whole && job.output.format == Format::Jpeg && job.spec.blur.is_some_and(|sigma| sigma >= SMOOTH_FROM_SIGMA)
}

fn smooth(
    planes: &Planes,
    to_srgb: &ToSrgb,
    job: &Job<'_>,
    header: &Header<'_>,
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    let size = (job.output.width, job.output.height);
    let turned = planes.means.iter().map(|means| means.clone().upright(header.orientation(), size)).collect();
    let means = to_srgb.apply_to_means(turned)?;
    encode::jpeg::smooth::encode(size, &means, job.spec.blur.unwrap_or_default().into(), job.spec.quality, limits)
}

/// Every frame of what is not a JPEG.
fn develop_frames(
    bytes: &[u8],
    specs: &[VariantSpec],
    header: &Header<'_>,
    limits: &Limits,
) -> Result<(Facts, Vec<Vec<u8>>), Error> {
    let mut source = decode::open(bytes, header, limits)?;
    let to_srgb = ToSrgb::new(source.icc.as_deref());
    let mut jobs = jobs(specs, header, source.plays, source.lossless);
    let mut facts = None;
    let mut frames = 0;
    while let Some(Frame { pixels, delay }) = source.frames.next_frame()? {
        limits.check_time()?;
        let picture = Picture::Pixels(to_srgb.apply(pixels)?);
        let mut bench = Bench::new(&picture, header);
        if facts.is_none() {
            facts = Some(bench.gather_facts()?);
        }
        for job in &mut jobs {
            job.sink.push(bench.develop(job)?, delay)?;
            limits.check_time()?;
        }
        frames += 1;
    }
    let facts = facts.filter(|_| frames == header.frames).ok_or_else(|| Error::corrupt("frames are missing"))?;
    let files = jobs.into_iter().map(|job| job.sink.finish()).collect::<Result<_, _>>()?;
    Ok((facts, files))
}

/// One derived variant in the making.
struct Job<'a> {
    spec: &'a VariantSpec,
    output: Output,
    /// Of the stored image, before it is turned upright.
    stored_size: (u32, u32),
    /// Whether it is of the original's size.
    whole: bool,
    sink: Box<dyn FrameSink>,
}

fn jobs<'a>(specs: &'a [VariantSpec], header: &Header<'_>, plays: u32, lossless: bool) -> Vec<Job<'a>> {
    let job = |spec: &'a VariantSpec| {
        let (width, height) = target_size(spec, header);
        let output = Output {
            format: header.format,
            width,
            height,
            frames: header.frames,
            plays,
            lossless,
            quality: spec.quality,
        };
        let stored_size = crate::orient::upright_size(width, height, header.orientation());
        let whole = stored_size == (header.width, header.height);
        Job { spec, output, stored_size, whole, sink: encode::sink(output) }
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
    picture: &'a Picture,
    header: &'a Header<'a>,
    /// A thumbnail and its blur are of one size: it is resized to once.
    resized: Vec<Pixels>,
}

impl<'a> Bench<'a> {
    fn new(picture: &'a Picture, header: &'a Header<'a>) -> Self {
        Self { picture, header, resized: Vec::new() }
    }

    fn gather_facts(&mut self) -> Result<Facts, Error> {
        let header = self.header;
        let (width, height) = facts::sample_size(header);
        Ok(facts::gather(header, self.resize((width, height))?))
    }

    /// Resize, blur, turn upright; in this order, since to turn a small image costs little.
    fn develop(&mut self, job: &Job<'_>) -> Result<Pixels, Error> {
        let orientation = self.header.orientation();
        let resized = self.resize(job.stored_size)?;
        let done = match job.spec.blur {
            Some(sigma) => blur(resized, sigma),
            None => resized.clone(),
        };
        Ok(upright(done, orientation))
    }

    fn resize(&mut self, (width, height): (u32, u32)) -> Result<&Pixels, Error> {
        if let Picture::Pixels(pixels) = self.picture
            && (pixels.width, pixels.height) == (width, height)
        {
            return Ok(pixels);
        }
        let place = self.resized.iter().position(|made| (made.width, made.height) == (width, height));
        let place = match place {
            Some(place) => place,
            None => {
                self.resized.push(self.picture.resize(width, height)?);
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
