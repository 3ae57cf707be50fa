//! The venue and the feed, each on a thread in its own namespace.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use hedgecore::event::{Body, Event};
use hedgecore::feed::{Feed, FeedConfig, Line, LineStats, Packet, Protocol, RecoveryStats};
use hedgecore::runtime::socket::{FeedAddress, FeedSocket, SocketStats};
use hedgecore::sim::relay::Relay;
use hedgecore::sim::venue::{Channel, PublishConfig, Venue, VenueConfig};
use hedgecore::units::{InstrumentId, Nanos, Side, Ticks};
use socket2::{Domain, Socket, Type};

use crate::network::{Network, desk_address, group, venue_address};

const INCREMENTAL: u16 = 6_100;
const SNAPSHOT: u16 = 6_200;
const SERVICE: u16 = 6_300;
/// How long the market moves, and how long it stands still afterwards.
const MOVES_NS: u64 = 6 * Nanos::PER_SECOND;
const STANDS_NS: u64 = 5 * Nanos::PER_SECOND / 2;
/// Between two looks at the sockets.
const NAP: Duration = Duration::from_micros(50);
/// How far time may run ahead of the desk.
const AHEAD_NS: u64 = 2 * Nanos::PER_MILLI;
/// A desk that has not looked for so long has failed.
const FAILED: Duration = Duration::from_secs(60);

type Top = [(i64, u32); 2];

/// How it ended.
pub(super) struct Outcome {
    pub lines: [LineStats; 2],
    pub gaps: u64,
    pub books_gapped: u64,
    pub recovery: RecoveryStats,
    sockets: SocketStats,
    venue: Venue,
    feed: Feed,
    tops: BTreeMap<u16, Top>,
}

/// The time of both sides: that of the wall, but no further than a step beyond what the desk has taken in. A busy host
/// makes it slow, and no patience of the feed ends because a thread was kept from its socket.
struct Clock {
    now: AtomicU64,
    /// The time up to which the desk has read all there was.
    seen: AtomicU64,
}

impl Clock {
    fn new(start: Nanos) -> Self {
        Self { now: AtomicU64::new(start.0), seen: AtomicU64::new(start.0) }
    }

    fn now(&self) -> Nanos {
        Nanos(self.now.load(Ordering::Acquire))
    }

    fn seen(&self) -> Nanos {
        Nanos(self.seen.load(Ordering::Acquire))
    }

    /// Lets so much time of the wall go by.
    fn advance(&self, ns: u64) -> Nanos {
        let (now, limit) = (self.now().0, self.seen().0 + AHEAD_NS);
        let now = (now + ns).min(limit).max(now);
        self.now.store(now, Ordering::Release);
        Nanos(now)
    }

    /// The desk has read all that was sent until then.
    fn saw(&self, time: Nanos) {
        self.seen.store(time.0, Ordering::Release);
    }
}

/// Runs both until the market has stood still for a while and the desk has seen all of it.
pub(super) fn run(network: &Network, cut_line_a: bool) -> Outcome {
    let publish = PublishConfig { protocol: Protocol::Starbase, ..PublishConfig::default() };
    let venue = Venue::new(VenueConfig { publish, ..VenueConfig::default() }).expect("a valid configuration");
    let (clock, stop) = (Clock::new(venue.start_time()), AtomicBool::new(false));
    thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let (clock, stop) = (&clock, &stop);
        let desk = scope.spawn(move || {
            network.enter_desk();
            let sockets = open();
            ready.send(()).expect("the test waits");
            receive(sockets, clock, stop)
        });
        is_ready.recv().expect("a desk");
        let floor = scope.spawn(move || {
            network.enter_venue();
            publish_until_seen(venue, network, cut_line_a, clock)
        });
        let venue = floor.join();
        stop.store(true, Ordering::Release);
        let (feed, tops, sockets) = desk.join().expect("a feed");
        let counters = feed.counters();
        Outcome {
            lines: [feed.line(Line::A), feed.line(Line::B)],
            gaps: counters.sequence_gaps,
            books_gapped: counters.books_gapped,
            recovery: feed.recovery(),
            sockets,
            venue: venue.expect("a venue"),
            feed,
            tops,
        }
    })
}

/// Sends every packet on both lines and answers what is asked for.
fn publish_until_seen(mut venue: Venue, network: &Network, cut_line_a: bool, clock: &Clock) -> Venue {
    let outlets = [0, 1].map(|line| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        socket.set_multicast_if_v4(&venue_address(line)).expect("a card");
        UdpSocket::from(socket)
    });
    let service = UdpSocket::bind(SocketAddrV4::new(venue_address(1), SERVICE)).expect("a port");
    service.set_nonblocking(true).expect("a socket that does not wait");
    let mut relay = Relay::new(7, network.injected());
    let begins = clock.now().0;
    let (freezes, ends) = (begins + MOVES_NS, begins + MOVES_NS + STANDS_NS);
    let mut cut_at = if cut_line_a { begins + MOVES_NS / 2 } else { u64::MAX };
    let mut request = [0; 256];
    let (mut looked, mut seen, mut moved) = (Instant::now(), clock.seen(), Instant::now());
    while seen.0 < ends {
        let elapsed_ns = looked.elapsed().as_nanos() as u64;
        looked = Instant::now();
        let now = clock.advance(elapsed_ns);
        if clock.seen() > seen {
            (seen, moved) = (clock.seen(), looked);
        }
        assert!(moved.elapsed() < FAILED, "the desk looks no more");
        if now.0 >= cut_at {
            network.cut_line_a();
            cut_at = u64::MAX;
        }
        if now.0 >= freezes {
            venue.freeze();
        }
        venue.advance(now, &mut |channel, packet| {
            let port = if channel == Channel::Incremental { INCREMENTAL } else { SNAPSHOT };
            relay.send(now, port, packet);
        });
        while let Some(arrived) = relay.receive(now) {
            let line = usize::from(arrived.line() == Line::B);
            // An unplugged card takes nothing.
            let _ = outlets[line].send_to(&arrived.bytes, SocketAddrV4::new(group(line), arrived.port));
        }
        while let Ok((length, client)) = service.recv_from(&mut request) {
            venue.resend(&request[..length], now, &mut |answer| {
                service.send_to(answer, client).expect("an answer that leaves");
            });
        }
        thread::sleep(NAP);
    }
    venue
}

