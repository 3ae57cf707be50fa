//! Fixed-length parts of the messages, field for field as they lie on the wire. Alignment is 1 and there is no padding
//! (asserted by zerocopy's derives and by the sizes below), so a reference into the packet is a decoded block.

use zerocopy::little_endian::{F64, I32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BookChange, BookSide, DecodeError};
use crate::units::{Price, Quantity, Side};

/// What both versions of the instrument definition say from the settlement period on.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Terms {
    /// 0 for a perpetual, 255 for none.
    pub settlement_period: u8,
    /// How many periods.
    pub settlement_period_count: U16,
    /// The coin.
    pub base_currency: [u8; 8],
    /// What prices are in.
    pub quote_currency: [u8; 8],
    /// What the index is in.
    pub counter_currency: [u8; 8],
    /// What it pays in; empty for spot.
    pub settlement_currency: [u8; 8],
    /// What amounts are in.
    pub size_currency: [u8; 8],
    /// Milliseconds since the epoch.
    pub creation_ms: U64,
    /// Milliseconds since the epoch; far in the future when it never expires.
    pub expiration_ms: U64,
    /// NaN unless an option.
    pub strike: F64,
    /// Amount of one contract.
    pub contract_size: F64,
    /// Amount of one lot.
    pub min_trade_amount: F64,
    /// Smallest price step.
    pub tick_size: F64,
    /// Maker fee as a fraction.
    pub maker_commission: F64,
    /// Taker fee as a fraction.
    pub taker_commission: F64,
    /// Fee of a block trade as a fraction.
    pub block_trade_commission: F64,
    /// Liquidation fee as a fraction.
    pub max_liquidation_commission: F64,
    /// Highest leverage.
    pub max_leverage: F64,
}

/// Template 1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct InstrumentBlock {
    /// The venue's number.
    pub instrument_id: U32,
    /// [`State`](super::State).
    pub state: u8,
    /// [`Kind`](super::Kind).
    pub kind: u8,
    /// [`Type`](super::Type).
    pub instrument_type: u8,
    /// [`OptionType`](super::OptionType).
    pub option_type: u8,
    /// Whether requests for quotes are taken.
    pub rfq: u8,
    /// The rest.
    pub terms: Terms,
}

/// Template 1010: template 1000 without the request-for-quote flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct InstrumentV2Block {
    /// The venue's number.
    pub instrument_id: U32,
    /// [`State`](super::State).
    pub state: u8,
    /// [`Kind`](super::Kind).
    pub kind: u8,
    /// [`Type`](super::Type).
    pub instrument_type: u8,
    /// [`OptionType`](super::OptionType).
    pub option_type: u8,
    /// The rest.
    pub terms: Terms,
}

/// Entry of template 1010's group.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TickStep {
    /// From this price on,
    pub above_price: F64,
    /// prices move by this.
    pub tick_size: F64,
}

/// Template 1001.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BookBlock {
    /// Which instrument.
    pub instrument_id: U32,
    /// Milliseconds since the epoch.
    pub timestamp_ms: U64,
    /// The change this one follows.
    pub prev_change_id: U64,
    /// This change.
    pub change_id: U64,
    /// Whether the change ends with this message.
    pub is_last: u8,
}

/// Entry of template 1001's group.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BookEntry {
    /// [`BookSide`].
    pub side: u8,
    /// [`BookChange`].
    pub change: u8,
    /// Level.
    pub price: F64,
    /// Its whole amount after the change.
    pub amount: F64,
}

/// Template 1002.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TradesBlock {
    /// Which instrument.
    pub instrument_id: U32,
}

/// Entry of template 1002's group.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TradeEntry {
    /// [`Direction`](super::Direction).
    pub direction: u8,
    /// Price.
    pub price: F64,
    /// Amount.
    pub amount: F64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: U64,
    /// Mark price at the time.
    pub mark_price: F64,
    /// Index price at the time.
    pub index_price: F64,
    /// Number within the instrument.
    pub trade_seq: U64,
    /// Number within the venue's currency.
    pub trade_id: U64,
    /// Up, level or down since the last trade.
    pub tick_direction: u8,
    /// [`Liquidation`](super::Liquidation).
    pub liquidation: u8,
    /// Implied volatility, percent; NaN unless an option.
    pub iv: F64,
    /// Number of the block trade, or none.
    pub block_trade_id: U64,
    /// Number of the combination's trade, or none.
    pub combo_trade_id: U64,
}

