//! What the venue answers and tells.

use super::Decimal72;
use super::frame::wire_struct;
use zerocopy::byteorder::little_endian::{I32, I64};

/// Values of `status`.
pub mod order_status {
    /// Resting.
    pub const ACTIVE: i8 = 1;
    /// Wholly filled.
    pub const FILLED: i8 = 2;
    /// Gone with something unfilled.
    pub const CANCELED: i8 = 3;
    /// Waiting behind the speed bump; `OrderPlaced` follows.
    pub const QUEUED: i8 = 4;
}

/// Bits of a fill's `flags`.
pub mod fill_flags {
    /// It belongs to a mass quote.
    pub const QUOTE: u8 = 1;
    /// Nothing of the order is left.
    pub const FULLY_FILLED: u8 = 1 << 1;
}

/// Values of `cancel_reason` that this crate or its venue gives.
pub mod cancel_reason {
    /// None of the others.
    pub const UNKNOWN: i8 = 0;
    /// It would have met an own order.
    pub const SELF_MATCH_PREVENTION: i8 = 1;
    /// Its time in force ended it.
    pub const TIME_IN_FORCE: i8 = 2;
    /// The market-maker protection triggered.
    pub const MM_PROTECTION: i8 = 4;
    /// The connection was lost.
    pub const CLIENT_DISCONNECT: i8 = 7;
    /// The contract has expired.
    pub const DELIVERED: i8 = 9;
    /// Asked for.
    pub const BY_REQUEST: i8 = 12;
    /// It must not take, and would have.
    pub const POST_ONLY: i8 = 16;
}

/// Values of `reason` in [`NewOrderReject`], [`AmendOrderReject`], [`CancelOrderReject`] and [`super::Reject`] that this crate or its venue
/// gives.
pub mod reject_reason {
    /// New order: no such instrument.
    pub const INVALID_INSTRUMENT: i8 = 1;
    /// New order: a field makes no sense.
    pub const INVALID_FIELD: i8 = 2;
    /// New order: its number was used before.
    pub const DUPLICATE_CLIENT_ORDER_ID: i8 = 4;
    /// New order: not a tradable amount.
    pub const INVALID_QUANTITY: i8 = 5;
    /// New order: not on a tick.
    pub const INVALID_PRICE: i8 = 6;
    /// New order: the market is not open.
    pub const NOT_ALLOWED_BY_MARKET_STATE: i8 = 7;
    /// New order: it must not take, and would have.
    pub const POST_ONLY: i8 = 8;
    /// New order: no protection is configured.
    pub const MMP_NOT_CONFIGURED: i8 = 13;
    /// New order: the protection froze.
    pub const MMP_GROUP_FROZEN: i8 = 15;
    /// Amendment: no such order.
    pub const ORDER_NOT_FOUND: i8 = 12;
    /// Cancel: no such order.
    pub const CANCEL_UNKNOWN_ORDER: i8 = 1;
    /// Message: its type is not known.
    pub const MESSAGE_TYPE: i8 = 2;
    /// Message: shorter than its block.
    pub const MESSAGE_LENGTH: i8 = 3;
}

