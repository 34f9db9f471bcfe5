//! Functions of dates and times.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::functions::datetime::date_part::DatePartFunc;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use portolan_connector::{Operation, Reason};

use super::operand::{bare, is_string};
use super::{Lowering, refuse};
use crate::{DatePart, DateUnit, RemoteExpr, RemoteFunction, Typed};

impl Lowering<'_> {
    pub(super) fn date_function(&mut self, call: &ScalarFunction, depth: usize) -> Result<Typed, Reason> {
        let [word, argument] = call.args.as_slice() else {
            return Err(refuse::no_rule_for_function(call.name()));
        };
        let word = literal_word(word)?;
        let argument = self.value(argument, depth + 1)?;
        match call.name() {
            // DataFusion's own cuts the fraction off seconds; the engine's keeps it.
            "date_part"
                if !call.func.inner().is::<DatePartFunc>()
                    && matches!(date_part(&word), Some(DatePart::Second | DatePart::Millisecond)) =>
            {
                self.seconds(&word, argument)
            }
            "date_part" => self.date_part(&word, argument),
            _ => self.date_trunc(&word, argument),
        }
    }

    fn date_part(&mut self, word: &str, argument: Typed) -> Result<Typed, Reason> {
        self.exact_rule(Operation::DatePart, Some(argument.column.domain))?;
        let part = date_part(word).ok_or("no rule for this part of a date")?;
        match &argument.column.arrow_type {
            DataType::Time64(_) if part.is_of_time() => {
                self.call(RemoteFunction::TimePart(part), Operation::DatePart, argument, &DataType::Int32)
            }
            DataType::Date32 if !part.is_of_time() => {
                self.call(RemoteFunction::DatePart(part), Operation::DatePart, argument, &DataType::Int32)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                self.call(RemoteFunction::DatePart(part), Operation::DatePart, argument, &DataType::Int32)
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                // The engine sees a point in time in UTC.
                let argument = if zone.is_some() { in_utc(argument) } else { argument };
                self.call(RemoteFunction::DatePart(part), Operation::DatePart, argument, &DataType::Int32)
            }
            _ => Err("no rule for this part of a date".into()),
        }
    }

    /// Seconds with their fraction, as a double.
    fn seconds(&mut self, word: &str, argument: Typed) -> Result<Typed, Reason> {
        let function = match date_part(word) {
            Some(DatePart::Millisecond) => RemoteFunction::Milliseconds,
            _ => RemoteFunction::Seconds,
        };
        // A zone is whole minutes away from UTC today, and was not always.
        let argument = match &argument.column.arrow_type {
            DataType::Time64(_) | DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, None) => argument,
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => in_utc(argument),
            _ => return Err("no rule for this part of a date".into()),
        };
        self.call(function, Operation::DatePart, argument, &DataType::Float64)
    }

    fn date_trunc(&mut self, word: &str, argument: Typed) -> Result<Typed, Reason> {
        self.exact_rule(Operation::DateTrunc, Some(argument.column.domain))?;
        let unit = date_unit(word).ok_or("no rule for cutting off to this unit")?;
        let result = argument.column.arrow_type.clone();
        let function = match &result {
            DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, None) => RemoteFunction::Truncated(unit),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => RemoteFunction::TruncatedInUtc(unit),
            _ => return Err("no rule for cutting off what is no timestamp".into()),
        };
        self.call(function, Operation::DateTrunc, argument, &result)
    }
}

/// A point in time as date and time in UTC.
fn in_utc(argument: Typed) -> Typed {
    let expr = RemoteExpr::Function { function: RemoteFunction::InUtc, argument: Box::new(argument.expr) };
    Typed { expr, ..argument }
}

/// The name of a part or a unit, in lower case.
fn literal_word(word: &Expr) -> Result<String, Reason> {
    let Expr::Literal(word, _) = bare(word) else {
        return Err("no rule for a part of a date that is no literal".into());
    };
    let word = if is_string(&word.data_type()) { word.try_as_str().flatten() } else { None };
    word.map(str::to_lowercase).ok_or_else(|| "no rule for this part of a date".into())
}

fn date_part(word: &str) -> Option<DatePart> {
    Some(match word {
        "year" => DatePart::Year,
        "quarter" => DatePart::Quarter,
        "month" => DatePart::Month,
        "week" => DatePart::Week,
        "day" => DatePart::Day,
        "doy" => DatePart::DayOfYear,
        "dow" => DatePart::DayOfWeek,
        "isodow" => DatePart::IsoDayOfWeek,
        "hour" => DatePart::Hour,
        "minute" => DatePart::Minute,
        "second" => DatePart::Second,
        "millisecond" | "milliseconds" => DatePart::Millisecond,
        "microsecond" | "microseconds" => DatePart::Microsecond,
        _ => return None,
    })
}

fn date_unit(word: &str) -> Option<DateUnit> {
    Some(match word {
        "millisecond" => DateUnit::Millisecond,
        "second" => DateUnit::Second,
        "minute" => DateUnit::Minute,
        "hour" => DateUnit::Hour,
        "day" => DateUnit::Day,
        "week" => DateUnit::Week,
        "month" => DateUnit::Month,
        "quarter" => DateUnit::Quarter,
        "year" => DateUnit::Year,
        _ => return None,
    })
}
