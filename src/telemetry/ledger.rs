//! The ledger: what the book would have been worth unhedged, what hedging made of it, and what that cost.
//!
//! What enters: the events that leave the greeks and the surface. On a fixed grid of event time the whole book is valued
//! anew with the calibrated forwards and volatilities of that instant, in settlement currency (coins for inverse
//! underlyings, quote currency for linear ones). The hedge is marked at the mid, its spread and fees counted apart as cost,
//! so that the two variances compare risk with risk. Both are taken from [`SETTLE_NS`] after the first fill on: until then
//! the hedge is being built and the calibration settles. Cold: a sample costs one valuation of every option held.

use std::collections::BTreeSet;

use super::moments::Moments;
use crate::event::{Body, Event};
use crate::instrument::{BookQuality, Catalogue, INSTRUMENTS_MAX, Instrument, InstrumentKind, Payoff, UNDERLYINGS_MAX};
use crate::order::Request;
use crate::pricing::black76;
use crate::pricing::settlement::{WINDOW_YEARS, variance_years};
use crate::risk::Instruction;
use crate::units::{ClientOrderId, InstrumentId, Lots, Nanos, ONE_E9, Side, UnderlyingId};

/// Event time between two valuations, nanoseconds.
const SAMPLE_NS: u64 = 500 * Nanos::PER_MILLI;

/// Changes below which a ratio of variances says nothing: four seconds of them.
const CHANGES_MIN: u64 = 8;

/// Largest fee on an option as a share of its premium.
const OPTION_FEE_SHARE_MAX: f64 = 0.125;

/// Event time from an underlying's first fill to the first change that counts, nanoseconds.
const SETTLE_NS: u64 = Nanos::PER_SECOND;

/// What hedging one underlying came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// Last good net delta before the first fill, coins.
    pub delta_before: f64,
    /// Latest net delta, coins.
    pub delta_after: f64,
    /// Exposures seen.
    pub exposures: u64,
    /// Fills of the hedge.
    pub fills: u64,
    /// Of them in options.
    pub option_fills: u64,
    /// Spread and fees paid, settlement currency.
    pub cost: f64,
    /// The same in quote currency, each fill's at the spot of its time.
    pub cost_in_quote: f64,
    /// Changes of the book's value from sample to sample.
    pub unhedged: Moments,
    /// Changes of the value of book and hedge together.
    pub hedged: Moments,
    settled_at: Option<Nanos>,
    value: Option<f64>,
    /// What the options of the hedge were worth at the last sample, and those bought since when they were.
    hedge_value: f64,
    book_gain: f64,
    hedge_gain: f64,
}

impl Account {
    /// Unhedged over hedged variance; `None` before there are enough changes, or when the hedged value never moved.
    pub fn variance_ratio(&self) -> Option<f64> {
        if self.hedged.count() < CHANGES_MIN {
            return None;
        }
        let hedged = self.hedged.variance().filter(|&variance| variance > 0.0)?;
        Some(self.unhedged.variance()? / hedged)
    }
}

/// What is held of one instrument, and the prices that value it.
#[derive(Clone, Copy, Debug)]
struct Holding {
    book: Lots,
    hedge: Lots,
    sigma: f64,
    mid: f64,
    /// Mid at which the gains of a delta-one contract were last taken.
    marked_at: f64,
}

/// One execution of the hedge.
struct Fill {
    side: Side,
    price: f64,
    lots: u32,
    is_maker: bool,
}

/// Values books and accounts for hedges.
#[derive(Debug)]
pub struct Ledger {
    catalogue: Catalogue,
    /// Orders that were made to rest.
    resting: BTreeSet<ClientOrderId>,
    holdings: Box<[Holding]>,
    forwards: Vec<(UnderlyingId, u32, f64)>,
    spots: [f64; UNDERLYINGS_MAX],
    accounts: [Account; UNDERLYINGS_MAX],
    next_sample: Nanos,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Self {
        let nothing = Holding { book: Lots(0), hedge: Lots(0), sigma: f64::NAN, mid: f64::NAN, marked_at: f64::NAN };
        Self {
            catalogue: Catalogue::new(),
            resting: BTreeSet::new(),
            holdings: vec![nothing; INSTRUMENTS_MAX].into(),
            forwards: Vec::new(),
            spots: [f64::NAN; UNDERLYINGS_MAX],
            accounts: Default::default(),
            next_sample: Nanos::default(),
        }
    }

