//! Book updates: the level arrays beside a map, and the whole way from a packet to the top of book.
//!
//! Input: a random walk of changes around the touch, seeded, checked against the map before it is timed; 50 levels a
//! side, four in five changes within five levels of the best. Each update is followed by a reading of both best levels.
//! The time per element is that of one change. `feed_step` takes the same changes as packets of one message of one level:
//! sequence, decode, chain, book, publication.
//!
//! `by_order` is the market-by-order book, by kind of change, at the touch (the best four levels) and deep (from the
//! thirtieth on): an order enters behind its queue, moves to the next price, leaves, or is traded in part. Each of a batch
//! of 64 changes another order, and the best level is read after each; the books are made anew, outside the time.
//!
//! `arbitrate` is the time of one packet of two redundant lines, the bytes of
//! both compared. One core, warm caches.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hedgecore::event::Event;
use hedgecore::feed::arbiter::{Arbiter, ArbiterConfig, Numbers};
use hedgecore::feed::book::Books;
use hedgecore::feed::orders::{OrderBooks, Resting};
use hedgecore::feed::{Feed, FeedConfig, Line, Packet};
use hedgecore::stage::{Full, Outbox};
use hedgecore::units::{Nanos, Price, Quantity, Side, Ticks};
use hedgecore::wire::deribit_multicast::{
    BookBlock, BookChange, BookEntry, InstrumentV2Block, PacketBuilder, SnapshotBlock, SnapshotEntry, Terms, ascii,
};

const DEPTH: i64 = 50;
const CHANGES: usize = 4_096;
const TICK_E9: i64 = 500_000_000;

#[derive(Clone, Copy)]
struct Change {
    side: Side,
    what: BookChange,
    price: Price,
    amount: Quantity,
}

#[derive(Clone, Default)]
struct Naive([BTreeMap<i64, i64>; 2]);

impl Naive {
    fn apply(&mut self, change: &Change) {
        let levels = &mut self.0[change.side as usize];
        match change.what {
            BookChange::Deleted => levels.remove(&change.price.0),
            _ => levels.insert(change.price.0, change.amount.0),
        };
    }

