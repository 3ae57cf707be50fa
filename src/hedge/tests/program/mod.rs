//! The program driven by hand: a perpetual, a future and two options, and a book whose exposures follow every fill.

mod deciding;
mod degenerate;
mod limits;
mod working;

use super::*;
use crate::instrument::OptionKind;
use crate::risk::Limits;

const FUTURE: InstrumentId = InstrumentId(1);
const PUT: InstrumentId = InstrumentId(2);
const CALL: InstrumentId = InstrumentId(3);
const EXPIRY_S: u32 = 30 * 86_400;
const SPOT: f64 = 100_000.0;

/// Greeks of a lot of the put and of the call, as the greeks tell them.
const UNITS: [(InstrumentId, f64, f32, f32, f32); 2] =
    [(PUT, -0.04, 0.2, 0.011, -0.002), (CALL, 0.05, 0.2, 0.011, 0.002)];

/// Coins that a lot of either gains in every jump, beyond what its delta does.
const UNIT_JUMP: f64 = 0.001;

/// A book and everything that hedges it.
struct Play {
    rig: Rig,
    delta: f64,
    log_gamma: f64,
    vega: f64,
    skew: f64,
    /// Coins gained in every jump.
    jumps: f64,
    /// Expiries that hold options, as the greeks count them.
    expiries: u8,
    /// Greeks of a lot of each option.
    units: [(InstrumentId, f64, f32, f32, f32); 2],
}

impl Play {
    fn new(config: HedgeConfig) -> Self {
        let mut config = HedgeConfig { policy: Policy::Program, ..config };
        if config.program.costs.batch == CostConfig::default().batch {
            config.program.costs.batch = 0.0;
        }
        let rig = Rig::with(config);
        let (delta, log_gamma, vega, skew, jumps) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let mut play = Self { rig, delta, log_gamma, vega, skew, jumps, expiries: 1, units: UNITS };
        play.list(FUTURE, InstrumentKind::Future, None);
        play.list(PUT, InstrumentKind::Option, Some(OptionKind::Put));
        play.list(CALL, InstrumentKind::Option, Some(OptionKind::Call));
        for instrument in [PERPETUAL, FUTURE, PUT, CALL] {
            play.books(instrument, 9_000);
        }
        play
    }

    fn list(&mut self, instrument: InstrumentId, kind: InstrumentKind, option: Option<OptionKind>) {
        self.list_of(BTC, instrument, kind, option);
    }

    fn list_of(
        &mut self,
        underlying: UnderlyingId,
        instrument: InstrumentId,
        kind: InstrumentKind,
        option: Option<OptionKind>,
    ) {
        let (lot, tick, fee) = match option {
            Some(_) => (ONE_E9 / 10, ONE_E9 / 10_000, 300_000),
            None => (10 * ONE_E9, ONE_E9 / 2, 500_000),
        };
        let payoff = Payoff::Inverse;
        let strike = if option.is_some() { Price(100_000 * ONE_E9) } else { Price::ZERO };
        let (lot, venue) = (Quantity(lot), VenueInstrumentId(10 + u32::from(instrument.0)));
        let expiry_s = EXPIRY_S;
        self.rig.tell(Body::Listed { instrument, underlying, kind, payoff, option, expiry_s, strike, lot, venue });
        let (tick, contract) = (Price(tick), Quantity(ONE_E9));
        self.rig.tell(Body::Terms { instrument, tick, contract, maker_fee_e9: 0, taker_fee_e9: fee });
        self.rig.tell(Body::Status { instrument, state: InstrumentState::Open });
    }

    /// A sound book of `lots` on each side.
    fn books(&mut self, instrument: InstrumentId, lots: u32) {
        let (bid, ask) = if instrument.0 < 2 { (99_999.5, 100_000.0) } else { (0.05, 0.0501) };
        self.top(instrument, BookQuality::Good, bid, ask, lots);
    }

    fn top(&mut self, instrument: InstrumentId, quality: BookQuality, bid: f64, ask: f64, lots: u32) {
        let price = |price| Price::from_f64(price).unwrap();
        let (bid, ask) = (price(bid), price(ask));
        self.rig.tell(Body::Top { instrument, quality, bid, ask, bid_lots: lots, ask_lots: lots });
    }

    /// What the greeks say of volatility, long enough ago to count.
    fn survey(&mut self) {
        let Self { log_gamma, vega, skew, .. } = *self;
        let [log_gamma, vega, skew] = [log_gamma, vega, skew].map(|greek| greek as f32);
        let (underlying, expiry_s) = (BTC, EXPIRY_S);
        let (vanna, sigma, slope) = (0.0, 0.6, -0.05);
        let is_held = true;
        self.rig.tell(Body::Smile { underlying, expiry_s, is_held, vega, skew, log_gamma, vanna, sigma, slope });
        self.rig.tell(Body::Jumps { underlying, expiry_s, gains: [self.jumps as f32; JUMPS] });
        for (instrument, delta, log_gamma, vega, skew) in self.units {
            self.unit(instrument, delta, [log_gamma, vega, skew]);
        }
    }

