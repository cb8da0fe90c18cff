//! The one place that calls libjpeg (mozjpeg's, built like libjpeg-turbo).
//!
//! libjpeg leaves an error by calling `error_exit`, which must not return: here it unwinds, which the
//! crate's `C-unwind` functions allow, and `guarded` catches it. Every struct that libjpeg points into
//! is boxed, so it does not move, and is destroyed by `Drop`, unwinding or not.
#![allow(unsafe_code)]

mod rolling;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::time::Instant;

use mozjpeg_sys as sys;
use rolling::Rolling;

use crate::error::{Error, ErrorCode};
use crate::limits::Limits;
use crate::pixels::Layout;

/// More scans than any encoder writes; each costs a pass over the whole image, however few its bytes.
const MAX_SCANS: i32 = 200;

/// What unwinds out of libjpeg.
struct Failure(Error);

/// What libjpeg had to do without.
#[derive(Default)]
pub(crate) struct Losses {
    /// What was wrong first.
    pub(crate) why: Option<&'static str>,
    /// Rows of MCUs that are not there.
    pub(crate) rows: Vec<Loss>,
    /// Scans that were read.
    pub(crate) scans: i32,
    /// Rows of MCUs that the picture has.
    pub(crate) height: u32,
    /// How far the file was read when all of a scan had been: a few bytes further than it goes, at most.
    pub(crate) ends: Vec<usize>,
}

/// Rows of MCUs of one scan.
pub(crate) struct Loss {
    /// Counted from 1.
    pub(crate) scan: i32,
    pub(crate) first: u32,
    /// Behind the last.
    pub(crate) end: u32,
}

impl Losses {
    /// All from here to the end of the scan is missing, until [`Self::resume`].
    fn lose(&mut self, (scan, row): (i32, u32), why: &'static str) {
        self.why = self.why.or(Some(why));
        let height = self.height;
        match self.rows.last_mut() {
            // What was taken up again in the very row that is lost once more, or in the one after it.
            Some(last) if last.scan == scan && last.end >= row => last.end = height,
            _ => self.rows.push(Loss { scan, first: row.min(height), end: height }),
        }
    }

    /// It goes on here; of this row something is missing, unless it begins here.
    fn resume(&mut self, (scan, row): (i32, u32)) {
        if let Some(last) = self.rows.last_mut()
            && last.scan == scan
        {
            last.end = last.end.min(row.max(last.first + 1));
        }
    }
}

/// What the callbacks need; `client_data` points to it.
struct Watch<'a> {
    deadline: Option<Instant>,
    /// Where it lies in memory.
    file: Range<usize>,
    losses: Losses,
    /// What stands in for libjpeg's arrays, if anything does.
    rolling: Option<Rolling<'a>>,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

impl Watch<'_> {
    fn new(deadline: Option<Instant>, file: &[u8]) -> Box<Self> {
        let file = file.as_ptr_range();
        let file = file.start.addr()..file.end.addr();
        let (losses, rolling) = (Losses::default(), None);
        Box::new(Self { deadline, file, losses, rolling, out: Vec::new(), buffer: Vec::new() })
    }

    /// Notes how far the file has been read, which is the end of a scan when it was the last time during that scan.
    fn note_end(&mut self, scan: i32, next: usize) {
        let Some(index) = usize::try_from(scan).ok().and_then(|scan| scan.checked_sub(1)) else { return };
        if index < MAX_SCANS as usize {
            self.losses.ends.resize(self.losses.ends.len().max(index + 1), usize::MAX);
            // At its end, or behind it, where libjpeg reads an end marker of its own, nothing is left.
            let place = if self.file.contains(&next) { next - self.file.start } else { usize::MAX };
            self.losses.ends[index] = place;
        }
    }
}

/// Runs calls of libjpeg and turns what unwinds out of them into an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(thrown) => match thrown.downcast::<Failure>() {
            Ok(failure) => Err(failure.0),
            Err(other) => resume_unwind(other),
        },
    }
}

fn fail(error: Error) -> ! {
    // Not a panic: nothing is wrong with the program, so no panic hook should print.
    resume_unwind(Box::new(Failure(error)))
}

