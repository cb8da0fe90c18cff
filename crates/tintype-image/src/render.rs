//! The pipeline: every variant of one image, in one pass over its frames.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::auto::Look;
use crate::backdrop::lay;
use crate::blur::blur;
use crate::color::ToSrgb;
use crate::damage::Damage;
use crate::decode::{self, Delay, Frame, Frames, jpeg};
use crate::encode::{self, Output};
use crate::error::Error;
use crate::facts::{self, Facts};
use crate::format::Format;
use crate::job::{self, Job, Original};
use crate::limits::Limits;
use crate::orient::upright;
use crate::picture::{Picture, is_all_of};
use crate::pixels::Pixels;
use crate::planes::Planes;
use crate::probe::{self, Header};
use crate::resize::Area;
use crate::sharpen::sharpen;
use crate::smart::Saliency;
use crate::spec::{MetadataPolicy, OutputFormat, VariantSpec};
use crate::stream::{self, Kept, Plan};
use crate::strip::{is_possible, strip};
use crate::subsampled::{self, Subsampled};

/// All that came of one original.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered<'a> {
    /// What is said of the original.
    pub facts: Facts,
    /// One for each spec, in the order of the specs.
    pub variants: Vec<Variant<'a>>,
    /// What is missing of the original; none where it is whole.
    pub damaged: Option<Damage>,
}

impl Rendered<'_> {
    /// All of it, whatever becomes of the original.
    pub fn into_owned(self) -> Rendered<'static> {
        let own = |Variant { name, bytes, format, width, height }| Variant {
            name,
            bytes: Cow::Owned(Cow::into_owned(bytes)),
            format,
            width,
            height,
        };
        Rendered { facts: self.facts, variants: self.variants.into_iter().map(own).collect(), damaged: self.damaged }
    }
}

/// One variant's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant<'a> {
    /// Of its spec.
    pub name: String,
    /// The file; borrowed where it is the upload itself, which had nothing to strip.
    pub bytes: Cow<'a, [u8]>,
    /// What the file is.
    pub format: Format,
    /// Of the upright image.
    pub width: u32,
    /// Of the upright image.
    pub height: u32,
}

/// Makes every variant. The same bytes and specs give the same files.
///
/// # Errors
/// `UnsupportedFormat` or `Corrupt`: the client should send another file; nothing was made. So it is with a
/// damaged image of which less is there than [`Limits::damaged`] asks for. `TooManyPixels` or `TooManyFrames`: a smaller one, or the
/// operator raises the limit. `Timeout`: try again with more time. `Internal`: a fault of this program.
pub fn render<'a>(
    bytes: &'a [u8],
    specs: &[VariantSpec],
    metadata: MetadataPolicy,
    limits: &Limits,
) -> Result<Rendered<'a>, Error> {
    // Decoders meet hostile bytes: should one panic, the fault is taken to be the file's.
    catch_unwind(AssertUnwindSafe(|| run(bytes, specs, metadata, limits)))
        .unwrap_or_else(|_| Err(Error::corrupt("the image made its decoder fail")))
}

fn run<'a>(
    bytes: &'a [u8],
    specs: &[VariantSpec],
    metadata: MetadataPolicy,
    limits: &Limits,
) -> Result<Rendered<'a>, Error> {
    let header = probe::read(bytes, limits)?;
    let derived: Vec<&VariantSpec> = specs.iter().filter(|spec| !is_copied(spec, metadata, &header)).collect();
    let made = match header.format {
        Format::Jpeg => develop_jpeg(bytes, &derived, &header, limits)?,
        _ => develop_frames(bytes, &derived, &header, limits)?,
    };
    let stripped = || strip(bytes, &header, metadata, &made.spare);
    let variants = collect(specs, metadata, &header, made.variants, stripped)?;
    Ok(Rendered { facts: made.facts, variants, damaged: made.damage })
}

/// What came of the pixels.
struct Made {
    /// What is said of the original.
    facts: Facts,
    /// Its derived variants.
    variants: Vec<Variant<'static>>,
    /// What is missing of it.
    damage: Option<Damage>,
    /// What of a JPEG no pixel needs.
    spare: Vec<Range<usize>>,
}

