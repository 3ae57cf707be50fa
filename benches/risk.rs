//! Between a decision and the wire: approval by the gate, and what a report does to its order.
//!
//! `approve` is the whole of [`Gate::approve`] for an immediate order, every control of it, its entry among the working
//! orders included; the order is rejected by the venue outside of what is timed. `beside` counts resting orders of the same
//! instrument that are looked at for duplicates and self-matches. Requests are made outside of it too. `report` is [`Gate::hear`]: the order's state, the
//! position and the exposures it changes. Times hold two readings of the stamp counter, printed as `nothing`.
#![allow(clippy::print_stdout)]

use std::hint::black_box;

use hdrhistogram::Histogram;
use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, Instrument};
use hedgecore::order::{OrderStore, Request, TimeInForce};
use hedgecore::risk::{Gate, Limits, View};
use hedgecore::runtime::clock::StampClock;
use hedgecore::units::*;

const PERPETUAL: InstrumentId = InstrumentId(3);
const STEPS: u64 = 400_000;
/// Steps whose times are averaged, the counter being too coarse for one.
const BATCH: u64 = 4;

fn perpetual() -> Instrument {
    Instrument::inverse_perpetual(
        PERPETUAL,
        VenueInstrumentId(210_838),
        UnderlyingId(0),
        Quantity(10 * ONE_E9),
        Price(500_000_000),
    )
}

struct Rig {
    gate: Gate,
    orders: OrderStore,
    instrument: Instrument,
    next: u64,
    now: Nanos,
}

impl Rig {
    /// A gate that has seen its market, with so many orders resting.
    fn new(beside: u64) -> Self {
        let limits = Limits {
            messages_per_second: u32::MAX,
            repeats_max: u32::MAX,
            open_orders_max: 1_000,
            ..Limits::default()
        };
        let mut rig = Self {
            gate: Gate::new(limits),
            orders: OrderStore::new(),
            instrument: perpetual(),
            next: 0,
            now: Nanos::from_secs(1_000),
        };
        rig.see(rig.instrument.listing());
        let View { quality, bid, ask, spot, .. } = view(&rig.instrument);
        rig.see(Body::Top { instrument: rig.instrument.id, quality, bid, ask, bid_lots: 1, ask_lots: 1 });
        let (net_delta, log_gamma, delta_bound, expiries) = (Coins(ONE_E9), Coins(ONE_E9), 0.0, 0);
        rig.see(Body::Exposure {
            underlying: rig.instrument.underlying,
            quality,
            net_delta,
            log_gamma,
            spot,
            delta_bound,
            expiries,
        });
        for resting in 0..beside {
            let request = rig.request(TimeInForce::GoodTilCancel, Price((98_000 - resting as i64) * ONE_E9));
            rig.approve(request);
            let order = ClientOrderId(rig.next);
            rig.hear(Body::Accepted { order, venue_order: VenueOrderId(order.0), instrument: rig.instrument.id });
        }
        rig
    }

    fn see(&mut self, body: Body) {
        self.gate.see(&Event { trail: Trail::default(), time: self.now, body });
    }

    fn request(&mut self, time_in_force: TimeInForce, price: Price) -> Request {
        self.next += 1;
        self.now.0 += 1_000;
        Request::New {
            trail: Trail::default(),
            decided: 0,
            order: ClientOrderId(self.next),
            instrument: PERPETUAL,
            side: Side::Buy,
            time_in_force,
            post_only: false,
            price,
            lots: 5,
        }
    }

    #[inline]
    fn approve(&mut self, request: Request) {
        let view = view(&self.instrument);
        let verdict = self.gate.approve(black_box(request), &view, &mut self.orders, self.now);
        assert!(black_box(verdict).is_ok());
    }

    #[inline]
    fn hear(&mut self, body: Body) {
        let event = Event { trail: Trail::default(), time: self.now, body };
        black_box(self.gate.hear(black_box(&event), &mut self.orders));
    }
}

