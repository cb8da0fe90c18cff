//! The one place that calls libwebp: one picture in, its chunks out; and the part of a file that is cut.
#![allow(unsafe_code)]

use libwebp_sys as sys;

use crate::error::Error;

/// A picture that libwebp owns the memory of.
struct Picture(Box<sys::WebPPicture>);

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: initialised in `import`, freed once.
        unsafe { sys::WebPPictureFree(&mut *self.0) };
    }
}

/// What libwebp writes to.
struct Writer(Box<sys::WebPMemoryWriter>);

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: initialised in `Writer::new`, cleared once.
        unsafe { sys::WebPMemoryWriterClear(&mut *self.0) };
    }
}

impl Writer {
    fn new() -> Self {
        // SAFETY: a C struct of integers and a pointer, for which zero is a value.
        let mut writer = Self(Box::new(unsafe { std::mem::zeroed() }));
        unsafe { sys::WebPMemoryWriterInit(&mut *writer.0) };
        writer
    }

    fn bytes(&self) -> &[u8] {
        if self.0.mem.is_null() {
            return &[];
        }
        // SAFETY: libwebp wrote `size` bytes at `mem`, and frees them with the writer.
        unsafe { std::slice::from_raw_parts(self.0.mem, self.0.size) }
    }
}

fn failed(what: &str) -> Error {
    Error::internal(format!("WebP: {what}"))
}

/// Copies RGBA into a picture.
fn import(rgba: &[u8], width: u32, height: u32, lossless: bool) -> Result<Picture, Error> {
    if width > 16_383 || height > 16_383 || rgba.len() != width as usize * height as usize * 4 {
        return Err(failed("a side is longer than a WebP can be"));
    }
    let mut picture = Picture(Box::new(sys::WebPPicture::new().map_err(|()| failed("other version of the library"))?));
    picture.0.width = width.cast_signed();
    picture.0.height = height.cast_signed();
    picture.0.use_argb = lossless.into();
    // SAFETY: the length of the rows was checked above; libwebp copies them.
    let copied = unsafe { sys::WebPPictureImportRGBA(&mut *picture.0, rgba.as_ptr(), width.cast_signed() * 4) };
    if copied == 0 { Err(failed("out of memory")) } else { Ok(picture) }
}

/// How a picture is to be coded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) lossless: bool,
    /// 1 to 100; effort, where nothing is lost.
    pub(crate) quality: u8,
    /// How hard libwebp tries, 0 to 6.
    pub(crate) method: u8,
}

/// Encodes RGBA to a whole WebP file. Alpha is left out where nothing is transparent.
pub(crate) fn encode(rgba: &[u8], width: u32, height: u32, settings: Settings) -> Result<Vec<u8>, Error> {
    let Settings { lossless, quality, method } = settings;
    let mut config = sys::WebPConfig::new().map_err(|()| failed("other version of the library"))?;
    config.lossless = lossless.into();
    config.exact = lossless.into();
    config.quality = quality.clamp(1, 100).into();
    config.method = method.min(6).into();
    let mut picture = import(rgba, width, height, lossless)?;
    let mut writer = Writer::new();
    picture.0.writer = Some(sys::WebPMemoryWrite);
    picture.0.custom_ptr = std::ptr::from_mut(&mut *writer.0).cast();
    // SAFETY: config and picture are initialised; the writer outlives the call.
    if unsafe { sys::WebPEncode(&config, &mut *picture.0) } == 0 {
        return Err(failed(&format!("{:?}", picture.0.error_code)));
    }
    Ok(writer.bytes().to_vec())
}

/// What decodes as much of a file as there is.
struct Partial(*mut sys::WebPIDecoder);

impl Drop for Partial {
    fn drop(&mut self) {
        // SAFETY: made in `decode_part`, deleted once; null is let pass.
        unsafe { sys::WebPIDelete(self.0) };
    }
}

/// RGBA of a still picture whose file is cut, and how many of its rows are there; the others are zeros.
pub(crate) fn decode_part(bytes: &[u8], width: u32, height: u32) -> Result<(Vec<u8>, u32), Error> {
    let mut rgba = vec![0; width as usize * height as usize * 4];
    let (mut last, mut seen, mut stride) = (0, (0, 0), 0);
    // SAFETY: without a buffer of ours, libwebp makes one. It keeps no pointer to the file beyond this function, and
    // `last` rows of `stride` bytes each are to be read where it says, until it is deleted.
    unsafe {
        let decoder = Partial(sys::WebPINewRGB(sys::WEBP_CSP_MODE::MODE_RGBA, std::ptr::null_mut(), 0, 0));
        if decoder.0.is_null() {
            return Err(failed("out of memory"));
        }
        // Its answer is that there is more to come, or what broke: the rows before are there in either case.
        let _ = sys::WebPIUpdate(decoder.0, bytes.as_ptr(), bytes.len());
        let rows = sys::WebPIDecGetRGB(decoder.0, &mut last, &mut seen.0, &mut seen.1, &mut stride);
        let fits = (seen.0, seen.1) == (width.cast_signed(), height.cast_signed()) && stride >= width.cast_signed() * 4;
        if rows.is_null() || !fits {
            return Ok((rgba, 0));
        }
        let row = width as usize * 4;
        for (y, to) in rgba.chunks_exact_mut(row).enumerate().take(last.clamp(0, height.cast_signed()) as usize) {
            to.copy_from_slice(std::slice::from_raw_parts(rows.add(y * stride as usize), row));
        }
    }
    Ok((rgba, last.clamp(0, height.cast_signed()) as u32))
}
