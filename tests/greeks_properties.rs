//! What holds of the book whatever comes: ten thousand steps a case.
//!
//! The incremental book against one revalued from scratch, option by option, in doubles, under random ticks, jumps,
//! fills, forwards, volatilities, time, listings and an expiry, in either neutrality, for any stickiness of the smile,
//! whoever rebuilds the anchors; and the sums behind it, bit for bit, under fills taken back and fills in another order. A
//! case is a seed, so that a failure is repeated by its number.

use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, InstrumentKind, OptionKind, Payoff};
use hedgecore::portfolio::rebuild::{Rebuilder, elsewhere};
use hedgecore::portfolio::{Greeks, GreeksConfig, Neutrality, Rebuilds};
use hedgecore::pricing::black76;
use hedgecore::pricing::settlement::{WINDOW_YEARS, variance_years};
use hedgecore::pricing::{Anchor8, Strip};
use hedgecore::stage::Stage;
use hedgecore::units::{
    ClientOrderId, ExecutionId, InstrumentId, Nanos, Price, Quantity, Side, UnderlyingId, VenueInstrumentId,
};
use proptest::prelude::*;

/// Steps a case.
const STEPS: u32 = 10_000;

const UNDERLYING: UnderlyingId = UnderlyingId(0);
const START_S: u32 = 1_774_598_400;
/// Hours to the expiries: one that passes on the way, a week, a quarter.
const HOURS: [u32; 3] = [4, 168, 2_160];
const STRIKES: u16 = 9;
const OPTIONS_A_SLICE: u16 = 2 * STRIKES;
const OPTIONS: u16 = OPTIONS_A_SLICE * HOURS.len() as u16;
const PERPETUAL: u16 = 0;
/// A dated future of the last expiry.
const FUTURE: u16 = OPTIONS + 1;
const OPTION_LOT: f64 = 0.1;
const FUTURE_LOT: f64 = 10.0;
/// Before each expiry, time in which the settlement average matters: stepped over.
const SETTLEMENT_S: u32 = 1_800;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn slice_of(option: u16) -> usize {
    usize::from((option - 1) / OPTIONS_A_SLICE)
}

fn terms(option: u16) -> (OptionKind, f64) {
    let rank = (option - 1) % OPTIONS_A_SLICE;
    let kind = if rank.is_multiple_of(2) { OptionKind::Call } else { OptionKind::Put };
    (kind, 34_000.0 + 4_000.0 * f64::from(rank / 2))
}

fn expiry(slice: usize) -> Nanos {
    Nanos::from_secs(START_S + 3_600 * HOURS[slice])
}

/// The stage, and beside it everything needed to value its book from scratch.
struct Twins {
    greeks: Greeks,
    rebuilder: Option<Rebuilder>,
    out: Vec<Event>,
    now: Nanos,
    payoff: Payoff,
    neutrality: Neutrality,
    stickiness: f64,
    spot: f64,
    ratios: [f64; 3],
    sigmas: [f64; OPTIONS as usize + 1],
    slopes: [f64; OPTIONS as usize + 1],
    /// Coins received for positions, less those paid.
    cash: f64,
    lots: [i64; FUTURE as usize + 1],
    executions: u64,
}

impl Twins {
    fn new(payoff: Payoff, neutrality: Neutrality, stickiness: f64, is_rebuilt_elsewhere: bool) -> Self {
        let config = GreeksConfig { neutrality, stickiness, ..GreeksConfig::default() };
        let (rebuilds, rebuilder) = elsewhere();
        let (rebuilds, rebuilder) =
            if is_rebuilt_elsewhere { (rebuilds, Some(rebuilder)) } else { (Rebuilds::Inline, None) };
        let mut twins = Self {
            greeks: Greeks::with_rebuilds(config, rebuilds),
            rebuilder,
            out: Vec::new(),
            now: Nanos::from_secs(START_S),
            payoff,
            neutrality,
            stickiness,
            spot: 50_000.0,
            ratios: [1.0; 3],
            sigmas: [0.6; OPTIONS as usize + 1],
            slopes: [0.0; OPTIONS as usize + 1],
            cash: 0.0,
            lots: [0; FUTURE as usize + 1],
            executions: 0,
        };
        twins.step(Body::Underlying { id: UNDERLYING, name: *b"BTC_USD\0\0\0\0\0\0\0\0\0" });
        twins.list(PERPETUAL, InstrumentKind::Perpetual);
        (1..=OPTIONS).for_each(|option| twins.list(option, InstrumentKind::Option));
        twins.list(FUTURE, InstrumentKind::Future);
        twins.tick(50_000.0);
        (0..HOURS.len()).for_each(|slice| twins.forward(slice, 1.0));
        (1..=OPTIONS).for_each(|option| twins.volatility(option, 0.6, -0.2));
        twins
    }

