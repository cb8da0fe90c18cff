//! The one place that calls libheif: a HEIC or an AVIF in, its pixels out, upright.
//!
//! Declared by hand, as version 1.15 has them.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{null, null_mut};

use crate::error::{Error, ErrorCode};
use crate::limits::Limits;
use crate::pixels::{Layout, Pixels};

/// The oldest libheif this is made for; what `unsupported_format` names, too.
const OLDEST: u32 = 0x010F_0000;

const RGB: c_int = 1;
const INTERLEAVED_RGB: c_int = 10;
const INTERLEAVED_RGBA: c_int = 11;
const INTERLEAVED: c_int = 10;
/// The kinds of failure that are not damage: no such file type, no such feature, no such decoder.
const UNSUPPORTED: [c_int; 3] = [3, 4, 11];
const OUT_OF_MEMORY: c_int = 6;
/// Of `OUT_OF_MEMORY`: what would be needed passes the limit that was set.
const LIMIT_EXCEEDED: c_int = 1000;

#[repr(C)]
struct Status {
    code: c_int,
    subcode: c_int,
    message: *const c_char,
}

/// `heif_decoding_options` up to its third version, allocated by libheif.
#[repr(C)]
struct Options {
    version: u8,
    ignore_transformations: u8,
    progress: [Option<unsafe extern "C" fn()>; 3],
    progress_user_data: *mut c_void,
    convert_hdr_to_8bit: u8,
    strict_decoding: u8,
}

#[link(name = "heif")]
unsafe extern "C" {
    fn heif_get_version_number() -> u32;
    fn heif_context_alloc() -> *mut c_void;
    fn heif_context_free(context: *mut c_void);
    fn heif_context_set_max_decoding_threads(context: *mut c_void, threads: c_int);
    fn heif_context_set_maximum_image_size_limit(context: *mut c_void, side: c_int);
    fn heif_context_read_from_memory_without_copy(
        context: *mut c_void,
        bytes: *const u8,
        size: usize,
        options: *const c_void,
    ) -> Status;
    fn heif_context_get_primary_image_handle(context: *mut c_void, handle: *mut *mut c_void) -> Status;
    fn heif_image_handle_release(handle: *const c_void);
    fn heif_image_handle_get_width(handle: *const c_void) -> c_int;
    fn heif_image_handle_get_height(handle: *const c_void) -> c_int;
    fn heif_image_handle_has_alpha_channel(handle: *const c_void) -> c_int;
    fn heif_image_handle_is_premultiplied_alpha(handle: *const c_void) -> c_int;
    fn heif_image_handle_get_raw_color_profile_size(handle: *const c_void) -> usize;
    fn heif_image_handle_get_raw_color_profile(handle: *const c_void, out: *mut u8) -> Status;
    fn heif_decoding_options_alloc() -> *mut Options;
    fn heif_decoding_options_free(options: *mut Options);
    fn heif_decode_image(
        handle: *const c_void,
        image: *mut *mut c_void,
        space: c_int,
        chroma: c_int,
        options: *const Options,
    ) -> Status;
    fn heif_image_get_width(image: *const c_void, channel: c_int) -> c_int;
    fn heif_image_get_height(image: *const c_void, channel: c_int) -> c_int;
    fn heif_image_get_plane_readonly(image: *const c_void, channel: c_int, stride: *mut c_int) -> *const u8;
    fn heif_image_release(image: *const c_void);
}

fn check(status: &Status) -> Result<(), Error> {
    if status.code == 0 {
        return Ok(());
    }
    // SAFETY: libheif gives a static text, or one that lives as long as the context does.
    let message = match status.message.is_null() {
        true => "no reason told".into(),
        false => unsafe { CStr::from_ptr(status.message) }.to_string_lossy(),
    };
    let text = format!("libheif does not read the image: {message}");
    Err(match status.code {
        code if UNSUPPORTED.contains(&code) => Error::new(ErrorCode::UnsupportedFormat, text),
        OUT_OF_MEMORY if status.subcode == LIMIT_EXCEEDED => Error::new(ErrorCode::TooManyPixels, text),
        OUT_OF_MEMORY => Error::internal("libheif ran out of memory"),
        _ => Error::corrupt(text),
    })
}

/// A file whose boxes have been read, and its primary image.
pub(crate) struct Heif<'a> {
    context: *mut c_void,
    handle: *mut c_void,
    /// Libheif reads from them until the context is freed.
    _bytes: PhantomData<&'a [u8]>,
}

impl Drop for Heif<'_> {
    fn drop(&mut self) {
        // SAFETY: allocated in `open`, freed once; neither minds null.
        unsafe {
            heif_image_handle_release(self.handle);
            heif_context_free(self.context);
        }
    }
}

