//! Times of a log, in milliseconds since 1970-01-01 00:00 UTC, and what hour and weekday they are.
use std::prelude::v1::*;

use crate::features::TIME_MAX;
use crate::train::description::{TimePart, TimeUnit};
use crate::train::expression::{integer, number};

const DAY: i64 = 86_400_000;

/// Milliseconds of a cell; `None` if it is no time of that unit or beyond what user states hold.
pub(crate) fn milliseconds(cell: &[u8], unit: TimeUnit) -> Option<i64> {
    let ms = match unit {
        TimeUnit::Seconds => whole(cell)?.checked_mul(1000)?,
        TimeUnit::Milliseconds => whole(cell)?,
        TimeUnit::Iso => iso(cell)?,
    };
    (ms.unsigned_abs() <= TIME_MAX as u64 * 1000).then_some(ms)
}

/// An integer, or a float without a fraction.
fn whole(cell: &[u8]) -> Option<i64> {
    integer(cell).or_else(|| {
        number(cell)
            .filter(|x| libm::trunc(*x) == *x && x.abs() < 9e15)
            .map(|x| x as i64)
    })
}

/// `YYYY-MM-DD`, then optionally `T` or a blank and `hh:mm` or `hh:mm:ss`, a fraction, `Z`.
fn iso(cell: &[u8]) -> Option<i64> {
    let cell = cell.strip_suffix(b"Z").unwrap_or(cell);
    let (cell, fraction) = match cell.iter().position(|b| *b == b'.') {
        Some(dot) => (&cell[..dot], cell.get(dot + 1..).unwrap_or_default()),
        None => (cell, &[][..]),
    };
    let digits = |range: core::ops::Range<usize>| -> Option<i64> {
        let text = cell.get(range)?;
        text.iter()
            .all(u8::is_ascii_digit)
            .then(|| integer(text))
            .flatten()
    };
    let is = |at: usize, of: &[u8]| cell.get(at).is_some_and(|b| of.contains(b));
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !is(4, b"-") || !is(7, b"-") || !(1..=days_of_month).contains(&day) {
        return None;
    }
    let (hour, minute, second) = match cell.len() {
        10 if fraction.is_empty() => (0, 0, 0),
        16 if fraction.is_empty() && is(10, b"T ") && is(13, b":") => {
            (digits(11..13)?, digits(14..16)?, 0)
        }
        19 if is(10, b"T ") && is(13, b":") && is(16, b":") => {
            (digits(11..13)?, digits(14..16)?, digits(17..19)?)
        }
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut ms = 0;
    for place in 0..3 {
        ms = ms * 10 + fraction.get(place).map_or(0, |d| i64::from(d - b'0'));
    }
    // Days since 1970-01-01 of a proleptic Gregorian date whose year begins in March (Hinnant, "chrono-compatible
    // low-level date algorithms", days_from_civil).
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * DAY + ((hour * 60 + minute) * 60 + second) * 1000 + ms)
}

/// A time as `"iso"` has it, to the millisecond.
pub(super) fn iso_text(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(DAY), ms.rem_euclid(DAY));
    // Hinnant, civil_from_days: the inverse of the above.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    let year = year + era * 400 + i64::from(month <= 2);
    let (second, fraction) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}")
}

/// Hour (0..=23) or weekday (0, Monday, to 6) of a time after adding `offset` seconds.
pub(crate) fn part(ms: i64, offset: i64, part: TimePart) -> usize {
    let local = ms + offset * 1000;
    match part {
        TimePart::Hour => (local.rem_euclid(DAY) / 3_600_000) as usize,
        // 1970-01-01 was a Thursday.
        TimePart::Weekday => (local.div_euclid(DAY) + 3).rem_euclid(7) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times_are_unix_milliseconds() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2023-02-23T07:45:40", Some(1_677_138_340_000)),
            ("2023-02-23 07:45:40.25Z", Some(1_677_138_340_250)),
            ("2000-02-29T00:00", Some(951_782_400_000)),
            ("1969-12-31T23:59:59", Some(-1000)),
            ("2023-02-29T00:00:00", None),
            ("2023-13-01", None),
            ("2023-02-23T24:00:00", None),
            ("2023-02-23T07:45:40+01:00", None),
            ("", None),
        ] {
            assert_eq!(
                milliseconds(text.as_bytes(), TimeUnit::Iso),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn iso_text_is_read_back_to_the_same_time() {
        for ms in (-80_000_000_000_000..80_000_000_000_000).step_by(1_234_567_890_123) {
            let text = iso_text(ms);
            let back = milliseconds(text.as_bytes(), TimeUnit::Iso);
            assert_eq!(back, (ms >= -62_167_219_200_000).then_some(ms), "{text}");
        }
        assert_eq!(iso_text(1_677_138_340_250), "2023-02-23T07:45:40.250");
    }

    #[test]
    fn hours_and_weekdays_follow_the_offset() {
        // 2022-04-07 15:44:48 UTC was a Thursday; 8 hours later it is 23:44 there.
        let ms = 1_649_346_288_441;
        assert_eq!(
            (part(ms, 0, TimePart::Hour), part(ms, 0, TimePart::Weekday)),
            (15, 3)
        );
        assert_eq!(
            (
                part(ms, 8 * 3600, TimePart::Hour),
                part(ms, 9 * 3600, TimePart::Weekday)
            ),
            (23, 4)
        );
        assert_eq!(part(-1, 0, TimePart::Hour), 23);
    }

    #[test]
    fn times_beyond_any_clock_are_refused() {
        assert_eq!(milliseconds(b"1649346288441", TimeUnit::Seconds), None);
        assert_eq!(
            milliseconds(b"1649346288", TimeUnit::Seconds),
            Some(1_649_346_288_000)
        );
        assert_eq!(milliseconds(b"12.5", TimeUnit::Seconds), None);
    }
}
