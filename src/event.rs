//! The messages that cross rings.
//!
//! Two types do: an [`Event`] travels toward a decision (market data, calibration, exposures, execution reports) and an
//! [`Instruction`](crate::risk::Instruction) travels from it to the gateway. One event type for every ring means that
//! a stage forwards what it does not consume as it came, and that the order in which a stage saw things is one sequence.
//!
//! ```text
//!  0        8        16       24                                56
//!  +--------+----+----+--------+---------------------------------+
//!  |received|dec |val | time   | body: 32 bytes, tag included    |
//!  +--------+----+----+--------+---------------------------------+
//! ```
//!
//! An event is `Copy`, at most 56 bytes (asserted below), and holds no reference: the ring's slot is 64 bytes with its
//! sequence number.

use std::fmt;

use crate::instrument::{BookQuality, InstrumentKind, InstrumentState, OptionKind, Payoff, Symbol};
use crate::units::{
    ClientOrderId, Coins, ExecutionId, InstrumentId, Nanos, Price, Quantity, Side, Ticks, UnderlyingId,
    VenueInstrumentId, VenueOrderId,
};

/// Bytes of payload in a ring slot.
pub const PAYLOAD_BYTES: usize = 56;

const _: () = assert!(size_of::<Event>() <= PAYLOAD_BYTES);

/// Jumps after which books and hedges are revalued.
pub const JUMPS: usize = 6;
/// How large each is, relative to the spot.
pub const JUMP_SIZES: [f64; JUMPS] = [-0.20, -0.12, -0.06, 0.06, 0.12, 0.20];

/// When the packet behind an event was received, and how many counter steps later each hop let go of it.
/// Stages copy it; the outbox between two stages stamps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// The counter before the packet was read.
    pub received: Ticks,
    /// Steps from `received` to the feed's output.
    pub decoded: u32,
    /// Steps from `received` to the greeks' output.
    pub valued: u32,
}

/// How much may still leave, from everything to nothing. Ordered by what it forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KillLevel {
    /// Whatever risk approves.
    #[default]
    Open,
    /// Orders that take a delta toward zero and not through it.
    ReduceOnly,
    /// The same, and every delta is taken to zero at once: its band has no width.
    Flatten,
    /// Cancels alone, until a person re-enables trading.
    Pause,
    /// Cancels alone, for the rest of this process.
    Halt,
}

impl KillLevel {
    /// Every level, in the order of its number.
    pub const ALL: [Self; 5] = [Self::Open, Self::ReduceOnly, Self::Flatten, Self::Pause, Self::Halt];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::ReduceOnly => "reduce_only",
            Self::Flatten => "flatten",
            Self::Pause => "pause",
            Self::Halt => "halt",
        }
    }
}

/// Why the kill switch was thrown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KillCause {
    /// A person asked for it.
    Operator,
    /// The process is stopping.
    Shutdown,
    /// Something that must always hold did not.
    Invariant,
    /// The venue refused too many orders in a row.
    Rejects,
    /// A hot thread fell silent.
    Watchdog,
    /// The same order was sent over and over.
    Repeats,
    /// More was lost than may be.
    Loss,
    /// The journal has a gap, or can be written no more.
    Journal,
    /// A drop copy shows other executions than the order session told.
    DropCopy,
}

impl KillCause {
    /// Every cause, in the order of its number.
    pub const ALL: [Self; 9] = [
        Self::Operator,
        Self::Shutdown,
        Self::Invariant,
        Self::Rejects,
        Self::Watchdog,
        Self::Repeats,
        Self::Loss,
        Self::Journal,
        Self::DropCopy,
    ];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Shutdown => "shutdown",
            Self::Invariant => "invariant",
            Self::Rejects => "rejects",
            Self::Watchdog => "watchdog",
            Self::Repeats => "repeats",
            Self::Loss => "loss",
            Self::Journal => "journal",
            Self::DropCopy => "drop_copy",
        }
    }
}

/// Who asked: ASCII, padded with zeros; all zeros when it was the program itself.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Operator(pub [u8; 16]);

impl Operator {
    /// The program itself.
    pub const NOBODY: Self = Self([0; 16]);

    /// A name of 1 to 16 printable ASCII characters without blanks.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        fits.then_some(Self(bytes))
    }

    /// The name, `-` for the program itself.
    pub fn name(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..end]).ok().filter(|name| !name.is_empty()).unwrap_or("-")
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operator({})", self.name())
    }
}

