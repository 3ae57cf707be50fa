//! The venue, the network, the feed, and a service that sends again what is asked for.

use std::collections::BTreeMap;

use hedgecore::event::{Body, Event};
use hedgecore::feed::{Feed, FeedConfig, Line, Packet, Protocol};
use hedgecore::instrument::BookQuality;
use hedgecore::sim::relay::{LineFaults, Relay};
use hedgecore::sim::venue::{Channel, PublishConfig, Venue, VenueConfig};
use hedgecore::units::{InstrumentId, Nanos, Side, Ticks};

/// How time advances.
const STEP_NS: u64 = 50_000;
/// From a request to its answer.
const ROUND_TRIP_NS: u64 = 150_000;

/// Who answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Alive { requests_per_second: u64 },
    Dead,
}

/// A top as the feed showed it.
type Top = (BookQuality, [(i64, u32); 2]);

pub(super) struct Desk {
    pub(super) venue: Venue,
    pub(super) relay: Relay,
    pub(super) feed: Feed,
    pub(super) now: Nanos,
    pub(super) service: Service,
    answers: Vec<(Nanos, Vec<u8>)>,
    tops: BTreeMap<u16, Top>,
    seen: BTreeMap<BookQuality, usize>,
    is_cut: bool,
    next_allowed: Nanos,
}

fn port(channel: Channel) -> u16 {
    match channel {
        Channel::Incremental => 6_100,
        Channel::Snapshot => 6_200,
    }
}

impl Desk {
    pub(super) fn new(seed: u64, protocol: Protocol, config: FeedConfig, faults: [LineFaults; 2]) -> Self {
        let publish = PublishConfig { protocol, ..PublishConfig::default() };
        let venue = Venue::new(VenueConfig { seed, publish, ..VenueConfig::default() }).expect("a valid configuration");
        Self {
            now: venue.start_time(),
            venue,
            relay: Relay::new(seed, faults),
            feed: Feed::new(config),
            service: Service::Alive { requests_per_second: 1_000 },
            answers: Vec::new(),
            tops: BTreeMap::new(),
            seen: BTreeMap::new(),
            is_cut: false,
            next_allowed: Nanos(0),
        }
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        let end = Nanos(self.now.0 + ms * Nanos::PER_MILLI);
        while self.now < end {
            self.step();
        }
    }

    /// The market stands still, and time goes on until snapshots have come round twice.
    pub(super) fn settle(&mut self) {
        self.venue.freeze();
        self.run_ms(2_500);
    }

    /// Loses the next packet of the busiest channel's changes on both lines.
    pub(super) fn cut_once(&mut self) {
        self.is_cut = true;
        self.run_ms(20);
        assert!(!self.is_cut, "a packet must have been lost");
    }

    fn step(&mut self) {
        self.now.0 += STEP_NS;
        let (relay, is_cut, now) = (&mut self.relay, &mut self.is_cut, self.now);
        self.venue.advance(now, &mut |channel, packet| {
            // Starbase: the options of the first underlying are on channel 2.
            if channel == Channel::Incremental && packet.len() > 40 && packet[16..20] == [2, 0, 0, 0] && *is_cut {
                *is_cut = false;
                return;
            }
            relay.send(now, port(channel), packet);
        });
        let mut events: Vec<Event> = Vec::new();
        while let Some(arrived) = self.relay.receive(now) {
            let (time, line, port) = (arrived.time, arrived.line(), arrived.port);
            self.feed.step(&Packet { time, received: Ticks(0), port, line, bytes: &arrived.bytes }, &mut events);
            self.ask();
        }
        let due: Vec<_> = self.answers.extract_if(.., |(time, _)| *time <= now).collect();
        for (time, bytes) in due {
            let packet = Packet { time, received: Ticks(0), port: 0, line: Line::Resent, bytes: &bytes };
            self.feed.step(&packet, &mut events);
            self.ask();
        }
        self.feed.tick(now, &mut events);
        self.ask();
        for event in events {
            if let Body::Top { instrument, quality, bid, ask, bid_lots, ask_lots } = event.body {
                *self.seen.entry(quality).or_default() += 1;
                self.tops.insert(instrument.0, (quality, [(bid.0, bid_lots), (ask.0, ask_lots)]));
            }
        }
    }