unsafe extern "C-unwind" fn error_exit(cinfo: &mut sys::jpeg_common_struct) {
    // SAFETY: `err` was set before any call and lives as long as the struct.
    let code = unsafe { (*cinfo.err).msg_code };
    let unsupported =
        |what: &str| Error::new(ErrorCode::UnsupportedFormat, format!("the JPEG is {what}, which is not read"));
    fail(match code {
        c if c == sys::JERR_ARITH_NOTIMPL => unsupported("arithmetic coded"),
        c if c == sys::JERR_BAD_PRECISION => unsupported("of more than 8 bits a sample"),
        c if c == sys::JERR_SOF_UNSUPPORTED => unsupported("lossless or hierarchical"),
        c if c == sys::JERR_IMAGE_TOO_BIG => unsupported("of more than 65500 pixels a side"),
        c if c == sys::JERR_OUT_OF_MEMORY => Error::internal("libjpeg ran out of memory"),
        c => Error::corrupt(format!("the JPEG breaks the format's rules (libjpeg says {c})")),
    })
}

/// A restart marker was found where it was to be, or one that is taken for it: then this is what was done.
const GO_ON: i32 = 1;

unsafe extern "C-unwind" fn emit_message(cinfo: &mut sys::jpeg_common_struct, _level: i32) {
    // SAFETY: set before any call.
    let code = unsafe { (*cinfo.err).msg_code };
    let known = [
        sys::JWRN_JPEG_EOF,
        sys::JWRN_HIT_MARKER,
        sys::JWRN_HUFF_BAD_CODE,
        sys::JWRN_MUST_RESYNC,
        sys::JTRC_RST,
        sys::JTRC_RECOVERY_ACTION,
    ];
    if !known.contains(&code) {
        return;
    }
    // SAFETY: these are decompressors' messages, whose struct begins with the common one; `client_data` was set, see
    // `Decoder::new`. The action of a recovery is its second number.
    let (losses, place, action) = unsafe {
        let decoder: *const sys::jpeg_decompress_struct = std::ptr::from_mut(cinfo).cast();
        let watch = &mut *cinfo.client_data.cast::<Watch<'_>>();
        let place = ((*decoder).input_scan_number, (*decoder).input_iMCU_row);
        (&mut watch.losses, place, (*(*cinfo.err).msg_parm.i())[1])
    };
    // libjpeg goes on, and paints what is missing grey.
    match code {
        c if c == sys::JWRN_JPEG_EOF => losses.why = losses.why.or(Some("the JPEG ends early")),
        c if c == sys::JWRN_HIT_MARKER => losses.lose(place, "the JPEG ends early"),
        c if c == sys::JWRN_HUFF_BAD_CODE => losses.lose(place, "the JPEG's image data is damaged"),
        c if c == sys::JWRN_MUST_RESYNC => losses.why = losses.why.or(Some("a restart marker of the JPEG is missing")),
        c if c == sys::JTRC_RST || action == GO_ON => losses.resume(place),
        _ => {}
    }
}

unsafe extern "C-unwind" fn watch_progress(cinfo: &mut sys::jpeg_common_struct) {
    // SAFETY: set on decompressors alone, whose struct begins with the common one; `client_data` is theirs, and so is the
    // source, see `Decoder::new`.
    let (scan, watch, next) = unsafe {
        let decoder: *const sys::jpeg_decompress_struct = std::ptr::from_mut(cinfo).cast();
        let watch = &mut *cinfo.client_data.cast::<Watch<'_>>();
        ((*decoder).input_scan_number, watch, (*(*decoder).src).next_input_byte.addr())
    };
    watch.note_end(scan, next);
    if scan > MAX_SCANS {
        fail(Error::corrupt(format!("the JPEG has more than {MAX_SCANS} scans")));
    }
    if watch.deadline.is_some_and(|deadline| Instant::now() > deadline) {
        fail(Error::new(ErrorCode::Timeout, "the image took longer than the deadline of a job"));
    }
}

fn error_manager() -> Box<sys::jpeg_error_mgr> {
    // SAFETY: a C struct of integers, pointers and optional functions, for which zero is a value;
    // `jpeg_std_error` fills it.
    let mut manager: Box<sys::jpeg_error_mgr> = Box::new(unsafe { std::mem::zeroed() });
    unsafe { sys::jpeg_std_error(&mut manager) };
    manager.error_exit = Some(error_exit);
    manager.emit_message = Some(emit_message);
    manager
}

