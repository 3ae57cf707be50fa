//! The steps that are counted, each a function of its own, and what they work on.

use std::hint::black_box;

use hedgecore::event::{Body, Event, Trail};
use hedgecore::feed::book::Books;
use hedgecore::hedge::{Hedge, HedgeConfig};
use hedgecore::instrument::{BookQuality, InstrumentKind, InstrumentState, OptionKind, Payoff};
use hedgecore::order::{OrderStore, Outcome, Request};
use hedgecore::portfolio::Greeks;
use hedgecore::pricing::implied_vol::implied_vol_near;
use hedgecore::pricing::{Anchor8, Exposure, Strip};
use hedgecore::ring::{Producer, broadcast};
use hedgecore::risk::{Gate, Instruction, Limits, View};
use hedgecore::runtime::{StageTap, Watched};
use hedgecore::stage::{Full, Outbox, Stage};
use hedgecore::units::*;
use hedgecore::wire::deribit_multicast::{BookBlock, BookChange, BookEntry, Message, Packet, PacketBuilder};
use hedgecore::wire::starbase::orders::Encoder;

use crate::rig::{greeks as rig, orders, tally::Tally};

/// What the hedge trades.
const PERPETUAL: InstrumentId = InstrumentId(0);
/// Calls of every step.
pub(crate) const REPEATS: u64 = 1_000;
/// Steps by name, in groups that are run and counted together.
pub(crate) const GROUPS: [(&str, &[&str]); 6] = [
    ("market data", &["decode", "book_update"]),
    ("prices", &["strip", "implied_volatility"]),
    ("greeks", &["greeks_tick", "greeks_fill", "anchor_rebuild"]),
    ("hedge", &["hedge_no_trade", "hedge_order"]),
    ("orders", &["approval", "order_state", "encode"]),
    ("journal", &["ring_publish", "step_untapped", "step_tapped"]),
];

/// A packet of one book message of two levels, every field read that the feed reads.
#[inline(never)]
fn decode(bytes: &[u8]) -> u64 {
    let Ok((header, messages)) = Packet::parse(bytes) else { return 0 };
    let mut sum = u64::from(header.sequence.get());
    for message in messages {
        if let Ok(Message::Book(book)) = message {
            let levels = book.entries.iter().map(|e| e.price.get().to_bits() ^ e.amount.get().to_bits());
            sum ^= levels.sum::<u64>() ^ book.block.change_id.get() ^ book.block.prev_change_id.get();
        }
    }
    sum
}

/// A level of fifty, and both best ones.
#[inline(never)]
fn book_update(books: &mut Books, price: Price, amount: Quantity) -> [i64; 2] {
    let applied = books.apply(0, Side::Buy, BookChange::Changed, price, amount);
    assert!(applied.is_ok());
    [Side::Buy, Side::Sell].map(|side| books.best(0, side).ok().flatten().map_or(0, |level| level.price.0))
}

/// Greeks of 46 strikes, summed.
#[inline(never)]
fn strip(strip: &Strip, forward: f64) -> Exposure {
    strip.exposure(forward)
}

/// A move of the perpetual's mid, with 12 expiries held.
#[inline(never)]
fn greeks_tick(greeks: &mut Greeks, mid: f64) {
    greeks.step(&rig::top(mid), &mut rig::Nowhere);
}

/// A fill of an option of theirs, and the exposure that contains it.
#[inline(never)]
fn greeks_fill(greeks: &mut Greeks, execution: u64) {
    greeks.step(&rig::fill(execution), &mut rig::Nowhere);
}

/// An expiry of 46 strikes expanded and summed.
#[inline(never)]
fn anchor_rebuild(anchor: &mut Anchor8, strip: &Strip, forward: f64) -> bool {
    anchor.rebuild(strip, forward).is_ok()
}

/// From half a percent off.
#[inline(never)]
fn implied_volatility(price: f64) -> Option<f64> {
    implied_vol_near(OptionKind::Call, price, 64_000.0, 66_000.0, 0.08, 0.603)
}

/// An exposure inside the band.
#[inline(never)]
fn hedge_no_trade(hedge: &mut Hedge, exposure: &Event, out: &mut Last) -> bool {
    hedge.step(exposure, out);
    out.0.is_none()
}

/// An exposure outside it: a decision, an approval, an instruction.
#[inline(never)]
fn hedge_order(hedge: &mut Hedge, exposure: &Event, out: &mut Last) -> Option<Instruction> {
    hedge.step(exposure, out);
    out.0.take()
}

