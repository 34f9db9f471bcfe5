//! The functions of the values of one row that a source can be asked for.

use crate::RemoteLiteral;

/// A field of a date, a timestamp or a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatePart {
    /// The year of the astronomers, who count a year 0.
    Year,
    /// 1 to 4.
    Quarter,
    /// 1 to 12.
    Month,
    /// The week of ISO 8601, 1 to 53.
    Week,
    /// 1 to 31.
    Day,
    /// 1 to 366.
    DayOfYear,
    /// 0 for Sunday to 6.
    DayOfWeek,
    /// 1 for Monday to 7.
    IsoDayOfWeek,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
    /// 0 to 59, without the fraction.
    Second,
    /// The seconds in thousandths, cut off.
    Millisecond,
    /// The seconds in millionths.
    Microsecond,
}

impl DatePart {
    /// Whether it is a part of the time of day and not of the date.
    pub fn is_of_time(self) -> bool {
        matches!(self, Self::Hour | Self::Minute | Self::Second | Self::Millisecond | Self::Microsecond)
    }
}

/// To the beginning of what a timestamp is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateUnit {
    /// A thousandth of a second.
    Millisecond,
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, which begins on Monday.
    Week,
    /// A month.
    Month,
    /// A quarter.
    Quarter,
    /// A year.
    Year,
}

/// Where characters are taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimSide {
    /// At either end.
    Both,
    /// At the beginning.
    Start,
    /// At the end.
    End,
}

/// A function of one value of each row. What else it takes are literals.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteFunction {
    /// A field of a date or a timestamp, as an integer of 4 bytes.
    DatePart(DatePart),
    /// A field of a time of day, as an integer of 4 bytes.
    TimePart(DatePart),
    /// The seconds of a timestamp or a time of day with their fraction, as a double.
    Seconds,
    /// The same in thousandths.
    Milliseconds,
    /// A timestamp without a zone, cut off.
    Truncated(DateUnit),
    /// A point in time, cut off in UTC.
    TruncatedInUtc(DateUnit),
    /// A point in time as date and time in UTC, without a zone.
    InUtc,
    /// The characters of a text from a position on, which counts from 1; at most so many.
    Substring(i64, Option<i64>),
    /// How many characters a text has, as an integer of 4 bytes.
    CharacterLength,
    /// How many bytes a text has in UTF-8, as an integer of 4 bytes.
    OctetLength,
    /// The text without these characters at its ends; without them, without blanks.
    Trim(TrimSide, Option<RemoteLiteral>),
    /// Every occurrence of one text replaced by another.
    Replace(RemoteLiteral, RemoteLiteral),
    /// The first characters; of a negative number all but the last.
    Left(i32),
    /// The last characters; of a negative number all but the first.
    Right(i32),
    /// Where a text first occurs, counted from 1 in characters; 0 where it does not. An integer of 4 bytes.
    Position(RemoteLiteral),
    /// Whether the text begins with another.
    StartsWith(RemoteLiteral),
    /// Whether the text ends with another, which has so many characters.
    EndsWith(RemoteLiteral, i32),
    /// Whether another text occurs.
    Contains(RemoteLiteral),
    /// The characters from the last to the first.
    Reverse,
    /// The text so many times.
    Repeat(i32),
    /// Filled up at the beginning, or cut off, to so many characters.
    PadStart(i32, RemoteLiteral),
    /// Filled up at the end, or cut off, to so many characters.
    PadEnd(i32, RemoteLiteral),
    /// What stands between two separators, counted from 1.
    SplitPart(RemoteLiteral, i32),
    /// The number without its sign.
    Absolute,
    /// The next whole number up.
    Ceiling,
    /// The next whole number down.
    Floor,
    /// A decimal rounded to so many digits behind the point, half away from zero.
    Round(i32),
    /// A number cut off toward zero behind so many digits after the point; without them, before the point.
    Truncate(Option<i32>),
}
