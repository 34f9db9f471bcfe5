//! Sets of whole numbers as ranges.

use std::fmt;

/// A set of whole numbers: disjoint ranges in ascending order, each from a start up to an end that is not included.
/// Bounds are wider than any offset, so that no comparison overflows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(i128, i128)>);

/// Below every offset.
const MIN: i128 = i128::MIN;
/// Above every offset.
const MAX: i128 = i128::MAX;

impl Ranges {
    /// No number.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Every number.
    pub(crate) fn all() -> Self {
        Self(vec![(MIN, MAX)])
    }

    /// Numbers from `start` up to `end`, which is not included.
    pub(crate) fn between(start: i128, end: i128) -> Self {
        if start < end { Self(vec![(start, end)]) } else { Self::none() }
    }

    /// Numbers from `start` on.
    pub(crate) fn from(start: i128) -> Self {
        Self::between(start, MAX)
    }

    /// Numbers up to `end`, which is not included.
    pub(crate) fn until(end: i128) -> Self {
        Self::between(MIN, end)
    }

    /// Just these numbers.
    pub(crate) fn of(numbers: impl IntoIterator<Item = i128>) -> Self {
        let mut ranges: Vec<(i128, i128)> =
            numbers.into_iter().map(|number| (number, number.saturating_add(1))).collect();
        ranges.sort_unstable();
        Self::joined(ranges)
    }

    /// The numbers of all these ranges.
    pub(crate) fn union_of(ranges: &[(i64, i64)]) -> Self {
        let mut ranges: Vec<(i128, i128)> = ranges
            .iter()
            .filter(|(start, end)| start < end)
            .map(|(start, end)| ((*start).into(), (*end).into()))
            .collect();
        ranges.sort_unstable();
        Self::joined(ranges)
    }

    /// The ranges in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i128, i128)> + '_ {
        self.0.iter().copied()
    }

    /// Whether a number is in the set.
    pub(crate) fn contains(&self, number: i128) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= number);
        after.checked_sub(1).and_then(|index| self.0.get(index)).is_some_and(|(_, end)| number < *end)
    }

    /// Whether the set has no number.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers the set has.
    pub(crate) fn len(&self) -> u64 {
        let count = self.0.iter().fold(0_u128, |sum, (start, end)| sum.saturating_add(end.abs_diff(*start)));
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Numbers that are in both sets.
    pub(crate) fn intersect(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.iter().peekable(), other.iter().peekable());
        let mut ranges = Vec::new();
        while let (Some(a), Some(b)) = (left.peek().copied(), right.peek().copied()) {
            let (start, end) = (a.0.max(b.0), a.1.min(b.1));
            if start < end {
                ranges.push((start, end));
            }
            if a.1 <= b.1 {
                left.next()
            } else {
                right.next()
            };
        }
        Self(ranges)
    }

    /// Numbers that are in either set.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut ranges: Vec<(i128, i128)> = self.iter().chain(other.iter()).collect();
        ranges.sort_unstable();
        Self::joined(ranges)
    }

    /// Numbers that are not in the set.
    pub(crate) fn complement(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.0.len() + 1);
        let mut next = MIN;
        for (start, end) in self.iter() {
            if next < start {
                ranges.push((next, start));
            }
            next = end;
        }
        if next < MAX {
            ranges.push((next, MAX));
        }
        Self(ranges)
    }

    /// Joins sorted ranges that touch or overlap.
    fn joined(sorted: Vec<(i128, i128)>) -> Self {
        let mut ranges: Vec<(i128, i128)> = Vec::with_capacity(sorted.len());
        for (start, end) in sorted {
            match ranges.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => ranges.push((start, end)),
            }
        }
        Self(ranges)
    }
}

/// `0..12,20..30`; a bound that is not there is left out.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, (start, end)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if start != MIN {
                write!(f, "{start}")?;
            }
            f.write_str("..")?;
            if end != MAX {
                write!(f, "{end}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All sets over the numbers 0 to 5, compared with sets of numbers.
    #[test]
    fn operations_agree_with_sets_of_numbers() {
        let universe = Ranges::between(0, 6);
        let set = |bits: u32| Ranges::of((0..6_i128).filter(move |number| bits & (1 << number) != 0));
        let bits =
            |ranges: &Ranges| (0..6_u32).filter(|n| ranges.contains(i128::from(*n))).fold(0, |all, n| all | 1 << n);
        for a in 0..64_u32 {
            assert_eq!(bits(&set(a)), a);
            assert_eq!(set(a).len(), u64::from(a.count_ones()));
            assert_eq!(bits(&set(a).complement()), !a & 63);
            assert_eq!(set(a).complement().complement(), set(a));
            for b in 0..64_u32 {
                assert_eq!(bits(&set(a).union(&set(b))), a | b);
                assert_eq!(bits(&set(a).intersect(&set(b))), a & b);
                assert_eq!(set(a).intersect(&set(b)).intersect(&universe), set(a & b), "ranges stay canonical");
            }
        }
    }

    #[test]
    fn shown() {
        assert_eq!(Ranges::of([3, 1, 2, 9]).to_string(), "1..4,9..10");
        assert_eq!(Ranges::from(5).to_string(), "5..");
        assert_eq!(Ranges::all().to_string(), "..");
        assert_eq!(Ranges::none().to_string(), "none");
    }
}