    fn top(&self) -> (Option<i64>, Option<i64>) {
        (self.0[0].last_key_value().map(|(&price, _)| price), self.0[1].first_key_value().map(|(&price, _)| price))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

fn price(side: Side, rank: i64) -> Price {
    Price((52_000 - side.sign() * (rank + 1)) * TICK_E9)
}

/// The book before the changes, and changes after which it is as it was: they can be applied again and again.
fn walk() -> (Vec<Change>, Vec<Change>) {
    let mut random = Random(42);
    let initial: Vec<_> = [Side::Buy, Side::Sell]
        .into_iter()
        .flat_map(|side| (0..DEPTH).map(move |rank| (side, rank)))
        .map(|(side, rank)| Change {
            side,
            what: BookChange::Created,
            price: price(side, rank),
            amount: Quantity((rank + 1) * 10_000_000_000),
        })
        .collect();
    let mut changes = Vec::with_capacity(CHANGES);
    while changes.len() < CHANGES {
        let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let depth = if random.below(5) < 4 { 5 } else { DEPTH as u64 };
        let rank = random.below(depth) as i64;
        let amount = Quantity((random.below(100) as i64 + 1) * 10_000_000_000);
        let change = |what| Change { side, what, price: price(side, rank), amount };
        if random.below(2) == 0 {
            changes.extend([change(BookChange::Changed), change(BookChange::Changed)]);
        } else {
            changes.extend([change(BookChange::Deleted), change(BookChange::Created)]);
        }
    }
    (initial, changes)
}

struct Discard(u64);

impl Outbox<Event> for Discard {
    fn send(&mut self, event: Event) -> Result<(), Full> {
        self.0 += u64::from(black_box(&event).time.0 > 0);
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

/// Books by array and by map after `changes`, which must agree.
fn check(initial: &[Change], changes: &[Change]) {
    let (mut books, mut naive) = (opened(initial), Naive::default());
    initial.iter().for_each(|change| naive.apply(change));
    for change in changes {
        books.apply(0, change.side, change.what, change.price, change.amount).expect("a change that fits");
        naive.apply(change);
        assert_eq!(top(&books), naive.top());
    }
}

fn opened(initial: &[Change]) -> Books {
    let mut books = Books::new(1, 256);
    assert!(books.open(0, 128));
    for change in initial {
        books.apply(0, change.side, change.what, change.price, change.amount).expect("an empty book");
    }
    books
}

fn top(books: &Books) -> (Option<i64>, Option<i64>) {
    let best = |side| books.best(0, side).ok().flatten().map(|level| level.price.0);
    (best(Side::Buy), best(Side::Sell))
}

/// A feed that has listed one instrument and seeded its book, and the packets of the changes that follow.
fn session(initial: &[Change], changes: &[Change]) -> (Feed, Vec<Vec<u8>>) {
    let mut feed = Feed::new(FeedConfig { levels_max: 1 << 14, ..FeedConfig::default() });
    let mut buffer = [0; 4_096];
    let mut packet = PacketBuilder::new(&mut buffer, 101, 0).expect("room");
    let terms = Terms {
        base_currency: ascii("BTC"),
        counter_currency: ascii("USD"),
        contract_size: 10.0.into(),
        min_trade_amount: 10.0.into(),
        tick_size: 0.5.into(),
        ..Terms::default()
    };
    let block = InstrumentV2Block { instrument_id: 1.into(), state: 1, terms, ..InstrumentV2Block::default() };
    packet.instrument_v2(&block, &[], b"BTC-PERPETUAL").expect("room");
    let levels: Vec<_> = initial
        .iter()
        .map(|level| SnapshotEntry {
            side: 1 - level.side as u8,
            price: level.price.to_f64().into(),
            amount: level.amount.to_f64().into(),
        })
        .collect();
    let (id, whole) = (1.into(), 1);
    let block = SnapshotBlock { instrument_id: id, is_book_complete: whole, is_last_in_book: 1, ..Default::default() };
    packet.snapshot(&block, &levels).expect("room");
    let bytes = packet.finish();
    feed.step(&Packet { time: Nanos(1), received: Ticks(0), port: 6_101, line: Line::A, bytes }, &mut Discard(0));
    assert_eq!(feed.counters().books_seeded, 1);

    let packets = (0_u32..).zip(changes).map(|(n, change)| {
        let mut buffer = [0; 128];
        let mut packet = PacketBuilder::new(&mut buffer, 1, n).expect("room");
        let block = BookBlock {
            instrument_id: 1.into(),
            timestamp_ms: 0.into(),
            prev_change_id: u64::from(n).into(),
            change_id: u64::from(n + 1).into(),
            is_last: 1,
        };
        let entry = BookEntry {
            side: 1 - change.side as u8,
            change: change.what.into(),
            price: change.price.to_f64().into(),
            amount: change.amount.to_f64().into(),
        };
        packet.book(&block, &[entry]).expect("room");
        packet.finish().to_vec()
    });
    (feed, packets.collect())
}

fn update(criterion: &mut Criterion) {
    let (initial, changes) = walk();
    check(&initial, &changes);
    let mut group = criterion.benchmark_group("book");
    group.throughput(Throughput::Elements(changes.len() as u64));

    let mut books = opened(&initial);
    group.bench_function("array", |bencher| {
        bencher.iter(|| {
            for change in &changes {
                let applied = books.apply(0, change.side, change.what, change.price, change.amount);
                black_box((applied.is_ok(), top(&books)));
            }
        });
    });

    let mut naive = Naive::default();
    initial.iter().for_each(|change| naive.apply(change));
    group.bench_function("btree_map", |bencher| {
        bencher.iter(|| {
            for change in &changes {
                naive.apply(change);
                black_box(naive.top());
            }
        });
    });

    group.bench_function("feed_step", |bencher| {
        bencher.iter_batched(
            || session(&initial, &changes),
            |(mut feed, packets)| {
                let mut out = Discard(0);
                for bytes in &packets {
                    feed.step(
                        &Packet { time: Nanos(2), received: Ticks(0), port: 6_100, line: Line::A, bytes },
                        &mut out,
                    );
                }
                assert_eq!((feed.counters().chain_breaks, feed.counters().level_faults), (0, 0));
                (feed, packets, out.0)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// Orders in the queue of every level.
const QUEUE: i64 = 20;
/// Changes of one batch.
const BATCH: i64 = 64;

/// The `at`th order of the level of this rank among the bids. Sort numbers rise from the head of a queue to its end.
fn resting(rank: i64, at: i64) -> Resting {
    let id = 1 + rank * QUEUE + at;
    Resting { id, price: price(Side::Buy, rank), quantity: Quantity(100_000_000_000), sort: id }
}

/// Both sides full of orders.
fn crowded() -> OrderBooks {
    let mut books = OrderBooks::new(1, 256, 1 << 13);
    assert!(books.open(0, 128));
    for (rank, at) in (0..DEPTH).flat_map(|rank| (0..QUEUE).map(move |at| (rank, at))) {
        let bid = resting(rank, at);
        let ask = Resting { id: -bid.id, price: price(Side::Sell, rank), ..bid };
        books.put(0, Side::Buy, &bid).expect("room");
        books.put(0, Side::Sell, &ask).expect("room");
    }
    books
}

fn by_order(criterion: &mut Criterion) {
    type Apply = fn(&mut OrderBooks, &Resting);
    let kinds: [(&str, Apply); 4] = [
        ("insert", |books, order| {
            let order = Resting { id: order.id + 1_000_000, sort: order.sort + 1_000_000, ..*order };
            books.put(0, Side::Buy, &order).expect("room");
        }),
        ("amend", |books, order| {
            let order = Resting { price: Price(order.price.0 - TICK_E9), sort: order.sort + 1_000_000, ..*order };
            books.put(0, Side::Buy, &order).expect("a known order");
        }),
        ("delete", |books, order| books.delete(0, Side::Buy, order.id).expect("a known order")),
        ("trade", |books, order| {
            books.reduce(0, Side::Buy, order.id, Quantity(order.quantity.0 / 2)).expect("a known order");
        }),
    ];
    let mut group = criterion.benchmark_group("by_order");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (place, best) in [("touch", 0), ("deep", 30)] {
        let orders: Vec<Resting> = (0..BATCH).map(|n| resting(best + n % 4, n / 4)).collect();
        for (kind, apply) in kinds {
            group.bench_function(format!("{kind}_{place}"), |bencher| {
                bencher.iter_batched_ref(
                    crowded,
                    |books| {
                        for order in &orders {
                            apply(books, order);
                            black_box(books.best(0, Side::Buy)).expect("a best level");
                        }
                    },
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

/// Two lines of packets of 150 bytes, B behind A by a few packets: each packet once as first copy, once as second.
fn arbitrate(criterion: &mut Criterion) {
    const BEHIND: u64 = 4;
    const PACKETS: usize = 64;
    let bytes: Vec<Vec<u8>> = (0..PACKETS).map(|n| vec![n as u8; 150]).collect();
    let mut arbiter = Arbiter::new(ArbiterConfig::default(), 1);
    arbiter.open(BEHIND).expect("a stream");
    let mut sequence = BEHIND;
    let mut group = criterion.benchmark_group("arbitrate");
    group.throughput(Throughput::Elements(2));
    group.bench_function("two_lines", |bencher| {
        bencher.iter(|| {
            let mut delivered = 0;
            for (line, first) in [(Line::A, sequence), (Line::B, sequence - BEHIND)] {
                let bytes = black_box(bytes[first as usize % PACKETS].as_slice());
                let packet = Packet { time: Nanos(sequence), received: Ticks(0), port: 1, line, bytes };
                let numbers = Numbers { first, end: first + 1, body: 24 };
                arbiter.offer(0, numbers, &packet, |delivery| delivered += delivery.first);
            }
            sequence += 1;
            delivered
        });
    });
    group.finish();
    let (a, b) = (arbiter.total(Line::A), arbiter.total(Line::B));
    assert_eq!((a.first, a.duplicates, b.first, b.divergent), (a.packets, 0, 0, 0), "{a:?} {b:?}");
}

criterion_group!(benches, arbitrate, update, by_order);
criterion_main!(benches);
