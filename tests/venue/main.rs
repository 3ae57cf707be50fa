//! The embedded venue: its packets against its books, its order session byte by byte, and both over loopback sockets.

mod both_ends;
mod client;
mod listener;
mod market_data;
mod server;
mod session;

use hedgecore::sim::venue::{Channel, Venue, VenueConfig};
use hedgecore::units::{Nanos, VenueInstrumentId};

const PERPETUAL: VenueInstrumentId = VenueInstrumentId(1);

fn venue(seed: u64) -> Venue {
    Venue::new(VenueConfig { seed, ..VenueConfig::default() }).expect("valid configuration")
}

fn after(venue: &Venue, ms: u64) -> Nanos {
    Nanos(venue.start_time().0 + ms * Nanos::PER_MILLI)
}

/// Advances in equal pieces of time.
fn run(venue: &mut Venue, to_ms: u64, every_ns: u64, mut take: impl FnMut(Channel, &[u8])) {
    let (mut now, end) = (venue.start_time(), after(venue, to_ms));
    while now < end {
        now = Nanos((now.0 + every_ns).min(end.0));
        venue.advance(now, &mut take);
    }
}
