//! The other participants: a market maker around every mark, takers, and passers-by who rest an order for a while.
//!
//! The market maker keeps a ladder of levels on both sides of fair value and moves it when the market moves: futures at
//! random instants with a given rate, options round robin. Takers arrive as Poisson processes and mostly trade within
//! the first level, now and then through several. Rates are those of [`MarketConfig`].

use std::collections::BTreeMap;

use super::exchange::{Exchange, Listing, Ticket};
use super::market::{Market, MarketConfig};
use super::matching::Owner;
use crate::instrument::{InstrumentKind, Payoff};
use crate::order::TimeInForce;
use crate::sim::random::{Random, splitmix64};
use crate::units::{Lots, Nanos, Price, Side, VenueOrderId};

/// The market maker's orders.
pub const MAKER: Owner = Owner(0);
/// The takers'.
pub const TAKER: Owner = Owner(1);
/// The passers-by's.
pub const VISITOR: Owner = Owner(2);

const SIDES: [Side; 2] = [Side::Buy, Side::Sell];
/// Orders a second that visitors rest on each future and perpetual.
const VISITS_PER_SECOND: f64 = 20.0;
/// How long they stay, on average.
const VISIT_S: f64 = 2.0;

/// The background participants and what they remember.
#[derive(Debug)]
pub struct Crowd {
    config: MarketConfig,
    random: Random,
    futures: Vec<usize>,
    options: Vec<usize>,
    next_option: usize,
    /// Option re-marks owed, in fractions of one.
    owed_marks: f64,
    visits: BTreeMap<(Nanos, VenueOrderId), (usize, Side, Price)>,
}

impl Crowd {
    /// The participants of an exchange.
    pub fn new(config: MarketConfig, exchange: &Exchange, seed: u64) -> Self {
        let of = |option: bool| {
            let listings = exchange.listings().iter().enumerate();
            listings.filter(move |(_, l)| (l.contract.kind == InstrumentKind::Option) == option).map(|(i, _)| i)
        };
        Self {
            config,
            random: Random::new(seed),
            futures: of(false).collect(),
            options: of(true).collect(),
            next_option: 0,
            owed_marks: 0.0,
            visits: BTreeMap::new(),
        }
    }

    /// Quotes every book: the state in which trading opens.
    pub fn open(&mut self, market: &Market, exchange: &mut Exchange, now: Nanos) {
        (0..exchange.listings().len()).for_each(|listing| self.quote(listing, market, exchange, now));
    }

    /// What everyone does in one step of the market.
    pub fn step(&mut self, market: &Market, exchange: &mut Exchange, now: Nanos) {
        let dt_s = self.config.step_ns as f64 / Nanos::PER_SECOND as f64;
        let busy_s = dt_s * self.config.activity;
        self.end_visits(exchange, now);
        for at in 0..self.futures.len() {
            let listing = self.futures[at];
            let perpetual = exchange.listings()[listing].contract.kind == InstrumentKind::Perpetual;
            let (quotes, trades) = match perpetual {
                true => (self.config.perpetual_quotes_per_second, self.config.perpetual_trades_per_second),
                false => (self.config.future_quotes_per_second, self.config.perpetual_trades_per_second / 10.0),
            };
            if self.random.chance(quotes * busy_s) {
                self.quote(listing, market, exchange, now);
            }
            if self.random.chance(trades * busy_s) {
                self.take(listing, exchange);
            }
            if self.random.chance(VISITS_PER_SECOND * busy_s) {
                self.visit(listing, exchange, now);
            }
        }
        // One pass over the options a step is enough, however long the step.
        let owed = self.owed_marks + self.config.option_marks_per_second * busy_s;
        self.owed_marks = owed.min(self.options.len() as f64);
        while self.owed_marks >= 1.0 && !self.options.is_empty() {
            self.owed_marks -= 1.0;
            self.quote(self.options[self.next_option], market, exchange, now);
            self.next_option = (self.next_option + 1) % self.options.len();
        }
        if self.random.chance(self.config.option_trades_per_second * busy_s) {
            let at = self.random.below(self.options.len() as u64) as usize;
            if let Some(&listing) = self.options.get(at) {
                self.take(listing, exchange);
            }
        }
    }

    /// Brings the market maker's ladders of one book to where they belong: cancels first, so it never meets itself.
    fn quote(&mut self, listing: usize, market: &Market, exchange: &mut Exchange, now: Nanos) {
        let entry = &exchange.listings()[listing];
        if !entry.trades() {
            return;
        }
        let ladders = SIDES.map(|side| ladder(entry, market, side, now));
        let mut missing = ladders.clone();
        let mut standing = Vec::new();
        for (side, missing) in SIDES.into_iter().zip(&mut missing) {
            for level in entry.book.levels(side) {
                for order in level.orders().filter(|order| order.owner == MAKER) {
                    let wanted = missing.iter().position(|(price, _)| *price == level.price);
                    standing.push((side, level.price, *order, wanted.map(|at| missing.swap_remove(at).1)));
                }
            }
        }
        for (side, price, order, wanted) in standing {
            match wanted {
                None => drop(exchange.cancel(listing, side, price, order.id)),
                Some(lots) if lots != order.lots => exchange.resize(listing, side, price, order.id, lots),
                Some(_) => {}
            }
        }
        for (side, missing) in SIDES.into_iter().zip(&missing) {
            for &(price, lots) in missing {
                exchange.submit(listing, &Ticket::limit(MAKER, side, price, lots));
            }
        }
    }