/// A still picture in planes, no finer than its variants need.
fn develop_jpeg(bytes: &[u8], specs: &[&VariantSpec], header: &Header<'_>, limits: &Limits) -> Result<Made, Error> {
    let mut jobs = job::jobs(specs, header, Original { plays: 1, lossless: false, look: Look::PHOTO });
    let per_side = samples_needed(&jobs, header);
    let decoded = jpeg::decode(bytes, per_side, limits)?;
    let damage = limits.damaged.judge(decoded.damage)?;
    let to_srgb = ToSrgb::new(decoded.icc.as_deref());
    let by_pixels = |job: &Job<'_>| jpeg::is_whole(per_side, decoded.planes.color) && job.output.format != Format::Jpeg;
    let by_pixels: Vec<bool> = jobs.iter().map(by_pixels).collect();
    let shown = by_pixels.contains(&true).then(|| Picture::as_shown(&decoded.planes, &to_srgb)).transpose()?;
    let picture = Picture::from_planes(decoded.planes, to_srgb)?;
    let mut bench = Bench::new(&picture, header);
    let facts = bench.gather_facts()?;
    bench.aim(&mut jobs)?;
    let mut shown = shown.as_ref().map(|picture| Bench::new(picture, header));
    let mut small = None;
    let mut made = Vec::new();
    for (mut job, by_pixels) in jobs.into_iter().zip(by_pixels) {
        let bench = shown.as_mut().filter(|_| by_pixels).unwrap_or(&mut bench);
        made.push(match &picture {
            Picture::Planes(parts) if is_smooth(&job, header) => {
                let file = smooth(&parts.0, &parts.1, &job, header, limits)?;
                variant(job.spec, job.output, file)
            }
            Picture::Planes(parts) if !parts.1.changes_rgb() && subsampled::suits(&job, header.orientation()) => {
                let small = small.get_or_insert_with(|| Subsampled::new(&parts.0, header.orientation()));
                variant(job.spec, job.output, small.develop(&job)?)
            }
            _ => {
                job.sink.push(bench.develop(&job)?, Delay { num: 0, den: 1 })?;
                finish(job)?
            }
        });
        limits.check_time()?;
    }
    Ok(Made { facts, variants: made, damage, spare: decoded.spare })
}

/// How much smaller than the decoded picture a variant must be, at least: what lies between is left to Lanczos.
const LEFT_TO_RESIZE: f64 = 1.9;

/// Pixels across a picture below which none is left out.
const NARROW: f64 = 24.0;

