//! Numbers that look random and are the same everywhere and in every version.

/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014). Written out here because
/// random number crates keep the right to change the sequence of a seed.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A generator. Parts of the data that have seeds of their own do not change when another part does.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero when the bound is zero. The bias of a remainder is too small to see here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// Whether something happens that happens `percent` times in a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the choices, each as likely as the others.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(usize::try_from(self.below(choices.len() as u64)).ok()?).copied()
    }

    /// One of the choices, as likely as its weight.
    pub(super) fn pick_weighted<T: Copy>(&mut self, choices: &[(T, u64)]) -> Option<T> {
        let mut rest = self.below(choices.iter().map(|(_, weight)| weight).sum());
        choices.iter().find_map(|(choice, weight)| {
            if rest < *weight {
                return Some(*choice);
            }
            rest -= weight;
            None
        })
    }
}

/// Positions of a list that are drawn as often as their weights say.
#[derive(Clone, Debug, Default)]
pub(super) struct Weights {
    /// Sums of the weights up to and including each position.
    sums: Vec<u64>,
}

impl Weights {
    pub(super) fn push(&mut self, weight: u64) {
        self.sums.push(self.sums.last().copied().unwrap_or(0) + weight);
    }

    /// A position among the first `count`; `None` when there is none.
    pub(super) fn draw(&self, count: usize, random: &mut Random) -> Option<usize> {
        let sums = self.sums.get(..count.min(self.sums.len()))?;
        let drawn = random.below(*sums.last()?);
        Some(sums.partition_point(|sum| *sum <= drawn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        // First outputs for seed 1234567, as in the generator's reference implementation by Sebastiano Vigna.
        let mut random = Random::new(1_234_567);
        let sequence: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(sequence, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn weights_are_respected() {
        let mut random = Random::new(1);
        let mut weights = Weights::default();
        for weight in [1, 0, 3, 96] {
            weights.push(weight);
        }
        let mut drawn = [0; 4];
        for _ in 0..10_000 {
            drawn[weights.draw(4, &mut random).unwrap()] += 1;
        }
        assert!(drawn[0] > 50 && drawn[0] < 150 && drawn[1] == 0 && drawn[3] > 9_400, "{drawn:?}");
        assert!((0..100).all(|_| weights.draw(2, &mut random) == Some(0)));
        assert_eq!(weights.draw(0, &mut random), None);

        let picked: Vec<_> = (0..50).filter_map(|_| random.pick_weighted(&[("never", 0), ("always", 5)])).collect();
        assert_eq!(picked, ["always"; 50]);
    }
}
