//! Days and seconds since 1970 as a date, in the Gregorian calendar.

use core::fmt;

/// A date and a time of day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: u32,
    /// Of the month, from 1.
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Date {
    /// The date `seconds` after 1970-01-01 00:00.
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        let time = u32::try_from(seconds.rem_euclid(86_400)).unwrap_or(0);
        // Years begin in March here, so that a leap day is a year's last; 146 097 days are 400 years.
        let days = seconds.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: u32::try_from(month).unwrap_or(1),
            day: u32::try_from(day_of_year - (153 * march_month + 2) / 5 + 1).unwrap_or(1),
            hour: time / 3_600,
            minute: time / 60 % 60,
            second: time % 60,
        }
    }

    /// Seconds since 1970-01-01 00:00; `None` for a date that does not exist, and outside the years 1970
    /// to 9999.
    pub(crate) fn seconds(self) -> Option<i64> {
        if !(1970..=9999).contains(&self.year)
            || !(1..=12).contains(&self.month)
            || self.day == 0
            || self.hour > 23
            || self.minute > 59
            || self.second > 59
        {
            return None;
        }
        let year = self.year - i64::from(self.month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let march_month = i64::from((self.month + 9) % 12);
        let day_of_year = (153 * march_month + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let time = i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = days * 86_400 + time;
        // A day that its month does not have comes back as another date.
        (Self::from_seconds(seconds) == self).then_some(seconds)
    }

    /// Prints it as Xvisor does, with `zone` before the year.
    pub(crate) fn print(self, out: &mut dyn fmt::Write, zone: &dyn fmt::Display) -> fmt::Result {
        let days = self.seconds().unwrap_or(0).div_euclid(86_400);
        let weekday =
            usize::try_from((days + 4).rem_euclid(7)).ok().and_then(|day| DAYS.get(day)).unwrap_or(&"");
        let month = self.month.checked_sub(1).and_then(|month| MONTHS.get(month as usize)).unwrap_or(&"");
        let Self { year, day, hour, minute, second, .. } = self;
        writeln!(out, "{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {zone} {year}")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::Date;

    #[test]
    fn dates_survive_the_way_there_and_back() {
        for day in (0..50_000).step_by(13) {
            let seconds = day * 86_400 + 3_661;
            assert_eq!(Date::from_seconds(seconds).seconds(), Some(seconds));
        }
    }

    #[test]
    fn leap_days_and_impossible_days_are_known() {
        let date = |year, month, day| Date { year, month, day, hour: 0, minute: 0, second: 0 };
        assert_eq!(date(2000, 2, 29).seconds(), Some(951_782_400));
        assert_eq!(date(2023, 2, 29).seconds(), None);
        assert_eq!(date(2023, 4, 31).seconds(), None);
        assert_eq!(date(1969, 12, 31).seconds(), None);
        let mut text = String::new();
        Date::from_seconds(1_700_000_000).print(&mut text, &"UTC").unwrap();
        assert_eq!(text, "Tue Nov 14 22:13:20 UTC 2023\n");
    }
}
