//! PNG: chunks are dropped unless they are known to be harmless.

use super::exif;
use crate::container::png::{chunks, write_chunk};
use crate::error::Error;
use crate::spec::MetadataPolicy;

pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..8]);
    for chunk in chunks(bytes)? {
        match &chunk.kind {
            b"eXIf" => {
                if let Some(kept) = exif::strip(chunk.data, policy) {
                    write_chunk(&mut out, chunk.kind, &kept);
                }
            }
            b"IHDR" | b"PLTE" | b"IDAT" | b"IEND" | b"tRNS" | b"cHRM" | b"gAMA" | b"iCCP" | b"sBIT" | b"sRGB"
            | b"cICP" | b"mDCV" | b"cLLI" | b"bKGD" | b"hIST" | b"pHYs" | b"acTL" | b"fcTL" | b"fdAT" => {
                out.extend_from_slice(chunk.raw);
            }
            _ => {}
        }
    }
    Ok(out)
}
