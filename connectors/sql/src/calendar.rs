//! Days and times as text, over the whole range of the engine's types, which is wider than the usual libraries'.

/// Microseconds in a second.
pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds in a day.
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days in 400 years of the Gregorian calendar, after which it repeats.
const DAYS_PER_CYCLE: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01. Years that begin in March have their leap day at the end.
const EPOCH_FROM_MARCH_OF_YEAR_0: i64 = 719_468;

/// A day of the proleptic Gregorian calendar with astronomical years: the year before 1 is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
}

impl Day {
    /// The day that is this many days after 1970-01-01.
    pub(crate) fn from_epoch(days: i64) -> Self {
        let days = days + EPOCH_FROM_MARCH_OF_YEAR_0;
        let cycle = days.div_euclid(DAYS_PER_CYCLE);
        let day_of_cycle = days.rem_euclid(DAYS_PER_CYCLE);
        // Take out the leap days, then a year has 365 days.
        let year_of_cycle =
            (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
        let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        // From March on, months have 31, 30, 31, 30, 31 days and again: 153 days in five months.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
        Self { year, month, day }
    }

    /// `YYYY-MM-DD`, and whether the year is one before Christ.
    pub(crate) fn text(self) -> (String, bool) {
        let before_christ = self.year <= 0;
        let year = if before_christ { 1 - self.year } else { self.year };
        (format!("{year:04}-{:02}-{:02}", self.month, self.day), before_christ)
    }
}

/// `HH:MM:SS`, with the microseconds where there are any. From 0 to 24 hours.
pub(crate) fn time_text(micros: i64) -> String {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let text = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { text } else { format!("{text}.{fraction:06}") }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn agrees_with_chrono_wherever_chrono_reaches() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        // Every day of a whole cycle around the epoch and of one before year 0, then strides over all that chrono has.
        let days = (-150_000..150_000).chain(-900_000..-700_000).chain((-95_000_000..95_000_000).step_by(9_973));
        for days in days {
            let expected = epoch.checked_add_signed(chrono::TimeDelta::days(days)).unwrap();
            let day = Day::from_epoch(days);
            assert_eq!(
                (day.year, day.month, day.day),
                (i64::from(expected.year()), i64::from(expected.month()), i64::from(expected.day())),
                "{days}"
            );
        }
    }

    #[test]
    fn reaches_both_ends_of_date32() {
        // 14,699 cycles of 400 years before or after the epoch, and the rest counted by hand.
        assert_eq!(Day::from_epoch(i64::from(i32::MAX)), Day { year: 5_881_580, month: 7, day: 11 });
        assert_eq!(Day::from_epoch(i64::from(i32::MIN)), Day { year: -5_877_641, month: 6, day: 23 });
    }

    #[test]
    fn years_before_christ_have_no_zero() {
        assert_eq!(Day { year: 1, month: 1, day: 1 }.text(), ("0001-01-01".to_owned(), false));
        assert_eq!(Day { year: 0, month: 12, day: 31 }.text(), ("0001-12-31".to_owned(), true));
        assert_eq!(Day { year: -4713, month: 11, day: 24 }.text(), ("4714-11-24".to_owned(), true));
    }

    #[test]
    fn times() {
        assert_eq!(time_text(0), "00:00:00");
        assert_eq!(time_text(86_399_999_999), "23:59:59.999999");
        assert_eq!(time_text(MICROS_PER_DAY), "24:00:00");
        assert_eq!(time_text(3_723_000_050), "01:02:03.000050");
    }
}
