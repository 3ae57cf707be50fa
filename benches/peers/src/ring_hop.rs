//! One hop between two pinned cores: half a round trip of a message as large as an event.
//!
//! The floor is two threads passing a bare cache line to and fro; nothing that carries a message can be faster.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use core_affinity::CoreId;
use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use disruptor::{BusySpin, Polling, Producer, build_single_producer};
use hedgecore::ring::broadcast;
use rtrb::RingBuffer;

use crate::contest::{Contender, contest};

type Message = [u64; 7];
type Cores = (CoreId, CoreId);

const CAPACITY: usize = 1024;
const ROUND_TRIPS: u64 = 1_000;
/// Trips before the clock starts: once around the ring.
const WARM_UP: u64 = CAPACITY as u64;

/// Ours, rtrb, disruptor and crossbeam's ArrayQueue, and the floor under them.
pub fn compare() {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let [near, far, ..] = cores[..] else {
        println!("\nring hop: skipped, this process may use {} core(s) only", cores.len());
        return;
    };
    let contender = |name, window: fn(Cores) -> f64| Contender::measuring(name, move || window((near, far)));
    contest(
        &format!("ring hop, cores {} and {}, {}-byte message, closed loop", near.id, far.id, size_of::<Message>()),
        "a hop",
        vec![
            contender("hedgecore ring", ours),
            contender("rtrb", rtrb),
            contender("disruptor, polled", disruptor),
            contender("crossbeam ArrayQueue", array_queue),
            contender("cache-line floor", floor),
        ],
    );
}

fn ours(cores: Cores) -> f64 {
    let (mut there, [mut arrives]) = broadcast::<Message, 1>(CAPACITY).expect("a power of two");
    let (mut back, [mut returns]) = broadcast::<Message, 1>(CAPACITY).expect("a power of two");
    ping_pong(
        cores,
        move |trip| {
            there.try_push([trip; 7]).expect("room");
            spin(|| returns.try_pop())[0]
        },
        move || {
            let message = spin(|| arrives.try_pop());
            back.try_push(message).expect("room");
        },
    )
}

fn rtrb(cores: Cores) -> f64 {
    let (mut there, mut arrives) = RingBuffer::<Message>::new(CAPACITY);
    let (mut back, mut returns) = RingBuffer::<Message>::new(CAPACITY);
    ping_pong(
        cores,
        move |trip| {
            there.push([trip; 7]).expect("room");
            spin(|| returns.pop().ok())[0]
        },
        move || {
            let message = spin(|| arrives.pop().ok());
            back.push(message).expect("room");
        },
    )
}

fn disruptor(cores: Cores) -> f64 {
    let ring = || {
        let (poller, builder) = build_single_producer(CAPACITY, || [0_u64; 7], BusySpin).new_event_poller();
        (builder.build(), poller)
    };
    let ((mut there, mut arrives), (mut back, mut returns)) = (ring(), ring());
    ping_pong(
        cores,
        move |trip| {
            there.try_publish(|slot| *slot = [trip; 7]).expect("room");
            spin(|| match returns.poll() {
                Ok(mut events) => (&mut events).next().copied(),
                Err(Polling::NoEvents) => None,
                Err(Polling::Shutdown) => unreachable!("the other side outlives the window"),
            })[0]
        },
        move || {
            let message = spin(|| arrives.poll().ok().and_then(|mut events| (&mut events).next().copied()));
            back.try_publish(|slot| *slot = message).expect("room");
        },
    )
}

fn array_queue(cores: Cores) -> f64 {
    let queue = || Arc::new(ArrayQueue::<Message>::new(CAPACITY));
    let (there, back) = (queue(), queue());
    let (arrives, returns) = (Arc::clone(&there), Arc::clone(&back));
    ping_pong(
        cores,
        move |trip| {
            there.push([trip; 7]).expect("room");
            spin(|| returns.pop())[0]
        },
        move || {
            let message = spin(|| arrives.pop());
            back.push(message).expect("room");
        },
    )
}

fn floor(cores: Cores) -> f64 {
    let line = || Arc::new(CachePadded::new(AtomicU64::new(0)));
    let (there, back) = (line(), line());
    let (arrives, returns) = (Arc::clone(&there), Arc::clone(&back));
    let mut expected = 0;
    ping_pong(
        cores,
        move |trip| {
            there.store(trip, Ordering::Release);
            spin(|| (returns.load(Ordering::Acquire) == trip).then_some(trip))
        },
        move || {
            expected += 1;
            spin(|| (arrives.load(Ordering::Acquire) == expected).then_some(()));
            back.store(expected, Ordering::Release);
        },
    )
}

/// Nanoseconds a hop over one window; `ping` sends and waits for the answer, `pong` waits and answers. Both sides keep
/// their ends until the other is done.
fn ping_pong(
    (near, far): Cores,
    mut ping: impl FnMut(u64) -> u64 + Send,
    mut pong: impl FnMut() + Send + 'static,
) -> f64 {
    core_affinity::set_for_current(near);
    let (ready, is_ready) = mpsc::channel();
    let (done, is_done) = mpsc::channel::<()>();
    let echo = thread::spawn(move || {
        core_affinity::set_for_current(far);
        ready.send(()).expect("the other side waits");
        for _ in 0..WARM_UP + ROUND_TRIPS {
            pong();
        }
        // Until the last answer has arrived.
        let _ = is_done.recv();
    });
    is_ready.recv().expect("the other side starts");
    for trip in 1..=WARM_UP {
        assert_eq!(ping(trip), trip);
    }
    let start = Instant::now();
    for trip in WARM_UP + 1..=WARM_UP + ROUND_TRIPS {
        assert_eq!(ping(trip), trip);
    }
    let elapsed_ns = start.elapsed().as_nanos() as f64;
    drop(done);
    echo.join().expect("no panic");
    elapsed_ns / (2 * ROUND_TRIPS) as f64
}

#[inline(always)]
fn spin<T>(mut poll: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = poll() {
            return value;
        }
        spin_loop();
    }
}
