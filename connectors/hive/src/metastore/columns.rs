//! What a metastore keeps of a column's values: `ColumnStatisticsObj` of Hive's `hive_metastore.thrift`, made of what a write has
//! counted, and united with what is known of the rows before.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::statistics::{decimal_of, unscaled};
use crate::thrift::{Struct, Value};

/// What is known of a column's values in a table without partitions, or in one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ColumnSummary {
    pub(crate) name: String,
    /// Hive's name of the type.
    pub(crate) hive_type: String,
    pub(crate) nulls: u64,
    /// About how many different values there are.
    pub(crate) distinct: u64,
    pub(crate) values: Values,
}

/// What is known of values, by the kind that the metastore tells apart. Bounds are missing where there are no values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Values {
    Boolean {
        trues: u64,
        falses: u64,
    },
    Long {
        least: Option<i64>,
        greatest: Option<i64>,
    },
    /// Without bounds: files do not tell of NaN.
    Double,
    Text(Lengths),
    Binary(Lengths),
    /// Unscaled, as decimal digits.
    Decimal {
        least: Option<String>,
        greatest: Option<String>,
        scale: i16,
    },
    /// Days since 1970.
    Date {
        least: Option<i64>,
        greatest: Option<i64>,
    },
}

/// Lengths of values in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lengths {
    pub(crate) longest: u64,
    pub(crate) sum: u64,
    pub(crate) count: u64,
}