    fn step(&mut self, body: Body) {
        self.out.clear();
        self.greeks.step(&Event { trail: Trail::default(), time: self.now, body }, &mut self.out);
    }

    fn list(&mut self, id: u16, kind: InstrumentKind) {
        let is_option = kind == InstrumentKind::Option;
        let (option, strike) = if is_option { (Some(terms(id).0), terms(id).1) } else { (None, 0.0) };
        let slice = if is_option { slice_of(id) } else { HOURS.len() - 1 };
        let expiry_s = (expiry(slice).0 / Nanos::PER_SECOND) as u32;
        self.step(Body::Listed {
            instrument: InstrumentId(id),
            underlying: UNDERLYING,
            kind,
            payoff: if is_option { self.payoff } else { Payoff::Inverse },
            option,
            expiry_s: if kind == InstrumentKind::Perpetual { 0 } else { expiry_s },
            strike: Price::from_f64(strike).expect("a price"),
            lot: Quantity::from_f64(if is_option { OPTION_LOT } else { FUTURE_LOT }).expect("a quantity"),
            venue: VenueInstrumentId(u32::from(id)),
        });
    }

    fn tick(&mut self, dollars: f64) {
        let price = |dollars| Price::from_f64(dollars).expect("a price");
        let dollars = dollars.clamp(15_000.0, 150_000.0);
        let (bid, ask, quality) = (price(dollars - 0.5), price(dollars + 0.5), BookQuality::Good);
        self.step(Body::Top { instrument: InstrumentId(PERPETUAL), quality, bid, ask, bid_lots: 5, ask_lots: 5 });
        self.spot = self.shown().0;
    }

    fn forward(&mut self, slice: usize, ratio: f64) {
        self.ratios[slice] = ratio;
        let expiry_s = (expiry(slice).0 / Nanos::PER_SECOND) as u32;
        self.step(Body::Forward { underlying: UNDERLYING, expiry_s, ratio });
    }

    fn volatility(&mut self, option: u16, sigma: f64, slope: f64) {
        (self.sigmas[usize::from(option)], self.slopes[usize::from(option)]) = (sigma, slope);
        self.step(Body::Volatility { instrument: InstrumentId(option), sigma, slope });
    }

    /// Lets the rebuilder do what waits for it, and the stage hear of some of it.
    fn rebuild(&mut self, turns: u64) {
        let mut answers = Vec::new();
        for _ in 0..turns {
            self.rebuilder.iter_mut().for_each(|rebuilder| _ = rebuilder.turn(&mut answers));
        }
        answers.iter().for_each(|answer| self.step(answer.body));
    }

    fn fill(&mut self, instrument: u16, lots: i64) {
        self.executions += 1;
        self.lots[usize::from(instrument)] += lots;
        let is_future = instrument == PERPETUAL || instrument == FUTURE;
        let price = Price::from_f64(if is_future { self.spot } else { 0.05 }).expect("a price");
        self.cash += lots as f64
            * match (is_future, self.payoff) {
                (true, _) => FUTURE_LOT / price.to_f64(),
                (false, Payoff::Linear) => 0.0,
                (false, _) => -OPTION_LOT * 0.05,
            };
        self.step(Body::Filled {
            order: ClientOrderId(1),
            execution: ExecutionId(self.executions),
            instrument: InstrumentId(instrument),
            side: if lots > 0 { Side::Buy } else { Side::Sell },
            price,
            lots: lots.unsigned_abs() as u32,
        });
    }

    /// Lets time pass, but not into a settlement window: to its end if it would begin.
    fn pass(&mut self, nanos: u64) {
        let mut then = Nanos(self.now.0 + nanos);
        for slice in 0..HOURS.len() {
            let end = expiry(slice);
            if self.now < end && then.0 + u64::from(SETTLEMENT_S) * Nanos::PER_SECOND > end.0 {
                then = Nanos(then.0.max(end.0));
                for option in (1..=OPTIONS).filter(|&option| slice_of(option) == slice) {
                    let lots = std::mem::take(&mut self.lots[usize::from(option)]) as f64;
                    let ((kind, strike), price) = (terms(option), self.spot * self.ratios[slice]);
                    let gap = if kind == OptionKind::Call { price - strike } else { strike - price };
                    let is_paid_in_coins = self.payoff == Payoff::Inverse;
                    self.cash += if is_paid_in_coins { lots * OPTION_LOT * gap.max(0.0) / price } else { 0.0 };
                }
            }
        }
        self.now = then;
    }

