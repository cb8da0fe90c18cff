//! TIFF out: strips of deflate, with the horizontal predictor that makes photos pack.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tiff::TiffResult;
use tiff::encoder::TiffEncoder;
use tiff::tags::{ExtraSamples, PhotometricInterpretation, Tag};

use super::rows::Converted;
use super::{Output, RowSink};
use crate::error::Error;
use crate::pixels::Layout;

/// Bytes of a strip before it is packed, about: what a reader must hold to show a row.
const STRIP: usize = 256 << 10;
const ADOBE_DEFLATE: u16 = 8;
const HORIZONTAL: u16 = 2;

struct Tiff {
    width: u32,
    height: u32,
    layout: Layout,
    rows_per_strip: u32,
    written: u32,
    strip: ZlibEncoder<Vec<u8>>,
    strips: Vec<Vec<u8>>,
    differences: Vec<u8>,
}

pub(super) fn rows(output: Output, layout: Layout) -> Result<Box<dyn RowSink>, Error> {
    if layout == Layout::GrayAlpha {
        let sink = rows(output, Layout::Rgba)?;
        let convert = |row: &[u8], out: &mut Vec<u8>| {
            out.extend(row.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]));
        };
        return Ok(Box::new(Converted { convert, row: Vec::new(), sink }));
    }
    let Output { width, height, .. } = output;
    let rows_per_strip = (STRIP / (width as usize * layout.channels())).clamp(1, height as usize) as u32;
    Ok(Box::new(Tiff {
        width,
        height,
        layout,
        rows_per_strip,
        written: 0,
        strip: packer(),
        strips: Vec::new(),
        differences: Vec::new(),
    }))
}

fn packer() -> ZlibEncoder<Vec<u8>> {
    ZlibEncoder::new(Vec::new(), Compression::default())
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("TIFF: {error}"))
}

impl RowSink for Tiff {
    fn write_row(&mut self, row: &[u8]) -> Result<(), Error> {
        let channels = self.layout.channels();
        self.differences.clear();
        self.differences.extend_from_slice(&row[..channels]);
        self.differences.extend(row[channels..].iter().zip(row).map(|(now, before)| now.wrapping_sub(*before)));
        self.strip.write_all(&self.differences).map_err(|e| failed(&e))?;
        self.written += 1;
        if self.written.is_multiple_of(self.rows_per_strip) {
            self.end_strip()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>, Error> {
        if !self.written.is_multiple_of(self.rows_per_strip) {
            self.end_strip()?;
        }
        self.assemble().map_err(|e| failed(&e))
    }
}

impl Tiff {
    fn end_strip(&mut self) -> Result<(), Error> {
        let strip = std::mem::replace(&mut self.strip, packer());
        self.strips.push(strip.finish().map_err(|e| failed(&e))?);
        Ok(())
    }

    fn assemble(&self) -> TiffResult<Vec<u8>> {
        let mut out = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut out)?;
        let mut page = encoder.image_directory()?;
        let mut offsets = Vec::new();
        for strip in &self.strips {
            offsets.push(u32::try_from(page.write_data(&strip[..])?)?);
        }
        let lengths = self.strips.iter().map(|strip| u32::try_from(strip.len())).collect::<Result<Vec<_>, _>>()?;
        let channels = self.layout.channels();
        let photometric = match self.layout {
            Layout::Gray => PhotometricInterpretation::BlackIsZero,
            _ => PhotometricInterpretation::RGB,
        };
        page.write_tag(Tag::ImageWidth, self.width)?;
        page.write_tag(Tag::ImageLength, self.height)?;
        page.write_tag(Tag::BitsPerSample, &vec![8u16; channels][..])?;
        page.write_tag(Tag::Compression, ADOBE_DEFLATE)?;
        page.write_tag(Tag::PhotometricInterpretation, photometric.to_u16())?;
        page.write_tag(Tag::StripOffsets, &offsets[..])?;
        page.write_tag(Tag::SamplesPerPixel, channels as u16)?;
        page.write_tag(Tag::RowsPerStrip, self.rows_per_strip)?;
        page.write_tag(Tag::StripByteCounts, &lengths[..])?;
        page.write_tag(Tag::Predictor, HORIZONTAL)?;
        if self.layout.has_alpha() {
            page.write_tag(Tag::ExtraSamples, ExtraSamples::UnassociatedAlpha.to_u16())?;
        }
        page.finish()?;
        Ok(out.into_inner())
    }
}
