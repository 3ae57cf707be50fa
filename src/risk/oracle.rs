//! The plain way beside the fast one: every verdict and every sum worked out anew from all positions and all live orders.

use proptest::prelude::*;

use super::*;
use crate::event::{Body, Event, Trail};
use crate::instrument::{BookQuality, Instrument, InstrumentKind, OptionKind, Payoff};
use crate::order::{Order, OrderStore, TimeInForce};
use crate::units::*;

const COINS: UnderlyingId = UnderlyingId(0);
const E9: i128 = ONE_E9 as i128;
const SPOT: i64 = 100_000;

/// An inverse and a linear future, a call and a put.
fn instruments() -> [Instrument; 4] {
    let perpetual = Instrument::inverse_perpetual(
        InstrumentId(0),
        VenueInstrumentId(10),
        COINS,
        Quantity(10 * ONE_E9),
        Price(ONE_E9),
    );
    let (lot, kind) = (Quantity(ONE_E9 / 1_000), InstrumentKind::Future);
    let linear = Instrument { id: InstrumentId(1), payoff: Payoff::Linear, lot, kind, ..perpetual };
    let (expiry_s, strike, kind) = (2_000_000_000, Price(SPOT * ONE_E9), InstrumentKind::Option);
    let lot = Quantity(ONE_E9 / 10);
    let option = Instrument { expiry_s, strike, kind, lot, ..perpetual };
    let call = Instrument { id: InstrumentId(2), option: Some(OptionKind::Call), ..option };
    [perpetual, linear, call, Instrument { id: InstrumentId(3), option: Some(OptionKind::Put), ..option }]
}

fn limits() -> Limits {
    const THOUSAND_E9: i64 = 1_000 * ONE_E9;
    Limits {
        order_notional_max_e9: 80 * THOUSAND_E9,
        position_notional_max_e9: 150 * THOUSAND_E9,
        gross_notional_max_e9: 400 * THOUSAND_E9,
        delta_notional_max_e9: 120 * THOUSAND_E9,
        gamma_notional_max_e9: THOUSAND_E9,
        vega_max_e9: THOUSAND_E9,
        credit_max_e9: 12 * THOUSAND_E9 + 1,
        margin_rate_e9: ONE_E9 / 20 + 7,
        loss_max_e9: i64::MAX / 4,
        messages_per_second: 1_000_000,
        repeats_max: u32::MAX,
        ..Limits::default()
    }
}

/// What one lot adds: coins and dollars of delta, then log-gamma and vega in coins.
type Greeks = [i128; 4];

struct Naive {
    limits: Limits,
    instruments: [Instrument; 4],
    greeks: [Greeks; 4],
    positions: [i64; 4],
    net_delta: i64,
    log_gamma: i64,
    vega: i64,
    level: KillLevel,
}

impl Naive {
    fn lot(&self, at: usize) -> (i128, i128) {
        let (size, instrument) = (i128::from(self.instruments[at].lot.0), &self.instruments[at]);
        if instrument.is_future() && instrument.payoff == Payoff::Inverse { (0, size) } else { (size, 0) }
    }

    fn notional(spot: Price, (coins, dollars): (i128, i128)) -> i128 {
        coins * i128::from(spot.0) + dollars * E9
    }

    /// Sizes of all that is held and works, of instruments that `counts` admits.
    fn gross(&self, orders: &OrderStore, spot: Price, counts: impl Fn(&Instrument) -> bool) -> i128 {
        let size = |at: usize| Self::notional(spot, self.lot(at));
        let held = (0..4).filter(|&at| counts(&self.instruments[at]));
        let held: i128 = held.map(|at| i128::from(self.positions[at].unsigned_abs()) * size(at)).sum();
        let working = orders.all_live().filter(|order| counts(&self.instruments[order.new.instrument.index()]));
        held + working.map(|order| i128::from(order.leaves_lots()) * size(order.new.instrument.index())).sum::<i128>()
    }

    /// The sum of a greek if all fills that pushes it in the direction of `change`, `change` included.
    fn worst(&self, orders: &OrderStore, sum: i128, change: i128, of: impl Fn(usize) -> i128) -> i128 {
        let pushes = orders.all_live().map(|order| {
            let Order { new, .. } = order;
            i128::from(new.side.sign()) * i128::from(order.leaves_lots()) * of(new.instrument.index())
        });
        let same_way: i128 = pushes.filter(|push| push.signum() == change.signum()).sum();
        if change == 0 { 0 } else { (sum + same_way + change) * change.signum() }
    }