    /// Carries a request to the service, which answers in due time, or not.
    fn ask(&mut self) {
        let Some(request) = self.feed.take_request() else { return };
        let Service::Alive { requests_per_second } = self.service else { return };
        let time = Nanos(self.now.0 + ROUND_TRIP_NS);
        // The venue answers all it is asked; a stricter service is played here.
        if requests_per_second < 200 && self.now < self.next_allowed {
            let wait = self.next_allowed.since(self.now);
            self.answers.push((time, refusal(&request, wait)));
            return;
        }
        self.next_allowed = Nanos(self.now.0 + Nanos::PER_SECOND / requests_per_second);
        let answers = &mut self.answers;
        self.venue.resend(&request, self.now, &mut |bytes| answers.push((time, bytes.to_vec())));
    }

    /// Tops shown with this quality, ever.
    pub(super) fn tops_of(&self, quality: BookQuality) -> usize {
        self.seen.get(&quality).copied().unwrap_or(0)
    }

    /// Whether every book is shown with this quality.
    pub(super) fn is_quality(&self, quality: BookQuality) -> bool {
        self.tops.len() > 300 && self.tops.values().all(|top| top.0 == quality)
    }

    /// Books shown as good, and as gapped.
    pub(super) fn qualities(&self) -> (usize, usize) {
        let count = |quality| self.tops.values().filter(|top| top.0 == quality).count();
        (count(BookQuality::Good), count(BookQuality::Gapped))
    }

    /// Every top shown, and every order where the protocol has orders, is the venue's.
    pub(super) fn assert_books_equal(&self) {
        let mut compared = 0;
        for listing in self.venue.exchange().listings().iter().filter(|listing| listing.open) {
            let contract = &listing.contract;
            let id = self.feed.find(&contract.name).expect("every contract is listed");
            for (at, side) in [Side::Buy, Side::Sell].into_iter().enumerate() {
                let best = listing.book.levels(side).next();
                let best = best.map_or((0, 0), |level| (level.price.0, level.lots.magnitude_u32()));
                let shown = self.tops.get(&id.0).map_or((0, 0), |top| top.1[at]);
                assert_eq!(shown, best, "{} {side:?}", contract.name);
                self.assert_orders_equal(id, listing, side);
                compared += 1;
            }
        }
        assert!(compared > 600, "{compared} sides compared");
    }

    fn assert_orders_equal(&self, id: InstrumentId, listing: &hedgecore::sim::venue::exchange::Listing, side: Side) {
        let Some(books) = self.feed.orders() else { return };
        let venues: Vec<_> = listing
            .book
            .levels(side)
            .flat_map(|level| level.orders().map(move |order| (order.id.0 as i64, level.price, order.lots)))
            .collect();
        let ours: Vec<_> = books
            .orders(id.index(), side)
            .map(|order| (order.id, order.price, order.quantity.to_lots(listing.contract.lot).0))
            .collect();
        assert_eq!(ours, venues, "{} {side:?}: orders in their queues", listing.contract.name);
    }
}

/// The answer of a service that is asked too often.
fn refusal(request: &[u8], wait_ns: u64) -> Vec<u8> {
    use hedgecore::wire::starbase::market_data::{MessageMeta, Packet, PacketBuilder, RejectReason, RetransmitReject};

    let (header, _) = Packet::parse(request).expect("a request");
    let mut buffer = [0; 128];
    let mut packet =
        PacketBuilder::new(&mut buffer, 0, header.channel_id.get(), header.sequence.get(), 0).expect("room");
    let reject = RetransmitReject {
        retry_delay_nanos: (wait_ns as i64).into(),
        details: [0; 40],
        reason: RejectReason::RateLimitExceeded.into(),
    };
    packet.push(MessageMeta::default(), &reject).expect("room");
    packet.finish().to_vec()
}