    /// What the greeks say of a lot of an option.
    fn unit(&mut self, instrument: InstrumentId, delta: f64, [log_gamma, vega, skew]: [f32; 3]) {
        self.rig.tell(Body::Unit { instrument, delta, log_gamma, vega, skew });
        self.rig.tell(Body::UnitJumps { instrument, gains: [UNIT_JUMP as f32; JUMPS] });
    }

    /// A book with these exposures, everything known of it.
    fn holding(mut self, delta: f64, log_gamma: f64, vega: f64) -> Self {
        (self.delta, self.log_gamma, self.vega) = (delta, log_gamma, vega);
        // The spot first: an option's greeks are those at a spot.
        self.rig.exposure_of(BookQuality::Unknown, 0.0);
        self.survey();
        self.rig.now += 2 * Nanos::PER_SECOND;
        self.survey();
        self
    }

    fn expose(&mut self) {
        let coins = |x| Coins::from_f64(x).unwrap();
        self.rig.tell(Body::Exposure {
            underlying: BTC,
            quality: BookQuality::Good,
            net_delta: coins(self.delta),
            log_gamma: coins(self.log_gamma),
            spot: Price(100_000 * ONE_E9),
            delta_bound: 0.0,
            expiries: self.expiries,
        });
    }

    /// New orders since the last look: number, instrument, signed lots, whether it rests.
    fn orders(&mut self) -> Vec<(ClientOrderId, InstrumentId, i64, bool)> {
        let new = self.rig.requests().into_iter().filter_map(|request| match request {
            Request::New { order, instrument, side, lots, post_only, .. } => {
                Some((order, instrument, side.sign() * i64::from(lots), post_only))
            }
            _ => None,
        });
        new.collect()
    }

    fn cancels(&mut self) -> Vec<ClientOrderId> {
        let cancels = self.rig.requests().into_iter().filter_map(|request| match request {
            Request::Cancel { order, .. } => Some(order),
            _ => None,
        });
        cancels.collect()
    }

    /// The venue fills an order, the greeks add it up.
    fn fill(&mut self, order: ClientOrderId, instrument: InstrumentId, lots: i64) {
        let (side, magnitude) = if lots > 0 { (Side::Buy, lots) } else { (Side::Sell, -lots) };
        self.rig.tell(Body::Filled {
            order,
            execution: ExecutionId(self.rig.now),
            instrument,
            side,
            price: Price(ONE_E9),
            lots: magnitude as u32,
        });
        let lots = lots as f64;
        match self.units.iter().find(|unit| unit.0 == instrument) {
            Some(&(_, delta, log_gamma, vega, skew)) => {
                self.delta += lots * delta;
                self.log_gamma += lots * f64::from(log_gamma);
                self.vega += lots * f64::from(vega);
                self.skew += lots * f64::from(skew);
                self.jumps += lots * UNIT_JUMP;
            }
            None => {
                self.delta += lots * 10.0 / SPOT;
                self.log_gamma -= lots * 10.0 / SPOT;
            }
        }
        self.expose();
    }

    /// Fills whatever is asked for until nothing is; what was traded, by instrument.
    fn run_to_rest(&mut self) -> [i64; 4] {
        let mut traded = [0; 4];
        self.expose();
        for _ in 0..50 {
            let orders = self.orders();
            if orders.is_empty() {
                return traded;
            }
            for (order, instrument, lots, _) in orders {
                traded[instrument.index()] += lots;
                self.books(instrument, 9_000);
                self.fill(order, instrument, lots);
            }
            self.survey();
            self.rig.tell(Body::Clock);
        }
        panic!("it does not come to rest: {traded:?}");
    }

    fn attribution(&self) -> Attribution {
        *self.rig.hedge.attributions().next().unwrap().1
    }

    fn fallbacks(&self, fallback: Fallback) -> u64 {
        self.attribution().fallbacks[fallback as usize]
    }

    fn excluded(&self, reason: Excluded) -> u64 {
        self.attribution().excluded[reason as usize]
    }

    fn hold(&self, hold: Hold) -> u64 {
        self.rig.hedge.counters().holds.of(hold)
    }
}

fn play() -> Play {
    Play::new(HedgeConfig::default())
}

/// Orders take at once.
fn taking() -> HedgeConfig {
    let execution = ExecutionConfig { rest_below: 0.0, ..ExecutionConfig::default() };
    HedgeConfig { execution, ..HedgeConfig::default() }
}
