//! What a client asks.

use super::Decimal72;
use super::frame::wire_struct;
use zerocopy::byteorder::little_endian::{I64, U16};

/// Bits of [`NewOrderRequest::flags`].
pub mod order_flags {
    /// Cancel it when the session's connection is lost.
    pub const CANCEL_ON_DISCONNECT: u16 = 1;
    /// It must not take: reprice it.
    pub const POST_ONLY: u16 = 1 << 1;
    /// With `POST_ONLY`: reject it instead of repricing.
    pub const POST_ONLY_REJECT: u16 = 1 << 2;
    /// It counts toward market-maker protection.
    pub const MMP: u16 = 1 << 4;
    /// End the freeze of the protection first.
    pub const RESET_MMP: u16 = 1 << 5;
}

/// Values of [`NewOrderRequest::time_in_force`].
pub mod time_in_force {
    /// Immediate or cancel.
    pub const IOC: i8 = -2;
    /// Fill or kill.
    pub const FOK: i8 = -1;
    /// Until cancelled.
    pub const GTC: i8 = 0;
}

wire_struct! {
    /// A new limit order.
    NewOrderRequest = 100 {
        /// The client's number for it.
        client_order_id: I64,
        /// Echoed in what answers it.
        correlation_id: I64,
        /// The venue's number of the instrument.
        instrument_id: I64,
        /// Limit, 1e-9.
        price: I64,
        /// Amount.
        quantity: Decimal72,
        /// Amount shown; null shows all of it.
        show_qty: Decimal72,
        /// Orders sharing it do not match each other; 0 is none.
        self_match_prevention_id: I64,
        /// 1 buys, −1 sells.
        side: i8,
        /// See [`time_in_force`]; positive counts days.
        time_in_force: i8,
        /// See [`order_flags`].
        flags: U16,
        /// Which of two own orders yields: 0 the taker, 1 the maker.
        self_trading_mode: i8,
    }

    /// Give an order another price and quantity.
    AmendOrderRequest = 110 {
        /// The client's number for it.
        client_order_id: I64,
        /// Echoed in what answers it.
        correlation_id: I64,
        /// The venue's number of the instrument.
        instrument_id: I64,
        /// New limit, 1e-9.
        price: I64,
        /// New amount over its whole life.
        quantity: Decimal72,
        /// Amount shown; null shows all of it.
        show_qty: Decimal72,
        /// [`order_flags::POST_ONLY`] and [`order_flags::POST_ONLY_REJECT`] alone.
        flags: U16,
    }

    /// Take one order back.
    CancelOrderRequest = 120 {
        /// The client's number for it.
        client_order_id: I64,
        /// Echoed in what answers it.
        correlation_id: I64,
        /// The venue's number of the instrument.
        instrument_id: I64,
    }

    /// Take back every order that fits.
    MassCancelRequest = 140 {
        /// Echoed in what answers it.
        correlation_id: I64,
        /// The currency pair.
        currency_pair_id: I64,
        /// The instrument; 0 takes all of the pair.
        instrument_id: I64,
        /// Kind of product; 0 takes all.
        product_type: i8,
        /// Side; 0 takes both.
        side: i8,
    }
}
