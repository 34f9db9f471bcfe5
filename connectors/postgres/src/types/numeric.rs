//! `numeric`: from a declaration to a decimal of the engine.

use arrow::datatypes::DECIMAL256_MAX_PRECISION;

use super::Wire;

/// A decimal of the engine: digits in all, and digits after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) precision: u8,
    pub(crate) scale: i8,
}

impl Decimal {
    /// `None` where the engine has no such type.
    pub(crate) fn new(precision: i32, scale: i32) -> Option<Self> {
        let (precision, scale) = (u8::try_from(precision).ok()?, i8::try_from(scale).ok()?);
        let fits =
            (1..=DECIMAL256_MAX_PRECISION).contains(&precision) && (0..=precision.cast_signed()).contains(&scale);
        fits.then_some(Self { precision, scale })
    }

    /// The decimal that holds every value of `numeric(p, s)`. A negative scale rounds to the left of the point, and
    /// a scale beyond the precision leaves zeros to its right (PostgreSQL 15).
    pub(crate) fn of_declaration(precision: i32, scale: i32) -> Option<Self> {
        if scale < 0 { Self::new(precision - scale, 0) } else { Self::new(precision.max(scale), scale) }
    }

    pub(crate) fn wire(self) -> Wire {
        Wire::Decimal { precision: self.precision, scale: self.scale }
    }
}

/// Precision and scale of a type modifier; `None` for the modifier of plain `numeric`. Source of the encoding:
/// PostgreSQL's `numeric.c`, `make_numeric_typmod`.
pub(crate) fn declaration(typmod: i32) -> Option<(i32, i32)> {
    let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
    // The scale is a signed number of 11 bits.
    let scale = (packed & 0x7ff) ^ 1024;
    Some(((packed >> 16) & 0xffff, scale - 1024))
}

/// What a `numeric` becomes that declares no precision, or one that is too great for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumericMapping {
    /// A decimal; a value that does not fit exactly is an error.
    Decimal(Decimal),
    /// Text, as PostgreSQL prints it.
    Varchar,
    /// The nearest float.
    Double,
}

impl NumericMapping {
    /// The property's default.
    pub(crate) const DEFAULT: &'static str = "decimal(38,16)";

    /// Reads the property.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let compact: String = text.to_ascii_lowercase().split_whitespace().collect();
        match compact.as_str() {
            "varchar" => return Ok(Self::Varchar),
            "double" => return Ok(Self::Double),
            _ => {}
        }
        compact
            .strip_prefix("decimal(")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|inside| inside.split_once(','))
            .and_then(|(precision, scale)| Decimal::new(precision.parse().ok()?, scale.parse().ok()?))
            .map(Self::Decimal)
            .ok_or_else(|| {
                format!("numeric = \"{text}\" is not decimal(PRECISION,SCALE) with up to 76 digits, varchar or double")
            })
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    /// As `make_numeric_typmod` packs them.
    fn typmod(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn modifiers_are_unpacked() {
        for (precision, scale) in [(1, 0), (38, 10), (1000, 1000), (9, -7), (5, 6), (1000, -1000)] {
            assert_eq!(declaration(typmod(precision, scale)), Some((precision, scale)));
        }
        assert_eq!(declaration(-1), None);
    }

    #[test]
    fn declarations_find_the_decimal_that_holds_all_values() {
        let decimal =
            |precision, scale| Decimal::of_declaration(precision, scale).map(|decimal| decimal.wire().data_type());
        assert_eq!(decimal(12, 2), Some(DataType::Decimal128(12, 2)));
        assert_eq!(decimal(5, 6), Some(DataType::Decimal128(6, 6)));
        assert_eq!(decimal(27, 38), Some(DataType::Decimal128(38, 38)));
        assert_eq!(decimal(9, -7), Some(DataType::Decimal128(16, 0)));
        assert_eq!(decimal(39, -1), Some(DataType::Decimal256(40, 0)));
        assert_eq!(decimal(65, 25), Some(DataType::Decimal256(65, 25)));
        assert_eq!(decimal(77, 0), None);
        assert_eq!(decimal(40, 80), None);
    }

    #[test]
    fn the_property_is_read() {
        let parse = |text| NumericMapping::parse(text).ok();
        assert_eq!(parse(NumericMapping::DEFAULT), Some(NumericMapping::Decimal(Decimal { precision: 38, scale: 16 })));
        assert_eq!(parse("DECIMAL(76, 0)"), Some(NumericMapping::Decimal(Decimal { precision: 76, scale: 0 })));
        assert_eq!(parse("Varchar"), Some(NumericMapping::Varchar));
        assert_eq!(parse("double"), Some(NumericMapping::Double));
        for wrong in ["", "decimal", "decimal(77,0)", "decimal(0,0)", "decimal(3,4)", "decimal(3,-1)", "float"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
