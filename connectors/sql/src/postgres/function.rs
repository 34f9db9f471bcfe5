//! Functions as PostgreSQL writes them.
//!
//! Sources of the rules: PostgreSQL's documentation, chapters "String Functions and Operators", "Mathematical Functions and
//! Operators" and "Date/Time Functions and Operators".

use crate::{DatePart, DateUnit, Dialect, RemoteFunction, TrimSide};

/// The engine's calendar ends before this day; the parts of a later one are NULL to it.
const CALENDAR_END: &str = "'262143-01-01'";

/// A call with an operand.
pub(super) fn write(function: &RemoteFunction, argument: &str, dialect: &dyn Dialect) -> String {
    let literal = |literal| dialect.write_literal(literal);
    match function {
        // PostgreSQL has no year 0: before 1 AD it counts -1, -2 where the engine counts 0, -1.
        RemoteFunction::DatePart(DatePart::Year) => format!(
            "CASE WHEN {argument} < '0001-01-01' THEN EXTRACT(year FROM {argument})::int4 + 1 \
             WHEN {argument} < {CALENDAR_END} THEN EXTRACT(year FROM {argument})::int4 END"
        ),
        RemoteFunction::DatePart(part) => {
            format!("CASE WHEN {argument} < {CALENDAR_END} THEN {} END", extract(*part, argument))
        }
        RemoteFunction::TimePart(part) => extract(*part, argument),
        RemoteFunction::Seconds => format!("EXTRACT(second FROM {argument})::float8"),
        RemoteFunction::Milliseconds => format!("EXTRACT(milliseconds FROM {argument})::float8"),
        RemoteFunction::Truncated(unit) => format!("date_trunc('{}', {argument})", unit_name(*unit)),
        RemoteFunction::TruncatedInUtc(unit) => format!("date_trunc('{}', {argument}, 'UTC')", unit_name(*unit)),
        RemoteFunction::InUtc => format!("timezone('UTC', {argument})"),
        RemoteFunction::Substring(from, None) => format!("substr({argument}, {from})"),
        RemoteFunction::Substring(from, Some(length)) => format!("substr({argument}, {from}, {length})"),
        RemoteFunction::CharacterLength => format!("char_length({argument})"),
        RemoteFunction::OctetLength => format!("octet_length({argument})"),
        RemoteFunction::Trim(side, characters) => {
            let name = match side {
                TrimSide::Both => "btrim",
                TrimSide::Start => "ltrim",
                TrimSide::End => "rtrim",
            };
            match characters {
                Some(characters) => format!("{name}({argument}, {})", literal(characters)),
                None => format!("{name}({argument})"),
            }
        }
        RemoteFunction::Replace(from, to) => format!("replace({argument}, {}, {})", literal(from), literal(to)),
        RemoteFunction::Left(count) => format!("\"left\"({argument}, {count})"),
        RemoteFunction::Right(count) => format!("\"right\"({argument}, {count})"),
        RemoteFunction::Position(text) => format!("strpos({argument}, {})", literal(text)),
        RemoteFunction::StartsWith(text) => format!("starts_with({argument}, {})", literal(text)),
        RemoteFunction::EndsWith(text, characters) => {
            format!("\"right\"({argument}, {characters}) = {}", literal(text))
        }
        RemoteFunction::Contains(text) => format!("strpos({argument}, {}) > 0", literal(text)),
        RemoteFunction::Reverse => format!("reverse({argument})"),
        RemoteFunction::Repeat(count) => format!("repeat({argument}, {count})"),
        RemoteFunction::PadStart(length, fill) => format!("lpad({argument}, {length}, {})", literal(fill)),
        RemoteFunction::PadEnd(length, fill) => format!("rpad({argument}, {length}, {})", literal(fill)),
        RemoteFunction::SplitPart(separator, part) => format!("split_part({argument}, {}, {part})", literal(separator)),
        RemoteFunction::Absolute => format!("abs({argument})"),
        RemoteFunction::Ceiling => format!("ceil({argument})"),
        RemoteFunction::Floor => format!("floor({argument})"),
        RemoteFunction::Round(places) => format!("round({argument}, {places})"),
        RemoteFunction::Truncate(None) => format!("trunc({argument})"),
        RemoteFunction::Truncate(Some(places)) => format!("trunc({argument}, {places})"),
    }
}

/// A field as an integer. Seconds have a fraction, which a conversion would round.
fn extract(part: DatePart, argument: &str) -> String {
    let name = match part {
        DatePart::Year => "year",
        DatePart::Quarter => "quarter",
        DatePart::Month => "month",
        DatePart::Week => "week",
        DatePart::Day => "day",
        DatePart::DayOfYear => "doy",
        DatePart::DayOfWeek => "dow",
        DatePart::IsoDayOfWeek => "isodow",
        DatePart::Hour => "hour",
        DatePart::Minute => "minute",
        DatePart::Second => return format!("trunc(EXTRACT(second FROM {argument}))::int4"),
        DatePart::Millisecond => return format!("trunc(EXTRACT(milliseconds FROM {argument}))::int4"),
        DatePart::Microsecond => "microseconds",
    };
    format!("EXTRACT({name} FROM {argument})::int4")
}

fn unit_name(unit: DateUnit) -> &'static str {
    match unit {
        DateUnit::Millisecond => "milliseconds",
        DateUnit::Second => "second",
        DateUnit::Minute => "minute",
        DateUnit::Hour => "hour",
        DateUnit::Day => "day",
        DateUnit::Week => "week",
        DateUnit::Month => "month",
        DateUnit::Quarter => "quarter",
        DateUnit::Year => "year",
    }
}