    /// The verdict of what looks at exposures and at our own orders.
    fn verdict(&self, asked: &Asked, orders: &OrderStore) -> Option<Refusal> {
        self.clash(asked, orders).or_else(|| self.excess(asked, orders))
    }

    /// The order once more, or one that it could meet.
    fn clash(&self, asked: &Asked, orders: &OrderStore) -> Option<Refusal> {
        let Asked { at, side, price, lots, rests, order, .. } = *asked;
        let instrument = &self.instruments[at];
        let others =
            orders.all_live().filter(|other| other.new.instrument == instrument.id && other.new.order != order);
        let (mut duplicate, mut meets) = (false, false);
        for other in others {
            let prices = [other.terms.price, other.amending.unwrap_or(other.terms).price];
            let crosses = |theirs: &Price| if side == Side::Buy { price >= *theirs } else { price <= *theirs };
            let rest = rests || other.new.time_in_force == TimeInForce::GoodTilCancel;
            duplicate |= other.new.side == side
                && other.is_unanswered()
                && (other.terms.price, other.terms.lots) == (price, lots);
            meets |= other.new.side != side && rest && prices.iter().any(crosses);
        }
        // Which of the two is found first is the order of the table.
        match (duplicate, meets) {
            (true, false) => Some(Refusal::Duplicate),
            (_, true) => Some(Refusal::SelfMatch),
            (false, false) => None,
        }
    }

    /// The limit that it passes.
    fn excess(&self, asked: &Asked, orders: &OrderStore) -> Option<Refusal> {
        let Asked { at, side, lots, more, .. } = *asked;
        let (instrument, spot) = (&self.instruments[at], Price(SPOT * ONE_E9));
        let (lot, limits, e18) = (Self::notional(spot, self.lot(at)), &self.limits, |e9: i64| i128::from(e9) * E9);
        if lot * i128::from(lots) > e18(limits.order_notional_max_e9) {
            return Some(Refusal::Notional);
        }
        let here = orders.all_live().filter(|other| other.new.instrument == instrument.id && other.new.side == side);
        let working: i128 = here.map(|other| i128::from(other.leaves_lots())).sum();
        let (sign, more) = (i128::from(side.sign()), i128::from(more));
        let worst = (i128::from(self.positions[at]) * sign + working + more).max(0);
        if worst * lot > e18(limits.position_notional_max_e9) {
            return Some(Refusal::Position);
        }
        let reduces =
            i128::from(self.positions[at]) * sign * more < 0 && more <= i128::from(self.positions[at].unsigned_abs());
        if !reduces {
            if self.gross(orders, spot, |_| true) + more * lot > e18(limits.gross_notional_max_e9) {
                return Some(Refusal::Gross);
            }
            let futures = self.gross(orders, spot, Instrument::is_future);
            let futures = futures + if instrument.is_future() { more * lot } else { 0 };
            if futures / E9 * i128::from(limits.margin_rate_e9) > e18(limits.credit_max_e9) {
                return Some(Refusal::Credit);
            }
        }
        let delta = |at: usize| Self::notional(spot, (self.greeks[at][0], self.greeks[at][1]));
        let sum = i128::from(self.net_delta) * i128::from(spot.0);
        let change = sign * more * delta(at);
        let worst = self.worst(orders, sum, change, delta);
        if self.level != KillLevel::Open && (change == 0 || sum.signum() * change.signum() >= 0 || worst > 0) {
            return Some(Refusal::ReduceOnly);
        }
        if worst > e18(limits.delta_notional_max_e9) {
            return Some(Refusal::Delta);
        }
        if !instrument.is_future() {
            for (which, sum, limit, reason) in [
                (2, self.log_gamma, limits.gamma_notional_max_e9, Refusal::Gamma),
                (3, self.vega, limits.vega_max_e9, Refusal::Vega),
            ] {
                let of = |at: usize| self.greeks[at][which];
                let worst = self.worst(orders, i128::from(sum), sign * more * of(at), of);
                if worst * i128::from(spot.0) > i128::from(limit) * E9 * 100 {
                    return Some(reason);
                }
            }
        }
        None
    }
}