fn view(instrument: &Instrument) -> View<'_> {
    let (bid, ask) = (Price(99_999 * ONE_E9), Price(100_000 * ONE_E9));
    View { instrument: Some(instrument), quality: BookQuality::Good, bid, ask, spot: ask }
}

fn show(name: &str, histogram: &Histogram<u64>) {
    let at = |q: f64| histogram.value_at_quantile(q) as f64 / 100.0;
    println!("{name:<24} {:>8.2} {:>8.2} {:>8.2} {:>8.2}", at(0.5), at(0.9), at(0.99), at(0.999));
}

/// Times `step` in batches and undoes each batch with `undo`.
fn measure<T>(
    name: &str,
    clock: StampClock,
    rig: &mut Rig,
    mut prepare: impl FnMut(&mut Rig) -> [T; BATCH as usize],
    mut step: impl FnMut(&mut Rig, &T),
    mut undo: impl FnMut(&mut Rig, &T),
) {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 100_000_000, 3).expect("bounds in order");
    for _ in 0..STEPS / BATCH {
        let prepared = prepare(rig);
        let began = clock.ticks();
        for each in &prepared {
            step(rig, each);
        }
        let ticks = clock.ticks().0 - began.0;
        histogram.saturating_record((ticks as f64 * clock.nanos_per_tick() * 100.0 / BATCH as f64) as u64);
        for each in &prepared {
            undo(rig, each);
        }
    }
    show(name, &histogram);
}

fn main() {
    let clock = StampClock::calibrate();
    println!("nanoseconds each, mean of {BATCH}    p50      p90      p99    p99.9");
    let nothing = [Body::Clock; BATCH as usize];
    measure("nothing", clock, &mut Rig::new(0), |_| nothing, |_, body| _ = black_box(*body), |_, _| {});
    for beside in [0, 4, 60] {
        let mut rig = Rig::new(beside);
        measure(
            &format!("approve, {beside} beside"),
            clock,
            &mut rig,
            // The batch's own orders come to stand beside one another, so each has its own price.
            |rig| {
                std::array::from_fn(|nth| {
                    let price = Price((99_000 + nth as i64) * ONE_E9);
                    rig.request(TimeInForce::ImmediateOrCancel, price)
                })
            },
            |rig, request| rig.approve(*request),
            |rig, request| {
                let Request::New { order, .. } = *request else { return };
                rig.hear(Body::Rejected { order, instrument: PERPETUAL, reason: 0 });
            },
        );
    }
    for name in ["report, accepted", "report, filled", "report, cancelled"] {
        let mut rig = Rig::new(0);
        let mut executions = 0;
        measure(
            name,
            clock,
            &mut rig,
            |rig| {
                std::array::from_fn(|at| {
                    let request = rig.request(TimeInForce::GoodTilCancel, Price((99_000 + at as i64) * ONE_E9));
                    rig.approve(request);
                    executions += 1;
                    let (order, instrument, price) = (ClientOrderId(rig.next), PERPETUAL, Price(99_000 * ONE_E9));
                    let (execution, side) = (ExecutionId(executions), Side::Buy);
                    match name {
                        "report, accepted" => Body::Accepted { order, venue_order: VenueOrderId(order.0), instrument },
                        "report, filled" => Body::Filled { order, execution, instrument, side, price, lots: 1 },
                        _ => Body::Cancelled { order, instrument, cum_lots: 0, reason: 12 },
                    }
                })
            },
            |rig, body| rig.hear(*body),
            |rig, body| {
                let (Body::Accepted { order, .. } | Body::Filled { order, .. } | Body::Cancelled { order, .. }) = *body
                else {
                    return;
                };
                let cum_lots = u32::from(matches!(body, Body::Filled { .. }));
                rig.hear(Body::Cancelled { order, instrument: PERPETUAL, cum_lots, reason: 12 });
                if cum_lots > 0 {
                    rig.see(Body::Position { instrument: PERPETUAL, lots: -1 });
                }
            },
        );
    }
}
