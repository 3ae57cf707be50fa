//! Numbers as text.

use super::fields::digits_value;

/// Digits that always fit a `u64`.
const SAFE_DIGITS: usize = 19;

/// A whole number without sign; leading zeros are allowed. `None` when it is none or does not fit.
#[inline]
pub fn number(text: &[u8]) -> Option<u64> {
    match text.len() {
        0 => None,
        1..=SAFE_DIGITS => digits_of(text),
        _ => text.iter().try_fold(0u64, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 { None } else { value.checked_mul(10)?.checked_add(u64::from(digit)) }
        }),
    }
}

/// Of at most [`SAFE_DIGITS`] digits: eight at once, then one by one.
#[inline]
fn digits_of(text: &[u8]) -> Option<u64> {
    let (eights, rest) = text.as_chunks::<8>();
    let mut value = 0u64;
    for eight in eights {
        let digits = u64::from_le_bytes(*eight) ^ u64::from_le_bytes([b'0'; 8]);
        value = value * 100_000_000 + digits_value(digits)?;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// A decimal number in 1e-9 units. `None` when it is none, has digits below 1e-9, or does not fit: it is never rounded.
#[inline]
pub fn decimal_e9(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
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
    let signed = i64::try_from(scaled).ok()?;
    Some(if negative { -signed } else { signed })
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
        fn arbitrary_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (number(&text), decimal_e9(&text));
        }
    }
}
