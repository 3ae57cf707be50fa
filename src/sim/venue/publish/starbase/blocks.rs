//! What the venue's state looks like in the blocks of the wire.

use crate::instrument::{InstrumentKind, OptionKind, Payoff};
use crate::sim::venue::exchange::Listing;
use crate::sim::venue::publish::Scene;
use crate::sim::venue::publish::message::rounded_mark;
use crate::units::{Price, Quantity};
use crate::wire::deribit_multicast::ascii;
use crate::wire::starbase::market_data::{
    IndexDefinition, InstrumentDefinition, InstrumentInfo, InstrumentStatus, InstrumentType, LargeTickSize, NULL_INT,
    instrument_flags,
};

/// A quantity is its mantissa times ten to this power.
pub(super) const QUANTITY_EXPONENT: i8 = -4;
/// Units of 1e-9 in one unit of a mantissa.
pub const QUANTITY_UNIT: i64 = 100_000;

/// A quantity on the wire.
pub(super) fn mantissa(quantity: Quantity) -> i64 {
    quantity.0 / QUANTITY_UNIT
}

/// Whether a listing trades.
pub(super) fn status(entry: &Listing) -> InstrumentStatus {
    if entry.open { InstrumentStatus::Open } else { InstrumentStatus::Halted }
}

fn price(value: f64) -> i64 {
    Price::from_f64(value).map_or(NULL_INT, |price| price.0)
}

impl Scene<'_> {
    /// Template 11.
    pub(super) fn index_definition(&self, underlying: usize) -> IndexDefinition {
        IndexDefinition {
            index_id: (underlying as i64 + 1).into(),
            name: ascii(self.universe.underlyings[underlying].index),
        }
    }

    /// Template 14.
    pub(super) fn info(&self, entry: &Listing) -> InstrumentInfo {
        let contract = &entry.contract;
        let mark = rounded_mark(contract, self.market.mark(contract, self.now).price);
        let (lowest, highest) = match contract.kind {
            InstrumentKind::Option => (0.0, 4.0 * mark + 0.1),
            _ => (0.95 * mark, 1.05 * mark),
        };
        InstrumentInfo {
            instrument_id: i64::from(contract.venue.0).into(),
            min_sell_price: price(rounded_mark(contract, lowest)).into(),
            max_buy_price: price(rounded_mark(contract, highest)).into(),
            index_price: price(self.index(contract.underlying)).into(),
            mark_price: price(mark).into(),
        }
    }

    /// Template 10.
    pub(super) fn instrument_definition(&self, entry: &Listing) -> (InstrumentDefinition, Vec<LargeTickSize>) {
        let contract = &entry.contract;
        let underlying = &self.universe.underlyings[contract.underlying];
        let kind = match contract.kind {
            InstrumentKind::Option => InstrumentType::Option,
            InstrumentKind::Perpetual => InstrumentType::Perpetual,
            _ => InstrumentType::DatedFuture,
        };
        let inverse = contract.payoff == Payoff::Inverse;
        let is_option = contract.kind == InstrumentKind::Option;
        let mut flags = 0;
        for (holds, flag) in [
            (inverse, instrument_flags::IS_REVERSED),
            (contract.option == Some(OptionKind::Put), instrument_flags::IS_PUT),
            (contract.kind == InstrumentKind::Perpetual, instrument_flags::IS_PERPETUAL),
        ] {
            flags |= if holds { flag } else { 0 };
        }
        let block = InstrumentDefinition {
            instrument_id: i64::from(contract.venue.0).into(),
            name: ascii(&contract.name),
            index_id: (contract.underlying as i64 + 1).into(),
            underlying: ascii(underlying.index),
            quantity_asset: ascii(if inverse && !is_option { underlying.counter } else { underlying.base }),
            price_asset: ascii(if is_option && inverse { underlying.base } else { underlying.counter }),
            expiry_time: contract.expiry.map_or(NULL_INT, |expiry| expiry.0 as i64).into(),
            strike_price: if is_option { price(contract.strike) } else { NULL_INT }.into(),
            min_order_quantity: mantissa(contract.lot).into(),
            tick_size: contract.ticks.base().0.into(),
            quantity_exponent: QUANTITY_EXPONENT,
            kind: kind.into(),
            flags,
            status: status(entry).into(),
        };
        let step = |&(above, tick): &(Price, Price)| LargeTickSize {
            large_tick_size: tick.0.into(),
            threshold_price: above.0.into(),
        };
        (block, contract.ticks.steps().iter().map(step).collect())
    }
}
