//! What batches are compressed with (KIP-98, KIP-110): the lowest three bits of their attributes.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;

use crate::protocol::{Reader, invalid};

/// The most bytes that a batch may come to. Kafka's own limit is on what is compressed, `max.message.bytes`, 1 MB unless set.
pub(super) const MAX_BATCH_BYTES: usize = 256 << 20;

/// The most room that is kept for the next batch.
const KEPT_BYTES: usize = 8 << 20;

/// How many times its size a block of Snappy comes to at most: 64 bytes take three.
const SNAPPY_TIMES: usize = 22;

/// How blocks of Snappy begin that Java's clients write: a name, and two versions.
const XERIAL: &[u8] = b"\x82SNAPPY\0";

/// Bytes of the two versions.
const XERIAL_VERSIONS: usize = 8;

/// How a batch is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// The codec of a batch with these attributes; `None` if it is not compressed.
    pub(super) fn of(attributes: i16) -> io::Result<Option<Self>> {
        match attributes & 0x07 {
            0 => Ok(None),
            1 => Ok(Some(Self::Gzip)),
            2 => Ok(Some(Self::Snappy)),
            3 => Ok(Some(Self::Lz4)),
            4 => Ok(Some(Self::Zstd)),
            other => Err(invalid(&format!("a batch is compressed in a way ({other}) that is not known"))),
        }
    }

    /// Puts what the bytes come to in the place of what is in `out`.
    pub(super) fn inflate(self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        out.shrink_to(KEPT_BYTES);
        // Whatever a library calls it, the connection is not to blame.
        self.open(bytes, out).map_err(|error| invalid(&format!("a batch cannot be decompressed ({self:?}): {error}")))
    }

    fn open(self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Gzip => all(MultiGzDecoder::new(bytes), out),
            Self::Lz4 => all(FrameDecoder::new(bytes), out),
            Self::Zstd => all(zstd::stream::Decoder::with_buffer(bytes)?, out),
            Self::Snappy => match bytes.strip_prefix(XERIAL) {
                Some(rest) => blocks(rest.get(XERIAL_VERSIONS..).unwrap_or_default(), out),
                None => block(bytes, out),
            },
        }
    }
}

fn all(from: impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    let mut limited = from.take(MAX_BATCH_BYTES as u64);
    limited.read_to_end(out)?;
    if limited.limit() == 0 { Err(too_large()) } else { Ok(()) }
}

/// Blocks of Snappy, each behind its length.
fn blocks(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut reader = Reader::new(bytes);
    while !reader.rest().is_empty() {
        let length = usize::try_from(reader.int32()?).map_err(|_| invalid("a block has no length"))?;
        block(reader.bytes(length)?, out)?;
    }
    Ok(())
}

/// One block of Snappy.
fn block(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let length = snap::raw::decompress_len(bytes)?;
    let before = out.len();
    let after = before.saturating_add(length);
    if after > MAX_BATCH_BYTES {
        return Err(too_large());
    }
    if length / SNAPPY_TIMES > bytes.len() {
        return Err(invalid(&format!("{} bytes do not come to {length}", bytes.len())));
    }
    out.resize(after, 0);
    snap::raw::Decoder::new().decompress(bytes, out.get_mut(before..).unwrap_or_default())?;
    Ok(())
}

fn too_large() -> io::Error {
    invalid(&format!("it comes to {} MB or more", MAX_BATCH_BYTES >> 20))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"abcabcabcabcabcabcabcabcabcabc";

    fn inflated(codec: Codec, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = b"what was there".to_vec();
        codec.inflate(bytes, &mut out)?;
        Ok(out)
    }

    #[test]
    fn every_codec_gives_back_what_was_compressed() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(TEXT).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(TEXT).unwrap();
        let snappy = snap::raw::Encoder::new().compress_vec(TEXT).unwrap();
        let length = u32::try_from(snappy.len()).unwrap().to_be_bytes();
        let versions = [0, 0, 0, 1, 0, 0, 0, 1];
        // Two blocks, as for a text of more than 32 kB.
        let xerial = [XERIAL, &versions, &length, &snappy, &length, &snappy].concat();
        assert_eq!(inflated(Codec::Gzip, &gzip.finish().unwrap()).unwrap(), TEXT);
        assert_eq!(inflated(Codec::Lz4, &lz4.finish().unwrap()).unwrap(), TEXT);
        assert_eq!(inflated(Codec::Zstd, &zstd::encode_all(TEXT, 1).unwrap()).unwrap(), TEXT);
        assert_eq!(inflated(Codec::Snappy, &snappy).unwrap(), TEXT);
        assert_eq!(inflated(Codec::Snappy, &xerial).unwrap(), [TEXT, TEXT].concat());
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            assert!(inflated(codec, b"\xffno such thing").is_err(), "{codec:?}");
        }
        let cut = [XERIAL, &[0; 8], &[0, 0, 0, 9, 1]].concat();
        assert!(inflated(Codec::Snappy, &cut).is_err());
        // 1 MB of three bytes, and a length of 4 GB in front of nothing.
        assert!(
            inflated(Codec::Snappy, &[0x80, 0x80, 0x40, 0, 0, 0]).unwrap_err().to_string().contains("do not come to")
        );
        assert!(inflated(Codec::Snappy, &[0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
    }

    #[test]
    fn attributes_tell_the_codec() {
        assert_eq!(Codec::of(0x18).unwrap(), None);
        assert_eq!(Codec::of(0x1c).unwrap(), Some(Codec::Zstd));
        assert!(Codec::of(5).is_err());
    }
}