/// What one of the venue's market-maker protections watches over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protected {
    /// The orders that rest under it, of one underlying.
    Orders {
        /// Which underlying.
        underlying: UnderlyingId,
    },
    /// The quotes of one group.
    Quotes {
        /// The venue's number of the group.
        group: i64,
    },
}

/// One thing that happened, with the time at which the pipeline learned of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Latency stamps; never an input to a decision.
    pub trail: Trail,
    /// Logical time: the receive time of what caused this event.
    pub time: Nanos,
    /// What happened.
    pub body: Body,
}

impl Event {
    /// It is this time, and nothing else happened.
    #[inline]
    pub fn clock(time: Nanos) -> Self {
        Self { trail: Trail::default(), time, body: Body::Clock }
    }
}

/// What happened. Sizes are magnitudes in lots; a zero size means an empty side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    /// Time passed. Sent by the runtime when a stage must notice silence.
    Clock,

    // From `feed`: reference data. A listing is always followed by its terms and tick steps.
    /// An underlying seen for the first time; `name` is ASCII, padded with zeros.
    Underlying {
        /// Its dense index.
        id: UnderlyingId,
        /// Such as `BTC_USD`.
        name: [u8; 16],
    },
    /// An instrument seen for the first time, or redefined.
    Listed {
        /// Its dense index.
        instrument: InstrumentId,
        /// What it is written on.
        underlying: UnderlyingId,
        /// Future, option, perpetual, spot.
        kind: InstrumentKind,
        /// How it pays.
        payoff: Payoff,
        /// Call or put; `None` unless an option.
        option: Option<OptionKind>,
        /// Seconds since the epoch; 0 when it never expires.
        expiry_s: u32,
        /// Strike in quote currency; zero unless an option.
        strike: Price,
        /// Amount of one lot.
        lot: Quantity,
        /// The venue's number for it.
        venue: VenueInstrumentId,
    },
    /// Trading terms of a listed instrument. Clears its tick steps.
    Terms {
        /// Which instrument.
        instrument: InstrumentId,
        /// Smallest price step at the bottom of the price range.
        tick: Price,
        /// Amount of one contract.
        contract: Quantity,
        /// Maker fee, 1e-9 of notional; negative is a rebate.
        maker_fee_e9: i32,
        /// Taker fee, 1e-9 of notional.
        taker_fee_e9: i32,
    },
    /// From `above` on, prices move in steps of `tick`.
    TickStep {
        /// Which instrument.
        instrument: InstrumentId,
        /// Where the step begins.
        above: Price,
        /// The step.
        tick: Price,
    },
    /// What the venue calls a listed instrument; follows its terms and tick steps. Names longer than a [`Symbol`] are not
    /// told.
    Named {
        /// Which instrument.
        instrument: InstrumentId,
        /// Its name, such as `BTC-PERPETUAL`.
        symbol: Symbol,
    },
    /// The venue changed an instrument's trading state.
    Status {
        /// Which instrument.
        instrument: InstrumentId,
        /// The new state.
        state: InstrumentState,
    },

    /// Redundant lines brought other bytes under the same number: one of them lies. An alarm; what came first was used.
    Diverged {
        /// Such copies so far.
        copies: u64,
    },

    // From `feed`: prices.
    /// Best bid and offer of a book, and whether it may be traded on.
    Top {
        /// Which instrument.
        instrument: InstrumentId,
        /// Whether the book is whole.
        quality: BookQuality,
        /// Best bid.
        bid: Price,
        /// Best offer.
        ask: Price,
        /// Lots at the best bid, saturated.
        bid_lots: u32,
        /// Lots at the best offer, saturated.
        ask_lots: u32,
    },
    /// The venue's mark.
    Mark {
        /// Which instrument.
        instrument: InstrumentId,
        /// Mark price.
        mark: Price,
    },
    /// The underlying's index.
    Index {
        /// Which underlying.
        underlying: UnderlyingId,
        /// Index price in quote currency.
        price: Price,
    },
    /// A public trade.
    Trade {
        /// Which instrument.
        instrument: InstrumentId,
        /// The aggressor's side.
        side: Side,
        /// Price.
        price: Price,
        /// Size in lots, saturated.
        lots: u32,
        /// The venue's trade number.
        id: u64,
    },

    // From `surface`: calibration.
    /// Forward of an expiry as a multiple of the underlying's spot (its perpetual or index).
    Forward {
        /// Which underlying.
        underlying: UnderlyingId,
        /// Which expiry.
        expiry_s: u32,
        /// Forward over spot.
        ratio: f64,
    },
    /// Implied volatility of one option, per year as a fraction (0.6 is 60%).
    Volatility {
        /// Which option.
        instrument: InstrumentId,
        /// Volatility.
        sigma: f64,
        /// Slope of the smile at its strike, ∂σ/∂ln K; zero where no smile is known.
        slope: f64,
    },
    /// The anchor of an expiry that the greeks asked for is computed: they take it up on this event. The work itself
    /// travels beside the rings; that it counts from here on is what a journal has to hold.
    Rebuilt {
        /// Which underlying.
        underlying: UnderlyingId,
        /// Which expiry.
        expiry_s: u32,
        /// The engine that values the expiry.
        engine: u8,
        /// Which of the engine's requests this answers.
        generation: u32,
    },

    // From the greeks.
    /// The book's exposure to one underlying.
    Exposure {
        /// Which underlying.
        underlying: UnderlyingId,
        /// Whether everything it was computed from is fresh and whole.
        quality: BookQuality,
        /// Net delta in coins, premium-adjusted where the convention asks for it.
        net_delta: Coins,
        /// Change of net delta per unit of ln(spot), coins.
        log_gamma: Coins,
        /// Spot it was computed at.
        spot: Price,
        /// Certified bound on the error of `net_delta`, coins.
        delta_bound: f32,
        /// Expiries of which options are held, saturated: as many must be surveyed before their vega is whole.
        expiries: u8,
    },

    /// What the book holds of one expiry's volatility, and where that expiry's smile stands. Exposures are of the positions
    /// at this point of the stream; each fill after it changes them by its lots of [`Unit`](Self::Unit).
    Smile {
        /// Which underlying.
        underlying: UnderlyingId,
        /// Which expiry.
        expiry_s: u32,
        /// Whether options of it are held, even if their exposures cancel.
        is_held: bool,
        /// Change of value per 1.00 of volatility, coins.
        vega: f32,
        /// Change of value per 1.00 of slope, coins: vega times moneyness, ln(K/F)/√T.
        skew: f32,
        /// Change of delta per unit of ln(spot), coins.
        log_gamma: f32,
        /// Change of delta per 1.00 of volatility, coins.
        vanna: f32,
        /// Volatility at the forward.
        sigma: f32,
        /// Slope of the smile there, by moneyness.
        slope: f32,
    },
    /// What the book gains by the options of one expiry when the spot jumps, beyond what a future of their delta gains.
    /// Follows the expiry's [`Smile`](Self::Smile), and holds of the same positions.
    Jumps {
        /// Which underlying.
        underlying: UnderlyingId,
        /// Which expiry.
        expiry_s: u32,
        /// Coins, in the order of [`JUMP_SIZES`].
        gains: [f32; JUMPS],
    },
    /// The greeks of one lot of an option that may serve as a hedge.
    Unit {
        /// Which option.
        instrument: InstrumentId,
        /// Coins, in the convention of the exposure.
        delta: f64,
        /// Change of delta per unit of ln(spot), coins.
        log_gamma: f32,
        /// Change of value per 1.00 of volatility, coins.
        vega: f32,
        /// Change of value per 1.00 of slope, coins.
        skew: f32,
    },

    /// What one lot of that option gains when the spot jumps, as in [`Jumps`](Self::Jumps); follows its greeks.
    UnitJumps {
        /// Which option.
        instrument: InstrumentId,
        /// Coins, in the order of [`JUMP_SIZES`].
        gains: [f32; JUMPS],
    },

    /// A position that was not built by fills seen here: the opening book.
    Position {
        /// Which instrument.
        instrument: InstrumentId,
        /// Lots, signed.
        lots: i64,
    },

    // From the operator or the runtime.
    /// Throw the kill switch. A person may choose any level, the program itself only a stricter one than is in force;
    /// nothing leads out of [`KillLevel::Halt`], and only a person back to [`KillLevel::Open`].
    Kill {
        /// How much may still leave.
        level: KillLevel,
        /// Why.
        cause: KillCause,
        /// Who.
        by: Operator,
    },

    /// Ask the venue to end whatever its market-maker protection has frozen.
    Thaw {
        /// Who.
        by: Operator,
    },

    // From `gateway`: execution reports.
    /// The order session came up or went down.
    Session {
        /// True once orders may be sent.
        up: bool,
    },
    /// An order's bytes went to the socket. `decided`, `encoded` and `written` are counter steps since `received`.
    Sent {
        /// Which order.
        order: ClientOrderId,
        /// Decision made.
        decided: u32,
        /// Bytes encoded.
        encoded: u32,
        /// Bytes handed to the kernel.
        written: u32,
    },
    /// The venue took an order into its book or matched it.
    Accepted {
        /// Which order.
        order: ClientOrderId,
        /// Its number there.
        venue_order: VenueOrderId,
        /// Which instrument.
        instrument: InstrumentId,
    },
    /// A fill.
    Filled {
        /// Which order.
        order: ClientOrderId,
        /// The fill's number; applied once.
        execution: ExecutionId,
        /// Which instrument.
        instrument: InstrumentId,
        /// The order's side.
        side: Side,
        /// Fill price.
        price: Price,
        /// Size in lots.
        lots: u32,
    },
    /// An order left the book with this much filled.
    Cancelled {
        /// Which order.
        order: ClientOrderId,
        /// Which instrument.
        instrument: InstrumentId,
        /// Lots filled over its life, as the venue counts them; [`CUM_LOTS_UNKNOWN`](crate::order::CUM_LOTS_UNKNOWN)
        /// when it does not say.
        cum_lots: u32,
        /// The venue's reason code.
        reason: u8,
    },
    /// The venue refused an order.
    Rejected {
        /// Which order.
        order: ClientOrderId,
        /// Which instrument.
        instrument: InstrumentId,
        /// The venue's reason code.
        reason: u8,
    },
    /// An order stands at other terms than before.
    Amended {
        /// Which order.
        order: ClientOrderId,
        /// Which instrument.
        instrument: InstrumentId,
        /// Its limit price.
        price: Price,
        /// Its size in lots over its whole life, what is filled included.
        lots: u32,
    },
    /// The venue refused to amend an order, which stands as it did.
    AmendRejected {
        /// Which order.
        order: ClientOrderId,
        /// Which instrument.
        instrument: InstrumentId,
        /// The venue's reason code.
        reason: u8,
    },
    /// The venue took a fill back. What it repeats is the fill.
    Busted {
        /// Which order.
        order: ClientOrderId,
        /// The fill's number; taken back once.
        execution: ExecutionId,
        /// Which instrument.
        instrument: InstrumentId,
        /// The order's side.
        side: Side,
        /// Fill price.
        price: Price,
        /// Size in lots.
        lots: u32,
    },
    /// The venue's market-maker protection: it took back what rests under it and refuses more, or does so no longer.
    Protection {
        /// What it watches over.
        scope: Protected,
        /// How long it refuses, by the venue's clock; zero when it refuses nothing,
        /// [`FROZEN_UNTIL_ASKED`](crate::order::FROZEN_UNTIL_ASKED) when it does until it is asked to end.
        until: Nanos,
    },
    /// The venue refused a cancel.
    CancelRejected {
        /// Which order.
        order: ClientOrderId,
        /// Which instrument.
        instrument: InstrumentId,
        /// The venue's reason code.
        reason: u8,
    },
}

impl Body {
    /// Whether the gateway sends it.
    pub const fn is_report(&self) -> bool {
        matches!(
            self,
            Self::Session { .. }
                | Self::Sent { .. }
                | Self::Accepted { .. }
                | Self::Filled { .. }
                | Self::Cancelled { .. }
                | Self::Rejected { .. }
                | Self::Amended { .. }
                | Self::AmendRejected { .. }
                | Self::Busted { .. }
                | Self::CancelRejected { .. }
                | Self::Protection { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_a_short_printable_name() {
        assert_eq!(Operator::new("alice").as_ref().map(Operator::name), Some("alice"));
        assert_eq!(Operator::new("sixteen-letters!").as_ref().map(Operator::name), Some("sixteen-letters!"));
        for bad in ["", "seventeen-letters", "two words", "naïve"] {
            assert_eq!(Operator::new(bad), None, "{bad}");
        }
        assert_eq!(Operator::NOBODY.name(), "-");
    }
}