    /// One random thing, and what makes the book say where it stands at this very time.
    fn random(&mut self, random: &mut Random) {
        let alive = (0..HOURS.len()).filter(|&slice| self.now < expiry(slice)).min().unwrap_or(HOURS.len() - 1);
        let first = 1 + alive as u16 * OPTIONS_A_SLICE;
        let option = first + random.below(u64::from(OPTIONS + 1 - first)) as u16;
        match random.below(100) {
            0 => self.tick(random.between(20_000.0, 90_000.0)),
            1..50 => self.tick(self.spot * random.between(0.998, 1.002)),
            50..55 => self.forward(slice_of(option), random.between(0.95, 1.05)),
            55..58 => self.volatility(option, random.between(0.1, 2.5), random.between(-1.0, 1.0)),
            58..65 => {
                let at = usize::from(option);
                let sigma = self.sigmas[at] * random.between(0.995, 1.005);
                self.volatility(option, sigma, self.slopes[at] + random.between(-0.01, 0.01));
            }
            65..70 => self.rebuild(1 + random.below(4)),
            70..90 => {
                let instrument =
                    if random.below(8) == 0 { [PERPETUAL, FUTURE][random.below(2) as usize] } else { option };
                let lots = 1 + random.below(500) as i64;
                self.fill(instrument, if random.below(2) == 0 { lots } else { -lots });
            }
            90..92 => self.list(option, InstrumentKind::Option),
            92..96 => self.pass(random.below(60) * Nanos::PER_SECOND),
            _ => self.step(Body::Clock),
        }
        // Beyond the revaluation interval, so that time itself counts.
        self.pass(Nanos::PER_SECOND);
        self.step(if random.below(4) == 0 { Body::Clock } else { Body::Session { up: true } });
    }

    /// Spot, net delta and its bound, as last sent.
    fn shown(&self) -> (f64, f64, f64) {
        let exposure = self.greeks.exposures().next().expect("an underlying").1;
        (exposure.spot.to_f64(), exposure.net_delta.to_f64(), f64::from(exposure.delta_bound))
    }

    /// The book's delta from scratch, and the lots it holds without regard to sign.
    fn revalued(&self) -> (f64, f64) {
        let held = self.lots.iter().enumerate().filter(|&(_, &lots)| lots != 0);
        let (delta, gross) = held.fold((0.0, 0.0), |(sum, gross), (id, &lots)| {
            let (id, lots) = (id as u16, lots as f64);
            let delta = match id {
                PERPETUAL | FUTURE if self.neutrality == Neutrality::Dollar => 0.0,
                PERPETUAL => FUTURE_LOT / self.spot,
                FUTURE => FUTURE_LOT / (self.spot * self.ratios[HOURS.len() - 1]),
                _ => self.option_delta(id),
            };
            (sum + lots * delta, gross + lots.abs())
        });
        (delta + if self.neutrality == Neutrality::Dollar { self.cash } else { 0.0 }, gross)
    }

    fn option_delta(&self, option: u16) -> f64 {
        let ((kind, strike), slice) = (terms(option), slice_of(option));
        let forward = self.spot * self.ratios[slice];
        let years = variance_years(self.now.years_until(expiry(slice)), WINDOW_YEARS);
        let greeks = black76::Greeks::new(kind, forward, strike, self.sigmas[usize::from(option)], years);
        let in_coins = self.payoff == Payoff::Inverse && self.neutrality == Neutrality::Coin;
        let delta = if in_coins { greeks.in_coin(forward).delta } else { greeks.delta };
        OPTION_LOT * (delta - self.stickiness * self.slopes[usize::from(option)] * greeks.vega / forward)
    }
}

/// An anchor of 20 strikes on a smile, a month from expiry.
fn anchor() -> Anchor8 {
    let mut strip = Strip::with_capacity(20);
    for i in 0..20 {
        let index = strip.push(40_000.0 + 1_500.0 * f64::from(i)).expect("room");
        strip.set_vol(index, 0.5 + 0.01 * f64::from(i));
    }
    strip.set_time(0.08);
    let mut anchor = Anchor8::with_capacity(20, OPTION_LOT);
    anchor.rebuild(&strip, 55_000.0).expect("fits");
    anchor
}