    /// Takes an instruction of the hedge: an order that may only rest pays the maker's fee.
    pub fn instruction(&mut self, instruction: &Instruction) {
        if let Instruction::Send(approved) = instruction
            && let Request::New { order, post_only: true, .. } = *approved.request()
        {
            self.resting.insert(order);
        }
    }

    /// Takes one event; values the book when a grid point has passed.
    pub fn step(&mut self, event: &Event) {
        match event.body {
            Body::Top { instrument, bid, ask, .. } if bid.0 > 0 && ask > bid => {
                self.holdings[instrument.index()].mid = (bid.to_f64() + ask.to_f64()) / 2.0;
            }
            Body::Forward { underlying, expiry_s, ratio } => self.set_forward(underlying, expiry_s, ratio),
            Body::Volatility { instrument, sigma, .. } => self.holdings[instrument.index()].sigma = sigma,
            Body::Position { instrument, lots } => self.holdings[instrument.index()].book.0 += lots,
            Body::Exposure { underlying, quality, net_delta, spot, .. } => {
                self.spots[underlying.index()] = spot.to_f64();
                let account = &mut self.accounts[underlying.index()];
                account.exposures += 1;
                account.delta_after = net_delta.to_f64();
                if quality == BookQuality::Good && account.fills == 0 {
                    account.delta_before = net_delta.to_f64();
                }
            }
            Body::Filled { order, instrument, side, price, lots, .. } => {
                let is_maker = self.resting.contains(&order);
                let fill = Fill { side, price: price.to_f64(), lots, is_maker };
                self.fill(instrument, &fill, event.time);
            }
            _ => {
                // A listing that a stage upstream accepted and this catalogue does not would be a defect of ours; what
                // the ledger then lacks is a row in a report.
                let _ = self.catalogue.apply(&event.body);
            }
        }
        if event.time >= self.next_sample {
            self.next_sample = Nanos(event.time.0 / SAMPLE_NS * SAMPLE_NS + SAMPLE_NS);
            self.sample(event.time);
        }
    }

    /// Each underlying with its account.
    pub fn accounts(&self) -> impl Iterator<Item = (UnderlyingId, &str, &Account)> {
        self.catalogue.underlyings().map(|(id, underlying)| (id, underlying.name(), &self.accounts[id.index()]))
    }

    /// Options held at the last look.
    pub fn options_held(&self) -> usize {
        let held =
            |instrument: &&Instrument| instrument.option.is_some() && self.holdings[instrument.id.index()].book.0 != 0;
        self.catalogue.instruments().iter().filter(held).count()
    }

    fn set_forward(&mut self, underlying: UnderlyingId, expiry_s: u32, ratio: f64) {
        match self.forwards.iter_mut().find(|(u, e, _)| (*u, *e) == (underlying, expiry_s)) {
            Some(entry) => entry.2 = ratio,
            None => self.forwards.push((underlying, expiry_s, ratio)),
        }
    }