#[derive(Clone, Copy)]
struct Asked {
    order: ClientOrderId,
    at: usize,
    side: Side,
    price: Price,
    lots: u32,
    more: u32,
    rests: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    New { at: usize, buy: bool, far: i64, lots: u32, rests: bool },
    Amend { pick: usize, far: i64, lots: u32 },
    Report { pick: usize, kind: u8, lots: u32 },
    Exposure { net_delta: i64, log_gamma: i64, vega: i64 },
    Unit { at: usize, delta: i64, log_gamma: i64, vega: i64 },
    Position { at: usize, lots: i64 },
    Relist { at: usize, halves: i64 },
    Level { level: KillLevel },
}

fn step() -> impl Strategy<Value = Step> {
    let (at, greek) = (0..4usize, -8i64..9);
    // Some often alike, for orders that are the same once more.
    let lots = || prop_oneof![1u32..600, Just(20)];
    prop_oneof![
        8 => (at.clone(), any::<bool>(), 0i64..6, lots(), any::<bool>())
            .prop_map(|(at, buy, far, lots, rests)| Step::New { at, buy, far, lots, rests }),
        2 => (0..64usize, 0i64..6, lots()).prop_map(|(pick, far, lots)| Step::Amend { pick, far, lots }),
        6 => (0..64usize, 0u8..6, 1u32..600).prop_map(|(pick, kind, lots)| Step::Report { pick, kind, lots }),
        2 => (greek.clone(), greek.clone(), greek.clone())
            .prop_map(|(net_delta, log_gamma, vega)| Step::Exposure { net_delta, log_gamma, vega }),
        1 => (2..4usize, greek.clone(), greek.clone(), greek)
            .prop_map(|(at, delta, log_gamma, vega)| Step::Unit { at, delta, log_gamma, vega }),
        1 => (at, -200i64..200).prop_map(|(at, lots)| Step::Position { at, lots }),
        1 => (0..2usize, 1i64..5).prop_map(|(at, halves)| Step::Relist { at, halves }),
        1 => prop_oneof![4 => Just(KillLevel::Open), 1 => Just(KillLevel::ReduceOnly)]
            .prop_map(|level| Step::Level { level }),
    ]
}

/// A price so many ticks behind the best of its side, so that ours meet often.
fn price(at: usize, side: Side, far: i64) -> Price {
    let middle = if at < 2 { SPOT } else { 50 };
    Price((middle - side.sign() * (far - 2)) * ONE_E9)
}

fn view(instrument: &Instrument) -> View<'_> {
    let (bid, ask) = if instrument.is_future() { (SPOT - 1, SPOT) } else { (49, 50) };
    let (bid, ask) = (Price(bid * ONE_E9), Price(ask * ONE_E9));
    View { instrument: Some(instrument), quality: BookQuality::Good, bid, ask, spot: Price(SPOT * ONE_E9) }
}

struct Rig {
    gate: Gate,
    orders: OrderStore,
    naive: Naive,
    next: u64,
    now: Nanos,
}

impl Rig {
    fn new() -> Self {
        let limits = Limits { collar_e9: ONE_E9 / 2, drift_e9: ONE_E9 / 2, ..limits() };
        let instruments = instruments();
        let greeks = [[0, 10 * E9, 0, 0], [E9 / 1_000, 0, 0, 0], [E9 / 20, 0, E9, E9], [-E9 / 20, 0, E9, E9]];
        let naive = Naive {
            limits,
            instruments,
            greeks,
            positions: [0; 4],
            net_delta: 0,
            log_gamma: 0,
            vega: 0,
            level: KillLevel::Open,
        };
        let (gate, orders) = (Gate::new(limits), OrderStore::new());
        let mut rig = Self { gate, orders, naive, next: 0, now: Nanos::from_secs(100) };
        for instrument in instruments {
            rig.see(instrument.listing());
            let View { quality, bid, ask, .. } = view(&instrument);
            rig.see(Body::Top { instrument: instrument.id, quality, bid, ask, bid_lots: 9, ask_lots: 9 });
        }
        for at in [2, 3] {
            rig.unit(at, if at == 2 { 1 } else { -1 }, 20, 20);
        }
        rig.exposure(0, 0, 0);
        rig
    }

    fn see(&mut self, body: Body) {
        self.gate.see(&Event { trail: Trail::default(), time: self.now, body });
    }

