//! PNG: chunks are dropped unless they are known to be harmless.

use std::borrow::Cow;

use super::copy::Copy;
use super::exif;
use crate::container::png::{chunks, write_chunk};
use crate::error::Error;
use crate::spec::MetadataPolicy;

pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Cow<'_, [u8]>, Error> {
    let mut out = Copy::of(bytes);
    out.push(&bytes[..8]);
    for chunk in chunks(bytes).chunks {
        match &chunk.kind {
            b"eXIf" => {
                if let Some(kept) = exif::strip(chunk.data, policy) {
                    let mut stripped = Vec::new();
                    write_chunk(&mut stripped, chunk.kind, &kept);
                    out.push(&stripped);
                }
            }
            b"IHDR" | b"PLTE" | b"IDAT" | b"IEND" | b"tRNS" | b"cHRM" | b"gAMA" | b"iCCP" | b"sBIT" | b"sRGB"
            | b"cICP" | b"mDCV" | b"cLLI" | b"bKGD" | b"hIST" | b"pHYs" | b"acTL" | b"fcTL" | b"fdAT" => {
                out.push(chunk.raw);
            }
            _ => {}
        }
    }
    Ok(out.finish())
}