impl<'a> Heif<'a> {
    pub(crate) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        // SAFETY: takes nothing.
        let version = unsafe { heif_get_version_number() };
        if version < OLDEST {
            return Err(Error::internal("the libheif of this machine is older than 1.15"));
        }
        // SAFETY: the bytes outlive the context, by the lifetime; the context is freed by `Drop`.
        unsafe {
            let mut file = Self { context: heif_context_alloc(), handle: null_mut(), _bytes: PhantomData };
            if file.context.is_null() {
                return Err(Error::internal("libheif ran out of memory"));
            }
            heif_context_set_max_decoding_threads(file.context, 0);
            // A limit on pixels, told as the side of a square; it holds for every tile and layer.
            let side = limits.max_pixels.isqrt().saturating_add(1).min(i32::MAX as u64);
            heif_context_set_maximum_image_size_limit(file.context, side as c_int);
            let read = heif_context_read_from_memory_without_copy(file.context, bytes.as_ptr(), bytes.len(), null());
            check(&read)?;
            check(&heif_context_get_primary_image_handle(file.context, &mut file.handle))?;
            Ok(file)
        }
    }

    /// Of the upright image.
    pub(crate) fn size(&self) -> Result<(u32, u32), Error> {
        // SAFETY: the handle is valid as long as `self`.
        let (width, height) =
            unsafe { (heif_image_handle_get_width(self.handle), heif_image_handle_get_height(self.handle)) };
        let side = |side: c_int| u32::try_from(side).map_err(|_| Error::corrupt("the image has a negative size"));
        Ok((side(width)?, side(height)?))
    }

    pub(crate) fn has_alpha(&self) -> bool {
        // SAFETY: as in `size`.
        unsafe { heif_image_handle_has_alpha_channel(self.handle) != 0 }
    }

    /// The embedded colour profile.
    pub(crate) fn icc(&self) -> Option<Vec<u8>> {
        // SAFETY: as in `size`; the buffer is of the size libheif tells.
        unsafe {
            let mut profile = vec![0; heif_image_handle_get_raw_color_profile_size(self.handle)];
            let got = heif_image_handle_get_raw_color_profile(self.handle, profile.as_mut_ptr());
            (got.code == 0 && !profile.is_empty()).then_some(profile)
        }
    }

    /// RGB or RGBA, turned and mirrored as the file says.
    pub(crate) fn decode(&self) -> Result<Pixels, Error> {
        let layout = if self.has_alpha() { Layout::Rgba } else { Layout::Rgb };
        let image = Decoded::new(self.handle, if layout == Layout::Rgba { INTERLEAVED_RGBA } else { INTERLEAVED_RGB })?;
        let (width, height) = self.size()?;
        let mut pixels = Pixels::zeroed(width, height, layout);
        image.copy_to(&mut pixels)?;
        // SAFETY: as in `size`.
        if unsafe { heif_image_handle_is_premultiplied_alpha(self.handle) } != 0 {
            pixels.divide_by_alpha();
        }
        Ok(pixels)
    }
}

/// A decoded image, which libheif owns.
struct Decoded(*mut c_void);

impl Drop for Decoded {
    fn drop(&mut self) {
        // SAFETY: of `heif_decode_image`, released once.
        unsafe { heif_image_release(self.0) };
    }
}

impl Decoded {
    fn new(handle: *const c_void, chroma: c_int) -> Result<Self, Error> {
        let mut image = null_mut();
        // SAFETY: the options are libheif's own, of a version that has these fields since 1.15; freed once.
        let status = unsafe {
            let options = heif_decoding_options_alloc();
            if options.is_null() {
                return Err(Error::internal("libheif ran out of memory"));
            }
            (*options).convert_hdr_to_8bit = 1;
            (*options).strict_decoding = 1;
            let status = heif_decode_image(handle, &mut image, RGB, chroma, options);
            heif_decoding_options_free(options);
            status
        };
        check(&status)?;
        Ok(Self(image))
    }

    fn copy_to(&self, pixels: &mut Pixels) -> Result<(), Error> {
        let row = pixels.stride();
        let mut stride = 0;
        // SAFETY: the plane has `height` rows, `stride` bytes apart, of `width` pixels; both sides are compared first.
        unsafe {
            let size = (heif_image_get_width(self.0, INTERLEAVED), heif_image_get_height(self.0, INTERLEAVED));
            let plane = heif_image_get_plane_readonly(self.0, INTERLEAVED, &mut stride);
            let stride = usize::try_from(stride).unwrap_or(0);
            if size != (pixels.width.cast_signed(), pixels.height.cast_signed()) || plane.is_null() || stride < row {
                return Err(Error::corrupt("the image contradicts itself on its size"));
            }
            for (y, to) in pixels.data.chunks_exact_mut(row).enumerate() {
                to.copy_from_slice(std::slice::from_raw_parts(plane.add(y * stride), row));
            }
        }
        Ok(())
    }
}