    /// Twentieths of a coin.
    fn unit(&mut self, at: usize, delta: i64, log_gamma: i64, vega: i64) {
        self.naive.greeks[at] = [delta, 0, log_gamma, vega].map(|twentieths| i128::from(twentieths) * E9 / 20);
        self.naive.greeks[at][1] = 0;
        let part = |twentieths: i64| twentieths as f64 / 20.0;
        let [log_gamma, vega] = [log_gamma, vega].map(|greek| part(greek) as f32);
        // What crosses as f32 is taken as it crossed.
        let taken = |greek: f32| i128::from(Coins::from_f64(f64::from(greek)).expect("small").0);
        (self.naive.greeks[at][2], self.naive.greeks[at][3]) = (taken(log_gamma), taken(vega));
        self.see(Body::Unit { instrument: InstrumentId(at as u16), delta: part(delta), log_gamma, vega, skew: 0.0 });
    }

    fn exposure(&mut self, net_delta: i64, log_gamma: i64, vega: i64) {
        let tenths = |coins: i64| coins * ONE_E9 / 10;
        (self.naive.net_delta, self.naive.log_gamma) = (tenths(net_delta), tenths(log_gamma));
        let (quality, delta_bound) = (BookQuality::Good, 0.0);
        let (net_delta, log_gamma) = (Coins(tenths(net_delta)), Coins(tenths(log_gamma)));
        let spot = Price(SPOT * ONE_E9);
        self.see(Body::Exposure { underlying: COINS, quality, net_delta, log_gamma, spot, delta_bound, expiries: 1 });
        let (vega, skew, log_gamma, vanna, sigma, slope) = (vega as f32, 0.0, 0.0, 0.0, 0.6, 0.0);
        let (underlying, expiry_s) = (COINS, 2_000_000_000);
        self.naive.vega = i64::from(vega as i32) * ONE_E9;
        self.see(Body::Smile { underlying, expiry_s, is_held: true, vega, skew, log_gamma, vanna, sigma, slope });
    }

    /// Asks the gate and the oracle, and says where they differ.
    fn ask(&mut self, asked: &Asked, request: Request) -> Result<(), TestCaseError> {
        self.now.0 += Nanos::PER_MILLI;
        let expected = self.naive.verdict(asked, &self.orders);
        let instrument = self.naive.instruments[asked.at];
        let found = self.gate.approve(request, &view(&instrument), &mut self.orders, self.now).err();
        match (found, expected) {
            // Both hold: which is found first is the order of the table.
            (Some(Refusal::Duplicate), Some(Refusal::SelfMatch)) => {}
            // What has nothing to do with exposures.
            (Some(Refusal::OpenOrders | Refusal::Rate | Refusal::OrderTable), None) => {}
            _ => prop_assert_eq!(found, expected, "{:?}", request),
        }
        Ok(())
    }

    /// What the gate has room for is refused by no limit; one lot more is, and by the one it names.
    fn room(&self, asked: &Asked, most: u32) -> Result<(), TestCaseError> {
        let (instrument, spot) = (InstrumentId(asked.at as u16), Price(SPOT * ONE_E9));
        let (fits, why) = self.gate.room(instrument, asked.side, (most, asked.price), spot, &self.orders);
        let excess = |lots: u32| self.naive.excess(&Asked { lots, more: lots, ..*asked }, &self.orders);
        prop_assert!(fits == 0 || excess(fits).is_none(), "{fits} of {most} lots: {:?}", excess(fits));
        match why {
            None => prop_assert_eq!(fits, most),
            Some(_) => prop_assert_eq!(excess(fits + 1), why, "one more than {} of {}", fits, most),
        }
        Ok(())
    }