    /// One aggressive order: mostly a part of the best level, one in twelve through several.
    fn take(&mut self, listing: usize, exchange: &mut Exchange) {
        let side = SIDES[self.random.below(2) as usize];
        let entry = &exchange.listings()[listing];
        let Some(best) = entry.book.levels(side.opposite()).next().filter(|_| entry.trades()) else { return };
        let sweep = self.random.chance(1.0 / 12.0);
        let share = self.random.exponential(if sweep { 2.5 } else { 0.15 });
        let reach = if sweep { 4 * entry.contract.ticks.at(best.price).0 } else { 0 };
        let lots = Lots(((best.lots.0 as f64 * share) as i64).max(1));
        let price = Price(best.price.0 + side.sign() * reach);
        if price.0 > 0 && entry.contract.ticks.is_valid(price) {
            let ticket = Ticket::limit(TAKER, side, price, lots);
            exchange.submit(listing, &Ticket { time_in_force: TimeInForce::ImmediateOrCancel, ..ticket });
        }
    }

    /// Rests a small order near the top, inside the spread if there is room.
    fn visit(&mut self, listing: usize, exchange: &mut Exchange, now: Nanos) {
        let side = SIDES[self.random.below(2) as usize];
        let away = self.random.below(8) as i64 - 1;
        let lots = Lots(1 + self.random.exponential(200.0) as i64);
        let stay_ns = (self.random.exponential(VISIT_S) * Nanos::PER_SECOND as f64) as u64;
        let entry = &exchange.listings()[listing];
        let (Some(near), Some(far)) = (entry.book.best(side), entry.book.best(side.opposite())) else { return };
        let price = Price(near.0 - side.sign() * away * entry.contract.ticks.at(near).0);
        if !entry.trades() || price.0 <= 0 || (far.0 - price.0) * side.sign() <= 0 {
            return;
        }
        let (id, _) = exchange.submit(listing, &Ticket::limit(VISITOR, side, price, lots));
        self.visits.insert((Nanos(now.0 + stay_ns), id), (listing, side, price));
    }

    fn end_visits(&mut self, exchange: &mut Exchange, now: Nanos) {
        while let Some(visit) = self.visits.first_entry().filter(|visit| visit.key().0 <= now) {
            let ((_, id), (listing, side, price)) = visit.remove_entry();
            exchange.cancel(listing, side, price, id);
        }
    }
}

/// How the market maker quotes one kind of contract.
struct Style {
    /// Levels on each side.
    levels: usize,
    /// Lots at the first level, on average.
    lots: f64,
    /// How much more stands at each level behind it, relative to the first.
    growth: f64,
    /// Milliseconds for which a level's size stays as it is.
    hold_ms: u64,
}

impl Style {
    fn of(kind: InstrumentKind, payoff: Payoff) -> Self {
        match (kind, payoff) {
            (InstrumentKind::Option, Payoff::Inverse) => Self { levels: 3, lots: 80.0, growth: 0.6, hold_ms: 20_000 },
            (InstrumentKind::Option, Payoff::Linear) => Self { levels: 3, lots: 600.0, growth: 0.6, hold_ms: 20_000 },
            (InstrumentKind::Future, _) => Self { levels: 6, lots: 1_500.0, growth: 0.5, hold_ms: 2_000 },
            (_, Payoff::Inverse) => Self { levels: 12, lots: 6_000.0, growth: 0.35, hold_ms: 700 },
            (_, Payoff::Linear) => Self { levels: 12, lots: 1_200.0, growth: 0.35, hold_ms: 700 },
        }
    }
}

