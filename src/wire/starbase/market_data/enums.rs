//! Enumerations and bit sets of the schema. A raw byte travels in the blocks; reading it typed may fail.

use super::DecodeError;

/// What kind of contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum InstrumentType {
    /// Perpetual future.
    Perpetual = 0,
    /// Option.
    Option = 1,
    /// Spot pair.
    Spot = 2,
    /// Combination of futures.
    FutureCombo = 3,
    /// Combination of options.
    OptionCombo = 4,
    /// Dated future.
    DatedFuture = 5,
}

/// Whether an instrument trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum InstrumentStatus {
    /// It trades.
    Open = 0,
    /// It does not trade.
    Inactive = 1,
    /// It is being settled.
    Settlement = 2,
    /// It was delivered and is gone.
    Delivered = 3,
    /// Its book is locked.
    Locked = 4,
    /// Trading is halted.
    Halted = 5,
}

/// Why a retransmit request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum RejectReason {
    /// The messages are no longer kept.
    SequenceTooLow = 1,
    /// The messages were not sent yet.
    SequenceTooHigh = 2,
    /// Asked too often.
    RateLimitExceeded = 3,
    /// Anything else.
    OtherError = 4,
}

/// Bits of a definition's flags.
pub mod instrument_flags {
    /// It pays in the base coin.
    pub const IS_REVERSED: u8 = 1;
    /// A put.
    pub const IS_PUT: u8 = 2;
    /// It never expires.
    pub const IS_PERPETUAL: u8 = 4;
}

/// Bits of a trade's flags.
pub mod trade_flags {
    /// The order sold.
    pub const IS_SELL: u32 = 1;
    /// The order was a liquidation.
    pub const IS_LIQUIDATION: u32 = 2;
}

macro_rules! typed {
    ($($name:ident: $($value:ident),*;)*) => {$(
        impl TryFrom<i8> for $name {
            type Error = DecodeError;

            fn try_from(byte: i8) -> Result<Self, DecodeError> {
                match byte {
                    $(b if b == Self::$value as i8 => Ok(Self::$value),)*
                    _ => Err(DecodeError::Enumeration),
                }
            }
        }

        impl From<$name> for i8 {
            fn from(value: $name) -> Self {
                value as Self
            }
        }
    )*};
}

typed! {
    InstrumentType: Perpetual, Option, Spot, FutureCombo, OptionCombo, DatedFuture;
    InstrumentStatus: Open, Inactive, Settlement, Delivered, Locked, Halted;
    RejectReason: SequenceTooLow, SequenceTooHigh, RateLimitExceeded, OtherError;
}
