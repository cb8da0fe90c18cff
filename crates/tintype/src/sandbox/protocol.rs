//! What goes over the wire between the service and a decoder: a head in JSON after its length, and files after heads.
//!
//! Ready → (ask, upload → answer, files)*. The files of an answer come in the order of its variants.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tintype_image::{Damage, Error, Facts, Format, MetadataPolicy, Tolerance, VariantSpec};

/// Most bytes of a head.
const LONGEST_HEAD: u32 = 1 << 20;

/// One job, with the upload's bytes after it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ask<'a> {
    /// What to make.
    pub specs: Cow<'a, [VariantSpec]>,
    /// What verbatim variants keep.
    pub metadata: MetadataPolicy,
    /// Most pixels.
    pub max_pixels: u64,
    /// Most frames.
    pub max_frames: u32,
    /// How much of a damaged file has to be there.
    pub damaged: Tolerance,
    /// Milliseconds until the decoder is to give up.
    pub millis: u64,
    /// Bytes of the upload.
    pub upload: u64,
}

/// What came of a job, with the files after it that are not parts of the upload.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is read at once")]
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// All that was asked for.
    Rendered {
        /// Of the original.
        facts: Facts,
        /// In the order of the specs.
        variants: Vec<Told>,
        /// What is missing of the original.
        damaged: Option<Damage>,
    },
    /// Nothing, for a coded reason.
    Refused(Error),
}

/// What is told of a variant.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// Of its spec.
    pub name: String,
    /// What its file is.
    pub format: Format,
    /// Of the upright image.
    pub width: u32,
    /// Of the upright image.
    pub height: u32,
    /// Where its bytes are.
    pub place: Place,
}

/// Where the bytes of a variant are.
#[derive(Debug, Serialize, Deserialize)]
pub enum Place {
    /// They are the upload's own, which the service has.
    Upload {
        /// The first.
        start: u64,
        /// Behind the last.
        end: u64,
    },
    /// So many follow.
    Follows(u64),
}

/// Writes a head.
///
/// # Errors
/// Those of the wire.
pub fn send(wire: &mut impl Write, head: &impl Serialize) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, head)?;
    let length = u32::try_from(frame.len() - 4).map_err(|_| invalid("the head is too long"))?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    wire.write_all(&frame)
}

/// Reads a head.
///
/// # Errors
/// `UnexpectedEof` when the other side is gone, `InvalidData` for what is no head, or those of the wire.
pub fn receive<T: DeserializeOwned>(wire: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    wire.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST_HEAD {
        return Err(invalid("the head is too long"));
    }
    let head = receive_bytes(wire, length.into())?;
    serde_json::from_slice(&head).map_err(|_| invalid("the head cannot be read"))
}

/// Reads so many bytes, which the caller has found to be bearable.
///
/// # Errors
/// `UnexpectedEof` when the other side is gone, or those of the wire.
pub fn receive_bytes(wire: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let capacity = usize::try_from(length).map_err(|_| invalid("the file is too long"))?;
    let mut bytes = Vec::with_capacity(capacity);
    wire.take(length).read_to_end(&mut bytes)?;
    if bytes.len() < capacity { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tintype_image::{BoxSize, Fit};

    fn crossed(ask: &Ask<'_>) -> Ask<'static> {
        let mut wire = Vec::new();
        send(&mut wire, ask).unwrap();
        receive(&mut wire.as_slice()).unwrap()
    }

    fn of(specs: &[VariantSpec]) -> Ask<'_> {
        let metadata = MetadataPolicy::None;
        let damaged = Tolerance::Rows(0.7);
        Ask { specs: specs.into(), metadata, max_pixels: 5, max_frames: 6, damaged, millis: 7, upload: u64::MAX }
    }

    #[test]
    fn a_job_crosses_unchanged() {
        let fit = Some(Fit::Inside(BoxSize::of_width(1600)));
        // Blurs are made of the very same number on both sides, or a golden file would differ.
        let blurs = (1..4000).map(|n| n as f32 * 0.05).chain([f32::MIN_POSITIVE, 1.0 / 3.0, f32::MAX]);
        let specs: Vec<_> = blurs
            .map(|blur| VariantSpec { name: "ä\"\n".into(), fit, blur: Some(blur), ..Default::default() })
            .collect();
        let ask = of(&specs);
        let other = crossed(&ask);
        assert_eq!((&other.specs, other.upload), (&ask.specs, ask.upload));
        assert_eq!((other.metadata, other.max_pixels, other.max_frames, other.millis), (ask.metadata, 5, 6, 7));
        assert_eq!(other.damaged, ask.damaged);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for (wire, kind) in [
            (b"".as_slice(), io::ErrorKind::UnexpectedEof),
            (b"\x05\0\0\0{}", io::ErrorKind::UnexpectedEof),
            (b"\x02\0\0\0{}", io::ErrorKind::InvalidData),
            (b"\xFF\xFF\xFF\xFFxxxx", io::ErrorKind::InvalidData),
        ] {
            assert_eq!(receive::<Answer>(&mut &*wire).unwrap_err().kind(), kind, "{wire:?}");
        }
        let deep = "[".repeat(100_000);
        let mut wire = (deep.len() as u32).to_le_bytes().to_vec();
        wire.extend(deep.bytes());
        assert_eq!(receive::<Answer>(&mut wire.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
