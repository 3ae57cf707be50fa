//! The feed's enumerations. On the wire each is one byte, 255 for none; a block keeps the byte as it came, and
//! `TryFrom<u8>` gives it its meaning.

use super::DecodeError;

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $value,)+
        }

        impl TryFrom<u8> for $name {
            type Error = DecodeError;

            #[inline]
            fn try_from(byte: u8) -> Result<Self, DecodeError> {
                match byte {
                    $($value => Ok(Self::$variant),)+
                    _ => Err(DecodeError::Enumeration),
                }
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> u8 {
                value as u8
            }
        }
    };
}

wire_enum! {
    /// Trading state of an instrument.
    State {
        /// Announced.
        Created = 0,
        /// Trading.
        Open = 1,
        /// No longer trading.
        Closed = 2,
        /// Paid out.
        Settled = 3,
        /// Withdrawn.
        Deactivated = 4,
        /// Not trading for now.
        Inactive = 5,
        /// Trading has begun.
        Started = 6,
    }
}

wire_enum! {
    /// Kind of contract.
    Kind {
        /// Dated or perpetual future.
        Future = 0,
        /// Option.
        Option = 1,
        /// Combination of futures.
        FutureCombo = 2,
        /// Combination of options.
        OptionCombo = 3,
        /// Spot pair.
        Spot = 4,
    }
}

wire_enum! {
    /// How a contract pays.
    Type {
        /// Not stated.
        NotApplicable = 0,
        /// Inverse: settled in the base coin.
        Reversed = 1,
        /// Settled in the quote currency.
        Linear = 2,
    }
}

wire_enum! {
    /// Which right an option gives.
    OptionType {
        /// Not an option.
        NotApplicable = 0,
        /// To buy.
        Call = 1,
        /// To sell.
        Put = 2,
    }
}

wire_enum! {
    /// Side of a book level.
    BookSide {
        /// Offers.
        Ask = 0,
        /// Bids.
        Bid = 1,
    }
}

wire_enum! {
    /// What happened to a book level.
    BookChange {
        /// A new level.
        Created = 0,
        /// Its amount changed.
        Changed = 1,
        /// It is gone.
        Deleted = 2,
    }
}

wire_enum! {
    /// The aggressor's direction.
    Direction {
        /// The aggressor bought.
        Buy = 0,
        /// The aggressor sold.
        Sell = 1,
    }
}

wire_enum! {
    /// Which side of a trade was a liquidation.
    Liquidation {
        /// Neither.
        None = 0,
        /// The maker's.
        Maker = 1,
        /// The taker's.
        Taker = 2,
        /// Both.
        Both = 3,
    }
}