struct Decoder<'a> {
    info: Box<sys::jpeg_decompress_struct>,
    watch: Box<Watch<'a>>,
    _progress: Box<sys::jpeg_progress_mgr>,
    _errors: Box<sys::jpeg_error_mgr>,
    _bytes: &'a [u8],
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        // SAFETY: created in `new`, destroyed once; after an error too, as libjpeg's manual says.
        unsafe { sys::jpeg_destroy_decompress(&mut self.info) };
    }
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        // SAFETY: zero is a value of these C structs; libjpeg keeps pointers to boxed fields, which
        // neither move nor die before `info` is destroyed; `bytes` outlives the decoder.
        unsafe {
            let mut decoder = Self {
                info: Box::new(std::mem::zeroed()),
                watch: Watch::new(limits.deadline, bytes),
                _progress: Box::new(std::mem::zeroed()),
                _errors: error_manager(),
                _bytes: bytes,
            };
            decoder.info.common.err = &mut *decoder._errors;
            sys::jpeg_create_decompress(&mut *decoder.info);
            decoder._progress.progress_monitor = Some(watch_progress);
            decoder.info.common.progress = &mut *decoder._progress;
            decoder.info.common.client_data = std::ptr::from_mut(&mut *decoder.watch).cast();
            sys::jpeg_mem_src(&mut decoder.info, bytes.as_ptr(), bytes.len() as _);
            decoder
        }
    }

    fn read_header(&mut self, limits: &Limits) -> Result<(), Error> {
        // SAFETY: the source was set in `new`.
        unsafe { sys::jpeg_read_header(&mut self.info, 1) };
        limits.check(self.info.image_width, self.info.image_height, 1)
    }

    /// Hands over the blocks of a scan of every component as they are read, so that no more of them is held than a row of
    /// MCUs.
    fn each_row_of_one_scan(&mut self, each: impl FnMut(BlockRow<'_>) + 'a) -> Result<(), Error> {
        // SAFETY: after `jpeg_read_header`. The memory manager is this decoder's own, and so are the components.
        unsafe {
            self.watch.losses.height = mcu_rows(&self.info);
            self.watch.rolling = Some(Rolling::new(each));
            let memory = &mut *self.info.common.mem;
            memory.request_virt_barray = Some(request_rows);
            memory.access_virt_barray = Some(access_rows);
            sys::jpeg_read_coefficients(&mut self.info);
            self.watch.losses.scans = self.info.input_scan_number;
            if let Some(rolling) = &mut self.watch.rolling {
                rolling.finish(components(&self.info))?;
            }
            sys::jpeg_finish_decompress(&mut self.info);
        }
        Ok(())
    }

    /// Hands over the blocks of every component, row by row.
    fn each_row(&mut self, mut each: impl FnMut(BlockRow<'_>)) -> Result<(), Error> {
        // SAFETY: after `jpeg_read_header`. The arrays live until the decoder is destroyed, and hold
        // `height_in_blocks` rows of `width_in_blocks` blocks for each component; one row at a time is asked for.
        unsafe {
            self.watch.losses.height = mcu_rows(&self.info);
            let arrays = sys::jpeg_read_coefficients(&mut self.info);
            self.watch.losses.scans = self.info.input_scan_number;
            let info = &mut *self.info;
            for component in 0..info.num_components as usize {
                let about = &*info.comp_info.add(component);
                let (width, height) = (about.width_in_blocks, about.height_in_blocks);
                let steps = quantiser(about)?;
                let access = (*info.common.mem).access_virt_barray;
                let access = access.ok_or_else(|| Error::internal("libjpeg lacks its memory manager"))?;
                for y in 0..height {
                    let row = *access(&mut info.common, *arrays.add(component), y, 1, 0);
                    let blocks = std::slice::from_raw_parts(row, width as usize);
                    each(BlockRow { component, steps, y: y as usize, blocks });
                }
            }
            sys::jpeg_finish_decompress(&mut self.info);
        }
        Ok(())
    }
}

/// In place of an array of all rows of blocks, gives the number of a window: only [`access_rows`] looks at it.
unsafe extern "C-unwind" fn request_rows(
    cinfo: &mut sys::jpeg_common_struct,
    _pool: i32,
    _zero: sys::boolean,
    across: sys::JDIMENSION,
    _down: sys::JDIMENSION,
    at_once: sys::JDIMENSION,
) -> *mut sys::jvirt_barray_control {
    // SAFETY: `client_data` was set, see `Decoder::new`.
    let watch = unsafe { &mut *cinfo.client_data.cast::<Watch<'_>>() };
    let number = watch.rolling.as_mut().map(|rolling| rolling.add(across as usize, at_once as usize));
    ptr::without_provenance_mut(number.unwrap_or(0))
}

/// Hands over what the window held, and moves it down.
unsafe extern "C-unwind" fn access_rows(
    cinfo: &mut sys::jpeg_common_struct,
    array: *mut sys::jvirt_barray_control,
    first: sys::JDIMENSION,
    count: sys::JDIMENSION,
    _writable: sys::boolean,
) -> sys::JBLOCKARRAY {
    // SAFETY: set on decompressors alone, whose struct begins with the common one; `client_data` is theirs, see
    // `Decoder::new`.
    let (watch, info) = unsafe {
        let decoder: *const sys::jpeg_decompress_struct = ptr::from_mut(cinfo).cast();
        (&mut *cinfo.client_data.cast::<Watch<'_>>(), &*decoder)
    };
    // A second scan of the same is read by no browser.
    let is_seen = info.input_scan_number == 1;
    let moved = match &mut watch.rolling {
        Some(rolling) => rolling.move_to(array.addr(), (first, count), is_seen, components(info)),
        None => Ok(None),
    };
    match moved {
        Ok(Some(rows)) => rows,
        Ok(None) => fail(Error::internal("libjpeg wants rows that are not there")),
        Err(error) => fail(error),
    }
}

/// The quantiser of a component, once a scan of it has begun.
fn quantiser(about: &sys::jpeg_component_info) -> Result<&[u16; 64], Error> {
    // SAFETY: libjpeg's own copy, which lives as long as the decoder.
    let table = unsafe { about.quant_table.as_ref() };
    table.map(|table| &table.quantval).ok_or_else(|| Error::corrupt("the JPEG lacks a quantiser"))
}

/// What is said of each component.
fn components(info: &sys::jpeg_decompress_struct) -> &[sys::jpeg_component_info] {
    // SAFETY: after `jpeg_read_header`, there are as many components as it says.
    unsafe { std::slice::from_raw_parts(info.comp_info, info.num_components as usize) }
}

/// Rows of MCUs, when all components are interleaved.
fn mcu_rows(info: &sys::jpeg_decompress_struct) -> u32 {
    let tallest = components(info).iter().map(|component| component.v_samp_factor as u32).max().unwrap_or(1).max(1);
    info.image_height.div_ceil(tallest * 8)
}

/// One row of blocks of one component; coefficients and quantiser steps in rows, not in zigzag.
pub(crate) struct BlockRow<'a> {
    pub(crate) component: usize,
    pub(crate) steps: &'a [u16; 64],
    pub(crate) y: usize,
    pub(crate) blocks: &'a [[i16; 64]],
}

/// Which scans a picture is made of.
#[derive(Clone, Copy)]
pub(crate) enum Scans {
    /// The first, which has all components: it is read row by row.
    First,
    /// All of them: their coefficients are held until the last was read.
    All,
}

/// Reads the coefficients and hands them over. Says what was missing.
pub(crate) fn read_blocks<'a>(
    bytes: &'a [u8],
    scans: Scans,
    limits: &Limits,
    each: impl FnMut(BlockRow<'_>) + 'a,
) -> Result<Losses, Error> {
    guarded(|| {
        let mut decoder = Decoder::new(bytes, limits);
        decoder.read_header(limits)?;
        match scans {
            Scans::First => decoder.each_row_of_one_scan(each)?,
            Scans::All => decoder.each_row(each)?,
        }
        Ok(std::mem::take(&mut decoder.watch.losses))
    })
}

const BUFFER: usize = 64 << 10;

/// Takes what is in the buffer, of which `left` bytes are unused.
fn drain(info: &mut sys::jpeg_compress_struct, left: usize) {
    // SAFETY: `client_data` and `dest` were set in `Encoder::new`; the buffer is of `BUFFER` bytes.
    unsafe {
        let watch = &mut *info.common.client_data.cast::<Watch<'_>>();
        watch.out.extend_from_slice(&watch.buffer[..BUFFER - left]);
        (*info.dest).next_output_byte = watch.buffer.as_mut_ptr();
        (*info.dest).free_in_buffer = BUFFER;
    }
}

unsafe extern "C-unwind" fn init_destination(info: &mut sys::jpeg_compress_struct) {
    drain(info, BUFFER);
}

unsafe extern "C-unwind" fn empty_output_buffer(info: &mut sys::jpeg_compress_struct) -> sys::boolean {
    // The whole buffer is full when this is called, whatever `free_in_buffer` says.
    drain(info, 0);
    1
}

unsafe extern "C-unwind" fn term_destination(info: &mut sys::jpeg_compress_struct) {
    // SAFETY: as in `drain`.
    let left = unsafe { (*info.dest).free_in_buffer };
    drain(info, left);
}

/// A JPEG in the making, row by row. After an error it must not be used.
pub(crate) struct Encoder {
    info: Box<sys::jpeg_compress_struct>,
    watch: Box<Watch<'static>>,
    _destination: Box<sys::jpeg_destination_mgr>,
    _errors: Box<sys::jpeg_error_mgr>,
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: created in `new`, destroyed once.
        unsafe { sys::jpeg_destroy_compress(&mut self.info) };
    }
}

impl Encoder {
    fn new() -> Self {
        // SAFETY: as for `Decoder::new`.
        unsafe {
            let mut encoder = Self {
                info: Box::new(std::mem::zeroed()),
                watch: Watch::new(None, &[]),
                _destination: Box::new(std::mem::zeroed()),
                _errors: error_manager(),
            };
            encoder.watch.buffer = vec![0; BUFFER];
            encoder.info.common.err = &mut *encoder._errors;
            sys::jpeg_create_compress(&mut *encoder.info);
            encoder._destination.init_destination = Some(init_destination);
            encoder._destination.empty_output_buffer = Some(empty_output_buffer);
            encoder._destination.term_destination = Some(term_destination);
            encoder.info.dest = &mut *encoder._destination;
            encoder.info.common.client_data = std::ptr::from_mut(&mut *encoder.watch).cast();
            encoder
        }
    }

    /// Starts a file of grey, RGB or YCbCr: 4:2:0, baseline or progressive.
    pub(crate) fn start(
        (width, height): (u32, u32),
        layout: Layout,
        quality: u8,
        progressive: bool,
    ) -> Result<Self, Error> {
        if !matches!(layout, Layout::Gray | Layout::Rgb | Layout::YCbCr) {
            return Err(Error::internal("a JPEG is written from grey or RGB alone"));
        }
        if width > 65_500 || height > 65_500 {
            return Err(Error::internal("a side is longer than a JPEG can be"));
        }
        guarded(|| {
            let mut encoder = Self::new();
            encoder.configure((width, height), layout, quality, progressive);
            // SAFETY: configured.
            unsafe { sys::jpeg_start_compress(&mut encoder.info, 1) };
            Ok(encoder)
        })
    }

    fn configure(&mut self, (width, height): (u32, u32), layout: Layout, quality: u8, progressive: bool) {
        let info = &mut *self.info;
        info.image_width = width;
        info.image_height = height;
        info.in_color_space = match layout {
            Layout::Gray => sys::JCS_GRAYSCALE,
            Layout::YCbCr => sys::JCS_YCbCr,
            _ => sys::JCS_RGB,
        };
        info.input_components = layout.channels() as i32;
        // SAFETY: the fields `jpeg_set_defaults` reads are set. The profile must come before it.
        unsafe {
            sys::jpeg_c_set_int_param(info, sys::JINT_COMPRESS_PROFILE, sys::JCP_FASTEST as i32);
            sys::jpeg_set_defaults(info);
            sys::jpeg_set_quality(info, quality.clamp(1, 100).into(), 1);
            if progressive {
                sys::jpeg_simple_progression(info);
            }
        }
        info.optimize_coding = (u64::from(width) * u64::from(height) <= OPTIMIZE_UP_TO).into();
    }

    /// Adds a row.
    pub(crate) fn write_row(&mut self, row: &[u8]) -> Result<(), Error> {
        if row.len() != self.info.image_width as usize * self.info.input_components as usize {
            return Err(Error::internal("a row of another length than the JPEG's"));
        }
        guarded(|| {
            let rows = [row.as_ptr()];
            // SAFETY: started; the row has the samples that were declared.
            unsafe { sys::jpeg_write_scanlines(&mut self.info, rows.as_ptr(), 1) };
            Ok(())
        })
    }

    /// The file, once every row was written.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, Error> {
        // SAFETY: started.
        guarded(|| {
            unsafe { sys::jpeg_finish_compress(&mut self.info) };
            Ok(())
        })?;
        Ok(std::mem::take(&mut self.watch.out))
    }
}

/// Better tables cost a second pass and the whole image's coefficients in memory: pixels up to which they are made.
const OPTIMIZE_UP_TO: u64 = 1 << 20;
