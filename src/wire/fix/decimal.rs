//! Numbers as text.

use super::scan::{digits_value, first_equal, less_zeros, right_aligned, trailing_digits};

/// Digits that always fit a `u64`.
const SAFE_DIGITS: usize = 19;

/// A whole number without sign; leading zeros are allowed. `None` when it is none or does not fit.
#[inline]
pub fn number(text: &[u8]) -> Option<u64> {
    match text.len() {
        0 => None,
        1..=8 => digits_value(right_aligned(text)?),
        9..=SAFE_DIGITS => digits_of(text),
        _ => long_number(text),
    }
}

#[cold]
#[inline(never)]
fn long_number(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { value.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

/// Of at most [`SAFE_DIGITS`] digits, eight at once.
#[inline]
fn digits_of(text: &[u8]) -> Option<u64> {
    let (eights, rest) = text.as_chunks::<8>();
    let mut value = 0u64;
    for eight in eights {
        value = value * 100_000_000 + digits_value(less_zeros(u64::from_le_bytes(*eight)))?;
    }
    if rest.is_empty() { Some(value) } else { Some(value * POWERS[rest.len()] + digits_value(right_aligned(rest)?)?) }
}

/// The number at the end of a name such as `ETH-4711` or `BTC-PERPETUAL#38`; 0 when there is none, cut to what fits.
#[inline]
pub(super) fn trailing_number(name: &[u8]) -> u64 {
    if let Some(last) = name.last_chunk() {
        let last = less_zeros(u64::from_le_bytes(*last));
        let digits = trailing_digits(last);
        if digits < 8 {
            // Without any digit nothing is left.
            return digits_value(last & u64::MAX.checked_shl(64 - 8 * digits).unwrap_or_default()).unwrap_or_default();
        }
    }
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count().min(SAFE_DIGITS);
    number(&name[name.len() - digits..]).unwrap_or_default()
}

/// A decimal number in 1e-9 units. `None` when it is none, has digits below 1e-9, or does not fit: it is never rounded.
#[inline]
pub fn decimal_e9(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let magnitude = match right_aligned(text) {
        Some(digits) => short_e9(digits, text.len()),
        None => long_e9(text),
    };
    magnitude.map(|magnitude| if negative { -magnitude } else { magnitude })
}

/// Of at most eight characters, all at once: the point is taken out, and the digits are one whole number.
#[inline]
fn short_e9(digits: u64, len: usize) -> Option<i64> {
    // A byte that was no point may be told as one above the first; it is then no digit either.
    let point = first_equal(digits, b'.' ^ b'0');
    let (joined, places) = match point {
        0 => (digits, 0),
        _ if len == 1 => return None,
        _ => {
            let below = (point ^ (point - 1)) >> 8;
            let at = point.trailing_zeros() as usize / 8;
            (((digits & below) << 8) | (digits & !(below << 8 | 0xFF)), 7 - at)
        }
    };
    Some((digits_value(joined)? * POWERS[9 - places]) as i64)
}

/// Of any length.
#[cold]
#[inline(never)]
fn long_e9(text: &[u8]) -> Option<i64> {
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let (whole, fraction) = (&text[..point], text.get(point + 1..).unwrap_or_default());
    // Zeros below 1e-9 say nothing.
    let (fraction, below) = fraction.split_at(fraction.len().min(9));
    if whole.len() + fraction.len() == 0 || below.iter().any(|byte| *byte != b'0') {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { number(whole)? };
    let places = fraction.len();
    let fraction = if places == 0 { 0 } else { digits_of(fraction)? * POWERS[9 - places] };
    let scaled = whole.checked_mul(POWERS[9])?.checked_add(fraction)?;
    i64::try_from(scaled).ok()
}

const POWERS: [u64; 10] = {
    let mut powers = [1; 10];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Price;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "+1", "1x", "18446744073709551616", " 1"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
        for text in ["", "-", ".", "-.", "+1", "1e3", "1.2.3", "0.0000000001", "9223372036.9", "1,5", "NaN"] {
            assert_eq!(decimal_e9(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        for (text, expected) in [
            ("97650.5", 97_650_500_000_000),
            ("0.0005", 500_000),
            ("-0.5", -500_000_000),
            ("10", 10_000_000_000),
            ("10.", 10_000_000_000),
            (".5", 500_000_000),
            ("0.0000000010000", 1),
            ("9223372036.854775807", i64::MAX),
        ] {
            assert_eq!(decimal_e9(text.as_bytes()), Some(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(e9 in -i64::MAX..=i64::MAX, whole: u64) {
            prop_assert_eq!(decimal_e9(Price(e9).to_string().as_bytes()), Some(e9));
            prop_assert_eq!(number(whole.to_string().as_bytes()), Some(whole));
        }

        #[test]
        fn a_short_number_is_read_as_a_long_one(text in "[-0-9.x]{0,2}[0-9]{0,6}[.0-9]{0,3}[-0-9.x]{0,1}") {
            // Zeros in front make it too long to be read at once.
            let (sign, magnitude) = text.split_at(usize::from(text.starts_with('-')));
            let digits = magnitude.bytes().filter(u8::is_ascii_digit).count();
            let padded = format!("{sign}000000000{magnitude}");
            let expected = decimal_e9(padded.as_bytes()).filter(|_| digits > 0);
            prop_assert_eq!(decimal_e9(text.as_bytes()), expected);
        }

        #[test]
        fn a_name_ends_in_its_digits(name in "[A-Z#-]{0,3}[0-9]{0,10}") {
            let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
            prop_assert_eq!(trailing_number(name.as_bytes()), digits.parse().unwrap_or(0));
        }

        #[test]
        fn arbitrary_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (number(&text), decimal_e9(&text));
        }
    }
}
