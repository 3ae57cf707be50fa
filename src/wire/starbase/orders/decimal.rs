//! The variable-precision quantity of the wire, and its exact conversion from and to 1e-9 units.

use crate::units::Quantity;
use zerocopy::byteorder::little_endian::I64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `mantissa × 10^exponent`, nine bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Decimal72 {
    /// Significant digits.
    pub mantissa: I64,
    /// Power of ten.
    pub exponent: i8,
}

/// Why a decimal is no [`Quantity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// It has digits below 1e-9.
    Inexact,
    /// It is beyond ±9.2e9.
    Overflow,
}

/// Powers of ten that an `i64` holds.
const POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

impl Decimal72 {
    /// An optional field left out.
    pub const NULL: Self = Self { mantissa: I64::from_bytes(i64::MIN.to_le_bytes()), exponent: i8::MIN };

    /// Whether the field was left out.
    pub fn is_null(&self) -> bool {
        self.mantissa.get() == i64::MIN && self.exponent == i8::MIN
    }

    /// The same number in 1e-9 units. Never rounds.
    #[inline]
    pub fn to_quantity(self) -> Result<Quantity, DecimalError> {
        let mantissa = self.mantissa.get();
        if self.exponent == -9 || mantissa == 0 {
            return Ok(Quantity(mantissa));
        }
        let shift = i32::from(self.exponent) + 9;
        let power = POWERS.get(shift.unsigned_abs() as usize).copied();
        if shift > 0 {
            return power.and_then(|p| mantissa.checked_mul(p)).map(Quantity).ok_or(DecimalError::Overflow);
        }
        match power {
            Some(p) if mantissa % p == 0 => Ok(Quantity(mantissa / p)),
            _ => Err(DecimalError::Inexact),
        }
    }
}

impl From<Quantity> for Decimal72 {
    #[inline]
    fn from(quantity: Quantity) -> Self {
        Self { mantissa: I64::new(quantity.0), exponent: -9 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(mantissa: i64, exponent: i8) -> Decimal72 {
        Decimal72 { mantissa: I64::new(mantissa), exponent }
    }

    #[test]
    fn digits_below_a_nano_are_refused_not_rounded() {
        assert_eq!(decimal(15, -10).to_quantity(), Err(DecimalError::Inexact));
        assert_eq!(decimal(150, -10).to_quantity(), Ok(Quantity(15)));
        assert_eq!(decimal(1, i8::MIN).to_quantity(), Err(DecimalError::Inexact));
        assert_eq!(decimal(0, i8::MIN).to_quantity(), Ok(Quantity(0)));
    }

    #[test]
    fn what_an_i64_cannot_hold_is_an_overflow() {
        assert_eq!(decimal(9, 9).to_quantity(), Ok(Quantity(9_000_000_000_000_000_000)));
        assert_eq!(decimal(10, 9).to_quantity(), Err(DecimalError::Overflow));
        assert_eq!(decimal(1, i8::MAX).to_quantity(), Err(DecimalError::Overflow));
        assert_eq!(decimal(-9, 9).to_quantity(), Ok(Quantity(-9_000_000_000_000_000_000)));
    }

    #[test]
    fn an_absent_quantity_is_not_a_number() {
        assert!(Decimal72::NULL.is_null());
        assert_eq!(Decimal72::NULL.to_quantity(), Err(DecimalError::Inexact));
    }

    proptest! {
        #[test]
        fn a_quantity_survives_the_wire(q: i64) {
            prop_assert_eq!(Decimal72::from(Quantity(q)).to_quantity(), Ok(Quantity(q)));
        }

        #[test]
        fn conversion_agrees_with_wide_arithmetic(mantissa: i64, exponent in -30i8..30) {
            let expected = match i32::from(exponent) + 9 {
                shift @ 0.. => i128::from(mantissa)
                    .checked_mul(10i128.pow(shift.unsigned_abs()))
                    .and_then(|v| i64::try_from(v).ok())
                    .ok_or(DecimalError::Overflow),
                shift => {
                    let p = 10i128.pow(shift.unsigned_abs());
                    let (q, r) = (i128::from(mantissa) / p, i128::from(mantissa) % p);
                    if r == 0 { Ok(q as i64) } else { Err(DecimalError::Inexact) }
                }
            };
            prop_assert_eq!(decimal(mantissa, exponent).to_quantity(), expected.map(Quantity));
        }
    }
}