/// Fills that an anchor has room for in any order.
fn fills(random: &mut Random) -> Vec<(usize, OptionKind, i64)> {
    let one = |random: &mut Random| {
        let kind = if random.below(2) == 0 { OptionKind::Call } else { OptionKind::Put };
        (random.below(20) as usize, kind, random.below(2_001) as i64 - 1_000)
    };
    (0..STEPS).map(|_| one(random)).collect()
}

/// Everything that an anchor says, bit for bit.
fn bits(anchor: &Anchor8) -> Vec<u64> {
    let mut bits = Vec::new();
    for forward in [54_500.0, 55_000.0, 55_300.0] {
        let e = anchor.evaluate(forward).expect("inside the window");
        let said = [e.value, e.delta, e.coin_delta, e.gamma, e.vega, e.theta, e.vanna, e.volga, e.skew];
        bits.extend(said.map(f64::to_bits));
    }
    for power in 0..=8 {
        bits.extend(
            anchor
                .coin_delta_sum(power)
                .to_bits()
                .to_le_bytes()
                .chunks(8)
                .map(|half| half.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte))),
        );
    }
    let bounds = anchor.bounds();
    bits.extend([bounds.delta, bounds.coin_delta, bounds.gamma, bounds.vega].map(f64::to_bits));
    bits
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_incremental_book_is_the_full_one_within_its_bound(
        seed in any::<u64>(), linear in any::<bool>(), dollar in any::<bool>(), elsewhere in any::<bool>(),
        stickiness in prop_oneof![Just(0.0), 0.0..1.0, Just(1.0)],
    ) {
        let mut random = Random(seed);
        let payoff = if linear { Payoff::Linear } else { Payoff::Inverse };
        let neutrality = if dollar { Neutrality::Dollar } else { Neutrality::Coin };
        let mut twins = Twins::new(payoff, neutrality, stickiness, elsewhere);
        let (mut good, mut anchored) = (0, 0);
        for step in 0..STEPS {
            twins.random(&mut random);
            let ((_, delta, bound), (exact, gross)) = (twins.shown(), twins.revalued());
            // The sum from scratch rounds, too.
            let excess = (delta - exact).abs() - bound - 1e-13 * (gross + twins.cash.abs());
            prop_assert!(excess <= 0.0, "step {}: {} for {}, bound {}", step, delta, exact, bound);
            good += u32::from(bound < 1e-6 * (gross + 1.0));
            anchored += u32::from(twins.greeks.anchored() > 0);
            for id in 0..=FUTURE {
                prop_assert_eq!(twins.greeks.position(InstrumentId(id)).0, twins.lots[usize::from(id)], "of {}", id);
            }
        }
        prop_assert!(twins.now > expiry(0), "an expiry has passed");
        prop_assert!(!twins.greeks.is_broken());
        prop_assert!(good > STEPS / 2 && anchored > STEPS / 2, "tight {}, anchored {}", good, anchored);
    }

    #[test]
    fn fills_taken_back_leave_the_sums_bit_for_bit(seed in any::<u64>()) {
        let mut random = Random(seed);
        let mut anchor = anchor();
        for (slot, kind, lots) in fills(&mut random).into_iter().take(100) {
            anchor.add_fill(slot, kind, lots).expect("room");
        }
        let before = bits(&anchor);
        let fills = fills(&mut random);
        for &(slot, kind, lots) in &fills {
            anchor.add_fill(slot, kind, lots).expect("room");
        }
        prop_assert_ne!(&bits(&anchor), &before);
        for &(slot, kind, lots) in &fills {
            anchor.add_fill(slot, kind, -lots).expect("room");
        }
        prop_assert_eq!(bits(&anchor), before);
    }

    #[test]
    fn fills_in_another_order_leave_the_sums_bit_for_bit(seed in any::<u64>()) {
        let mut random = Random(seed);
        let mut fills = fills(&mut random);
        let run = |fills: &[(usize, OptionKind, i64)]| {
            let mut anchor = anchor();
            for &(slot, kind, lots) in fills {
                anchor.add_fill(slot, kind, lots).expect("room");
            }
            bits(&anchor)
        };
        let one = run(&fills);
        for i in (1..fills.len()).rev() {
            fills.swap(i, random.below(i as u64 + 1) as usize);
        }
        prop_assert_eq!(one, run(&fills));
    }
}