/// The market maker's levels on one side, best first; prices strictly worsen, and none is zero or negative.
fn ladder(entry: &Listing, market: &Market, side: Side, now: Nanos) -> Vec<(Price, Lots)> {
    let contract = &entry.contract;
    let style = Style::of(contract.kind, contract.payoff);
    let mark = market.mark(contract, now);
    let sign = side.sign() as f64;
    let (half, gap) = match contract.expiry.filter(|_| contract.kind == InstrumentKind::Option) {
        Some(expiry) => {
            // Half a spread of 0.2 volatility points for long expiries, more for short ones, and a little for size.
            let half = mark.vega * (0.002 + 0.000_5 / now.years_until(expiry).max(1e-4).sqrt()) + 0.002 * mark.price;
            (half, 0.6 * half)
        }
        None => {
            let tick = contract.ticks.base().to_f64();
            (if contract.kind == InstrumentKind::Perpetual { 0.15 * tick } else { 0.6 * tick }, 0.0)
        }
    };
    let mut levels: Vec<(Price, Lots)> = Vec::with_capacity(style.levels);
    for level in 0..style.levels {
        let Some(fair) = Price::from_f64(mark.price - sign * (half + gap * level as f64)) else { break };
        let mut price = contract.ticks.round_passive(fair, side);
        if let Some(&(inside, _)) = levels.last()
            && (inside.0 - price.0) * side.sign() <= 0
        {
            // Step off by the finer of the two ticks, then onto the grid of where that leads.
            price = contract.ticks.round_passive(Price(inside.0 - side.sign()), side);
        }
        if price.0 <= 0 {
            break;
        }
        levels.push((price, size(&style, entry, level, price, now)));
    }
    levels
}

/// Lots at a level: a hash of the price and of a slow clock, so a level that stays keeps its size for a while.
fn size(style: &Style, entry: &Listing, level: usize, price: Price, now: Nanos) -> Lots {
    let mut place = price.0 as u64 ^ (u64::from(entry.contract.venue.0) << 40);
    let phase_ms = splitmix64(&mut place) % style.hold_ms;
    let mut epoch = place ^ ((now.0 / Nanos::PER_MILLI + phase_ms) / style.hold_ms);
    let uniform = (splitmix64(&mut epoch) >> 11) as f64 / (1_u64 << 53) as f64;
    Lots((style.lots * (1.0 + style.growth * level as f64) * (0.3 + 1.4 * uniform)).max(1.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::venue::spec::{Universe, UniverseConfig};

    const START: Nanos = Nanos::from_secs(1_795_348_800);

    fn trading(seed: u64, steps: u64) -> (Market, Exchange, u64) {
        let universe = Universe::new(&UniverseConfig::default(), START);
        let config = MarketConfig::default();
        let mut exchange = Exchange::new(&universe);
        let mut market = Market::new(config.clone(), &universe, seed);
        let mut crowd = Crowd::new(config, &exchange, seed + 1);
        crowd.open(&market, &mut exchange, START);
        let mut touches = 0;
        for step in 1..=steps {
            market.step();
            let now = Nanos(START.0 + step * Nanos::PER_MILLI);
            crowd.step(&market, &mut exchange, now);
            touches += exchange.take_touched().len() as u64;
        }
        (market, exchange, touches)
    }

    #[test]
    fn every_future_and_most_options_are_quoted_on_both_sides() {
        let (_, exchange, _) = trading(1, 2_000);
        let two_sided = |l: &&Listing| SIDES.iter().all(|side| l.book.best(*side).is_some());
        let (options, futures): (Vec<_>, Vec<_>) =
            exchange.listings().iter().partition(|l| l.contract.kind == InstrumentKind::Option);
        assert!(futures.iter().all(&two_sided));
        let quoted = options.iter().filter(|l| two_sided(l)).count();
        assert!(quoted * 10 >= options.len() * 8, "{quoted} of {}", options.len());
        assert!(options.iter().all(|l| l.book.best(Side::Sell).is_some()));
    }

    #[test]
    fn books_are_on_the_grid_deep_and_near_fair_value() {
        let (market, exchange, _) = trading(2, 3_000);
        let now = Nanos(START.0 + 3_000 * Nanos::PER_MILLI);
        for entry in exchange.listings() {
            let fair = market.mark(&entry.contract, now).price;
            let tick = entry.contract.ticks.at(Price::from_f64(fair).unwrap()).to_f64();
            for side in SIDES {
                assert!(entry.book.levels(side).all(|l| entry.contract.ticks.is_valid(l.price) && l.lots.0 > 0));
            }
            if entry.contract.kind == InstrumentKind::Perpetual {
                let spread =
                    entry.book.best(Side::Sell).unwrap().to_f64() - entry.book.best(Side::Buy).unwrap().to_f64();
                assert!(spread <= 8.0 * tick, "{}: {spread}", entry.contract.name);
                assert!(entry.book.levels(Side::Buy).len() >= 8, "{}", entry.contract.name);
                let off = (entry.book.best(Side::Buy).unwrap().to_f64() - fair).abs();
                assert!(off < 60.0 * tick, "{}: {off}", entry.contract.name);
            }
        }
    }

    #[test]
    fn books_change_some_thousand_times_a_second_and_trade() {
        let (_, exchange, touches) = trading(3, 5_000);
        assert!((500..10_000).contains(&(touches / 5)), "{touches} in 5 s");
        assert!(exchange.prints().len() > 50, "{}", exchange.prints().len());
        assert!(exchange.prints().iter().all(|p| p.fill.maker_owner != p.taker));
    }
}