    fn fill(&mut self, id: InstrumentId, fill: &Fill, time: Nanos) {
        let Some(instrument) = self.catalogue.find(id).copied() else { return };
        let signed = Lots(fill.side.sign() * i64::from(fill.lots));
        let mid = self.holdings[id.index()].mid;
        let fee_e9 = if fill.is_maker { instrument.maker_fee_e9 } else { instrument.taker_fee_e9 };
        let rate = f64::from(fee_e9) / ONE_E9 as f64;
        let (slippage, fee, worth) = if instrument.kind == InstrumentKind::Option {
            let amount = signed.0 as f64 * instrument.lot.to_f64();
            let underlying = match instrument.payoff {
                Payoff::Inverse => 1.0,
                Payoff::Linear => self.spots[instrument.underlying.index()],
            };
            let fee = (rate * underlying).min(OPTION_FEE_SHARE_MAX * fill.price) * amount.abs();
            (amount * (fill.price - mid), fee, signed.0 as f64 * self.value_of_lot(&instrument, time))
        } else {
            self.take_gain(&instrument);
            let notional = settlement_notional(&instrument, fill.lots, fill.price);
            (-delta_one_gain(&instrument, signed, fill.price, mid), rate * notional, 0.0)
        };
        self.holdings[id.index()].hedge.0 += signed.0;
        let spot = self.spots[instrument.underlying.index()];
        let account = &mut self.accounts[instrument.underlying.index()];
        account.fills += 1;
        account.option_fills += u64::from(instrument.kind == InstrumentKind::Option);
        account.settled_at.get_or_insert(Nanos(time.0 + SETTLE_NS));
        account.hedge_value += worth;
        account.cost += slippage + fee;
        account.cost_in_quote += (slippage + fee) * if instrument.payoff == Payoff::Inverse { spot } else { 1.0 };
    }

    /// Books what a delta-one holding gained since it was last marked.
    fn take_gain(&mut self, instrument: &Instrument) {
        let holding = &mut self.holdings[instrument.id.index()];
        let account = &mut self.accounts[instrument.underlying.index()];
        if holding.marked_at.is_finite() {
            account.book_gain += delta_one_gain(instrument, holding.book, holding.marked_at, holding.mid);
            account.hedge_gain += delta_one_gain(instrument, holding.hedge, holding.marked_at, holding.mid);
        }
        holding.marked_at = holding.mid;
    }

    fn sample(&mut self, now: Nanos) {
        let mut options = [(0.0, 0.0); UNDERLYINGS_MAX];
        for index in 0..self.catalogue.instruments().len() {
            let instrument = self.catalogue.instruments()[index];
            if instrument.is_future() {
                self.take_gain(&instrument);
            } else if instrument.kind == InstrumentKind::Option {
                let Holding { book, hedge, .. } = self.holdings[index];
                if book.0 != 0 || hedge.0 != 0 {
                    let value = self.value_of_lot(&instrument, now);
                    let (of_book, of_hedge) = &mut options[instrument.underlying.index()];
                    *of_book += book.0 as f64 * value;
                    *of_hedge += hedge.0 as f64 * value;
                }
            }
        }
        for (account, (value, hedge_value)) in self.accounts.iter_mut().zip(options) {
            account.hedge_gain += hedge_value - account.hedge_value;
            let book_change = account.value.map(|last| value - last + account.book_gain);
            if let Some(change) =
                book_change.filter(|change| change.is_finite() && account.settled_at.is_some_and(|at| now >= at))
            {
                account.unhedged.add(change);
                account.hedged.add(change + account.hedge_gain);
            }
            account.value = value.is_finite().then_some(value);
            account.hedge_value = hedge_value;
            account.book_gain = 0.0;
            account.hedge_gain = 0.0;
        }
    }

    /// Value of a lot of an option in settlement currency, its volatility being per year of the settlement average's
    /// variance as the surface has it; NaN while something it needs is not known.
    fn value_of_lot(&self, instrument: &Instrument, now: Nanos) -> f64 {
        let sigma = self.holdings[instrument.id.index()].sigma;
        let (Some(option), Some(expiry)) = (instrument.option, instrument.expiry()) else { return 0.0 };
        let ratio = self.forwards.iter().find(|(u, e, _)| (*u, *e) == (instrument.underlying, instrument.expiry_s));
        let forward = ratio.map_or(f64::NAN, |forward| forward.2) * self.spots[instrument.underlying.index()];
        let years = variance_years(now.years_until(expiry), WINDOW_YEARS);
        let price = black76::price(option, forward, instrument.strike.to_f64(), sigma, years);
        let amount = instrument.lot.to_f64();
        match instrument.payoff {
            Payoff::Inverse => amount * price / forward,
            Payoff::Linear => amount * price,
        }
    }
}

