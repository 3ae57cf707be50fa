//! What a message costs on its way through the ring.
//!
//! Two measurements: push and pop on one thread (criterion), which is the price in instructions; and one hop between two
//! pinned cores (half a round trip), which is the price in cache lines. The hop is compared, in windows interleaved and
//! shuffled within one run, with crossbeam's `ArrayQueue` and with the floor: two threads passing a bare cache line back
//! and forth. Only the ratios travel from one machine to another.
//!
//! Caveats: closed loop, an otherwise empty ring, caches warm; on a virtual machine the cores may share a physical one
//! or move, which is why the floor is measured beside each contender and the ratio taken window by window.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use hedgecore::ring::broadcast;

/// As large as an event.
type Message = [u64; 7];

const CAPACITY: usize = 1024;
const WINDOWS: usize = 101;
const ROUND_TRIPS: u64 = 2_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    on_one_thread(&mut criterion);
    criterion.final_summary();
    between_two_cores();
}

fn on_one_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("push and pop on one thread");
    group.throughput(Throughput::Elements(1));
    group.bench_function("ring", |bencher| {
        let (mut producer, [mut consumer]) = broadcast::<Message, 1>(CAPACITY).unwrap();
        bencher.iter(|| {
            producer.try_push(black_box([1; 7])).unwrap();
            black_box(consumer.try_pop())
        });
    });
    group.bench_function("ArrayQueue", |bencher| {
        let queue = ArrayQueue::new(CAPACITY);
        bencher.iter(|| {
            queue.push(black_box([1_u64; 7])).unwrap();
            black_box(queue.pop())
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("batch of 16 on one thread");
    group.throughput(Throughput::Elements(16));
    group.bench_function("ring", |bencher| {
        let (mut producer, [mut consumer]) = broadcast::<Message, 1>(CAPACITY).unwrap();
        bencher.iter(|| {
            producer.push_batch(black_box(&[[1; 7]; 16])).unwrap();
            consumer.drain(16, |message| {
                black_box(message);
            })
        });
    });
    group.finish();
}

/// The contenders: each makes a fresh pair of channels and measures one window.
const CONTENDERS: [(&str, Window); 3] =
    [("cache-line floor", floor_window), ("ring", ring_window), ("crossbeam ArrayQueue", array_queue_window)];

fn between_two_cores() {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let [near, far, ..] = cores[..] else {
        println!("\nhop between two cores: skipped, this process may use {} core(s) only", cores.len());
        return;
    };
    let mut windows = [const { Vec::<f64>::new() }; CONTENDERS.len()];
    let mut shuffle = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..WINDOWS {
        let mut order = [0, 1, 2];
        for i in (1..order.len()).rev() {
            shuffle ^= shuffle << 13;
            shuffle ^= shuffle >> 7;
            shuffle ^= shuffle << 17;
            order.swap(i, (shuffle % (i as u64 + 1)) as usize);
        }
        for contender in order {
            windows[contender].push(CONTENDERS[contender].1((near, far)));
        }
    }
    println!(
        "\nhop between cores {} and {}: half a round trip, {}-byte message, capacity {CAPACITY}, {WINDOWS} windows of \
         {ROUND_TRIPS} round trips, interleaved; nanoseconds",
        near.id,
        far.id,
        size_of::<Message>(),
    );
    println!("{:<22} {:>8} {:>8} {:>8} {:>20}", "", "p10", "median", "p90", "median ratio to floor");
    for (contender, (name, _)) in CONTENDERS.iter().enumerate() {
        let ratios = windows[contender].iter().zip(&windows[0]).map(|(window, floor)| window / floor).collect();
        let hops = windows[contender].clone();
        println!(
            "{name:<22} {:>8.1} {:>8.1} {:>8.1} {:>20.2}",
            quantile(hops.clone(), 0.1),
            quantile(hops.clone(), 0.5),
            quantile(hops, 0.9),
            quantile(ratios, 0.5)
        );
    }
}

fn quantile(mut values: Vec<f64>, at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * at).round() as usize]
}

type Cores = (core_affinity::CoreId, core_affinity::CoreId);
type Window = fn(Cores) -> f64;

fn ring_window(cores: Cores) -> f64 {
    let (mut there, [mut arrives]) = broadcast::<Message, 1>(CAPACITY).unwrap();
    let (mut back, [mut returns]) = broadcast::<Message, 1>(CAPACITY).unwrap();
    ping_pong(
        cores,
        move |trip| {
            there.try_push([trip; 7]).unwrap();
            spin(|| returns.try_pop())[0]
        },
        move || {
            let message = spin(|| arrives.try_pop());
            back.try_push(message).unwrap();
        },
    )
}

fn array_queue_window(cores: Cores) -> f64 {
    let queue = || Arc::new(ArrayQueue::<Message>::new(CAPACITY));
    let (there, back) = (queue(), queue());
    let (arrives, returns) = (Arc::clone(&there), Arc::clone(&back));
    ping_pong(
        cores,
        move |trip| {
            there.push([trip; 7]).unwrap();
            spin(|| returns.pop())[0]
        },
        move || {
            let message = spin(|| arrives.pop());
            back.push(message).unwrap();
        },
    )
}

fn floor_window(cores: Cores) -> f64 {
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

/// Nanoseconds per hop over one window; `ping` sends and waits for the answer, `pong` waits and answers.
fn ping_pong(
    (near, far): Cores,
    mut ping: impl FnMut(u64) -> u64 + Send,
    mut pong: impl FnMut() + Send + 'static,
) -> f64 {
    const WARM_UP: u64 = CAPACITY as u64;
    core_affinity::set_for_current(near);
    let (ready, is_ready) = mpsc::channel();
    let echo = thread::spawn(move || {
        core_affinity::set_for_current(far);
        ready.send(()).unwrap();
        for _ in 0..WARM_UP + ROUND_TRIPS {
            pong();
        }
    });
    is_ready.recv().unwrap();
    for trip in 1..=WARM_UP {
        assert_eq!(ping(trip), trip);
    }
    let start = Instant::now();
    for trip in WARM_UP + 1..=WARM_UP + ROUND_TRIPS {
        assert_eq!(ping(trip), trip);
    }
    let elapsed_ns = start.elapsed().as_nanos() as f64;
    echo.join().unwrap();
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
