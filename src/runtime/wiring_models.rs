//! The wiring of the threads, under thousands of schedules drawn at random from a fixed seed.
//!
//! Feed, greeks, hedge and gateway as threads of their own, joined as [`pipeline`](super::pipeline) joins them: rings of the
//! smallest sizes, which can be full, execution reports back from the gateway to the greeks, the flags of [`Control`] and
//! the loop of [`until_drained`], all as they run live. Stages are replaced by counting: what one has no room for it keeps, and
//! tries again at its next turn. Memory is sequentially consistent here; what weaker orderings do to one ring is the
//! business of the models beside it. **Not modelled**: sockets, sleeping and its alarms, the end of a part's patience, and
//! the cold side's rings, which nobody waits for.

use shuttle::scheduler::RandomScheduler;
use shuttle::sync::Arc;
use shuttle::{Config, Runner, thread};

use super::threads::{Control, until_drained};
use crate::ring::{Consumer, Producer, broadcast};

/// What the greeks send last.
const SHUTDOWN: u64 = u64::MAX;
/// Added to an order by its report.
const REPORTED: u64 = 100;
const TICKS: u64 = 5;
const SCHEDULES: usize = 5_000;

/// What a stage owes the next one.
#[derive(Default)]
struct Owed(Vec<u64>);

impl Owed {
    /// Sends what there is room for.
    fn send(&mut self, ring: &mut Producer<u64>) {
        while let Some(&message) = self.0.first() {
            if ring.try_push(message).is_err() {
                return;
            }
            self.0.remove(0);
        }
    }

    /// Sends all of it, however long that takes, unless everything is abandoned.
    fn part(&mut self, ring: &mut Producer<u64>, control: &Control) {
        while !control.is_abandoned() {
            self.send(ring);
            if self.0.is_empty() {
                return;
            }
            thread::yield_now();
        }
    }
}

/// Market data and reports in, all of it out; the shutdown last.
fn greeks(
    mut market: Consumer<u64>,
    mut reports: Consumer<u64>,
    mut exposures: Producer<u64>,
    control: &Control,
) -> (Vec<u64>, Consumer<u64>) {
    let (mut taken, mut owed) = (Vec::new(), Owed::default());
    until_drained(&mut market, control, |market| {
        let came = market.try_pop().into_iter().chain(reports.try_pop());
        for message in came {
            taken.push(message);
            owed.0.push(message);
        }
        owed.send(&mut exposures);
        thread::yield_now();
    });
    if !control.is_abandoned() {
        owed.0.push(SHUTDOWN);
        owed.part(&mut exposures, control);
    }
    (taken, reports)
}

/// An order for each tick, and the shutdown. It ends with its input: what the gateway has no room for by then is not sent.
fn hedge(mut exposures: Consumer<u64>, mut orders: Producer<u64>, control: &Control) {
    let mut owed = Owed::default();
    until_drained(&mut exposures, control, |exposures| {
        owed.0.extend(exposures.try_pop().filter(|&message| message < REPORTED || message == SHUTDOWN));
        owed.send(&mut orders);
        thread::yield_now();
    });
}

/// Sends every order and reports it. While the reports' ring is short of room no order is taken, as live.
fn gateway(mut orders: Consumer<u64>, mut reports: Producer<u64>, control: &Control) -> Vec<u64> {
    let mut sent = Vec::new();
    until_drained(&mut orders, control, |orders| {
        let order = if reports.room() > 0 { orders.try_pop() } else { None };
        sent.extend(order);
        if let Some(order) = order.filter(|&order| order != SHUTDOWN) {
            reports.try_push(order + REPORTED).expect("there was room");
        }
        thread::yield_now();
    });
    sent
}

/// What became of a run.
struct Ended {
    /// Ticks that the feed's ring took.
    ticks: u64,
    /// Orders sent, and the shutdown.
    sent: Vec<u64>,
    /// Reports, taken by the greeks or after them.
    reports: Vec<u64>,
}

/// Runs the four threads until `command` ends them, and joins them in the pipeline's order.
fn run(command: fn(&Control)) -> Ended {
    let control = Arc::new(Control::default());
    let (mut market, [market_end]) = broadcast::<u64, 1>(1).unwrap();
    let (exposures, [exposures_end]) = broadcast::<u64, 1>(2).unwrap();
    let (orders, [orders_end]) = broadcast::<u64, 1>(1).unwrap();
    let (reports, [reports_end]) = broadcast::<u64, 1>(1).unwrap();
    let [by_feed, by_greeks, by_hedge, by_gateway] = [(); 4].map(|()| Arc::clone(&control));
    let feed = thread::spawn(move || {
        let mut ticks = 0;
        while !by_feed.is_stopping() {
            ticks += u64::from(ticks < TICKS && market.try_push(ticks).is_ok());
            thread::yield_now();
        }
        ticks
    });
    let greeks = thread::spawn(move || greeks(market_end, reports_end, exposures, &by_greeks));
    let hedge = thread::spawn(move || hedge(exposures_end, orders, &by_hedge));
    let gateway = thread::spawn(move || gateway(orders_end, reports, &by_gateway));
    command(&control);
    let ticks = feed.join().unwrap();
    let (mut taken, mut late) = greeks.join().unwrap();
    hedge.join().unwrap();
    // Nobody else makes room for the gateway any more.
    while !late.is_drained() {
        taken.extend(late.try_pop());
        thread::yield_now();
    }
    let sent = gateway.join().unwrap();
    taken.retain(|&message| message >= REPORTED);
    Ended { ticks, sent, reports: taken }
}

fn explore(model: impl Fn() + Send + Sync + 'static) {
    Runner::new(RandomScheduler::new_from_seed(1, SCHEDULES), Config::default()).run(model);
}

#[test]
fn shuttle_a_stop_ends_every_thread_in_order_and_loses_no_report() {
    explore(|| {
        let mut ended = run(Control::stop);
        if ended.sent.last() == Some(&SHUTDOWN) {
            ended.sent.pop();
            assert_eq!(ended.sent.len() as u64, ended.ticks, "the shutdown is last");
        }
        assert_eq!(ended.sent, (0..ended.sent.len() as u64).collect::<Vec<_>>());
        assert_eq!(ended.reports, ended.sent.iter().map(|order| order + REPORTED).collect::<Vec<_>>());
    });
}

#[test]
fn shuttle_what_is_abandoned_ends_whatever_waits() {
    explore(|| {
        let ended = run(Control::abandon);
        assert_eq!(ended.sent, (0..ended.sent.len() as u64).collect::<Vec<_>>());
        assert_eq!(ended.reports, ended.sent.iter().map(|order| order + REPORTED).collect::<Vec<_>>());
    });
}
