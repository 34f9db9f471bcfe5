//! Compression of whole files: bytes go in as they come, and come out decompressed.

use std::io::{self, Write};

use bzip2::Decompress as Bzip2;
use flate2::write::MultiGzDecoder;
use flate2::{Decompress as Zlib, FlushDecompress};
use zstd::stream::raw::{Decoder as Zstd, Operation};

/// What `compression` of the catalog file may be.
pub(crate) const CODECS: &[&str] = &["auto", "none", "gzip", "zstd", "deflate", "bzip2"];

/// How much room there is for the output of one step, in bytes.
const STEP_BYTES: usize = 64 * 1024;

/// Extensions of compressed files that are not read.
const FOREIGN: &[&str] = &["br", "lz", "lz4", "lzma", "lzo", "snappy", "xz", "z", "zip", "7z"];

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Gzip,
    Zstd,
    /// zlib, which Hive writes by default.
    Deflate,
    Bzip2,
}

impl Codec {
    /// The codec of that name in [`CODECS`]; `None` for `auto`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            "deflate" => Self::Deflate,
            "bzip2" => Self::Bzip2,
            _ => return None,
        })
    }

    /// The codec that a file's extension stands for. `Err` holds an extension that stands for one that is not read.
    pub(crate) fn of_file(name: &str) -> Result<Self, String> {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
        Ok(match extension.as_str() {
            "gz" | "gzip" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            "deflate" => Self::Deflate,
            "bz2" | "bzip2" => Self::Bzip2,
            foreign if FOREIGN.contains(&foreign) => return Err(extension),
            _ => Self::None,
        })
    }

    /// A decompressor for one file.
    pub(crate) fn decompressor(self) -> io::Result<Decompressor> {
        let state = match self {
            Self::None => State::None,
            Self::Gzip => State::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Self::Zstd => State::Zstd(Box::new(Zstd::new()?)),
            Self::Deflate => State::Deflate(Box::new(Zlib::new(true))),
            Self::Bzip2 => State::Bzip2(Box::new(Bzip2::new(false))),
        };
        Ok(Decompressor { state, within: self != Self::None })
    }
}

enum State {
    None,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<Zstd<'static>>),
    Deflate(Box<Zlib>),
    Bzip2(Box<Bzip2>),
}

/// Decompresses one file, which may consist of several compressed parts, one after the other.
pub(crate) struct Decompressor {
    state: State,
    /// Whether a part has begun and not ended.
    within: bool,
}