/// Numbers of the union `ColumnStatisticsData`.
pub(super) mod kind {
    pub(crate) const BOOLEAN: i16 = 1;
    pub(crate) const LONG: i16 = 2;
    pub(crate) const DOUBLE: i16 = 3;
    pub(crate) const TEXT: i16 = 4;
    pub(crate) const BINARY: i16 = 5;
    pub(crate) const DECIMAL: i16 = 6;
    pub(crate) const DATE: i16 = 7;
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Lengths {
    fn and(self, other: Self) -> Self {
        Self {
            longest: self.longest.max(other.longest),
            sum: self.sum.saturating_add(other.sum),
            count: self.count.saturating_add(other.count),
        }
    }

    fn mean(self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

impl ColumnSummary {
    /// As the metastore takes it.
    pub(crate) fn object(&self) -> Struct {
        let (nulls, distinct) = (signed(self.nulls), signed(self.distinct));
        let bounded = |least: Option<Value>, greatest: Option<Value>| {
            let data = [(1, least), (2, greatest)].into_iter().filter_map(|(id, bound)| Some((id, bound?)));
            let data = data.fold(Struct::new(), |data, (id, bound)| data.with(id, bound));
            data.with(3, nulls).with(4, distinct)
        };
        let lengths =
            |lengths: &Lengths| Struct::new().with(1, signed(lengths.longest)).with(2, lengths.mean()).with(3, nulls);
        let (id, data) = match &self.values {
            Values::Boolean { trues, falses } => {
                (kind::BOOLEAN, Struct::new().with(1, signed(*trues)).with(2, signed(*falses)).with(3, nulls))
            }
            Values::Long { least, greatest } => (kind::LONG, bounded(least.map(Value::I64), greatest.map(Value::I64))),
            Values::Double => (kind::DOUBLE, bounded(None, None)),
            Values::Text(known) => (kind::TEXT, lengths(known).with(4, distinct)),
            Values::Binary(known) => (kind::BINARY, lengths(known)),
            Values::Decimal { least, greatest, scale } => {
                let bound = |digits: &Option<String>| {
                    let bytes = Bytes::from(unscaled(digits.as_ref()?.parse().ok()?));
                    Some(Value::Struct(Struct::new().with(1, Value::Bytes(bytes)).with(3, *scale)))
                };
                (kind::DECIMAL, bounded(bound(least), bound(greatest)))
            }
            Values::Date { least, greatest } => {
                let bound = |days: &Option<i64>| Some(Value::Struct(Struct::new().with(1, (*days)?)));
                (kind::DATE, bounded(bound(least), bound(greatest)))
            }
        };
        let data = Struct::new().with(id, data);
        Struct::new().with(1, self.name.as_str()).with(2, self.hive_type.as_str()).with(3, data)
    }

    /// What the metastore says, of so many rows; `None` where it is of no kind that is known here.
    pub(crate) fn read(object: &Struct, rows: u64) -> Option<Self> {
        let data = object.structure(3)?;
        let (id, _) = data.fields().next()?;
        let data = data.structure(id)?;
        let count = |field: i16| data.integer(field).and_then(|count| u64::try_from(count).ok());
        let nulls = count(3).unwrap_or_default();
        let lengths = || {
            let present = rows.saturating_sub(nulls);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, clamped")]
            let sum = (data.double(2).unwrap_or_default().max(0.0) * present as f64) as u64;
            Lengths { longest: count(1).unwrap_or_default(), sum, count: present }
        };
        let values = match id {
            kind::BOOLEAN => Values::Boolean { trues: count(1)?, falses: count(2)? },
            kind::LONG => Values::Long { least: data.integer(1), greatest: data.integer(2) },
            kind::DOUBLE => Values::Double,
            kind::TEXT => Values::Text(lengths()),
            kind::BINARY => Values::Binary(lengths()),
            kind::DECIMAL => {
                let bound = |field: i16| decimal_of(data.structure(field)?);
                let (least, greatest) = (bound(1), bound(2));
                let scale = least.or(greatest).map(|(_, scale)| scale)?;
                let of_scale = |bound: Option<(i128, i16)>| match bound {
                    Some((value, other)) => rescaled(value, other, scale).map(|value| Some(value.to_string())),
                    None => Some(None),
                };
                Values::Decimal { least: of_scale(least)?, greatest: of_scale(greatest)?, scale }
            }
            kind::DATE => {
                let days = |field: i16| data.structure(field)?.integer(1);
                Values::Date { least: days(1), greatest: days(2) }
            }
            _ => return None,
        };
        let distinct = count(4).unwrap_or_default();
        Some(Self { name: object.text(1)?, hive_type: object.text(2)?, nulls, distinct, values })
    }

    /// What is known of these values and of others together; `None` where they are of two kinds. Of how many different values
    /// there are the larger number is taken: which of them both have is not known.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        let values = match (&self.values, &other.values) {
            (Values::Boolean { trues: a, falses: b }, Values::Boolean { trues: c, falses: d }) => {
                Values::Boolean { trues: a.saturating_add(*c), falses: b.saturating_add(*d) }
            }
            (Values::Long { least: a, greatest: b }, Values::Long { least: c, greatest: d }) => {
                Values::Long { least: least(*a, *c), greatest: (*b).max(*d) }
            }
            (Values::Double, Values::Double) => Values::Double,
            (Values::Text(one), Values::Text(other)) => Values::Text(one.and(*other)),
            (Values::Binary(one), Values::Binary(other)) => Values::Binary(one.and(*other)),
            (
                Values::Decimal { least: a, greatest: b, scale },
                Values::Decimal { least: c, greatest: d, scale: other },
            ) => {
                let of_scale = |digits: &Option<String>, from: i16| {
                    digits.as_ref().and_then(|digits| rescaled(digits.parse().ok()?, from, *scale))
                };
                let text = |value: Option<i128>| value.map(|value| value.to_string());
                Values::Decimal {
                    least: text(least(of_scale(a, *scale), of_scale(c, *other))),
                    greatest: text(of_scale(b, *scale).max(of_scale(d, *other))),
                    scale: *scale,
                }
            }
            (Values::Date { least: a, greatest: b }, Values::Date { least: c, greatest: d }) => {
                Values::Date { least: least(*a, *c), greatest: (*b).max(*d) }
            }
            _ => return None,
        };
        Some(Self {
            nulls: self.nulls.saturating_add(other.nulls),
            distinct: self.distinct.max(other.distinct),
            values,
            ..self.clone()
        })
    }
}

/// The smaller one of two values, of which one may be missing.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A decimal under another scale; `None` where that would round it or be too large.
fn rescaled(value: i128, from: i16, to: i16) -> Option<i128> {
    let power = |digits: i16| 10_i128.checked_pow(u32::try_from(digits).ok()?);
    match to.checked_sub(from)? {
        0 => Some(value),
        more if more > 0 => value.checked_mul(power(more)?),
        fewer => {
            let divisor = power(-fewer)?;
            (value % divisor == 0).then(|| value / divisor)
        }
    }
}

/// What is to be told of columns of which these were written, where so many rows were there before, of which this is known. None of
/// a column that has rows of which nothing is known.
pub(crate) fn united(written: &[ColumnSummary], rows_before: u64, known: &[Struct]) -> Vec<Struct> {
    if rows_before == 0 {
        return written.iter().map(ColumnSummary::object).collect();
    }
    let known: BTreeMap<String, ColumnSummary> = known
        .iter()
        .filter_map(|object| ColumnSummary::read(object, rows_before))
        .map(|summary| (summary.name.to_lowercase(), summary))
        .collect();
    let united = written.iter().filter_map(|summary| summary.and(known.get(&summary.name.to_lowercase())?));
    united.map(|summary| summary.object()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(values: Values) -> ColumnSummary {
        ColumnSummary { name: "c".to_owned(), hive_type: "t".to_owned(), nulls: 2, distinct: 5, values }
    }

    fn all() -> Vec<ColumnSummary> {
        let text = |digits: &str| Some(digits.to_owned());
        [
            Values::Boolean { trues: 3, falses: 5 },
            Values::Long { least: Some(i64::MIN), greatest: Some(7) },
            Values::Long { least: None, greatest: None },
            Values::Double,
            Values::Text(Lengths { longest: 9, sum: 40, count: 8 }),
            Values::Decimal {
                least: text("-129"),
                greatest: text("170141183460469231731687303715884105727"),
                scale: 2,
            },
            Values::Date { least: Some(-5), greatest: Some(20_000) },
        ]
        .map(summary)
        .to_vec()
    }

    #[test]
    fn what_is_told_comes_back() {
        for summary in all() {
            let wanted = match summary.values {
                // Hive counts no different values of these.
                Values::Boolean { .. } => ColumnSummary { distinct: 0, ..summary.clone() },
                _ => summary.clone(),
            };
            assert_eq!(ColumnSummary::read(&summary.object(), 10), Some(wanted), "{summary:?}");
        }
    }

    #[test]
    fn of_all_rows_together() {
        let known = [summary(Values::Long { least: Some(3), greatest: Some(4) }).object()];
        let written =
            [ColumnSummary { nulls: 1, distinct: 9, ..summary(Values::Long { least: Some(-1), greatest: Some(2) }) }];
        let united_one = united(&written, 10, &known);
        let found = ColumnSummary::read(&united_one[0], 20).unwrap();
        assert_eq!((found.nulls, found.distinct), (3, 9));
        assert_eq!(found.values, Values::Long { least: Some(-1), greatest: Some(4) });
        assert!(united(&written, 10, &[]).is_empty(), "there are rows of which nothing is known");
        assert_eq!(united(&written, 0, &known), [written[0].object()], "there were none");
        let fine = summary(Values::Decimal { least: Some("15".to_owned()), greatest: None, scale: 1 });
        let finer = summary(Values::Decimal { least: Some("149".to_owned()), greatest: None, scale: 2 });
        let both = finer.and(&fine).unwrap();
        assert_eq!(both.values, Values::Decimal { least: Some("149".to_owned()), greatest: None, scale: 2 });
        assert_eq!(fine.and(&summary(Values::Double)), None);
    }
}
