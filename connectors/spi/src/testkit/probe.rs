//! Values to try on the columns of a domain.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use crate::Domain;

/// Columns of one domain and the values to compare them with.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The domain, as the rules name it.
    pub domain: Domain,
    /// Names of columns that have the domain.
    pub columns: Vec<String>,
    /// Values. One that is not of a column's type is converted to it; one that does not fit is left out for that
    /// column. A NULL is always tried.
    pub literals: Vec<ScalarValue>,
}

impl Probe {
    /// The values as literals of a column's type, without duplicates, NULL at the end.
    pub(super) fn literals_for(&self, data_type: &DataType) -> Vec<ScalarValue> {
        let null = ScalarValue::try_from(data_type).unwrap_or(ScalarValue::Null);
        let fitting = self.literals.iter().filter_map(|value| match value {
            value if value.is_null() => None,
            value if value.data_type() == *data_type => Some(value.clone()),
            value => value.cast_to(data_type).ok().filter(|value| !value.is_null()),
        });
        let mut literals: Vec<ScalarValue> = Vec::new();
        for value in fitting.chain([null]) {
            if !literals.contains(&value) {
                literals.push(value);
            }
        }
        literals
    }
}