impl Decompressor {
    /// Takes compressed bytes, and adds to `out` what they decompress to so far.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mut rest = input;
        while !rest.is_empty() {
            let used = match &mut self.state {
                State::None => {
                    out.extend_from_slice(rest);
                    rest.len()
                }
                State::Gzip(decoder) => {
                    decoder.write_all(rest)?;
                    out.append(decoder.get_mut());
                    rest.len()
                }
                State::Zstd(decoder) => {
                    let made = out.len();
                    out.resize(made + STEP_BYTES, 0);
                    let room = out.get_mut(made..).unwrap_or_default();
                    let status = decoder.run_on_buffers(rest, room)?;
                    out.truncate(made + status.bytes_written);
                    self.within = status.remaining != 0;
                    progress(status.bytes_read as u64, status.bytes_written, self.within)?
                }
                State::Deflate(decoder) => {
                    if !self.within {
                        decoder.reset(true);
                        self.within = true;
                    }
                    out.reserve(STEP_BYTES);
                    let (taken, made) = (decoder.total_in(), out.len());
                    let status = decoder.decompress_vec(rest, out, FlushDecompress::None).map_err(invalid)?;
                    self.within = status != flate2::Status::StreamEnd;
                    progress(decoder.total_in() - taken, out.len() - made, self.within)?
                }
                State::Bzip2(decoder) => {
                    if !self.within {
                        **decoder = Bzip2::new(false);
                        self.within = true;
                    }
                    out.reserve(STEP_BYTES);
                    let (taken, made) = (decoder.total_in(), out.len());
                    let status = decoder.decompress_vec(rest, out).map_err(invalid)?;
                    self.within = status != bzip2::Status::StreamEnd;
                    progress(decoder.total_in() - taken, out.len() - made, self.within)?
                }
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the file: adds what is left to `out`, and fails if the file is cut short.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.state {
            State::None => return Ok(()),
            State::Gzip(decoder) => {
                decoder.try_finish()?;
                out.append(decoder.get_mut());
                return Ok(());
            }
            // What was decompressed and did not fit comes out with no further input.
            State::Zstd(decoder) => {
                while self.within {
                    let made = out.len();
                    out.resize(made + STEP_BYTES, 0);
                    let status = decoder.run_on_buffers(&[], out.get_mut(made..).unwrap_or_default())?;
                    out.truncate(made + status.bytes_written);
                    self.within = status.remaining != 0;
                    if status.bytes_written == 0 {
                        break;
                    }
                }
            }
            State::Deflate(decoder) => {
                while self.within {
                    out.reserve(STEP_BYTES);
                    let made = out.len();
                    let status = decoder.decompress_vec(&[], out, FlushDecompress::None).map_err(invalid)?;
                    self.within = status != flate2::Status::StreamEnd;
                    if out.len() == made {
                        break;
                    }
                }
            }
            State::Bzip2(decoder) => {
                while self.within {
                    out.reserve(STEP_BYTES);
                    let made = out.len();
                    let status = decoder.decompress_vec(&[], out).map_err(invalid)?;
                    self.within = status != bzip2::Status::StreamEnd;
                    if out.len() == made {
                        break;
                    }
                }
            }
        }
        if self.within { Err(cut_short()) } else { Ok(()) }
    }
}

/// How many bytes a step has used, or an error where it has done nothing at all.
fn progress(used: u64, made: usize, within: bool) -> io::Result<usize> {
    if used == 0 && made == 0 && within {
        return Err(invalid("the decompressor makes no progress"));
    }
    usize::try_from(used).map_err(invalid)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the compressed file is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(codec: Codec, text: &[u8]) -> Vec<u8> {
        match codec {
            Codec::None => text.to_vec(),
            Codec::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                writer.write_all(text).unwrap();
                writer.finish().unwrap()
            }
            Codec::Zstd => zstd::encode_all(text, 3).unwrap(),
            Codec::Deflate => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                writer.write_all(text).unwrap();
                writer.finish().unwrap()
            }
            Codec::Bzip2 => {
                let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
                writer.write_all(text).unwrap();
                writer.finish().unwrap()
            }
        }
    }

    fn decompressed(codec: Codec, bytes: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let mut decompressor = codec.decompressor()?;
        let mut out = Vec::new();
        for chunk in bytes.chunks(step) {
            decompressor.push(chunk, &mut out)?;
        }
        decompressor.finish(&mut out)?;
        Ok(out)
    }

    const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Zstd, Codec::Deflate, Codec::Bzip2];

    #[test]
    fn whatever_the_steps_and_however_many_parts() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| (n * 7 % 1000).to_string().into_bytes()).collect();
        for codec in ALL {
            let one = compressed(codec, &text);
            let two = [one.clone(), compressed(codec, b"more")].concat();
            for step in [7, 1000, usize::MAX] {
                assert_eq!(decompressed(codec, &one, step).unwrap(), text, "{codec:?} {step}");
                assert_eq!(decompressed(codec, &two, step).unwrap(), [&text[..], b"more"].concat(), "{codec:?} {step}");
            }
            assert!(decompressed(codec, &compressed(codec, b""), 100).unwrap().is_empty(), "{codec:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_broken_is_an_error() {
        let text = vec![b'x'; 100_000];
        for codec in ALL.into_iter().skip(1) {
            let whole = compressed(codec, &text);
            for left in [1, 3, whole.len() / 2, whole.len() - 1] {
                assert!(decompressed(codec, &whole[..left], 1000).is_err(), "{codec:?} {left} of {}", whole.len());
            }
            assert!(decompressed(codec, b"a,b\n1,2\n", 1000).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn extensions() {
        assert_eq!(Codec::of_file("a.csv.GZ"), Ok(Codec::Gzip));
        assert_eq!(Codec::of_file("000000_0.deflate"), Ok(Codec::Deflate));
        assert_eq!(Codec::of_file("000000_0"), Ok(Codec::None));
        assert_eq!(Codec::of_file("a.csv.xz"), Err("xz".to_owned()));
    }
}