    fn live(&self, pick: usize) -> Option<Order> {
        let count = self.orders.all_live().count();
        (count > 0).then(|| *self.orders.all_live().nth(pick % count).expect("counted"))
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let (trail, decided) = (Trail::default(), 0);
        match step {
            Step::New { at, buy, far, lots, rests } => {
                self.next += 1;
                let (order, instrument) = (ClientOrderId(self.next), InstrumentId(at as u16));
                let side = if buy { Side::Buy } else { Side::Sell };
                let price = price(at, side, far);
                let time_in_force = if rests { TimeInForce::GoodTilCancel } else { TimeInForce::ImmediateOrCancel };
                let post_only = false;
                let asked = Asked { order, at, side, price, lots, more: lots, rests };
                let request =
                    Request::New { trail, decided, order, instrument, side, time_in_force, post_only, price, lots };
                self.room(&asked, 3 * lots)?;
                self.ask(&asked, request)?;
            }
            Step::Amend { pick, far, lots } => {
                let Some(known) = self.live(pick) else { return Ok(()) };
                let (order, instrument, side) = (known.new.order, known.new.instrument, known.new.side);
                let (at, more) = (instrument.index(), lots.saturating_sub(known.lots_max()));
                let price = price(at, side, far);
                let asked = Asked { order, at, side, price, lots, more, rests: true };
                self.ask(&asked, Request::Amend { trail, decided, order, instrument, side, price, lots })?;
            }
            Step::Report { pick, kind, lots } => {
                let Some(known) = self.live(pick) else { return Ok(()) };
                self.report(&known, kind, lots);
            }
            Step::Exposure { net_delta, log_gamma, vega } => self.exposure(net_delta, log_gamma, vega),
            Step::Unit { at, delta, log_gamma, vega } => self.unit(at, delta, log_gamma, vega),
            Step::Position { at, lots } => {
                self.naive.positions[at] += lots;
                self.see(Body::Position { instrument: InstrumentId(at as u16), lots });
            }
            // A future whose lot is so many halves of what it was at first.
            Step::Relist { at, halves } => {
                let lot = Quantity(instruments()[at].lot.0 / 2 * halves);
                self.naive.instruments[at].lot = lot;
                let (coins, dollars) = self.naive.lot(at);
                self.naive.greeks[at] = [coins, dollars, 0, 0];
                self.see(self.naive.instruments[at].listing());
            }
            Step::Level { level } => {
                let by = crate::event::Operator::new("alice").expect("a name");
                let cause = crate::event::KillCause::Operator;
                self.gate.kill(Latch { level, cause, by, since: self.now });
                self.naive.level = level;
            }
        }
        Ok(())
    }

    fn report(&mut self, known: &Order, kind: u8, lots: u32) {
        self.next += 1;
        let (order, instrument, side) = (known.new.order, known.new.instrument, known.new.side);
        let lots = lots.min(known.leaves_lots());
        let body = match kind {
            0 | 1 => Body::Accepted { order, venue_order: VenueOrderId(order.0), instrument },
            2 => Body::Cancelled { order, instrument, cum_lots: known.cum_lots, reason: 12 },
            3 => match known.amending {
                Some(terms) => Body::Amended { order, instrument, price: terms.price, lots: terms.lots },
                None => Body::Rejected { order, instrument, reason: 1 },
            },
            4 => Body::AmendRejected { order, instrument, reason: 1 },
            _ => {
                let (execution, price) = (ExecutionId(self.next), known.terms.price);
                Body::Filled { order, execution, instrument, side, price, lots }
            }
        };
        let outcome = self.gate.hear(&Event { trail: Trail::default(), time: self.now, body }, &mut self.orders);
        if let Some(fill) = outcome.fill() {
            self.naive.positions[instrument.index()] += fill.signed_lots();
            // The gate adds an execution to the greeks by itself; both are told the same before the next order.
            let tenths = |e9: i64| e9 / (ONE_E9 / 10);
            let (net_delta, log_gamma) = (tenths(self.naive.net_delta), tenths(self.naive.log_gamma));
            self.exposure(net_delta, log_gamma, self.naive.vega / ONE_E9);
        }
    }
}

proptest! {
    #[test]
    fn every_verdict_is_that_of_all_positions_and_orders_worked_out_anew(
        steps in prop::collection::vec(step(), 1..160)
    ) {
        let mut rig = Rig::new();
        for step in steps {
            rig.take(step)?;
        }
    }
}

#[test]
fn the_oracle_meets_every_reason_it_can_give() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut met = RefusalCounts::default();
    for _ in 0..400 {
        let mut rig = Rig::new();
        for _ in 0..120 {
            let step = step().new_tree(&mut runner).expect("a step").current();
            rig.take(step).expect("the gate agrees");
        }
        rig.gate.refusals().iter().zip(&mut met.0).for_each(|((_, count), sum)| *sum += count);
    }
    for reason in [
        Refusal::ReduceOnly,
        Refusal::Duplicate,
        Refusal::SelfMatch,
        Refusal::Notional,
        Refusal::Position,
        Refusal::Gross,
        Refusal::Credit,
        Refusal::Delta,
        Refusal::Gamma,
        Refusal::Vega,
    ] {
        assert!(met.of(reason) > 0, "{} never occurred: the walk proves nothing about it", reason.name());
    }
}
