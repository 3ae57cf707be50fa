//! The greeks leave the heap alone: ticks inside the anchors' windows and far outside them, fills, calibration, the
//! rebuilds that follow it, the time that passes and the expiry at the end of it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use hedgecore::event::{Body, Event, Trail};
use hedgecore::instrument::{BookQuality, InstrumentKind, OptionKind, Payoff};
use hedgecore::portfolio::rebuild::elsewhere;
use hedgecore::portfolio::{Greeks, GreeksConfig, OpeningBook, Rebuilds};
use hedgecore::ring;
use hedgecore::runtime::alloc::{CountingAllocator, hot_allocations, hot_frees, hot_section, is_installed};
use hedgecore::stage::{Full, Outbox, Stage};
use hedgecore::units::{
    ClientOrderId, ExecutionId, InstrumentId, Nanos, ONE_E9, Price, Quantity, Side, UnderlyingId, VenueInstrumentId,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const EXPIRIES: u16 = 12;
const STRIKES: u16 = 46;
const OPTIONS: u16 = EXPIRIES * STRIKES;
const START_S: u32 = 1_774_598_400;
const DAY_S: u32 = 86_400;
const UNDERLYING: UnderlyingId = UnderlyingId(0);
const PERPETUAL: InstrumentId = InstrumentId(0);

/// Counts what it is sent and keeps none of it.
#[derive(Default)]
struct Counting {
    exposures: u64,
    unknown: u64,
}

impl Outbox<Event> for Counting {
    fn send(&mut self, event: Event) -> Result<(), Full> {
        if let Body::Exposure { quality, .. } = black_box(event.body) {
            self.exposures += 1;
            self.unknown += u64::from(quality == BookQuality::Unknown);
        }
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

struct Desk {
    greeks: Greeks,
    out: Counting,
    now: Nanos,
    executions: u64,
}

impl Desk {
    /// Short one lot of every option, all expiries on anchors.
    fn new(rebuilds: Rebuilds) -> Self {
        let config = GreeksConfig { opening: OpeningBook::ShortEveryOption, ..GreeksConfig::default() };
        let (greeks, now) = (Greeks::with_rebuilds(config, rebuilds), Nanos::from_secs(START_S));
        let mut desk = Self { greeks, out: Counting::default(), now, executions: 0 };
        desk.step(Body::Underlying { id: UNDERLYING, name: *b"BTC_USD\0\0\0\0\0\0\0\0\0" });
        desk.list(0, InstrumentKind::Perpetual, None, 0, 0.0, 10 * ONE_E9);
        for option in 0..OPTIONS {
            let (expiry, rank) = (option / STRIKES, option % STRIKES);
            let kind = if rank % 2 == 0 { OptionKind::Call } else { OptionKind::Put };
            let strike = 30_000.0 + 2_000.0 * f64::from(rank / 2);
            desk.list(option + 1, InstrumentKind::Option, Some(kind), expiry_s(expiry), strike, ONE_E9 / 10);
        }
        desk.spot(50_000.0);
        desk.calibrate(0.6);
        (0..EXPIRIES).for_each(|_| desk.step(Body::Clock));
        desk
    }

    fn step(&mut self, body: Body) {
        let event = Event { trail: Trail::default(), time: self.now, body };
        self.greeks.step(&event, &mut self.out);
    }

    fn list(
        &mut self,
        id: u16,
        kind: InstrumentKind,
        option: Option<OptionKind>,
        expiry_s: u32,
        strike: f64,
        lot: i64,
    ) {
        self.step(Body::Listed {
            instrument: InstrumentId(id),
            underlying: UNDERLYING,
            kind,
            payoff: Payoff::Inverse,
            option,
            expiry_s,
            strike: Price::from_f64(strike).expect("a price"),
            lot: Quantity(lot),
            venue: VenueInstrumentId(u32::from(id)),
        });
    }

    fn spot(&mut self, dollars: f64) {
        let price = |dollars| Price::from_f64(dollars).expect("a price");
        let (bid, ask) = (price(dollars - 0.5), price(dollars + 0.5));
        let quality = BookQuality::Good;
        self.step(Body::Top { instrument: PERPETUAL, quality, bid, ask, bid_lots: 9, ask_lots: 9 });
    }

    fn calibrate(&mut self, sigma: f64) {
        for expiry in 0..EXPIRIES {
            self.step(Body::Forward { underlying: UNDERLYING, expiry_s: expiry_s(expiry), ratio: 1.001 });
        }
        for option in 1..=OPTIONS {
            self.step(Body::Volatility { instrument: InstrumentId(option), sigma, slope: 0.0 });
        }
    }

    fn fill(&mut self, instrument: u16, side: Side) {
        self.executions += 1;
        let (order, execution) = (ClientOrderId(1), ExecutionId(self.executions));
        let (instrument, price) = (InstrumentId(instrument), Price(ONE_E9));
        self.step(Body::Filled { order, execution, instrument, side, price, lots: 3 });
    }
}

fn expiry_s(expiry: u16) -> u32 {
    START_S + DAY_S * (1 + 30 * u32::from(expiry))
}

/// Allocations and frees of a hot thread during `work`.
fn counted(work: impl FnOnce()) -> (u64, u64) {
    let before = (hot_allocations(), hot_frees());
    hot_section(work);
    (hot_allocations() - before.0, hot_frees() - before.1)
}

#[test]
fn ticks_fills_and_rebuilds_leave_the_heap_alone() {
    assert!(is_installed());
    let canary = counted(|| drop(black_box(Box::new(black_box(1)))));
    assert_eq!(canary, (1, 1), "the counter sees a box");

    let mut desk = Desk::new(Rebuilds::Inline);
    assert_eq!(desk.greeks.anchored(), usize::from(EXPIRIES));
    let exposures = desk.out.exposures;
    desk.out.unknown = 0;

    let ticks = counted(|| (0..1_000).for_each(|tick| desk.spot(50_000.0 + f64::from(tick % 16))));
    assert_eq!(ticks, (0, 0), "ticks inside the windows");
    assert!(desk.out.exposures > exposures + 900);

    let fills = counted(|| {
        for turn in 0..1_000u16 {
            desk.fill(1 + turn % OPTIONS, if turn % 3 == 0 { Side::Sell } else { Side::Buy });
        }
        desk.fill(PERPETUAL.0, Side::Sell);
    });
    assert_eq!(fills, (0, 0), "fills");
    assert_eq!(desk.greeks.counters().fills, 1_001);

    let jumps = counted(|| (0..20).for_each(|turn| desk.spot(if turn % 2 == 0 { 65_000.0 } else { 50_000.0 })));
    assert_eq!(jumps, (0, 0), "every window missed at once");

    let rebuilds = counted(|| {
        for turn in 0..10 {
            desk.calibrate(0.6 + 0.01 * f64::from(turn));
            (0..EXPIRIES).for_each(|_| desk.step(Body::Clock));
            desk.spot(50_000.0 + f64::from(turn));
        }
    });
    assert_eq!(rebuilds, (0, 0), "calibration, and the anchors handed over to the next tick");
    assert_eq!(desk.greeks.anchored(), usize::from(EXPIRIES));
    assert_eq!(desk.out.unknown, 0);

    let days = counted(|| {
        for second in (0..=DAY_S).step_by(60) {
            desk.now = Nanos::from_secs(START_S + second);
            desk.step(Body::Index { underlying: UNDERLYING, price: Price(50_000 * ONE_E9) });
            desk.spot(50_000.0);
            desk.step(Body::Clock);
        }
    });
    assert_eq!(days, (0, 0), "a day with a settlement window and an expiry at its end");
    assert_eq!(desk.greeks.anchored(), usize::from(EXPIRIES) - 1);
    assert!(!desk.greeks.is_broken());
}

#[test]
fn anchors_handed_over_by_another_thread_leave_the_heap_alone() {
    let (rebuilds, mut rebuilder) = elsewhere();
    let (mut answers, [mut answered]) = ring::broadcast::<Event, 1>(64).expect("a ring");
    let mut desk = Desk::new(rebuilds);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if rebuilder.turn(&mut answers) == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let mut executions = 0;
        let mut hand_over = |desk: &mut Desk, sigma: f64| {
            desk.calibrate(sigma);
            let adopted = desk.greeks.rebuilds().adopted;
            while desk.greeks.rebuilds().adopted < adopted + u64::from(EXPIRIES) {
                desk.step(Body::Clock);
                executions += 1;
                desk.fill(1 + executions % OPTIONS, if executions % 2 == 0 { Side::Sell } else { Side::Buy });
                answered.drain(8, |event| desk.greeks.step(event, &mut desk.out));
                std::thread::yield_now();
            }
            desk.spot(50_000.0);
        };
        hand_over(&mut desk, 0.6);
        assert_eq!(desk.greeks.anchored(), usize::from(EXPIRIES));
        let counts = counted(|| (0..20).for_each(|turn| hand_over(&mut desk, 0.6 + 0.001 * f64::from(turn))));
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(counts, (0, 0), "asking, adopting, and what is filled and refitted in between");
    });
    assert_eq!(desk.greeks.rebuilds().fallbacks, 0);
}