/// All pre-trade checks of a new order, and its entry in the store.
#[inline(never)]
fn approval(gate: &mut Gate, request: Request, view: &View<'_>, store: &mut OrderStore, now: Nanos) -> bool {
    gate.approve(request, view, store, now).is_ok()
}

/// A report applied to its order.
#[inline(never)]
fn order_state(store: &mut OrderStore, report: &Body) -> Outcome {
    store.apply(report)
}

/// A new order onto the wire.
#[inline(never)]
fn encode(buffer: &mut [u8], number: i64) -> usize {
    let encoder = Encoder::new(buffer, &orders::envelope(number), &orders::new_order(number));
    encoder.and_then(Encoder::finish).unwrap_or_default()
}

/// An event into a ring that has room.
#[inline(never)]
fn ring_publish(producer: &mut Producer<Event>, event: Event) -> bool {
    producer.try_push(event).is_ok()
}

/// A stage that does next to nothing, without a journal.
#[inline(never)]
fn step_untapped(stage: &mut Watched<Tally, ()>, event: &Event, out: &mut Last) {
    stage.step(event, out);
}

/// The same with one: what is more is what the journal costs a hot thread, a publish.
#[inline(never)]
fn step_tapped(stage: &mut Watched<Tally, Option<StageTap>>, event: &Event, out: &mut Last) {
    stage.step(event, out);
}

/// Runs the steps of a group [`REPEATS`] times.
pub(crate) fn run(group: &str) {
    match group {
        "market data" => market_data(),
        "prices" => prices(),
        "greeks" => greeks(),
        "hedge" => hedges(),
        "journal" => journal(),
        _ => order_path(),
    }
}

fn market_data() {
    let mut buffer = [0; 256];
    let mut packet = PacketBuilder::new(&mut buffer, 1, 1).expect("room");
    let change = BookEntry { side: 1, change: 1, price: 26_012.5.into(), amount: 120.0.into() };
    packet.book(&BookBlock::default(), &[change; 2]).expect("room");
    let bytes = packet.finish().to_vec();
    let mut books = Books::new(1, 256);
    assert!(books.open(0, 128));
    let price = |rank: u64| Price((50_000 - rank as i64) * ONE_E9);
    for rank in 0..50 {
        let applied = books.apply(0, Side::Buy, BookChange::Created, price(rank), Quantity(ONE_E9));
        assert!(applied.is_ok());
    }
    for i in 0..REPEATS {
        black_box(decode(black_box(&bytes)));
        black_box(book_update(&mut books, price(i % 5), Quantity((i as i64 + 2) * ONE_E9)));
    }
}

/// 46 strikes a month from expiry.
fn strikes() -> Strip {
    let mut strikes = Strip::with_capacity(46);
    for i in 0..46 {
        let index = strikes.push(54_000.0 + 500.0 * f64::from(i)).expect("room");
        strikes.set_vol(index, 0.6);
        strikes.set_position(index, 1.0, -0.5);
    }
    strikes.set_time(0.08);
    strikes
}

fn greeks() {
    let mut greeks = rig::anchored(552, rig::EXPIRIES);
    let (strikes, mut anchor) = (strikes(), Anchor8::with_capacity(46, 0.1));
    anchor.replace((0..46).map(|slot| (OptionKind::Call, slot - 20))).expect("room");
    for i in 0..REPEATS {
        greeks_tick(&mut greeks, 50_000.0 + (i * 7 % 64) as f64);
        greeks_fill(&mut greeks, i + 1);
        assert!(anchor_rebuild(&mut anchor, &strikes, 64_000.0 + i as f64));
    }
}

fn prices() {
    let strikes = strikes();
    for i in 0..REPEATS {
        black_box(strip(&strikes, 64_000.0 + i as f64));
        black_box(implied_volatility(3_400.0 + 0.01 * i as f64));
    }
}

fn hedges() {
    let (mut hedge, mut out, mut now) = (session(), Last::default(), Nanos::PER_SECOND);
    let mut next = |body| {
        now += Nanos::PER_SECOND / 2;
        at(now, body)
    };
    for _ in 0..REPEATS {
        let book = next(top());
        hedge.step(&book, &mut out);
        assert!(hedge_no_trade(&mut hedge, &next(exposure(1e-9)), &mut out), "inside the band");
        let order = hedge_order(&mut hedge, &next(exposure(1.0)), &mut out);
        let Some(Instruction::Send(approved)) = order else { panic!("outside the band") };
        let Request::New { order, instrument, .. } = *approved.request() else { panic!("an order") };
        let accepted = Body::Accepted { order, venue_order: VenueOrderId(order.0), instrument };
        hedge.step(&next(accepted), &mut out);
        hedge.step(&next(Body::Cancelled { order, instrument, cum_lots: 0, reason: 0 }), &mut out);
        out.0 = None;
    }
}

