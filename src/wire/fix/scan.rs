//! Many bytes at once: where the separators are, what the bytes add up to, digits read together.
//!
//! Separators are compared sixteen at an instruction, so that the place of a field does not wait for the one before it.

use wide::u8x16;

use super::frame::SOH;

/// The lowest bit, and the highest, of every byte.
const LOWEST: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = 0x8080_8080_8080_8080;

/// Bytes whose separators are found together.
pub(super) const LANES: usize = 64;

/// Bit a separator among the [`LANES`] bytes from `base` on, or those that are left.
#[inline]
pub(super) fn separators_from(bytes: &[u8], base: usize) -> u64 {
    let rest = bytes.get(base..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return separators(block);
    }
    // Those of the last so many bytes, less what stands before `base`.
    if let Some(block) = bytes.last_chunk() {
        return separators(block).checked_shr((LANES - rest.len()) as u32).unwrap_or_default();
    }
    let mut block = [0; LANES];
    block[..rest.len()].copy_from_slice(rest);
    separators(&block)
}

#[inline]
fn separators(block: &[u8; LANES]) -> u64 {
    let (sixteens, _) = block.as_chunks::<16>();
    let mask = |bytes: &[u8; 16]| u64::from(u8x16::from(*bytes).simd_eq(u8x16::splat(SOH)).to_bitmask());
    sixteens.iter().rev().fold(0, |all, bytes| all << 16 | mask(bytes))
}

/// The sum of all bytes, modulo 256.
#[inline]
pub(super) fn sum(bytes: &[u8]) -> u8 {
    /// The last bytes of sixteen, as many as one begins below sixteen from its end.
    const LAST: [u8; 32] = {
        let mut bytes = [0; 32];
        let mut at = 16;
        while at < 32 {
            bytes[at] = 0xFF;
            at += 1;
        }
        bytes
    };
    let total = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let (sixteens, rest) = bytes.as_chunks::<16>();
    let lanes = sixteens.iter().fold(u8x16::ZERO, |lanes, bytes| lanes + u8x16::from(*bytes));
    let (Some(last), Some(mask)) = (bytes.last_chunk(), LAST[rest.len()..].first_chunk()) else { return total(rest) };
    total(&(lanes + (u8x16::from(*last) & u8x16::from(*mask))).to_array())
}

/// The high bit of every byte that equals `byte`, exact up to the first such byte and of no meaning behind it.
#[inline]
pub(super) fn first_equal(word: u64, byte: u8) -> u64 {
    let differs = word ^ (LOWEST * u64::from(byte));
    differs.wrapping_sub(LOWEST) & !differs & HIGHEST
}

/// Eight characters less `'0'`: a digit becomes its value.
#[inline]
pub(super) fn less_zeros(word: u64) -> u64 {
    word ^ (LOWEST * u64::from(b'0'))
}

/// The number whose decimal digits are these bytes, lowest byte first; `None` when one is above nine.
#[inline]
pub(super) fn digits_value(digits: u64) -> Option<u64> {
    if (digits.wrapping_add(LOWEST * 0x76) | digits) & HIGHEST != 0 {
        return None;
    }
    // Neighbours are joined to pairs; every other pair is weighed by one product, and the sums meet above (Lemire, 2022).
    const EVERY_OTHER: u64 = 0x0000_00FF_0000_00FF;
    const FIRST: u64 = 100 + (1_000_000 << 32);
    const SECOND: u64 = 1 + (10_000 << 32);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let (first, second) = (pairs & EVERY_OTHER, (pairs >> 16) & EVERY_OTHER);
    Some(first.wrapping_mul(FIRST).wrapping_add(second.wrapping_mul(SECOND)) >> 32)
}

/// How many of the highest bytes, as [`less_zeros`] leaves them, are digits.
#[inline]
pub(super) fn trailing_digits(digits: u64) -> u32 {
    let others = (((digits & !HIGHEST) + LOWEST * 0x76) | digits) & HIGHEST;
    others.leading_zeros() / 8
}

/// At most eight characters less `'0'`, in the highest bytes; those below are zero.
#[inline]
pub(super) fn right_aligned(text: &[u8]) -> Option<u64> {
    let free = 64u32.checked_sub(8 * u32::try_from(text.len()).ok()?)?;
    // A short text is read from both its ends: what they share is the same in both.
    let word = if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (u64::from(u32::from_le_bytes(*first)) << free) | (u64::from(u32::from_le_bytes(*last)) << 32)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<2>(), text.last_chunk::<2>()) {
        (u64::from(u16::from_le_bytes(*first)) << free) | (u64::from(u16::from_le_bytes(*last)) << 48)
    } else {
        u64::from(*text.first()?) << 56
    };
    Some(word ^ ((LOWEST * u64::from(b'0')) << free))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![2 => any::<u8>(), 1 => Just(SOH), 1 => Just(SOH ^ 0x80), 1 => Just(SOH - 1), 1 => Just(0xFF)]
    }

    proptest! {
        #[test]
        fn every_separator_is_found_and_nothing_else(bytes in prop::collection::vec(byte(), 0..300)) {
            for base in (0..bytes.len() + LANES).step_by(LANES) {
                let is_separator = |at: usize| bytes.get(base + at) == Some(&SOH);
                let expected = (0..LANES).fold(0, |mask, at| mask | u64::from(is_separator(at)) << at);
                prop_assert_eq!(separators_from(&bytes, base), expected);
            }
        }

        #[test]
        fn the_sum_is_that_of_the_bytes(bytes in prop::collection::vec(byte(), 0..300)) {
            prop_assert_eq!(sum(&bytes), bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
        }

        #[test]
        fn a_byte_is_found_where_it_is_first(bytes: [u8; 8], byte: u8) {
            let at = first_equal(u64::from_le_bytes(bytes), byte).trailing_zeros() as usize / 8;
            prop_assert_eq!(at, bytes.iter().position(|other| *other == byte).unwrap_or(8));
        }

        #[test]
        fn the_digits_at_the_end_are_counted(text in "[0-9x/:\u{80}]{0,8}") {
            let bytes = text.as_bytes();
            prop_assume!((1..=8).contains(&bytes.len()));
            let Some(digits) = right_aligned(bytes) else { panic!("short enough") };
            let expected = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            // Bytes before a text that is all digits count as zeros.
            let expected = if expected == bytes.len() { 8 } else { expected };
            prop_assert_eq!(trailing_digits(digits) as usize, expected);
        }
    }

    #[test]
    fn a_short_text_stands_in_the_highest_bytes() {
        for length in 1..=8 {
            let text = &b"12345678"[..length];
            let digits = right_aligned(text).expect("short enough");
            let expected = text.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
            assert_eq!(digits_value(digits), Some(expected));
        }
        assert_eq!((right_aligned(b""), right_aligned(b"123456789")), (None, None));
    }
}
