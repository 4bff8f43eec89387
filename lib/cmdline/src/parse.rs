//! The forms of single words.

/// Why a word does not have its form.
pub type What = &'static str;

/// Nanoseconds of a microsecond.
pub const MICROSECOND: u64 = 1_000;
/// Nanoseconds of a millisecond.
pub const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// A number: decimal, `0x…`, `0o…` or `0b…`; then perhaps `K`, `M`, `G` or `T` for 2^10, 2^20, 2^30, 2^40.
///
/// # Errors
/// It is no such number, or more than 64 bits.
pub fn number(word: &str) -> Result<u64, What> {
    let based = [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((word.strip_prefix(prefix)?, radix)));
    let (digits, radix) = based.unwrap_or((word, 10));
    let (digits, shift) = [("kK", 10), ("mM", 20), ("gG", 30), ("tT", 40)]
        .into_iter()
        .find_map(|(letters, shift)| Some((digits.strip_suffix(|c| letters.contains(c))?, shift)))
        .unwrap_or((digits, 0));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("is not a number");
    }
    let number = u64::from_str_radix(digits, radix).map_err(|_| "is too large a number")?;
    number.checked_mul(1 << shift).ok_or("is too large a number")
}

/// A duration in nanoseconds: a decimal number, perhaps with a fraction, and a unit out of `ns`, `us`,
/// `ms`, `s`, `m` (minutes), `h`. Without one the unit has `bare` nanoseconds.
///
/// # Errors
/// It is no such duration, or too long for 64 bits.
pub fn duration(word: &str, bare: u64) -> Result<u64, What> {
    let end = word.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (amount, unit) = word.split_at(end.unwrap_or(word.len()));
    let unit = match unit {
        "" => bare,
        "ns" => 1,
        "us" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" | "min" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return Err("has no known unit (ns, us, ms, s, m, h)"),
    };
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err("is not a duration");
    }
    let too_long = |_| "is too long a duration";
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(too_long)? };
    // Digits beyond the eighteenth count for nothing.
    let (mut part, mut scale) = (0_u128, 1_u128);
    for digit in fraction.chars().take(18).filter_map(|digit| digit.to_digit(10)) {
        part = part * 10 + u128::from(digit);
        scale *= 10;
    }
    let unit = u128::from(unit);
    let total = u128::from(whole) * unit + part * unit / scale;
    u64::try_from(total).map_err(|_| "is too long a duration")
}

/// A time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

/// A time of the day: `h:m:s`, or `h:m`.
///
/// # Errors
/// It is no such time.
pub fn time(word: &str) -> Result<Time, What> {
    const WHAT: What = "is not a time (h:m:s)";
    let mut parts = word.split(':');
    let mut part = |end: u8, needed: bool| match parts.next() {
        Some(part) if (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            part.parse().ok().filter(|&value| value < end).ok_or(WHAT)
        }
        None if !needed => Ok(0),
        _ => Err(WHAT),
    };
    let time = Time { hour: part(24, true)?, minute: part(60, true)?, second: part(60, false)? };
    if parts.next().is_some() { Err(WHAT) } else { Ok(time) }
}

/// A month, 1 to 12: as a number, or by its English name or that name's first letters, three at least.
///
/// # Errors
/// It is no month.
pub fn month(word: &str) -> Result<u8, What> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let is_name =
        |name: &&str| word.len() >= 3 && name.get(..word.len()).is_some_and(|s| s.eq_ignore_ascii_case(word));
    if let Some((month, _)) = (1..).zip(&NAMES).find(|(_, name)| is_name(name)) {
        return Ok(month);
    }
    word.parse().ok().filter(|month| (1..=12).contains(month)).ok_or("is not a month")
}

/// `on` or `off` (or `1` or `0`, `yes` or `no`, `true` or `false`).
///
/// # Errors
/// It is none of these.
pub fn switch(word: &str) -> Result<bool, What> {
    match word {
        "on" | "1" | "yes" | "true" => Ok(true),
        "off" | "0" | "no" | "false" => Ok(false),
        _ => Err("is neither on nor off"),
    }
}

#[cfg(test)]
mod tests {
    use super::{MILLISECOND, SECOND, Time, duration, month, number, switch, time};

    #[test]
    fn numbers_have_bases_and_suffixes() {
        assert_eq!(number("0"), Ok(0));
        assert_eq!(number("0x40000000"), Ok(0x4000_0000));
        assert_eq!((number("0b101"), number("0o17")), (Ok(5), Ok(15)));
        assert_eq!((number("4K"), number("0x2M"), number("1g")), (Ok(4096), Ok(2 << 20), Ok(1 << 30)));
        assert_eq!(number("18446744073709551615"), Ok(u64::MAX));
        for word in ["18446744073709551616", "16777216T"] {
            assert_eq!(number(word), Err("is too large a number"));
        }
        for word in ["", "0x", "K", "-1", "+1", "1x", "12 ", "ü", "0xü", "1KK", "é"] {
            assert_eq!(number(word), Err("is not a number"), "{word}");
        }
    }

    #[test]
    fn durations_have_units_and_fractions() {
        assert_eq!((duration("5", SECOND), duration("5", MILLISECOND)), (Ok(5 * SECOND), Ok(5_000_000)));
        assert_eq!((duration("1.5s", 1), duration(".25ms", 1)), (Ok(1_500_000_000), Ok(250_000)));
        assert_eq!((duration("2m", 1), duration("1h", 1)), (Ok(120 * SECOND), Ok(3600 * SECOND)));
        assert_eq!(duration("0.0000000019s", 1), Ok(1));
        for word in ["", ".", "1..2", "s", "1x", "-1", "99999999999h", "1e3", "99999999999999999999999"] {
            assert!(duration(word, 1).is_err(), "{word}");
        }
    }

    #[test]
    fn times_lie_in_the_day() {
        assert_eq!(time("23:59:01"), Ok(Time { hour: 23, minute: 59, second: 1 }));
        assert_eq!(time("7:05"), Ok(Time { hour: 7, minute: 5, second: 0 }));
        for word in ["", "7", "24:00:00", "1:60:0", "1:2:3:4", "1::3", "+1:2:3", "001:2:3"] {
            assert!(time(word).is_err(), "{word}");
        }
    }

    #[test]
    fn months_have_names_and_numbers() {
        assert_eq!(
            (month("Jan"), month("december"), month("sept"), month("5")),
            (Ok(1), Ok(12), Ok(9), Ok(5))
        );
        for word in ["", "ju", "0", "13", "januaryx", "mäy"] {
            assert!(month(word).is_err(), "{word}");
        }
    }

    #[test]
    fn switches_are_on_or_off() {
        assert_eq!((switch("on"), switch("no")), (Ok(true), Ok(false)));
        assert!(switch("perhaps").is_err());
    }
}
