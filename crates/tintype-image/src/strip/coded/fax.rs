//! CCITT's Group 4, as TIFF has it.

use std::cell::Cell;
use std::convert::Infallible;

use fax::decoder::{DecodeStatus, Group4Decoder};

/// Bytes that so many rows take, and the mark that ends them, give or take the two that a reader is ahead; all there are,
/// where it is not known.
pub(in crate::strip) fn group_4(data: &[u8], width: usize, rows: usize) -> usize {
    let read = Cell::new(0);
    let bytes = data.iter().map(|&byte| {
        read.set(read.get() + 1);
        Ok::<u8, Infallible>(byte)
    });
    let Ok(width) = u16::try_from(width) else { return data.len() };
    let Ok(mut decoder) = Group4Decoder::new(bytes, width);
    for _ in 0..rows {
        match decoder.advance() {
            Ok(DecodeStatus::Incomplete) => {}
            Ok(DecodeStatus::End) => return read.get(),
            Err(_) => return data.len(),
        }
    }
    let end = read.get();
    if matches!(decoder.advance(), Ok(DecodeStatus::End)) { read.get() } else { end }
}
