//! Single steps, for `benches/steps.rs` alone: built with the feature `bench`, no part of the interface.
#![allow(missing_docs, clippy::expect_used)]

use crate::blur::blur;
use crate::color::ToSrgb;
use crate::decode::Delay;
use crate::decode::jpeg;
use crate::encode::{self, Output};
use crate::facts;
use crate::format::Format;
use crate::limits::Limits;
use crate::orient::upright;
use crate::picture::Picture;
use crate::pixels::{Layout, Pixels};
use crate::planes::Planes;
use crate::probe;
use crate::resize::Area;
use crate::sharpen::sharpen;
use crate::spec::MetadataPolicy;
use crate::strip::strip;

/// A JPEG of something like a photo: hills and grain, the same each time.
pub fn photo(width: u32, height: u32) -> Vec<u8> {
    let mut seed = 1u32;
    let mut grain = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 27) as f32
    };
    let mut pixels = Pixels::zeroed(width, height, Layout::Rgb);
    for (i, pixel) in pixels.data.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (x, y) = ((i % width as usize) as f32, (i / width as usize) as f32);
        let hills = (x / 97.0).sin() + (y / 61.0).cos() + (x * y / 90_000.0).sin() + (x / 7.0).sin() / 3.0;
        let level = 120.0 + hills * 30.0 + grain();
        *pixel = [level, level * 0.8 + 20.0, 200.0 - level * 0.6].map(|v| v as u8);
    }
    encode(&pixels, Format::Jpeg)
}

fn encode(pixels: &Pixels, format: Format) -> Vec<u8> {
    let (width, height) = (pixels.width, pixels.height);
    let output = Output {
        format,
        width,
        height,
        frames: 1,
        plays: 1,
        lossless: false,
        smooth: false,
        quality: 85,
        progressive: false,
    };
    let mut sink = encode::sink(output);
    sink.push(pixels.clone(), Delay { num: 0, den: 1 }).expect("a frame is taken");
    sink.finish().expect("a file is made")
}

/// A JPEG, and what the steps before each step have made of it.
pub struct Bench {
    bytes: Vec<u8>,
    planes: Planes,
    picture: Picture,
    thumbnail: Pixels,
    /// The thumbnail's brightness, and its colours at half the resolution.
    thumbnail_planes: Vec<Pixels>,
    sample: Pixels,
}

impl Bench {
    pub fn new(bytes: Vec<u8>) -> Self {
        let decoded = || jpeg::decode(&bytes, 2, &Limits::default()).expect("a good JPEG").planes;
        let picture = Picture::from_planes(decoded(), ToSrgb::new(None)).expect("planes");
        let planes = decoded();
        let resize =
            |width, height| picture.resize(Area::whole((planes.width, planes.height)), width, height).expect("resizes");
        let (thumbnail, half, sample) = (resize(400, 300), resize(200, 150), resize(100, 75));
        let plane = |from: &Pixels, channel: usize| Pixels {
            layout: Layout::Gray,
            data: from.data.iter().skip(channel).step_by(3).copied().collect(),
            ..*from
        };
        let thumbnail_planes = vec![plane(&thumbnail, 0), plane(&half, 1), plane(&half, 2)];
        Self { planes, picture, thumbnail, thumbnail_planes, sample, bytes }
    }

    pub fn probe(&self) -> u32 {
        probe::probe(&self.bytes, &Limits::default()).expect("a good JPEG").width
    }

    pub fn strip(&self) -> Vec<u8> {
        let header = probe::read(&self.bytes, &Limits::default()).expect("a good JPEG");
        strip(&self.bytes, &header, MetadataPolicy::PrivateStripped, &[]).expect("strips").into_owned()
    }

    /// With `per_side` samples for the eight along each side of a block.
    pub fn decode(&self, per_side: usize) -> usize {
        jpeg::decode(&self.bytes, per_side, &Limits::default()).expect("a good JPEG").planes.planes.len()
    }

    pub fn resize(&self, width: u32, height: u32) -> usize {
        let whole = Area::whole((self.planes.width, self.planes.height));
        self.picture.resize(whole, width, height).expect("resizes").data.len()
    }

    pub fn facts(&self) -> String {
        let header = probe::read(&self.bytes, &Limits::default()).expect("a good JPEG");
        facts::gather(&header, &self.sample).thumbhash
    }

    pub fn blur(&self, sigma: f32) -> usize {
        blur(&self.thumbnail, sigma).data.len()
    }

    pub fn sharpen(&self, sigma: f32) -> usize {
        sharpen(&self.thumbnail, sigma).data.len()
    }

    pub fn upright(&self) -> usize {
        upright(self.thumbnail.clone(), 6).data.len()
    }

    pub fn encode(&self, format: Format) -> usize {
        encode(&self.thumbnail, format).len()
    }

    /// A thumbnail as most JPEGs are given it.
    pub fn encode_planes(&self) -> usize {
        encode::jpeg::planes::encode(&self.thumbnail_planes, 75).expect("encodes").len()
    }

    /// The blurred original, from means to its file.
    pub fn smooth(&self, sigma: f64) -> usize {
        let size = (self.planes.width, self.planes.height);
        encode::jpeg::smooth::encode(size, &self.planes.means, sigma, 75, &Limits::default()).expect("encodes").len()
    }
}