/// Gain of `lots` of a delta-one contract as its price goes from `from` to `to`, settlement currency.
fn delta_one_gain(instrument: &Instrument, lots: Lots, from: f64, to: f64) -> f64 {
    let amount = lots.0 as f64 * instrument.lot.to_f64();
    match instrument.payoff {
        Payoff::Inverse => amount * (1.0 / from - 1.0 / to),
        Payoff::Linear => amount * (to - from),
    }
}

/// Notional of `lots` of a delta-one contract at `price`, settlement currency.
fn settlement_notional(instrument: &Instrument, lots: u32, price: f64) -> f64 {
    let amount = f64::from(lots) * instrument.lot.to_f64();
    match instrument.payoff {
        Payoff::Inverse => amount / price,
        Payoff::Linear => amount * price,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Trail;
    use crate::instrument::OptionKind;
    use crate::units::{Coins, ExecutionId, Price, Quantity, VenueInstrumentId};

    const PERPETUAL: InstrumentId = InstrumentId(0);
    const CALL: InstrumentId = InstrumentId(1);
    const ETH: UnderlyingId = UnderlyingId(0);
    const EXPIRY_S: u32 = 30 * 86_400;

    /// A ledger that is told of a linear perpetual, a call held short, and prices, half a second at a time.
    struct Rig {
        ledger: Ledger,
        now: Nanos,
    }

    impl Rig {
        fn new() -> Self {
            let mut rig = Self { ledger: Ledger::new(), now: Nanos::from_secs(1) };
            rig.tell(Body::Underlying { id: ETH, name: *b"ETH_USDC\0\0\0\0\0\0\0\0" });
            rig.list(PERPETUAL, InstrumentKind::Perpetual, None);
            rig.list(CALL, InstrumentKind::Option, Some(OptionKind::Call));
            let contract = Quantity(ONE_E9);
            let terms = |tick, taker_fee_e9| Body::Terms {
                instrument: PERPETUAL,
                tick,
                contract,
                maker_fee_e9: 0,
                taker_fee_e9,
            };
            rig.tell(terms(Price(1), 500_000));
            rig.tell(Body::Position { instrument: CALL, lots: -10 });
            rig.tell(Body::Forward { underlying: ETH, expiry_s: EXPIRY_S, ratio: 1.0 });
            rig.tell(Body::Volatility { instrument: CALL, sigma: 0.6, slope: 0.0 });
            rig
        }

        fn list(&mut self, instrument: InstrumentId, kind: InstrumentKind, option: Option<OptionKind>) {
            let (expiry_s, strike) = option.map_or((0, Price::ZERO), |_| (EXPIRY_S, Price(3_000 * ONE_E9)));
            let venue = VenueInstrumentId(u32::from(instrument.0));
            let (payoff, lot) = (Payoff::Linear, Quantity(ONE_E9));
            self.tell(Body::Listed { instrument, underlying: ETH, kind, payoff, option, expiry_s, strike, lot, venue });
        }

        fn tell(&mut self, body: Body) {
            self.ledger.step(&Event { trail: Trail::default(), time: self.now, body });
        }

        /// The next sample sees this spot.
        fn spot(&mut self, spot: f64) {
            let price = |price| Price::from_f64(price).unwrap();
            let (bid, ask) = (price(spot - 0.5), price(spot + 0.5));
            let quality = BookQuality::Good;
            self.tell(Body::Top { instrument: PERPETUAL, quality, bid, ask, bid_lots: 1, ask_lots: 1 });
            let (net_delta, log_gamma) = (Coins(-5 * ONE_E9), Coins(0));
            let spot = price(spot);
            self.now.0 += SAMPLE_NS;
            self.tell(Body::Exposure {
                underlying: ETH,
                quality,
                net_delta,
                log_gamma,
                spot,
                delta_bound: 0.0,
                expiries: 0,
            });
        }

        fn buy(&mut self, lots: u32, price: f64) {
            let (instrument, side, price) = (PERPETUAL, Side::Buy, Price::from_f64(price).unwrap());
            let (order, execution) = (ClientOrderId(1), ExecutionId(1));
            self.tell(Body::Filled { order, execution, instrument, side, price, lots });
        }

        fn account(&self) -> Account {
            *self.ledger.accounts().next().unwrap().2
        }
    }

    #[test]
    fn cost_is_the_distance_from_the_mid_and_the_fee() {
        let mut rig = Rig::new();
        rig.spot(3_000.0);
        rig.buy(4, 3_000.5);
        let expected = 4.0 * 0.5 + 4.0 * 3_000.5 * 0.0005;
        assert!((rig.account().cost - expected).abs() < 1e-9, "{}", rig.account().cost);
        assert_eq!(rig.account().cost_in_quote, rig.account().cost, "linear: paid in quote currency");
        assert_eq!((rig.account().fills, rig.account().delta_before), (1, -5.0));
    }

    #[test]
    fn the_hedged_variance_is_that_of_book_and_hedge_together() {
        let mut rig = Rig::new();
        rig.spot(3_000.0);
        rig.buy(5, 3_000.5);
        let (mut unhedged, mut hedged) = (Moments::default(), Moments::default());
        let value = |spot: f64, now: Nanos| {
            let years = variance_years(now.years_until(Nanos::from_secs(EXPIRY_S)), WINDOW_YEARS);
            -10.0 * black76::price(OptionKind::Call, spot, 3_000.0, 0.6, years)
        };
        let (mut last_spot, mut last) = (3_000.0, value(3_000.0, rig.now));
        for (step, move_by) in (0..20).map(|step| (step, [3.0, -2.0, 1.0, -1.5, 0.5][step % 5])) {
            let spot = last_spot + move_by;
            rig.spot(spot);
            let now_worth = value(spot, rig.now);
            // A second from the fill has passed when the third change is taken.
            if step >= 1 {
                unhedged.add(now_worth - last);
                hedged.add(now_worth - last + 5.0 * move_by);
            }
            (last_spot, last) = (spot, now_worth);
        }
        let account = rig.account();
        for (ours, naive) in [(account.unhedged, unhedged), (account.hedged, hedged)] {
            assert_eq!(ours.count(), naive.count());
            let ratio = ours.variance().unwrap() / naive.variance().unwrap();
            assert!((ratio - 1.0).abs() < 1e-6, "{ratio}");
        }
        assert!(account.variance_ratio().unwrap() > 50.0);
    }

    #[test]
    fn before_the_first_fill_and_without_a_volatility_nothing_counts() {
        let mut rig = Rig::new();
        (0..10).for_each(|step| rig.spot(3_000.0 + f64::from(step)));
        assert_eq!((rig.account().unhedged.count(), rig.account().variance_ratio()), (0, None));
        rig.tell(Body::Volatility { instrument: CALL, sigma: f64::NAN, slope: 0.0 });
        rig.buy(1, 3_010.0);
        (0..10).for_each(|step| rig.spot(3_000.0 + f64::from(step)));
        assert_eq!(rig.account().unhedged.count(), 0);
    }

    #[test]
    fn a_ratio_of_variances_waits_for_enough_changes() {
        let mut account = Account::default();
        for n in 0..CHANGES_MIN {
            assert_eq!(account.variance_ratio(), None, "after {n}");
            let change = if n % 2 == 0 { 1.0 } else { -1.0 };
            account.unhedged.add(4.0 * change);
            account.hedged.add(change);
        }
        assert_eq!(account.variance_ratio(), Some(16.0));
    }
}
