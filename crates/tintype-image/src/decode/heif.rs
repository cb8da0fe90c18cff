//! HEIC and AVIF in, by the system's libheif.

use super::{Rows, Source, still};
use crate::error::Error;
use crate::heif_codec::Heif;
use crate::limits::Limits;
use crate::probe::Header;

pub(super) fn open<'a>(bytes: &[u8], header: &Header<'_>, limits: &Limits) -> Result<Source<'a>, Error> {
    let file = Heif::open(bytes, limits)?;
    if file.size()? != (header.width, header.height) {
        return Err(Error::corrupt("the image contradicts itself on its size"));
    }
    Ok(Source { lossless: false, ..still(Rows::damaged(file.decode()?, None), file.icc()) })
}
