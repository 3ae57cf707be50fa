//! What the venue's state looks like in the blocks of the wire.

use super::{Scene, Told};
use crate::instrument::{InstrumentKind, OptionKind, Payoff};
use crate::sim::venue::exchange::{Listing, Print};
use crate::sim::venue::matching::Book;
use crate::sim::venue::spec::{Contract, Universe};
use crate::units::{Lots, Nanos, Price, Side};
use crate::wire::deribit_multicast::{
    BookChange, BookEntry, BookSide, Direction, InstrumentV2Block, Kind, Liquidation, OptionType, PriceIndexBlock,
    SnapshotEntry, State, Terms, TickStep, TickerBlock, TradeEntry, Type, ascii,
};

/// When perpetuals expire, as the venue writes it: the year 3000.
const NEVER_MS: u64 = 32_503_708_800_000;
/// How precisely indices and futures' marks are printed.
const CENT: Price = Price(10_000_000);

/// One level's change: side, what happened, price, lots after it.
pub(super) type Change = (Side, BookChange, Price, Lots);

impl Scene<'_> {
    /// The time as messages carry it.
    pub(super) fn milliseconds(&self) -> u64 {
        milliseconds(self.now)
    }

    /// The index of an underlying as it is printed.
    pub(super) fn index(&self, underlying: usize) -> f64 {
        rounded(self.market.index(underlying), CENT)
    }

    /// Template 1008.
    pub(super) fn price_index(&self, underlying: usize) -> PriceIndexBlock {
        PriceIndexBlock {
            name: ascii(self.universe.underlyings[underlying].index),
            price: self.index(underlying).into(),
            timestamp_ms: self.milliseconds().into(),
        }
    }

    /// Entry of template 1002.
    pub(super) fn trade(&self, print: &Print, trade_seq: u64) -> TradeEntry {
        let contract = &self.exchange.listings()[print.listing].contract;
        let mark = self.market.mark(contract, self.now);
        let direction = match print.side {
            Side::Buy => Direction::Buy,
            Side::Sell => Direction::Sell,
        };
        TradeEntry {
            direction: direction.into(),
            price: print.fill.price.to_f64().into(),
            amount: amount(contract, print.fill.lots).into(),
            timestamp_ms: self.milliseconds().into(),
            mark_price: rounded_mark(contract, mark.price).into(),
            index_price: self.index(contract.underlying).into(),
            trade_seq: trade_seq.into(),
            trade_id: print.execution.0.into(),
            tick_direction: 0,
            liquidation: Liquidation::None.into(),
            iv: (100.0 * mark.volatility).into(),
            block_trade_id: u64::MAX.into(),
            combo_trade_id: u64::MAX.into(),
        }
    }

    /// Template 1003. Best prices are those last published; funding is not modelled.
    pub(super) fn ticker(&self, entry: &Listing, told: &Told) -> TickerBlock {
        let contract = &entry.contract;
        let mark = rounded_mark(contract, self.market.mark(contract, self.now).price);
        let index = self.index(contract.underlying);
        let best = |side: &[(Price, Lots)]| {
            side.first().map_or((0.0, 0.0), |&(price, lots)| (price.to_f64(), amount(contract, lots)))
        };
        let (bid, ask) = (best(&told.bids), best(&told.asks));
        let (lowest, highest) = match contract.kind {
            InstrumentKind::Option => (0.0, 4.0 * mark + 0.1),
            _ => (0.95 * mark, 1.05 * mark),
        };
        let funding = if contract.kind == InstrumentKind::Perpetual { 0.0 } else { f64::NAN };
        TickerBlock {
            instrument_id: contract.venue.0.into(),
            state: state(entry).into(),
            timestamp_ms: self.milliseconds().into(),
            open_interest: 0.0.into(),
            min_sell_price: rounded_mark(contract, lowest).into(),
            max_buy_price: rounded_mark(contract, highest).into(),
            last_price: entry.last.map_or(f64::NAN, Price::to_f64).into(),
            index_price: index.into(),
            mark_price: mark.into(),
            best_bid_price: bid.0.into(),
            best_bid_amount: bid.1.into(),
            best_ask_price: ask.0.into(),
            best_ask_amount: ask.1.into(),
            current_funding: funding.into(),
            funding_8h: funding.into(),
            estimated_delivery_price: index.into(),
            delivery_price: f64::NAN.into(),
            settlement_price: f64::NAN.into(),
        }
    }

    /// Template 1010.
    pub(super) fn definition(&self, entry: &Listing) -> (InstrumentV2Block, Vec<TickStep>) {
        definition(self.universe, &entry.contract, state(entry))
    }
}

