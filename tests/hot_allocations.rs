//! The counting allocator counts what hot threads do to the heap, and the ring does nothing to it.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::sync::{Barrier, Mutex};
use std::thread;

use hedgecore::event::{Body, Event, Trail};
use hedgecore::feed::{Feed, FeedConfig, Line, Packet, Protocol};
use hedgecore::ring::{broadcast, latest};
use hedgecore::runtime::alloc::{CountingAllocator, hot_allocations, hot_frees, hot_section, is_installed, mark_hot};
use hedgecore::runtime::clock::StampClock;
use hedgecore::runtime::idle::{IdleStrategy, Idler};
use hedgecore::runtime::socket::{FeedAddress, FeedSocket, OrderSocket, Poller};
use hedgecore::sim::venue::{Channel, PublishConfig, Venue, VenueConfig};
use hedgecore::stage::{Full, Outbox};
use hedgecore::units::{Nanos, Ticks};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The counts belong to the process, so one test at a time looks at them.
static COUNTS: Mutex<()> = Mutex::new(());

/// Allocations and frees that hot threads made during `work`.
fn counted(work: impl FnOnce()) -> (u64, u64) {
    let _alone = COUNTS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let before = (hot_allocations(), hot_frees());
    work();
    (hot_allocations() - before.0, hot_frees() - before.1)
}

#[test]
fn a_hot_thread_is_caught_allocating_growing_and_freeing() {
    assert!(is_installed());
    let counts = counted(|| {
        hot_section(|| {
            let mut bytes = Vec::<u8>::with_capacity(black_box(8));
            bytes.reserve_exact(black_box(64));
            black_box(bytes);
            black_box(vec![0_u8; black_box(16)]);
        });
    });
    assert_eq!(counts, (3, 2));
}

#[test]
fn cold_threads_and_cold_sections_do_not_count() {
    let gate = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            gate.wait();
            black_box(Box::new(black_box(1)));
            gate.wait();
        });
        let counts = counted(|| {
            let hot = mark_hot();
            gate.wait();
            gate.wait();
            drop(hot);
            black_box(Box::new(black_box(2)));
        });
        assert_eq!(counts, (0, 0));
    });
}

#[test]
fn an_inner_section_ends_without_ending_the_outer() {
    let counts = counted(|| {
        hot_section(|| {
            hot_section(|| ());
            black_box(Box::new(black_box(1)));
        });
    });
    assert_eq!(counts, (1, 1));
}

#[test]
fn the_ring_and_the_cell_leave_the_heap_alone() {
    let (mut producer, [mut popping, mut draining]) = broadcast::<Event, 2>(64).unwrap();
    let (mut writer, reader) = latest([0_u64; 4]);
    let event = Event { trail: Trail::default(), time: Nanos(1), body: Body::Clock };
    let mut seen = 0;
    let counts = counted(|| {
        hot_section(|| {
            for turn in 0..1_000 {
                while producer.try_push(event).is_ok() {}
                seen += u64::from(popping.try_pop().is_some());
                seen += draining.drain(8, |_| ()) as u64;
                if let Some(mut claim) = producer.claim(1) {
                    claim.write(event).unwrap();
                    claim.commit();
                }
                black_box((producer.room(), popping.lag(), draining.is_drained()));
                writer.store(&[turn; 4]);
                black_box(reader.try_read());
            }
        });
    });
    assert!(seen > 1_000);
    assert_eq!(counts, (0, 0));
}

#[test]
fn open_sockets_leave_the_heap_alone_also_when_the_peer_goes() {
    let loopback = Ipv4Addr::LOCALHOST;
    let mut feed = FeedSocket::open(&FeedAddress::new(SocketAddrV4::new(loopback, 0), loopback)).unwrap();
    let sender = UdpSocket::bind((loopback, 0)).unwrap();
    let listener = TcpListener::bind((loopback, 0)).unwrap();
    let mut order = OrderSocket::connect(listener.local_addr().unwrap()).unwrap();
    let mut peer = Some(listener.accept().unwrap().0);
    let mut poller = Poller::new().unwrap();
    poller.watch_feed(&mut feed).unwrap();
    poller.watch_order(&mut order).unwrap();
    let clock = StampClock::calibrate();
    let mut idler = Idler::new(IdleStrategy::Adaptive);
    let mut buffer = vec![0; FeedSocket::LONGEST_DATAGRAM];
    let (mut datagrams, mut failures) = (0, 0);
    let counts = counted(|| {
        hot_section(|| {
            for turn in 0..600 {
                if turn == 300 {
                    drop(peer.take());
                }
                black_box(sender.send_to(b"tick", feed.local_address()).is_ok());
                datagrams += usize::from(matches!(feed.receive(&mut buffer), Ok(Some(4))));
                black_box(order.write(b"order").is_ok());
                failures += usize::from(order.read(&mut buffer).is_err());
                idler.idle_on(false, &mut poller);
                black_box(clock.now());
            }
        });
    });
    assert!(datagrams > 0 && failures > 0, "{datagrams} datagrams, {failures} failures");
    assert_eq!(counts, (0, 0));
}

/// Counts events and keeps none.
#[derive(Default)]
struct Count(u64);

impl Outbox<Event> for Count {
    fn send(&mut self, _: Event) -> Result<(), Full> {
        self.0 += 1;
        Ok(())
    }

    fn room(&self) -> usize {
        usize::MAX
    }
}

#[test]
fn starbase_market_data_on_two_lines_leaves_the_heap_alone_also_when_both_lose() {
    let publish = PublishConfig { protocol: Protocol::Starbase, ..PublishConfig::default() };
    let mut venue = Venue::new(VenueConfig { publish, ..VenueConfig::default() }).unwrap();
    let (start, mut packets) = (venue.start_time(), Vec::new());
    for ms in 1..=2_000 {
        let now = Nanos(start.0 + ms * Nanos::PER_MILLI);
        venue.advance(now, &mut |channel, bytes| packets.push((now, channel, bytes.to_vec())));
    }
    let (mut feed, mut out) = (Feed::new(FeedConfig::starbase()), Count::default());
    let mut requests = 0;
    let counts = counted(|| {
        hot_section(|| {
            for (number, (time, channel, bytes)) in packets.iter().enumerate() {
                let port = if *channel == Channel::Incremental { 6_100 } else { 6_200 };
                for line in [Line::A, Line::B] {
                    // Each line loses its own, and now and then both the same.
                    if number % 97 != 11 * (1 + line as usize) && number % 509 != 300 {
                        let packet = Packet { time: *time, received: Ticks(0), port, line, bytes };
                        feed.step(&packet, &mut out);
                    }
                }
                feed.tick(*time, &mut out);
                requests += usize::from(feed.take_request().is_some());
            }
        });
    });
    let [a, b] = [Line::A, Line::B].map(|line| feed.line(line));
    assert!(out.0 > 10_000 && requests > 0, "{} events, {requests} requests", out.0);
    assert!(a.missing > 0 && b.first > 0 && b.duplicates > 0, "{a:?} {b:?}");
    assert_eq!(counts, (0, 0));
}
