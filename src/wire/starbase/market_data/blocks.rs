//! Fixed-length parts of the messages, field for field as they lie on the wire. Prices count 1e-9; quantities are
//! mantissas whose exponent is the instrument's; times are nanoseconds since the epoch.

use zerocopy::little_endian::{I32, I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire::starbase::orders::frame::wire_struct;

/// An optional integer that is absent.
pub const NULL_INT: i64 = i64::MIN;

/// A double as its bits, so that equal bytes are equal. NaN when absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(transparent)]
pub struct Double(pub U64);

impl Double {
    /// The number.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0.get())
    }
}

impl From<f64> for Double {
    fn from(value: f64) -> Self {
        Self(value.to_bits().into())
    }
}

wire_struct! {
    /// Definition of an instrument. Its large tick sizes and legs follow.
    InstrumentDefinition = 10 {
        /// The venue's number.
        instrument_id: I64,
        /// Its name, padded with zeros.
        name: [u8; 128],
        /// Its price index.
        index_id: I64,
        /// What it is written on.
        underlying: [u8; 64],
        /// What quantities are in.
        quantity_asset: [u8; 8],
        /// What prices are in.
        price_asset: [u8; 8],
        /// [`NULL_INT`] when it never expires.
        expiry_time: I64,
        /// [`NULL_INT`] unless an option.
        strike_price: I64,
        /// Smallest tradable quantity, and the step of quantities.
        min_order_quantity: I64,
        /// Price step at the bottom of the price range.
        tick_size: I64,
        /// A quantity is its mantissa times ten to this power.
        quantity_exponent: i8,
        /// [`InstrumentType`](super::InstrumentType).
        kind: i8,
        /// [`instrument_flags`](super::instrument_flags) bits.
        flags: u8,
        /// [`InstrumentStatus`](super::InstrumentStatus).
        status: i8,
    }

    /// Entry of a definition's first group.
    LargeTickSize {
        /// The step
        large_tick_size: I64,
        /// from this price on.
        threshold_price: I64,
    }

    /// Entry of a definition's second group.
    Leg {
        /// The leg.
        leg_instrument_id: I64,
        /// Its ratio; negative is short.
        ratio: i8,
    }

    /// Definition of a price index.
    IndexDefinition = 11 {
        /// The venue's number.
        index_id: I64,
        /// Its name, padded with zeros.
        name: [u8; 128],
    }

    /// Prices of an instrument that the venue computes.
    InstrumentInfo = 14 {
        /// Which instrument.
        instrument_id: I64,
        /// Lowest price at which one may sell.
        min_sell_price: I64,
        /// Highest price at which one may buy.
        max_buy_price: I64,
        /// Price of its index.
        index_price: I64,
        /// Mark price.
        mark_price: I64,
    }

    /// Rarely changing figures of an instrument.
    InstrumentRef = 15 {
        /// Which instrument.
        instrument_id: I64,
        /// Funding now.
        current_funding: Double,
        /// Funding over eight hours.
        funding8h: Double,
        /// Estimated delivery price, or [`NULL_INT`].
        estimated_delivery_price: I64,
        /// Delivery price, or [`NULL_INT`].
        delivery_price: I64,
        /// Settlement price, or [`NULL_INT`].
        settlement_price: I64,
    }

    /// An instrument's trading status.
    InstrumentStatusUpdate = 16 {
        /// Which instrument.
        instrument_id: I64,
        /// [`InstrumentStatus`](super::InstrumentStatus).
        trading_status: i8,
    }

    /// A bid entered the book, or moved to another place in it.
    BidPut = 20 {
        /// Its number.
        order_id: I64,
        /// Which instrument.
        instrument_id: I64,
        /// What is visible of it.
        quantity_mantissa: I64,
        /// Its price.
        price: I64,
        /// Its place in the queue: smaller executes first.
        sort_order_id: I64,
    }

    /// An ask entered the book, or moved to another place in it.
    AskPut = 21 {
        /// Its number.
        order_id: I64,
        /// Which instrument.
        instrument_id: I64,
        /// What is visible of it.
        quantity_mantissa: I64,
        /// Its price.
        price: I64,
        /// Its place in the queue: smaller executes first.
        sort_order_id: I64,
    }

    /// A bid shrank and kept its place.
    BidQtyReduced = 22 {
        /// Its number.
        order_id: I64,
        /// Which instrument.
        instrument_id: I64,
        /// What is left of it.
        quantity_mantissa: I64,
    }

    /// An ask shrank and kept its place.
    AskQtyReduced = 23 {
        /// Its number.
        order_id: I64,
        /// Which instrument.
        instrument_id: I64,
        /// What is left of it.
        quantity_mantissa: I64,
    }

    /// A bid left the book.
    BidDelete = 24 {
        /// Its number.
        order_id: I64,
        /// Which instrument.
        instrument_id: I64,
    }

    /// An ask left the book.
    AskDelete = 25 {
        /// Its number.
        order_id: I64,
        /// Which instrument.
        instrument_id: I64,
    }

    /// What one aggressor took; its trades follow.
    TradeSummary = 30 {
        /// Which instrument.
        instrument_id: I64,
        /// The aggressor.
        taker_order_id: I64,
        /// All it took.
        total_filled_mantissa: I64,
        /// The last price it took at.
        deepest_price: I64,
        /// Mark price at the time.
        mark_price: I64,
        /// Index price at the time.
        index_price: I64,
        /// How many trades follow.
        trade_count: I32,
        /// [`trade_flags`](super::trade_flags) bits.
        taker_flags: U32,
    }

    /// One trade, or a leg of a combination's.
    Trade = 31 {
        /// Its number.
        match_id: I64,
        /// Which instrument.
        instrument_id: I64,
        /// The resting order, or [`NULL_INT`].
        maker_order_id: I64,
        /// Size.
        fill_qty_mantissa: I64,
        /// Price.
        fill_price: I64,
        /// [`trade_flags`](super::trade_flags) bits of the resting order.
        maker_flags: U32,
    }

    /// One trade of a block.
    BlockTrade = 33 {
        /// Its number.
        match_id: I64,
        /// Which instrument.
        instrument_id: I64,
        /// Number of the block.
        block_trade_id: I64,
        /// Number of the request for quotes behind it, or [`NULL_INT`].
        block_rfq_id: I64,
        /// Size.
        fill_qty_mantissa: I64,
        /// Price.
        fill_price: I64,
        /// Mark price at the time.
        mark_price: I64,
        /// Index price at the time.
        index_price: I64,
        /// NaN unless an option.
        implied_volatility: Double,
        /// [`trade_flags`](super::trade_flags) bits.
        taker_flags: U32,
        /// Legs of the block.
        number_of_legs: U16,
    }

    /// An instrument's snapshot begins.
    SnapshotHeader = 100 {
        /// Which instrument.
        instrument_id: I64,
        /// Time of the last incremental message it includes.
        incremental_timestamp: I64,
        /// Number of the last incremental message it includes.
        incremental_seq_num: I64,
    }

    /// An instrument's snapshot ends.
    SnapshotTrailer = 101 {
        /// Which instrument.
        instrument_id: I64,
        /// Time of the last incremental message it includes.
        timestamp: I64,
        /// Number of the last incremental message it includes.
        increment_seq_num: I64,
    }

    /// Every instrument of the channel was shown.
    EndOfCycle = 119 {
        /// How many there are.
        active_instrument_count: I32,
    }

    /// Client: send these messages again.
    RetransmitRequest = 200 {
        /// The first.
        begin_seq_num: I64,
        /// How many.
        message_count: u8,
    }

    /// Venue: they will not be sent again.
    RetransmitReject = 202 {
        /// Ask nothing for so long.
        retry_delay_nanos: I64,
        /// Why, in words, padded with zeros.
        details: [u8; 40],
        /// [`RejectReason`](super::RejectReason).
        reason: i8,
    }
}