/// Samples along a side of a block that variants and facts need.
pub(crate) fn samples_needed(jobs: &[Job<'_>], header: &Header<'_>) -> usize {
    let (width, height) = (header.width, header.height);
    let sharp = jobs.iter().filter(|job| !is_smooth(job, header)).map(|job| (job.area, job.stored_size));
    let seen = sharp.chain([(Area::whole((width, height)), facts::sample_size(header))]);
    let scale =
        |(area, size): (Area, (u32, u32))| (f64::from(size.0) / area.width).max(f64::from(size.1) / area.height);
    let largest = seen.map(scale).fold(0.0, f64::max);
    // Of a strip so narrow, each sample is seen.
    let narrow = NARROW / f64::from(width.min(height));
    let least = 8.0 * (LEFT_TO_RESIZE * largest).max(narrow);
    // One mean for all of a block says little of what each pixel of it would have been clipped to.
    let enough = |&per_side: &usize| per_side as f64 >= if per_side == 1 { 1.5 * least } else { least };
    jpeg::PER_SIDE.into_iter().find(enough).unwrap_or(8)
}

/// From this blur on, in pixels, the means of blocks say all that is left of them.
const SMOOTH_FROM_SIGMA: f32 = 12.0;

/// Whether a variant is of full size and so blurred that it is written from means.
fn is_smooth(job: &Job<'_>, header: &Header<'_>) -> bool {
    let plain = job.spec.sharpen.is_none() && !job.output.progressive && job.output.format == Format::Jpeg;
    plain && job.is_whole(header) && job.spec.blur.is_some_and(|sigma| sigma >= SMOOTH_FROM_SIGMA)
}

fn smooth(
    planes: &Planes,
    to_srgb: &ToSrgb,
    job: &Job<'_>,
    header: &Header<'_>,
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    let size = (job.output.width, job.output.height);
    let turned;
    // Of a hundred megapixels, means are ten megabytes: they are copied only to be changed.
    let means = if header.orientation() == 1 && !to_srgb.changes_rgb() {
        &planes.means
    } else {
        let upright = planes.means.iter().map(|means| means.clone().upright(header.orientation(), size)).collect();
        turned = to_srgb.apply_to_means(upright)?;
        &turned
    };
    encode::jpeg::smooth::encode(size, means, job.spec.blur.unwrap_or_default().into(), job.output.quality, limits)
}

/// Every frame of what is not a JPEG.
fn develop_frames(bytes: &[u8], specs: &[&VariantSpec], header: &Header<'_>, limits: &Limits) -> Result<Made, Error> {
    let mut source = decode::open(bytes, header, limits)?;
    let to_srgb = ToSrgb::new(source.icc.as_deref());
    let auto = specs.iter().any(|spec| spec.format == OutputFormat::Auto);
    if let Frames::Still(rows, _) = &mut source.frames
        && !auto
        && header.frames == 1
    {
        let jobs = job::jobs(specs, header, Original { plays: 1, lossless: source.lossless, look: Look::PHOTO });
        let plan = rows.as_ref().and_then(|rows| Plan::new(&jobs, rows.layout.has_alpha(), header));
        if let Some(plan) = plan
            && let Some(rows) = rows.take()
        {
            return develop_rows(stream::keep(rows, &plan, &jobs, &to_srgb, limits)?, jobs, header, limits);
        }
    }
    let mut jobs = Vec::new();
    let mut facts = None;
    let mut frames = 0;
    while let Some(Frame { pixels, delay }) = source.frames.next_frame()? {
        limits.check_time()?;
        let pixels = to_srgb.apply(pixels)?;
        if frames == 0 {
            let look = if auto { Look::at(&pixels, source.lossless) } else { Look::PHOTO };
            jobs = job::jobs(specs, header, Original { plays: source.plays, lossless: source.lossless, look });
        }
        let picture = Picture::Pixels(pixels);
        let mut bench = Bench::new(&picture, header);
        if facts.is_none() {
            facts = Some(bench.gather_facts()?);
            bench.aim(&mut jobs)?;
        }
        for job in jobs.iter_mut().filter(|job| frames < job.output.frames) {
            job.sink.push(bench.develop(job)?, delay)?;
            limits.check_time()?;
        }
        frames += 1;
    }
    let facts = facts.filter(|_| frames == header.frames).ok_or_else(|| Error::corrupt("frames are missing"))?;
    let damage = limits.damaged.judge(source.frames.damage())?;
    let made = jobs.into_iter().map(finish).collect::<Result<_, _>>()?;
    Ok(Made { facts, variants: made, damage, spare: Vec::new() })
}

/// What is left of a still picture that went by.
fn develop_rows(mut kept: Kept, mut jobs: Vec<Job<'_>>, header: &Header<'_>, limits: &Limits) -> Result<Made, Error> {
    let mut wide = Vec::new();
    for (i, job) in jobs.iter().enumerate() {
        wide.push(kept.take_wide(i, job, header.orientation())?);
        limits.check_time()?;
    }
    let damage = kept.damage.take();
    let mut bench = Bench::new(&kept.picture, header);
    let facts = bench.gather_facts()?;
    bench.aim(&mut jobs)?;
    let mut made = Vec::new();
    for (mut job, wide) in jobs.into_iter().zip(wide) {
        made.push(match wide {
            Some(file) => variant(job.spec, job.output, file),
            None => {
                job.sink.push(bench.develop(&job)?, Delay { num: 0, den: 1 })?;
                finish(job)?
            }
        });
        limits.check_time()?;
    }
    Ok(Made { facts, variants: made, damage, spare: Vec::new() })
}

fn finish(job: Job<'_>) -> Result<Variant<'static>, Error> {
    let file = job.sink.finish()?;
    Ok(variant(job.spec, job.output, file))
}

fn variant(spec: &VariantSpec, output: Output, bytes: Vec<u8>) -> Variant<'static> {
    let Output { format, width, height, .. } = output;
    Variant { name: spec.name.clone(), bytes: bytes.into(), format, width, height }
}

/// One frame on the bench, with what has been made of it so far.
struct Bench<'a> {
    picture: &'a Picture,
    header: &'a Header<'a>,
    /// A thumbnail and its blur are of one area and size: it is resized to once.
    resized: Vec<(Area, Pixels)>,
}

