//! The gate under limits and markets of anybody's choosing: what it approves would also pass a naive reading of the limits.

use std::collections::BTreeMap;

use hedgecore::event::{Body, KillCause, KillLevel, Operator, Trail};
use hedgecore::instrument::{BookQuality, Instrument, InstrumentState, Payoff};
use hedgecore::order::{CANCELLED_ON_REQUEST, OrderStore, Request, TimeInForce};
use hedgecore::risk::{Gate, Latch, Limits, View};
use hedgecore::units::*;

use super::rig::{event, perpetual};
use super::script::{Script, chances};

const STEPS_MAX: usize = 400;

/// What a naive ledger knows of an order.
struct Known {
    at: usize,
    side: Side,
    lots: i64,
    filled: i64,
    is_open: bool,
}

struct World {
    gate: Gate,
    store: OrderStore,
    limits: Limits,
    markets: [(Instrument, BookQuality, Price, Price); 2],
    orders: BTreeMap<u64, Known>,
    held: [i64; 2],
    level: KillLevel,
    is_down: bool,
    approved: u64,
    executions: u64,
    now: Nanos,
    start: Nanos,
}

pub fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new(&mut script);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
    }
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let money = |script: &mut Script<'_>| (1 + script.below(5_000_000) as i64) * ONE_E9;
        let limits = Limits {
            order_lots_max: 1 + script.below(5_000) as u32,
            order_notional_max_e9: money(script),
            position_notional_max_e9: money(script),
            collar_e9: script.below(ONE_E9 as u64 / 10) as i64,
            open_orders_max: 1 + script.below(40) as u32,
            messages_per_second: 1 + script.below(200) as u32,
            cancel_reserve: 0,
            repeats_max: u32::MAX,
            ..Limits::default()
        };
        let linear = Instrument {
            id: InstrumentId(4),
            venue: VenueInstrumentId(7),
            underlying: UnderlyingId(1),
            payoff: Payoff::Linear,
            lot: Quantity(ONE_E9 / 1_000),
            ..perpetual()
        };
        let start = Nanos::from_secs(1_000);
        let mut world = Self {
            gate: Gate::new(limits),
            store: OrderStore::new(),
            limits,
            markets: [perpetual(), linear].map(|it| (it, BookQuality::Unknown, Price::ZERO, Price::ZERO)),
            orders: BTreeMap::new(),
            held: [0; 2],
            level: KillLevel::Open,
            is_down: false,
            approved: 0,
            executions: 0,
            now: start,
            start,
        };
        for at in 0..2 {
            world.see(world.markets[at].0.listing());
            world.quote(at, BookQuality::Good, Price(99_999 * ONE_E9), Price(100_000 * ONE_E9));
        }
        world
    }

    fn see(&mut self, body: Body) {
        self.gate.see(&event(self.now, body));
    }

    fn quote(&mut self, at: usize, quality: BookQuality, bid: Price, ask: Price) {
        let instrument = self.markets[at].0.id;
        (self.markets[at].1, self.markets[at].2, self.markets[at].3) = (quality, bid, ask);
        self.see(Body::Top { instrument, quality, bid, ask, bid_lots: 1, ask_lots: 1 });
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let at = script.below(2) as usize;
        match script.below(16) {
            0..=6 => self.order(at, script),
            7 => {
                let qualities = [BookQuality::Good, BookQuality::Gapped, BookQuality::Stale, BookQuality::Crossed];
                let bid = Price((99_000 + script.below(2_000) as i64) * ONE_E9);
                let ask = Price(bid.0 + script.below(40) as i64 * ONE_E9 / 2);
                self.quote(at, qualities[script.below(4).saturating_sub(script.below(2)) as usize], bid, ask);
            }
            8..=10 => self.fill(script),
            11 => self.end(script),
            12 => {
                self.is_down = script.below(2) == 0;
                self.see(Body::Session { up: !self.is_down });
                self.store.apply(&Body::Session { up: !self.is_down });
            }
            13 if script.once_in(3) => {
                let level = KillLevel::ALL[script.below(5) as usize];
                let latch = Latch { level, cause: KillCause::Operator, by: Operator::NOBODY, since: self.now };
                if self.gate.kill(latch) {
                    self.level = level;
                }
            }
            14 => {
                let state = if script.below(3) == 0 { InstrumentState::Closed } else { InstrumentState::Open };
                self.markets[at].0.state = state;
            }
            _ => self.now.0 += script.below(2_000) * Nanos::PER_MILLI,
        }
    }

    fn order(&mut self, at: usize, script: &mut Script<'_>) {
        let (instrument, quality, bid, ask) = self.markets[at];
        let number = self.orders.len() as u64 + 1;
        let side = [Side::Buy, Side::Sell][script.below(2) as usize];
        let near = if side == Side::Buy { ask } else { bid };
        let price = match script.below(8) {
            0 => Price(script.word() as i64),
            1 => near,
            _ => Price(near.0 + (script.below(20_000) as i64 - 10_000) * ONE_E9 / 2),
        };
        let lots = match script.below(8) {
            0 => script.word() as u32,
            _ => script.below(3_000) as u32,
        };
        let time_in_force = [TimeInForce::GoodTilCancel, TimeInForce::ImmediateOrCancel][script.below(2) as usize];
        let request = Request::New {
            trail: Trail::default(),
            decided: 0,
            order: ClientOrderId(number),
            instrument: instrument.id,
            side,
            time_in_force,
            post_only: false,
            price,
            lots,
        };
        let spot = Price(100_000 * ONE_E9);
        let view = View { instrument: Some(&instrument), quality, bid, ask, spot };
        let open = self.store.open_orders();
        let verdict = self.gate.approve(request, &view, &mut self.store, self.now);
        if let Err(reason) = verdict {
            assert_eq!(self.store.open_orders(), open, "a refusal ({reason:?}) leaves nothing behind");
            return;
        }
        self.approved += 1;
        assert!(self.level < KillLevel::Pause && !self.is_down, "orders are shut");
        assert!(instrument.state == InstrumentState::Open && quality == BookQuality::Good && ask > bid);
        assert!((1..=self.limits.order_lots_max).contains(&lots) && price.0 > 0 && price.0 % 500_000_000 == 0);
        assert!(open < self.limits.open_orders_max);
        let beyond = i128::from((price.0 - near.0) * side.sign()) * i128::from(ONE_E9);
        assert!(beyond <= i128::from(near.0) * i128::from(self.limits.collar_e9), "{price:?} lies beyond the collar");
        let lot_e9 = match instrument.payoff {
            Payoff::Inverse => i128::from(instrument.lot.0),
            _ => i128::from(instrument.lot.0) * i128::from(spot.0) / i128::from(ONE_E9),
        };
        assert!(i128::from(lots) * lot_e9 <= i128::from(self.limits.order_notional_max_e9));
        self.orders.insert(number, Known { at, side, lots: i64::from(lots), filled: 0, is_open: true });
        let same = |order: &&Known| order.is_open && order.at == at && order.side == side;
        let working: i64 = self.orders.values().filter(same).map(|order| order.lots - order.filled).sum();
        let worst = self.held[at] + side.sign() * working;
        let grows = worst.abs() > self.held[at].abs();
        let most = i128::from(self.limits.position_notional_max_e9);
        assert!(!grows || i128::from(worst.abs()) * lot_e9 <= most, "{worst} lots at worst");
        let seconds = self.now.since(self.start) / Nanos::PER_SECOND + 2;
        assert!(self.approved <= u64::from(self.limits.messages_per_second) * seconds, "too many messages");
    }

    fn any_open(&self, script: &mut Script<'_>) -> Option<u64> {
        let open: Vec<u64> = self.orders.iter().filter(|(_, order)| order.is_open).map(|(number, _)| *number).collect();
        script.pick(&open).copied()
    }

    fn fill(&mut self, script: &mut Script<'_>) {
        let Some(number) = self.any_open(script) else { return };
        let Some(order) = self.orders.get_mut(&number) else { return };
        let lots = 1 + script.below((order.lots - order.filled) as u64) as i64;
        order.filled += lots;
        order.is_open = order.filled < order.lots;
        self.held[order.at] += order.side.sign() * lots;
        self.executions += 1;
        let body = Body::Filled {
            order: ClientOrderId(number),
            execution: ExecutionId(self.executions),
            instrument: self.markets[order.at].0.id,
            side: order.side,
            price: Price(100_000 * ONE_E9),
            lots: lots as u32,
        };
        let (at, time) = (order.at, self.now);
        self.gate.hear(&event(time, body), &mut self.store);
        assert_eq!(self.gate.position(self.markets[at].0.id), Lots(self.held[at]));
    }

    fn end(&mut self, script: &mut Script<'_>) {
        let Some(number) = self.any_open(script) else { return };
        let Some(order) = self.orders.get_mut(&number) else { return };
        order.is_open = false;
        let instrument = self.markets[order.at].0.id;
        let (order, cum_lots) = (ClientOrderId(number), order.filled as u32);
        let body = Body::Cancelled { order, instrument, cum_lots, reason: CANCELLED_ON_REQUEST };
        self.gate.hear(&event(self.now, body), &mut self.store);
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    chances(8, 600)
}
