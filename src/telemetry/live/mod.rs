//! A look at a running pipeline: what the metrics page and the terminal view both show.
//!
//! In: what each stage last showed of itself, and what the recorder measured. Out: a [`Snapshot`]. Parts are of
//! moments a tenth of a second apart at most; each is whole by itself. A part that was never shown, or was being written at
//! every try, is absent rather than zero, so that no counter seems to start again. Cold.

mod stages;

use std::sync::{Arc, Mutex};

use super::{Hop, Percentiles};

pub use stages::{
    DropCopyShown, ExposureShown, FeedShown, GatewayShown, GreeksShown, HedgeShown, LineShown, ORDERS_SHOWN,
    OrderShown, QUALITIES, RingShown, SurfaceShown, TargetShown,
};

/// Latency of one hop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HopShown {
    /// Percentiles since the start, nanoseconds.
    pub percentiles: Percentiles,
    /// All of it, nanoseconds.
    pub sum_ns: f64,
}

/// What hedging an underlying came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountShown {
    /// The underlying.
    pub name: String,
    /// Fills of the hedge.
    pub fills: u64,
    /// Spread and fees paid, settlement currency.
    pub cost: f64,
    /// Unhedged over hedged variance, once there is enough to tell.
    pub variance_ratio: Option<f64>,
}

/// How the journal stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalShown {
    /// Number of the run.
    pub run: u32,
    /// Frames written.
    pub frames: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Messages that found their ring full.
    pub lost: u64,
    /// Records that came after a failure.
    pub dropped: u64,
    /// Whether it can be written no more.
    pub has_failed: bool,
}

/// What the recorder knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// By hop, in the order of [`Hop::ALL`].
    pub hops: [HopShown; Hop::ALL.len()],
    /// By underlying.
    pub accounts: Vec<AccountShown>,
    /// Requests that left the hedge.
    pub requests: u64,
    /// Its input rings: exposures, calibrations, orders. The lag is the largest of a quarter of a second.
    pub rings: [RingShown; 3],
    /// The journal, if there is one.
    pub journal: Option<JournalShown>,
}

/// Where a running recorder leaves what it knows.
pub type SharedRecorded = Arc<Mutex<Option<Recorded>>>;

/// Everything at one look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When, nanoseconds since the epoch.
    pub time_ns: u64,
    /// Since the start, nanoseconds.
    pub up_ns: u64,
    /// Which stages share a thread.
    pub topology: &'static str,
    /// Heap allocations on hot threads after start-up.
    pub hot_allocations: u64,
    /// The feed.
    pub feed: Option<FeedShown>,
    /// The surface.
    pub surface: Option<SurfaceShown>,
    /// The greeks.
    pub greeks: Option<GreeksShown>,
    /// The hedge.
    pub hedge: Option<HedgeShown>,
    /// The gateway.
    pub gateway: Option<GatewayShown>,
    /// The comparison with the drop copy, if there is one.
    pub drop_copy: Option<DropCopyShown>,
    /// The recorder.
    pub recorded: Option<Recorded>,
}

impl Snapshot {
    /// Each ring that joins two threads, by name.
    pub fn rings(&self) -> Vec<(&'static str, RingShown)> {
        let mut rings = Vec::new();
        let is_split = self.topology == "split";
        if let Some(greeks) = &self.greeks {
            rings.extend(is_split.then_some(("feed_greeks", greeks.market)));
            rings.push(("gateway_greeks", greeks.reports));
            rings.push(("surface_greeks", greeks.calibrations));
            rings.push(("control_greeks", greeks.commands));
        }
        if let Some(hedge) = &self.hedge {
            rings.extend(is_split.then_some(("greeks_hedge", hedge.exposures)));
        }
        rings.extend(self.gateway.iter().map(|gateway| ("hedge_gateway", gateway.instructions)));
        rings.extend(self.surface.iter().map(|surface| ("feed_surface", surface.market)));
        if let Some(recorded) = &self.recorded {
            let names = ["greeks_recorder", "surface_recorder", "hedge_recorder"];
            rings.extend(names.into_iter().zip(recorded.rings));
        }
        rings
    }
}