/// The last instruction.
#[derive(Default)]
struct Last(Option<Instruction>);

impl Outbox<Instruction> for Last {
    fn send(&mut self, instruction: Instruction) -> Result<(), Full> {
        if let Instruction::Send(_) = instruction {
            self.0 = Some(instruction);
        }
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

/// A hedge with its perpetual's book and a session that is up.
fn session() -> Hedge {
    let mut hedge = Hedge::new(HedgeConfig::default());
    let instrument = PERPETUAL;
    let listed = Body::Listed {
        instrument,
        underlying: UnderlyingId(0),
        kind: InstrumentKind::Perpetual,
        payoff: Payoff::Inverse,
        option: None,
        expiry_s: 0,
        strike: Price::ZERO,
        lot: orders::LOT,
        venue: VenueInstrumentId(7),
    };
    let (maker_fee_e9, taker_fee_e9) = (0, 500_000);
    let terms = Body::Terms { instrument, tick: Price(ONE_E9 / 2), contract: orders::LOT, maker_fee_e9, taker_fee_e9 };
    let underlying = Body::Underlying { id: UnderlyingId(0), name: *b"BTC_USD\0\0\0\0\0\0\0\0\0" };
    let open = Body::Status { instrument, state: InstrumentState::Open };
    for body in [underlying, listed, terms, open, Body::Session { up: true }, top()] {
        hedge.step(&at(Nanos::PER_SECOND, body), &mut Last::default());
    }
    hedge
}

/// The perpetual's book around a mid.
fn top() -> Body {
    let (bid, ask) = (Price(99_999 * ONE_E9), Price(100_001 * ONE_E9));
    let (instrument, quality) = (PERPETUAL, BookQuality::Good);
    Body::Top { instrument, quality, bid, ask, bid_lots: 9, ask_lots: 9 }
}

fn at(time_ns: u64, body: Body) -> Event {
    Event { trail: Trail::default(), time: Nanos(time_ns), body }
}

fn exposure(net_delta: f64) -> Body {
    let coins = |coins| Coins::from_f64(coins).expect("few");
    Body::Exposure {
        underlying: UnderlyingId(0),
        quality: BookQuality::Good,
        net_delta: coins(net_delta),
        log_gamma: coins(1.0),
        spot: Price(100_000 * ONE_E9),
        delta_bound: 0.0,
        expiries: 0,
    }
}

fn order_path() {
    let (mut gate, mut store, instrument) = (Gate::new(Limits::default()), OrderStore::new(), orders::perpetual());
    let mut buffer = [0; 512];
    orders::market(&instrument).into_iter().for_each(|event| gate.see(&event));
    for i in 1..=REPEATS {
        // Far enough apart not to be a run of repeats.
        let now = Nanos(i * 2 * Nanos::PER_SECOND);
        assert!(approval(&mut gate, orders::request(i), &orders::view(&instrument), &mut store, now));
        let (order, instrument) = (ClientOrderId(i), instrument.id);
        black_box(order_state(&mut store, &Body::Accepted { order, venue_order: VenueOrderId(i), instrument }));
        let cancelled = Body::Cancelled { order, instrument, cum_lots: 0, reason: 0 };
        gate.hear(&at(now.0, cancelled), &mut store);
        assert!(encode(black_box(&mut buffer), i as i64) > 0);
    }
}

fn journal() {
    let (mut producer, [mut consumer]) = broadcast::<Event, 1>(64).expect("a ring");
    let (tap, mut tapped) = StageTap::apart().expect("its rings");
    let (mut without, mut with) = (Watched::new(Tally(0), ()), Watched::new(Tally(0), Some(tap)));
    let mut out = Last::default();
    for i in 1..=REPEATS {
        let event = at(i, top());
        assert!(ring_publish(&mut producer, event) && consumer.try_pop().is_some());
        step_untapped(&mut without, black_box(&event), &mut out);
        step_tapped(&mut with, black_box(&event), &mut out);
        assert_eq!(tapped.try_pop(), Some(event), "one message a step");
        assert!(tapped.try_pop().is_none());
    }
    assert_eq!((without.stage.0, with.stage.0), (REPEATS, REPEATS));
}