fn open() -> Vec<FeedSocket> {
    let mut addresses = Vec::new();
    for port in [INCREMENTAL, SNAPSHOT] {
        for (line, name) in [(0, Line::A), (1, Line::B)] {
            let usual = FeedAddress::new(SocketAddrV4::new(group(line), port), desk_address(line));
            let source = Some(venue_address(line));
            addresses.push(FeedAddress { line: name, source, timestamps: true, ..usual });
        }
    }
    addresses.push(FeedAddress::answers_of(SocketAddrV4::new(venue_address(1), SERVICE), desk_address(1)));
    addresses.iter().map(|address| FeedSocket::open(address).expect("a socket")).collect()
}

/// Feeds what the sockets bring until the end.
fn receive(mut sockets: Vec<FeedSocket>, clock: &Clock, stop: &AtomicBool) -> (Feed, BTreeMap<u16, Top>, SocketStats) {
    let (mut feed, mut tops) = (Feed::new(FeedConfig::starbase()), BTreeMap::new());
    let mut events: Vec<Event> = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let mut requests = Vec::new();
        let (before, mut received) = (clock.now(), 0);
        for socket in &mut sockets {
            let count = socket.receive_batch().expect("a readable socket");
            received += count;
            let (time, port, line) = (clock.now(), socket.stream_port(), socket.line());
            for at in 0..count {
                let bytes = socket.datagram(at).bytes;
                feed.step(&Packet { time, received: Ticks(0), port, line, bytes }, &mut events);
                requests.extend(feed.take_request());
            }
        }
        feed.tick(clock.now(), &mut events);
        requests.extend(feed.take_request());
        for request in &requests {
            assert!(sockets.iter().any(|socket| socket.ask(request).expect("a request that leaves")));
        }
        for event in events.drain(..) {
            if let Body::Top { instrument, bid, ask, bid_lots, ask_lots, .. } = event.body {
                tops.insert(instrument.0, [(bid.0, bid_lots), (ask.0, ask_lots)]);
            }
        }
        if received == 0 {
            clock.saw(before);
            thread::sleep(NAP);
        }
    }
    let mut stats = SocketStats::default();
    sockets.iter().for_each(|socket| stats.add(&socket.stats()));
    (feed, tops, stats)
}

impl Outcome {
    /// Every top shown, and every order in its queue, is the venue's.
    pub(super) fn assert_books_equal(&self) {
        let mut compared = 0;
        for listing in self.venue.exchange().listings().iter().filter(|listing| listing.open) {
            let id = self.feed.find(&listing.contract.name).expect("every contract is listed");
            for (at, side) in [Side::Buy, Side::Sell].into_iter().enumerate() {
                let best = listing.book.levels(side).next();
                let best = best.map_or((0, 0), |level| (level.price.0, level.lots.magnitude_u32()));
                let shown = self.tops.get(&id.0).map_or((0, 0), |top| top[at]);
                assert_eq!(shown, best, "{} {side:?}", listing.contract.name);
                let orders =
                    listing.book.levels(side).flat_map(|level| level.orders().map(move |order| (level, order)));
                let theirs: Vec<_> =
                    orders.map(|(level, order)| (order.id.0 as i64, level.price, order.lots)).collect();
                assert_eq!(self.orders(id, side, listing.contract.lot), theirs, "{} {side:?}", listing.contract.name);
                compared += 1;
            }
        }
        assert!(compared > 600, "{compared} sides compared");
    }

    fn orders(
        &self,
        id: InstrumentId,
        side: Side,
        lot: hedgecore::units::Quantity,
    ) -> Vec<(i64, hedgecore::units::Price, hedgecore::units::Lots)> {
        let books = self.feed.orders().expect("a protocol with orders");
        let orders = books.orders(id.index(), side);
        orders.map(|order| (order.id, order.price, order.quantity.to_lots(lot).0)).collect()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.lines;
        let r = &self.recovery;
        write!(
            f,
            "{} and {} packets, {} and {} missing; {} gaps; {} holes, {} recovered in {} µs on average and {} µs at most; \
             {} books restored, stale for {} µs at most; {} datagrams, {} dropped by the kernel",
            a.packets,
            b.packets,
            a.missing,
            b.missing,
            self.gaps,
            r.holes,
            r.recovered,
            r.recovery_mean_ns() / 1_000,
            r.recovery_max_ns / 1_000,
            r.books_restored,
            r.stale_max_ns / 1_000,
            self.sockets.datagrams,
            self.sockets.kernel_drops,
        )
    }
}
