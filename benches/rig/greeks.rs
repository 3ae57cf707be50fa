//! A greeks stage short one lot of every option of some expiries, and the events that move it.

use std::hint::black_box;

use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, InstrumentKind, OptionKind, Payoff};
use hedgecore::portfolio::{Capacity, Greeks, GreeksConfig, OpeningBook, Rebuilds};
use hedgecore::stage::{Full, Outbox, Stage};
use hedgecore::units::{
    ClientOrderId, ExecutionId, InstrumentId, Nanos, ONE_E9, Price, Quantity, Side, UnderlyingId, VenueInstrumentId,
};

pub(crate) const EXPIRIES: u32 = 12;
const START: Nanos = Nanos::from_secs(1_774_598_400);
const UNDERLYING: UnderlyingId = UnderlyingId(0);
const PERPETUAL: InstrumentId = InstrumentId(0);

/// Drops what it is sent.
pub(crate) struct Nowhere;

impl Outbox<Event> for Nowhere {
    fn send(&mut self, message: Event) -> Result<(), Full> {
        black_box(message);
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

pub(crate) fn at(body: Body) -> Event {
    Event { trail: Trail::default(), time: START, body }
}

/// The perpetual's book around a mid.
pub(crate) fn top(dollars: f64) -> Event {
    let price = |dollars: f64| Price((dollars * ONE_E9 as f64) as i64);
    let (bid, ask) = (price(dollars - 0.5), price(dollars + 0.5));
    at(Body::Top { instrument: PERPETUAL, quality: BookQuality::Good, bid, ask, bid_lots: 9, ask_lots: 9 })
}

pub(crate) fn volatility(option: u32, sigma: f64) -> Event {
    at(Body::Volatility { instrument: InstrumentId(option as u16), sigma, slope: -0.1 })
}

/// Short one lot of every option of some expiries, weeks to a year.
pub(crate) fn stage(options: u32, expiries: u32, rebuilds: Rebuilds) -> Greeks {
    let a_slice = options / expiries;
    let capacity = Capacity {
        instruments: options as usize + 1,
        expiries: expiries as usize,
        options_an_expiry: a_slice as usize,
    };
    let opening = OpeningBook::ShortEveryOption;
    let mut greeks = Greeks::with_rebuilds(GreeksConfig { opening, capacity, ..GreeksConfig::default() }, rebuilds);
    let mut step = |body| greeks.step(&at(body), &mut Nowhere);
    step(Body::Underlying { id: UNDERLYING, name: *b"BTC_USD\0\0\0\0\0\0\0\0\0" });
    let mut listed = |id: u32, kind, option, expiry_s, strike: f64, lot| {
        step(Body::Listed {
            instrument: InstrumentId(id as u16),
            underlying: UNDERLYING,
            kind,
            payoff: Payoff::Inverse,
            option,
            expiry_s,
            strike: Price((strike * ONE_E9 as f64) as i64),
            lot: Quantity(lot),
            venue: VenueInstrumentId(id),
        });
    };
    listed(0, InstrumentKind::Perpetual, None, 0, 0.0, 10 * ONE_E9);
    let expiry_s = |expiry: u32| 1_774_598_400 + 86_400 * (7 + 30 * expiry);
    for id in 0..a_slice * expiries {
        let (expiry, rank) = (id / a_slice, id % a_slice);
        let kind = if rank % 2 == 0 { OptionKind::Call } else { OptionKind::Put };
        let strike = 25_000.0 + 75_000.0 * f64::from(rank / 2) / f64::from(a_slice.div_ceil(2));
        listed(id + 1, InstrumentKind::Option, Some(kind), expiry_s(expiry), strike, ONE_E9 / 10);
    }
    for expiry in 0..expiries {
        let body = Body::Forward { underlying: UNDERLYING, expiry_s: expiry_s(expiry), ratio: 1.001 };
        greeks.step(&at(body), &mut Nowhere);
    }
    (1..=a_slice * expiries).for_each(|id| greeks.step(&volatility(id, 0.6), &mut Nowhere));
    greeks.step(&top(50_000.0), &mut Nowhere);
    greeks
}

/// The same, on anchors.
pub(crate) fn anchored(options: u32, expiries: u32) -> Greeks {
    let mut greeks = stage(options, expiries, Rebuilds::Inline);
    (0..expiries).for_each(|_| greeks.step(&at(Body::Clock), &mut Nowhere));
    greeks.step(&top(50_000.0), &mut Nowhere);
    assert_eq!(greeks.anchored(), expiries as usize);
    greeks
}

/// A fill of three lots of an option, bought and sold in turn.
pub(crate) fn fill(execution: u64) -> Event {
    let side = if execution.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    let (order, price) = (ClientOrderId(1), Price(ONE_E9));
    let (execution, instrument) = (ExecutionId(execution), InstrumentId(100));
    at(Body::Filled { order, execution, instrument, side, price, lots: 3 })
}
