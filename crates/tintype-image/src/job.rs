//! What is to be done for one derived variant: its spec, applied to the image at hand.

use crate::auto::{self, Choice, Look};
use crate::encode::{self, FrameSink, Output};
use crate::geometry::{anchor, bounded, geometry};
use crate::orient::{stored_area, upright_size};
use crate::probe::Header;
use crate::resize::Area;
use crate::smart::Saliency;
use crate::spec::{Fit, Gravity, OutputFormat, VariantSpec};

const WHITE: [u8; 3] = [255; 3];
/// From this blur on, in pixels, an encoder need not look for detail.
const SMOOTH_FROM_SIGMA: f32 = 2.0;

/// What a decoder says of the whole file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Original {
    /// How often an animation plays; 0 for ever.
    pub(crate) plays: u32,
    /// Whether it was coded without loss.
    pub(crate) lossless: bool,
    /// What `auto` goes by.
    pub(crate) look: Look,
}

/// One derived variant in the making.
pub(crate) struct Job<'a> {
    pub(crate) spec: &'a VariantSpec,
    fit: Option<Fit>,
    /// What is cut out of the stored image, before it is turned upright.
    pub(crate) area: Area,
    /// What that is resampled to, still as stored.
    pub(crate) stored_size: (u32, u32),
    /// What lies behind the picture, on a canvas of the output's size.
    pub(crate) background: Option<[u8; 3]>,
    pub(crate) output: Output,
    pub(crate) sink: Box<dyn FrameSink>,
}

/// A job for each spec. Smart ones cut out the middle until they are aimed.
pub(crate) fn jobs<'a>(specs: &[&'a VariantSpec], header: &Header<'_>, original: Original) -> Vec<Job<'a>> {
    specs.iter().map(|spec| job(spec, header, original)).collect()
}

fn job<'a>(spec: &'a VariantSpec, header: &Header<'_>, original: Original) -> Job<'a> {
    let frames = if spec.animated { header.frames } else { 1 };
    let Choice { format, lossless } = choose(spec, frames, header, original);
    let fit = bounded(spec.fit, encode::longest_side(format));
    let from = match fit {
        Some(Fit::Cover { gravity, .. }) => anchor(gravity),
        _ => None,
    };
    let plan = geometry(fit, header.upright_size(), from.unwrap_or((0.5, 0.5)));
    let output = Output {
        format,
        width: plan.canvas.0,
        height: plan.canvas.1,
        frames: if encode::animates(format) { frames } else { 1 },
        plays: original.plays,
        lossless,
        smooth: spec.blur.is_some_and(|sigma| sigma >= SMOOTH_FROM_SIGMA),
        quality: spec.quality.of(format),
        progressive: spec.progressive,
    };
    Job {
        spec,
        fit,
        area: stored_area(plan.crop, (header.width, header.height), header.orientation()),
        stored_size: upright_size(plan.size.0, plan.size.1, header.orientation()),
        background: spec.background.or((!encode::holds_alpha(format)).then_some(WHITE)),
        output,
        sink: encode::sink(output),
    }
}

fn choose(spec: &VariantSpec, frames: u32, header: &Header<'_>, original: Original) -> Choice {
    if spec.format == OutputFormat::Auto {
        let choice = auto::choose(original.look, frames);
        return Choice { lossless: choice.lossless || spec.lossless, ..choice };
    }
    let format = spec.format.fixed().unwrap_or(header.format.written());
    Choice { format, lossless: spec.lossless || (format == header.format && original.lossless) }
}

impl Job<'_> {
    /// Whether it is of the original's size, and shows all of it.
    pub(crate) fn is_whole(&self, header: &Header<'_>) -> bool {
        let stored = (header.width, header.height);
        let same_size = (self.output.width, self.output.height) == header.upright_size();
        same_size && self.stored_size == stored && self.area == Area::whole(stored)
    }

    /// Whether the pixels have a say in what is cut out.
    pub(crate) fn is_smart(&self) -> bool {
        matches!(self.fit, Some(Fit::Cover { gravity: Gravity::Smart, .. }))
    }

    /// Cuts out what the eye goes to.
    pub(crate) fn aim(&mut self, saliency: &Saliency, header: &Header<'_>) {
        let image = header.upright_size();
        let crop = geometry(self.fit, image, (0.5, 0.5)).crop;
        let anchor = saliency.anchor(crop.width / f64::from(image.0), crop.height / f64::from(image.1));
        let crop = geometry(self.fit, image, anchor).crop;
        self.area = stored_area(crop, (header.width, header.height), header.orientation());
    }
}