impl<'a> Bench<'a> {
    fn new(picture: &'a Picture, header: &'a Header<'a>) -> Self {
        Self { picture, header, resized: Vec::new() }
    }

    fn gather_facts(&mut self) -> Result<Facts, Error> {
        let header = self.header;
        Ok(facts::gather(header, self.sample()?))
    }

    /// The whole frame, small.
    fn sample(&mut self) -> Result<&Pixels, Error> {
        let header = self.header;
        self.resize(Area::whole((header.width, header.height)), facts::sample_size(header))
    }

    /// Has smart jobs cut out what the eye goes to.
    fn aim(&mut self, jobs: &mut [Job<'_>]) -> Result<(), Error> {
        if !jobs.iter().any(Job::is_smart) {
            return Ok(());
        }
        let header = self.header;
        let saliency = Saliency::of(self.sample()?, header.orientation());
        jobs.iter_mut().filter(|job| job.is_smart()).for_each(|job| job.aim(&saliency, header));
        Ok(())
    }

    /// Cut and resize, sharpen or blur, turn upright, lay on the background; in this order, since to turn a
    /// small image costs little.
    fn develop(&mut self, job: &Job<'_>) -> Result<Pixels, Error> {
        let orientation = self.header.orientation();
        let resized = self.resize(job.area, job.stored_size)?;
        // A blur evens out what rounding to RGB does to each pixel; afterwards it would stay.
        let rgb = (job.output.format != Format::Jpeg && job.spec.blur.is_some()).then(|| resized.clone().into_rgb());
        let resized = rgb.as_ref().unwrap_or(resized);
        let sharp = job.spec.sharpen.map(|sigma| sharpen(resized, sigma));
        let sharp = sharp.as_ref().unwrap_or(resized);
        let done = match job.spec.blur {
            Some(sigma) => blur(sharp, sigma),
            None => sharp.clone(),
        };
        Ok(lay(upright(done, orientation), (job.output.width, job.output.height), job.background))
    }

    fn resize(&mut self, area: Area, (width, height): (u32, u32)) -> Result<&Pixels, Error> {
        if let Picture::Pixels(pixels) = self.picture
            && is_all_of(area, pixels, (width, height))
        {
            return Ok(pixels);
        }
        let same = |made: &(Area, Pixels)| made.0 == area && (made.1.width, made.1.height) == (width, height);
        let place = self.resized.iter().position(same);
        let place = match place {
            Some(place) => place,
            None => {
                self.resized.push((area, self.picture.resize(area, width, height)?));
                self.resized.len() - 1
            }
        };
        Ok(&self.resized[place].1)
    }
}

/// Whether a variant is the upload itself, less its metadata.
pub(crate) fn is_copied(spec: &VariantSpec, metadata: MetadataPolicy, header: &Header<'_>) -> bool {
    spec.is_verbatim() && is_possible(header.format, metadata)
}

/// Puts the developed files and the verbatim ones in the order of the specs.
fn collect<'a>(
    specs: &[VariantSpec],
    metadata: MetadataPolicy,
    header: &Header<'_>,
    developed: Vec<Variant<'static>>,
    stripped: impl Fn() -> Result<Cow<'a, [u8]>, Error>,
) -> Result<Vec<Variant<'a>>, Error> {
    let mut developed = developed.into_iter();
    let variant = |spec: &VariantSpec| {
        if !is_copied(spec, metadata, header) {
            return developed.next().ok_or_else(|| Error::internal("a variant was not made"));
        }
        let (width, height) = header.upright_size();
        Ok(Variant { name: spec.name.clone(), bytes: stripped()?, format: header.format, width, height })
    };
    specs.iter().map(variant).collect()
}
