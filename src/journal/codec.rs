//! How each value is laid into a frame: little-endian, fixed width, a number before each choice.
//!
//! Enters: events, decisions, and what they are made of. Leaves: bytes, and back. Each table below gives every variant the
//! number it has on disk. A number is never used twice: a variant that goes leaves a hole, a variant whose fields change
//! gets a new number, so that an old journal is read as what it was or not at all. The compiler asks for the number of a
//! variant that is missing here.
//!
//! Cost: one copy a field. Failure: bytes that are no value give `None`.

use crate::event::{Body, Event, KillCause, KillLevel, Operator, Protected, Trail};
use crate::instrument::{BookQuality, InstrumentKind, InstrumentState, OptionKind, Payoff, SYMBOL_BYTES_MAX, Symbol};
use crate::order::{Request, TimeInForce};
use crate::units::{
    ClientOrderId, Coins, ExecutionId, InstrumentId, Lots, Nanos, Price, Quantity, Side, Ticks, UnderlyingId,
    VenueInstrumentId, VenueOrderId,
};

/// A value with a layout.
pub(super) trait Field: Sized {
    /// Appends the value.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes the value from the front of `input`; `None` when no value begins there.
    fn take(input: &mut &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($name:ty),*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(input: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = input.split_first_chunk()?;
                *input = rest;
                Some(Self::from_le_bytes(*bytes))
            }
        }
    )*};
}

macro_rules! newtypes {
    ($($name:ident),*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(input: &mut &[u8]) -> Option<Self> {
                Field::take(input).map(Self)
            }
        }
    )*};
}

macro_rules! structs {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn take(input: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: Field::take(input)?),* })
            }
        }
    )*};
}

/// An enum's variants under the numbers that they have on disk.
macro_rules! choices {
    ($name:ty { $($number:literal => $variant:ident $({ $($field:ident),* })?),* $(,)? }) => {
        impl $crate::journal::codec::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),* })? => {
                        out.push($number);
                        $($($crate::journal::codec::Field::put($field, out);)*)?
                    })*
                }
            }

            fn take(input: &mut &[u8]) -> Option<Self> {
                Some(match <u8 as $crate::journal::codec::Field>::take(input)? {
                    $($number => Self::$variant $({ $($field: $crate::journal::codec::Field::take(input)?),* })?,)*
                    _ => return None,
                })
            }
        }
    };
}
pub(super) use choices;

numbers!(u8, u16, u32, u64, i32, i64, f32, f64);

newtypes!(
    ClientOrderId,
    Coins,
    ExecutionId,
    InstrumentId,
    Lots,
    Nanos,
    Operator,
    Price,
    Quantity,
    Ticks,
    UnderlyingId,
    VenueInstrumentId,
    VenueOrderId
);

structs! {
    Trail { received, decoded, valued }
    Event { trail, time, body }
}

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        match u8::take(input)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Field + Copy + Default, const N: usize> Field for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.put(out));
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = T::take(input)?;
        }
        Some(values)
    }
}

/// All its bytes, padding included.
impl Field for Symbol {
    fn put(&self, out: &mut Vec<u8>) {
        let name = self.as_bytes();
        out.extend_from_slice(name);
        out.resize(out.len() + SYMBOL_BYTES_MAX - name.len(), 0);
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        let bytes = <[u8; SYMBOL_BYTES_MAX]>::take(input)?;
        let (name, padding) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(SYMBOL_BYTES_MAX));
        let is_padded = padding.iter().all(|byte| *byte == 0);
        if name.is_empty() { Some(Self::default()) } else { Self::new(name) }.filter(|_| is_padded)
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        if bool::take(input)? { T::take(input).map(Some) } else { Some(None) }
    }
}

/// The rest of a frame.
impl Field for Box<[u8]> {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(input: &mut &[u8]) -> Option<Self> {
        Some(std::mem::take(input).into())
    }
}

choices!(Side { 0 => Buy, 1 => Sell });
choices!(OptionKind { 0 => Call, 1 => Put });
choices!(Payoff { 0 => Linear, 1 => Inverse });
choices!(InstrumentKind { 0 => Future, 1 => Perpetual, 2 => Option, 3 => Spot, 4 => FutureCombo, 5 => OptionCombo });
choices!(InstrumentState { 0 => Created, 1 => Open, 2 => Closed });
choices!(BookQuality { 0 => Good, 1 => Crossed, 2 => Stale, 3 => Gapped, 4 => Unknown });
choices!(TimeInForce { 0 => ImmediateOrCancel, 1 => GoodTilCancel });
choices!(KillLevel { 0 => Open, 1 => ReduceOnly, 2 => Flatten, 3 => Pause, 4 => Halt });
choices!(KillCause { 0 => Operator, 1 => Shutdown, 2 => Invariant, 3 => Rejects, 4 => Watchdog, 5 => Repeats, 6 => Loss, 7 => Journal, 8 => DropCopy });

choices!(Protected { 0 => Orders { underlying }, 1 => Quotes { group } });

