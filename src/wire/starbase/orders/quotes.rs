//! Quotes of both sides, and the venue's market-maker protection: what a client asks, and what it is told.
//!
//! A mass quote replaces, instrument by instrument, what its group quoted before. The protection counts what trades within
//! a window; past its limits it takes back everything under it and refuses more until it thaws or is reset.

use super::Decimal72;
use super::frame::wire_struct;
use zerocopy::byteorder::little_endian::{I64, U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bits of [`MassQuoteRequest::flags`].
pub mod quote_flags {
    /// End the freeze of the group first.
    pub const RESET_MMP: u8 = 1;
}

/// Values of a quoted side's status.
pub mod quote_status {
    /// Nothing of it stands, before or after.
    pub const INACTIVE: i8 = 0;
    /// It stands as it did.
    pub const UNMODIFIED: i8 = 1;
    /// It stands with less, in its old place.
    pub const QTY_REDUCED: i8 = 2;
    /// It stands, and may have traded.
    pub const UPDATED: i8 = 3;
    /// Nothing of it is left.
    pub const FILLED: i8 = 4;
    /// Asked for, or what was to replace it was refused.
    pub const CANCELED_BY_REQUEST: i8 = 5;
    /// The protection triggered.
    pub const CANCELED_BY_MMP: i8 = 6;
    /// It would have met an own order.
    pub const CANCELED_BY_SELF_MATCH: i8 = 7;
    /// Behind the speed bump; [`super::MassQuoteOrdersPlaced`] follows.
    pub const SPEED_BUMPED: i8 = 8;
}

/// Values of [`MassQuoteReject::reason`] that this crate or its venue gives.
pub mod mass_quote_reject_reason {
    /// No such group.
    pub const INVALID_MMP_GROUP: i8 = 1;
    /// The group is frozen.
    pub const MMP_GROUP_FROZEN: i8 = 3;
    /// An instrument is not known.
    pub const INVALID_INSTRUMENT: i8 = 5;
    /// Too fast.
    pub const RATE_LIMIT: i8 = 6;
    /// An instrument appears twice.
    pub const DUPLICATE_INSTRUMENT: i8 = 8;
}

/// A time that was left out.
pub const NO_TIME: i64 = i64::MIN;

/// A floating-point number, compared by its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(transparent)]
pub struct Double(U64);

impl From<f64> for Double {
    fn from(value: f64) -> Self {
        Self(U64::new(value.to_bits()))
    }
}

impl Double {
    /// The number.
    pub fn value(self) -> f64 {
        f64::from_bits(self.0.get())
    }
}

wire_struct! {
    /// Take one order back by the venue's number.
    CancelOrderByIdRequest = 125 {
        /// The venue's number.
        order_id: I64,
        /// Echoed in what answers it.
        correlation_id: I64,
        /// The venue's number of the instrument.
        instrument_id: I64,
    }

    /// Quote instruments. A group follows: [`Quote`].
    MassQuoteRequest = 130 {
        /// The client's number.
        quote_id: I64,
        /// Echoed in what answers it.
        correlation_id: I64,
        /// Which protection counts it.
        mmp_group_id: I64,
        /// Orders sharing it do not match each other; 0 is none.
        self_match_prevention_id: I64,
        /// See [`quote_flags`].
        flags: u8,
    }

    /// Both sides of one instrument.
    Quote {
        /// The venue's number of the instrument.
        instrument_id: I64,
        /// Price at which to buy, 1e-9.
        bid_price: I64,
        /// Price at which to sell, 1e-9.
        ask_price: I64,
        /// Amount to buy; 0 takes the side back.
        bid_qty: Decimal72,
        /// Amount to sell; 0 takes the side back.
        ask_qty: Decimal72,
        /// See [`super::order_flags`].
        bid_flags: U16,
        /// See [`super::order_flags`].
        ask_flags: U16,
    }

    /// Take back every quote of a group.
    MassQuoteCancelRequest = 145 {
        /// Echoed in what answers it.
        correlation_id: I64,
        /// Which group.
        mmp_group_id: I64,
        /// Side; 0 takes both.
        side: i8,
    }

    /// Is a group of quotes frozen?
    GetMassQuoteMmpStatusRequest = 155 {
        /// Echoed in what answers it.
        correlation_id: I64,
        /// Which group.
        mmp_group_id: I64,
    }

    /// Are the protected orders of a currency pair frozen?
    GetOrdersMmpStatusRequest = 156 {
        /// Echoed in what answers it.
        correlation_id: I64,
        /// The currency pair.
        currency_pair_id: I64,
    }

    /// Quotes were taken. Groups follow: [`QuoteResult`], [`QuoteFill`] of bids, [`QuoteFill`] of offers,
    /// [`super::Leg`].
    MassQuoteResponse = 230 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The client's number.
        quote_id: I64,
        /// The request's.
        correlation_id: I64,
        /// Which protection counts it.
        mmp_group_id: I64,
        /// Time at the gateway, nanoseconds.
        receive_time: I64,
    }

    /// How both sides of one instrument stand.
    QuoteResult {
        /// The instrument.
        instrument_id: I64,
        /// The venue's number of the bid.
        bid_order_id: I64,
        /// The venue's number of the offer.
        ask_order_id: I64,
        /// Price of the bid, 1e-9.
        bid_price: I64,
        /// Price of the offer, 1e-9.
        ask_price: I64,
        /// Amount of the bid.
        bid_qty: Decimal72,
        /// Amount of the offer.
        ask_qty: Decimal72,
        /// Amount of the bid that is filled.
        bid_filled_qty: Decimal72,
        /// Amount of the offer that is filled.
        ask_filled_qty: Decimal72,
        /// See [`quote_status`].
        bid_status: i8,
        /// See [`quote_status`].
        ask_status: i8,
        /// See [`super::reject_reason`]; means something when nothing of it stands.
        bid_reject_reason: i8,
        /// See [`super::reject_reason`]; means something when nothing of it stands.
        ask_reject_reason: i8,
    }

    /// One match of a quoted side.
    QuoteFill {
        /// Number of the match.
        match_id: I64,
        /// The instrument.
        instrument_id: I64,
        /// Price, 1e-9.
        fill_price: I64,
        /// Amount.
        fill_qty: Decimal72,
    }

    /// A mass quote was refused whole. A text follows.
    MassQuoteReject = 232 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The client's number.
        quote_id: I64,
        /// The request's.
        correlation_id: I64,
        /// The group asked for.
        mmp_group_id: I64,
        /// See [`mass_quote_reject_reason`].
        reason: i8,
    }

    /// Whether a group of quotes is frozen.
    GetMassQuoteMmpStatusResponse = 280 {
        /// When it was sent, nanoseconds.
        timestamp: I64,
        /// The request's.
        correlation_id: I64,
        /// Which group.
        mmp_group_id: I64,
        /// Until when, nanoseconds; [`NO_TIME`] when it is not.
        frozen_until_time: I64,
    }

    /// Nothing is known of a group.
    GetMassQuoteMmpStatusReject = 281 {
        /// When it was sent, nanoseconds.
        timestamp: I64,
        /// The request's.
        correlation_id: I64,
        /// 1: no such group.
        reason: i8,
    }

    /// Whether the protected orders of a currency pair are frozen.
    GetOrdersMmpStatusResponse = 282 {
        /// When it was sent, nanoseconds.
        timestamp: I64,
        /// The request's.
        correlation_id: I64,
        /// The currency pair.
        currency_pair_id: I64,
        /// Until when, nanoseconds; [`NO_TIME`] when they are not.
        frozen_until_time: I64,
    }

    /// Nothing is known of the protection of a currency pair.
    GetOrdersMmpStatusReject = 283 {
        /// When it was sent, nanoseconds.
        timestamp: I64,
        /// The request's.
        correlation_id: I64,
        /// 1: none is configured.
        reason: i8,
    }

    /// Quotes left the speed bump for the book. Groups follow: [`PlacedQuote`], [`PlacedFill`], [`super::Leg`].
    MassQuoteOrdersPlaced = 314 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// Which group.
        mmp_group_id: I64,
    }

    /// One side that left the speed bump.
    PlacedQuote {
        /// The client's number.
        client_order_id: I64,
        /// The venue's number.
        order_id: I64,
        /// The instrument.
        instrument_id: I64,
        /// Limit, 1e-9.
        price: I64,
        /// Amount.
        quantity: Decimal72,
        /// Amount filled over its life.
        total_filled: Decimal72,
        /// Amount shown.
        visible_qty: Decimal72,
        /// 1 buys, −1 sells.
        side: i8,
        /// See [`super::order_status`].
        status: i8,
        /// See [`super::cancel_reason`]; means something when cancelled.
        cancel_reason: i8,
    }

    /// One match of a side that left the speed bump.
    PlacedFill {
        /// Number of the match.
        match_id: I64,
        /// The venue's number of the side.
        order_id: I64,
        /// Price, 1e-9.
        fill_price: I64,
        /// Amount.
        fill_qty: Decimal72,
    }

    /// The protection of a group of quotes triggered.
    MassQuoteMmpTriggered = 320 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// Which group.
        mmp_group_id: I64,
        /// Until when it is frozen, nanoseconds.
        frozen_until: I64,
        /// What had traded.
        quantity_level: Double,
        /// Its vega.
        vega_level: Double,
        /// Its delta.
        delta_level: Double,
        /// Which limit: 0 quantity, 1 delta, 2 vega.
        trigger: i8,
    }

    /// The protection of a currency pair's orders triggered.
    OrdersMmpTriggered = 322 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The currency pair.
        currency_pair_id: I64,
        /// Until when they are frozen, nanoseconds.
        frozen_until: I64,
        /// What had traded.
        quantity_level: Double,
        /// Its vega.
        vega_level: Double,
        /// Its delta.
        delta_level: Double,
        /// Which limit: 0 quantity, 1 delta, 2 vega.
        trigger: i8,
    }

    /// A group of quotes thawed.
    MassQuoteMmpUnfrozen = 324 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// Which group.
        mmp_group_id: I64,
        /// That of the request that reset it.
        correlation_id: I64,
    }

    /// The protected orders of a currency pair thawed.
    OrdersMmpUnfrozen = 326 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The currency pair.
        currency_pair_id: I64,
        /// That of the request that reset it.
        correlation_id: I64,
    }
}