wire_struct! {
    /// An order was taken. Groups follow: [`Fill`], [`Leg`].
    NewOrderResponse = 200 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The client's number.
        client_order_id: I64,
        /// The request's.
        correlation_id: I64,
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
        /// Time at the gateway, nanoseconds.
        receive_time: I64,
        /// 1 buys, −1 sells.
        side: i8,
        /// See [`order_status`].
        status: i8,
        /// See [`cancel_reason`]; means something when cancelled.
        cancel_reason: i8,
    }

    /// One match of one order.
    Fill {
        /// Number of the match.
        match_id: I64,
        /// Price, 1e-9.
        fill_price: I64,
        /// Amount.
        fill_qty: Decimal72,
    }

    /// One leg of a combination's match.
    Leg {
        /// Number of the match.
        match_id: I64,
        /// The leg's instrument.
        instrument_id: I64,
        /// Price, 1e-9.
        fill_price: I64,
        /// Amount.
        fill_qty: Decimal72,
        /// 1 buys, −1 sells.
        leg_side: i8,
    }

    /// An order was refused. A text follows.
    NewOrderReject = 202 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The client's number.
        client_order_id: I64,
        /// The request's.
        correlation_id: I64,
        /// The venue's number.
        order_id: I64,
        /// The instrument.
        instrument_id: I64,
        /// Why.
        reason: i8,
    }

    /// An order stands at other terms. Groups follow: [`Fill`], [`Leg`].
    AmendOrderResponse = 210 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The client's number.
        client_order_id: I64,
        /// The request's.
        correlation_id: I64,
        /// The venue's number.
        order_id: I64,
        /// The instrument.
        instrument_id: I64,
        /// Limit, 1e-9.
        price: I64,
        /// Amount over its whole life.
        quantity: Decimal72,
        /// Amount filled over its life.
        total_filled: Decimal72,
        /// Amount shown.
        visible_qty: Decimal72,
        /// Time at the gateway, nanoseconds.
        receive_time: I64,
        /// See [`order_status`].
        status: i8,
        /// See [`cancel_reason`]; means something when cancelled.
        cancel_reason: i8,
    }

    /// An amendment was refused. A text follows.
    AmendOrderReject = 212 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The client's number.
        client_order_id: I64,
        /// The request's.
        correlation_id: I64,
        /// The venue's number.
        order_id: I64,
        /// The instrument.
        instrument_id: I64,
        /// Why.
        reason: i8,
    }

    /// An order was cancelled on request.
    CancelOrderResponse = 220 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The client's number.
        client_order_id: I64,
        /// The request's.
        correlation_id: I64,
        /// The venue's number.
        order_id: I64,
        /// The instrument.
        instrument_id: I64,
        /// Time at the gateway, nanoseconds.
        receive_time: I64,
    }

    /// A cancel was refused. A text follows.
    CancelOrderReject = 222 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The client's number.
        client_order_id: I64,
        /// The request's.
        correlation_id: I64,
        /// The venue's number, when it knows one.
        order_id: I64,
        /// The instrument.
        instrument_id: I64,
        /// Why.
        reason: i8,
    }

    /// A mass cancel was done; each order is told of by [`OrdersCanceled`].
    MassCancelResponse = 240 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The request's.
        correlation_id: I64,
        /// Time at the gateway, nanoseconds.
        receive_time: I64,
        /// How many orders it took.
        total_order_count: I32,
    }

    /// A mass cancel was refused. A text follows.
    MassCancelReject = 242 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// The request's.
        correlation_id: I64,
        /// Why.
        reason: i8,
    }

    /// Resting orders were filled. Groups follow: [`FilledOrder`], [`Leg`].
    OrderFilled = 300 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
    }

    /// One fill of a resting order.
    FilledOrder {
        /// The client's number.
        client_order_id: I64,
        /// The venue's number.
        order_id: I64,
        /// The instrument.
        instrument_id: I64,
        /// Number of the match.
        match_id: I64,
        /// Price, 1e-9.
        price: I64,
        /// Amount.
        fill_qty: Decimal72,
        /// Amount filled over the order's life.
        total_filled: Decimal72,
        /// 1 buys, −1 sells.
        side: i8,
        /// See [`fill_flags`].
        flags: u8,
    }

    /// Orders were cancelled. A group follows: [`CanceledOrder`].
    OrdersCanceled = 310 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
        /// Bit 0: last message of the event.
        flags: u8,
    }

    /// One cancelled order.
    CanceledOrder {
        /// The client's number.
        client_order_id: I64,
        /// The venue's number.
        order_id: I64,
        /// The instrument.
        instrument_id: I64,
        /// Amount filled over its life.
        total_filled: Decimal72,
        /// See [`cancel_reason`].
        cancel_reason: i8,
        /// Bit 0: it belongs to a mass quote.
        flags: u8,
    }

    /// An order left the speed bump for the book. Groups follow: [`Fill`], [`Leg`].
    OrderPlaced = 312 {
        /// Time in the matching engine, nanoseconds.
        timestamp: I64,
        /// Number of the engine's event.
        exec_id: I64,
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
        /// See [`order_status`].
        status: i8,
        /// See [`cancel_reason`]; means something when cancelled.
        cancel_reason: i8,
        /// Unused.
        padding3: [u8; 3],
        /// The request's.
        correlation_id: I64,
    }
}
