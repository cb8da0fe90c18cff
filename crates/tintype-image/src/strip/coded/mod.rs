//! How far coded pixels go within the bytes that a file gives them. Decoders stop once they have all pixels: what lies
//! behind is anybody's.

pub(super) mod deflate;
pub(super) mod fax;
pub(super) mod lzw;
pub(super) mod runs;