choices!(Request {
    0 => New { trail, decided, order, instrument, side, time_in_force, post_only, price, lots },
    1 => Cancel { order, instrument },
    2 => CancelAll,
    3 => Amend { trail, decided, order, instrument, side, price, lots },
    4 => Quote { order, instrument, bid, ask, bid_lots, ask_lots },
    5 => Thaw { scope },
});

choices!(Body {
    0 => Clock,
    1 => Underlying { id, name },
    2 => Listed { instrument, underlying, kind, payoff, option, expiry_s, strike, lot, venue },
    3 => Terms { instrument, tick, contract, maker_fee_e9, taker_fee_e9 },
    4 => TickStep { instrument, above, tick },
    5 => Status { instrument, state },
    6 => Top { instrument, quality, bid, ask, bid_lots, ask_lots },
    7 => Mark { instrument, mark },
    8 => Index { underlying, price },
    9 => Trade { instrument, side, price, lots, id },
    10 => Forward { underlying, expiry_s, ratio },
    11 => Volatility { instrument, sigma, slope },
    12 => Exposure { underlying, quality, net_delta, log_gamma, spot, delta_bound, expiries },
    13 => Position { instrument, lots },
    14 => Kill { level, cause, by },
    15 => Session { up },
    16 => Sent { order, decided, encoded, written },
    17 => Accepted { order, venue_order, instrument },
    18 => Filled { order, execution, instrument, side, price, lots },
    19 => Cancelled { order, instrument, cum_lots, reason },
    20 => Rejected { order, instrument, reason },
    21 => CancelRejected { order, instrument, reason },
    22 => Amended { order, instrument, price, lots },
    23 => AmendRejected { order, instrument, reason },
    24 => Busted { order, execution, instrument, side, price, lots },
    25 => Named { instrument, symbol },
    26 => Rebuilt { underlying, expiry_s, engine, generation },
    27 => Smile { underlying, expiry_s, is_held, vega, skew, log_gamma, vanna, sigma, slope },
    28 => Unit { instrument, delta, log_gamma, vega, skew },
    29 => Protection { scope, until },
    30 => Diverged { copies },
    31 => Jumps { underlying, expiry_s, gains },
    32 => UnitJumps { instrument, gains },
    33 => Thaw { by },
});

/// Takes a value that must be all of `bytes`.
pub(super) fn decode<T: Field>(mut bytes: &[u8]) -> Option<T> {
    T::take(&mut bytes).filter(|_| bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Trail;

    fn comes_back<T: Field + PartialEq + std::fmt::Debug>(value: T) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        assert_eq!(decode::<T>(&bytes).as_ref(), Some(&value));
        assert_eq!(decode::<T>(&bytes[..bytes.len() - 1]), None, "{value:?} cut short");
        bytes.push(0);
        assert_eq!(decode::<T>(&bytes), None, "{value:?} and more");
        bytes
    }

    #[test]
    fn an_event_has_the_layout_that_old_journals_have() {
        let trail = Trail { received: Ticks(1), decoded: 2, valued: 3 };
        let body = Body::Filled {
            order: ClientOrderId(5),
            execution: ExecutionId(6),
            instrument: InstrumentId(7),
            side: Side::Sell,
            price: Price(-1),
            lots: 8,
        };
        let bytes = comes_back(Event { trail, time: Nanos(4), body });
        let mut expected = Vec::new();
        expected.extend([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 18]);
        expected.extend([5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 1]);
        expected.extend([255, 255, 255, 255, 255, 255, 255, 255, 8, 0, 0, 0, 0]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn choices_options_and_floats_come_back_bit_for_bit() {
        let option = Some(OptionKind::Put);
        comes_back(Body::Listed {
            instrument: InstrumentId(1),
            underlying: UnderlyingId(2),
            kind: InstrumentKind::Option,
            payoff: Payoff::Inverse,
            option,
            expiry_s: 3,
            strike: Price(4),
            lot: Quantity(5),
            venue: VenueInstrumentId(6),
        });
        comes_back(Body::Forward { underlying: UnderlyingId(1), expiry_s: 2, ratio: 1.0 + f64::EPSILON });
        comes_back(Request::New {
            trail: Trail::default(),
            decided: 9,
            order: ClientOrderId(1),
            instrument: InstrumentId(2),
            side: Side::Buy,
            time_in_force: TimeInForce::GoodTilCancel,
            post_only: true,
            price: Price(3),
            lots: 4,
        });
        let mut nan = Vec::new();
        f64::from_bits(0x7ff8_0000_0000_1234).put(&mut nan);
        assert_eq!(decode::<f64>(&nan).map(f64::to_bits), Some(0x7ff8_0000_0000_1234));
    }

    #[test]
    fn bytes_that_are_no_value_give_none() {
        assert_eq!(decode::<Body>(&[200]), None);
        assert_eq!(decode::<bool>(&[2]), None);
        assert_eq!(decode::<Side>(&[]), None);
    }
}
