//! About how many different values there are, in a kilobyte of memory: HyperLogLog (Flajolet, Fusy, Gandouet and Meunier, 2007).

/// How many bits of a hash choose a register.
const BITS: u32 = 10;
const REGISTERS: usize = 1 << BITS;

/// A count of different values by their hashes, of which all bits are as good as random. The error is mostly below 7 %.
#[derive(Clone)]
pub(super) struct Distinct {
    /// For each register the most zeros that the rest of a hash has begun with, and one.
    registers: Vec<u8>,
}

impl Default for Distinct {
    fn default() -> Self {
        Self { registers: vec![0; REGISTERS] }
    }
}

impl Distinct {
    pub(super) fn add(&mut self, hash: u64) {
        let place = usize::try_from(hash >> (u64::BITS - BITS)).unwrap_or_default();
        // The bit below the hash bounds the zeros.
        let rest = (hash << BITS) | (1 << (BITS - 1));
        let zeros = u8::try_from(rest.leading_zeros() + 1).unwrap_or(u8::MAX);
        if let Some(register) = self.registers.get_mut(place) {
            *register = (*register).max(zeros);
        }
    }

    /// The number of different values, with the paper's correction for few.
    pub(super) fn estimate(&self) -> u64 {
        let count = REGISTERS as f64;
        let sum: f64 = self.registers.iter().map(|zeros| 0.5_f64.powi(i32::from(*zeros))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let empty = self.registers.iter().filter(|zeros| **zeros == 0).count();
        let corrected = if raw <= 2.5 * count && empty > 0 { count * (count / empty as f64).ln() } else { raw };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, not negative")]
        let rounded = corrected.round() as u64;
        rounded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64.
    fn hash(number: u64) -> u64 {
        let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    #[test]
    fn few_and_many() {
        for count in [0_u64, 1, 2, 10, 100, 1_000, 10_000, 1_000_000] {
            let mut distinct = Distinct::default();
            for _ in 0..2 {
                (0..count).for_each(|number| distinct.add(hash(number)));
            }
            let error = distinct.estimate().abs_diff(count) as f64 / count.max(1) as f64;
            assert!(error < 0.1, "{} of {count}", distinct.estimate());
        }
    }
}
