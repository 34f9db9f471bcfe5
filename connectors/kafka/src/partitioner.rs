//! The partition that a producer chooses for a key.
//!
//! Producers differ: Java's hashes with murmur2, librdkafka's with CRC-32 unless it is told otherwise, Sarama's with FNV-1a.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a topic's producers choose partitions by keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Partitioner {
    /// As Apache Kafka's Java client does.
    Murmur2,
    /// As librdkafka does by default (`consistent_random`).
    Crc32,
    /// As Sarama does, and librdkafka with `fnv1a_random`.
    Fnv1a,
}

impl Partitioner {
    /// As the catalog file writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Murmur2 => "murmur2",
            Self::Crc32 => "crc32",
            Self::Fnv1a => "fnv1a",
        }
    }

    /// The partition of a key among so many; `None` where it is left to chance: of an empty key, by some.
    pub(crate) fn partition(self, key: &[u8], partitions: u32) -> Option<u32> {
        if key.is_empty() { None } else { self.choice(key, partitions) }
    }

    /// The partition that we choose for a key, an empty one too; `None` where there are no partitions.
    pub(crate) fn choice(self, key: &[u8], partitions: u32) -> Option<u32> {
        let hash = match self {
            Self::Murmur2 => murmur2(key) & 0x7fff_ffff,
            Self::Crc32 => crc32(key),
            Self::Fnv1a => absolute(fnv1a(key)),
        };
        hash.checked_rem(partitions)
    }
}

impl FromStr for Partitioner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Murmur2, Self::Crc32, Self::Fnv1a]
            .into_iter()
            .find(|partitioner| partitioner.name() == text)
            .ok_or_else(|| format!("`{text}` is not a partitioner"))
    }
}

/// The hash of `org.apache.kafka.common.utils.Utils.murmur2`: MurmurHash2 of 32 bits with Kafka's seed.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut chunks = key.chunks_exact(4);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        let mixed = word.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (mixed ^ (mixed >> 24)).wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// CRC-32 as zip files have it (ISO 3309).
fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// FNV-1a of 32 bits.
fn fnv1a(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Sarama takes the hash for a signed number and drops its sign.
fn absolute(hash: u32) -> u32 {
    hash.cast_signed().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_others_publish() {
        // Apache Kafka's UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
        // The check value of CRC-32, and the test vectors of FNV's authors.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"a"), 0xe40c_292c);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
        assert_eq!(Partitioner::Murmur2.partition(b"", 3), None);
        assert_eq!(Partitioner::Crc32.partition(b"x", 0), None);
    }
}