/// Template 1003.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TickerBlock {
    /// Which instrument.
    pub instrument_id: U32,
    /// [`State`](super::State).
    pub state: u8,
    /// Milliseconds since the epoch.
    pub timestamp_ms: U64,
    /// Open interest.
    pub open_interest: F64,
    /// Lowest price at which one may sell.
    pub min_sell_price: F64,
    /// Highest price at which one may buy.
    pub max_buy_price: F64,
    /// Last traded price.
    pub last_price: F64,
    /// Index.
    pub index_price: F64,
    /// Mark.
    pub mark_price: F64,
    /// Best bid; not in step with the book messages.
    pub best_bid_price: F64,
    /// Its amount.
    pub best_bid_amount: F64,
    /// Best offer.
    pub best_ask_price: F64,
    /// Its amount.
    pub best_ask_amount: F64,
    /// Funding now.
    pub current_funding: F64,
    /// Funding over eight hours.
    pub funding_8h: F64,
    /// Estimated delivery price.
    pub estimated_delivery_price: F64,
    /// Delivery price.
    pub delivery_price: F64,
    /// Settlement price.
    pub settlement_price: F64,
}

/// Template 1004.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SnapshotBlock {
    /// Which instrument.
    pub instrument_id: U32,
    /// Milliseconds since the epoch.
    pub timestamp_ms: U64,
    /// The change up to which the book is shown.
    pub change_id: U64,
    /// Whether every level is shown.
    pub is_book_complete: u8,
    /// Whether the book ends with this message.
    pub is_last_in_book: u8,
}

/// Entry of template 1004's group.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SnapshotEntry {
    /// [`BookSide`].
    pub side: u8,
    /// Level.
    pub price: F64,
    /// Its amount.
    pub amount: F64,
}

/// Template 1005.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SnapshotStartBlock {
    /// Milliseconds from one round of snapshots to the next.
    pub snapshot_delay: U32,
}

/// Template 1007.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ComboLegsBlock {
    /// The combination.
    pub instrument_id: U32,
}

/// Entry of template 1007's group.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ComboLeg {
    /// The leg.
    pub leg_instrument_id: U32,
    /// Its ratio; negative is short.
    pub leg_size: I32,
}

/// Template 1008.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct PriceIndexBlock {
    /// Such as `btc_usd`.
    pub name: [u8; 16],
    /// Price in quote currency.
    pub price: F64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: U64,
}

/// Template 1009.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RfqBlock {
    /// Which instrument.
    pub instrument_id: U32,
    /// Whether the request stands.
    pub state: u8,
    /// [`Direction`](super::Direction), or none.
    pub side: u8,
    /// Amount asked for.
    pub amount: F64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: U64,
}

// Block and entry lengths as the wire states them.
const _: () = {
    assert!(size_of::<Terms>() == 131);
    assert!(size_of::<InstrumentBlock>() == 140);
    assert!(size_of::<InstrumentV2Block>() == 139);
    assert!(size_of::<TickStep>() == 16);
    assert!(size_of::<BookBlock>() == 29);
    assert!(size_of::<BookEntry>() == 18);
    assert!(size_of::<TradesBlock>() == 4);
    assert!(size_of::<TradeEntry>() == 83);
    assert!(size_of::<TickerBlock>() == 133);
    assert!(size_of::<SnapshotBlock>() == 22);
    assert!(size_of::<SnapshotEntry>() == 17);
    assert!(size_of::<SnapshotStartBlock>() == 4);
    assert!(size_of::<ComboLegsBlock>() == 4);
    assert!(size_of::<ComboLeg>() == 8);
    assert!(size_of::<PriceIndexBlock>() == 32);
    assert!(size_of::<RfqBlock>() == 22);
};

impl BookEntry {
    /// The level this entry is about and what happened to it. A deletion carries no amount.
    #[inline]
    pub fn level(&self) -> Result<(Side, BookChange, Price, Quantity), DecodeError> {
        let change = BookChange::try_from(self.change)?;
        let price = Price::from_f64(self.price.get()).ok_or(DecodeError::Number)?;
        let amount = match change {
            BookChange::Deleted => Quantity(0),
            BookChange::Created | BookChange::Changed => positive(self.amount)?,
        };
        Ok((side(self.side)?, change, price, amount))
    }
}

impl SnapshotEntry {
    /// The level.
    #[inline]
    pub fn level(&self) -> Result<(Side, Price, Quantity), DecodeError> {
        let price = Price::from_f64(self.price.get()).ok_or(DecodeError::Number)?;
        Ok((side(self.side)?, price, positive(self.amount)?))
    }
}

#[inline]
fn side(byte: u8) -> Result<Side, DecodeError> {
    Ok(match BookSide::try_from(byte)? {
        BookSide::Bid => Side::Buy,
        BookSide::Ask => Side::Sell,
    })
}

#[inline]
fn positive(amount: F64) -> Result<Quantity, DecodeError> {
    Quantity::from_f64(amount.get()).filter(|amount| amount.0 > 0).ok_or(DecodeError::Number)
}

/// The text in a zero-padded field: up to its first byte that is not ASCII graphic.
pub fn text(field: &[u8]) -> &str {
    let len = field.iter().position(|b| !b.is_ascii_graphic()).unwrap_or(field.len());
    std::str::from_utf8(&field[..len]).unwrap_or_default()
}

/// A zero-padded field from text, cut to fit.
pub fn ascii<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    field
}