/// Template 1010, and the steps that follow it.
pub fn definition(universe: &Universe, contract: &Contract, state: State) -> (InstrumentV2Block, Vec<TickStep>) {
    let underlying = &universe.underlyings[contract.underlying];
    let option = contract.kind == InstrumentKind::Option;
    let inverse = contract.payoff == Payoff::Inverse;
    let (base, counter) = (underlying.base, underlying.counter);
    let option_type = match contract.option {
        None => OptionType::NotApplicable,
        Some(OptionKind::Call) => OptionType::Call,
        Some(OptionKind::Put) => OptionType::Put,
    };
    let block = InstrumentV2Block {
        instrument_id: contract.venue.0.into(),
        state: state.into(),
        kind: if option { Kind::Option } else { Kind::Future }.into(),
        instrument_type: if inverse { Type::Reversed } else { Type::Linear }.into(),
        option_type: option_type.into(),
        terms: Terms {
            settlement_period: if contract.kind == InstrumentKind::Perpetual { 0 } else { 4 },
            settlement_period_count: 1.into(),
            base_currency: ascii(base),
            quote_currency: ascii(if option && inverse { base } else { counter }),
            counter_currency: ascii(counter),
            settlement_currency: ascii(if inverse { base } else { counter }),
            size_currency: ascii(if inverse && !option { counter } else { base }),
            creation_ms: milliseconds(universe.start).into(),
            expiration_ms: contract.expiry.map_or(NEVER_MS, milliseconds).into(),
            strike: if option { contract.strike } else { f64::NAN }.into(),
            contract_size: contract.size.to_f64().into(),
            min_trade_amount: contract.lot.to_f64().into(),
            tick_size: contract.ticks.base().to_f64().into(),
            maker_commission: contract.maker_fee.into(),
            taker_commission: contract.taker_fee.into(),
            block_trade_commission: contract.taker_fee.into(),
            max_liquidation_commission: f64::NAN.into(),
            max_leverage: f64::NAN.into(),
        },
    };
    let step = |&(above, tick): &(Price, Price)| TickStep {
        above_price: above.to_f64().into(),
        tick_size: tick.to_f64().into(),
    };
    (block, contract.ticks.steps().iter().map(step).collect())
}

/// Entry of template 1001.
pub(super) fn book_entry(contract: &Contract, &(side, change, price, lots): &Change) -> BookEntry {
    BookEntry {
        side: book_side(side),
        change: change.into(),
        price: price.to_f64().into(),
        amount: amount(contract, lots).into(),
    }
}

/// Entry of template 1004.
pub(super) fn snapshot_entry(contract: &Contract, side: Side, &(price, lots): &(Price, Lots)) -> SnapshotEntry {
    SnapshotEntry { side: book_side(side), price: price.to_f64().into(), amount: amount(contract, lots).into() }
}

/// Appends what turns `told` into a side of `book`, and makes it so. Both run best first.
pub(super) fn difference(side: Side, told: &mut Vec<(Price, Lots)>, book: &Book, changes: &mut Vec<Change>) {
    let levels: Vec<(Price, Lots)> = book.levels(side).map(|level| (level.price, level.lots)).collect();
    let ahead = |a: Price, b: Price| (a.0 - b.0) * side.sign() > 0;
    let (mut old, mut new) = (told.iter().copied().peekable(), levels.iter().copied().peekable());
    loop {
        match (old.peek().copied(), new.peek().copied()) {
            (Some((price, before)), Some((same, lots))) if price == same => {
                if lots != before {
                    changes.push((side, BookChange::Changed, price, lots));
                }
                old.next();
                new.next();
            }
            (Some((price, _)), next) if next.is_none_or(|(other, _)| ahead(price, other)) => {
                changes.push((side, BookChange::Deleted, price, Lots(0)));
                old.next();
            }
            (_, Some((price, lots))) => {
                changes.push((side, BookChange::Created, price, lots));
                new.next();
            }
            (_, None) => break,
        }
    }
    *told = levels;
}

fn state(entry: &Listing) -> State {
    match (entry.open, entry.halted) {
        (true, false) => State::Open,
        (true, true) => State::Inactive,
        (false, _) => State::Closed,
    }
}

fn book_side(side: Side) -> u8 {
    match side {
        Side::Buy => BookSide::Bid,
        Side::Sell => BookSide::Ask,
    }
    .into()
}

fn amount(contract: &Contract, lots: Lots) -> f64 {
    lots.to_quantity(contract.lot).to_f64()
}

fn milliseconds(time: Nanos) -> u64 {
    time.0 / Nanos::PER_MILLI
}

/// A mark as precise as the venue prints it.
pub(super) fn rounded_mark(contract: &Contract, mark: f64) -> f64 {
    match (contract.kind, contract.payoff) {
        (InstrumentKind::Option, Payoff::Inverse) => rounded(mark, Price(1_000)),
        (InstrumentKind::Option, Payoff::Linear) => rounded(mark, Price(100_000)),
        _ => rounded(mark, CENT),
    }
}

/// To the nearest multiple of `unit`, as the double nearest to the decimal.
fn rounded(value: f64, unit: Price) -> f64 {
    let nearest = |price: Price| (price.0 + unit.0 / 2).div_euclid(unit.0) * unit.0;
    Price::from_f64(value).map_or(value, |price| Price(nearest(price)).to_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_print_as_the_nearest_decimal() {
        assert_eq!(rounded(0.012_345_67, Price(1_000)), 0.012_346);
        assert_eq!(rounded(96_400.004_9, CENT), 96_400.0);
        assert!(rounded(f64::NAN, CENT).is_nan());
    }
}
