//! Real packets: captures through the fused stages, all of them once a round, with fills on paper.
//!
//! Every option that the captures list is held short, so that each tick of a spot revalues a whole book. Packets come one
//! after the other, each when the one before is done with; the datagrams are in memory before the first round. A hop is
//! timed where live it is, with its stamps; between packets the surface calibrates and the paper venue answers, which is not
//! timed and leaves the caches to the next packet as a busy host would.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::results::Results;
use super::series::Series;
use super::stages::OpenError;
use crate::capture::Capture;
use crate::gateway::SessionConfig;
use crate::hedge::{BandConfig, HedgeConfig};
use crate::portfolio::{GreeksConfig, OpeningBook};
use crate::runtime::clock::StampClock;
use crate::sim::Replay;
use crate::telemetry::{Hop, Percentiles, Recorder};
use crate::units::Nanos;

/// What a capture tells of: the hops to an exposure, of every tick, and from there to an order's bytes.
const HOPS: [(Hop, &str); 5] = [
    (Hop::Decode, "decode"),
    (Hop::Greeks, "greeks"),
    (Hop::Decision, "decision"),
    (Hop::Encode, "encode"),
    (Hop::EndToEnd, "order"),
];

/// Per unit of quote currency: suits a book of single lots.
const RISK_AVERSION: f64 = 1.0;

/// What captures came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Captured {
    /// Datagrams, once.
    pub packets: u64,
    /// Each hop, and `order`, from a packet to the bytes of the order that it led to.
    pub hops: BTreeMap<&'static str, Percentiles>,
}

/// Captures in memory, and what was measured of them.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    packets: Vec<(Nanos, u16, Box<[u8]>)>,
    series: [Series; HOPS.len()],
}

impl Recorded {
    /// Reads every datagram.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self, OpenError> {
        let mut packets = Vec::new();
        for path in paths {
            let mut capture = Capture::open(path)?;
            while let Some(datagram) = capture.next_datagram()? {
                packets.push((datagram.time, datagram.destination.port(), datagram.payload.into()));
            }
        }
        Ok(Self { packets, ..Self::default() })
    }

    /// Whether there is anything to play.
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Plays all of it to stages that know nothing yet.
    pub(super) fn round(&mut self, clock: StampClock) -> Result<(), OpenError> {
        let greeks = GreeksConfig { opening: OpeningBook::ShortEveryOption, ..GreeksConfig::default() };
        let started_s = self.packets.first().map_or(0, |(time, ..)| (time.0 / Nanos::PER_SECOND) as u32);
        let band = BandConfig { risk_aversion: RISK_AVERSION, half_width_min: 0.0, ..BandConfig::default() };
        let hedge = HedgeConfig { started_s, band, ..HedgeConfig::default() };
        let recorder = Recorder::new(clock.nanos_per_tick());
        let mut replay = Replay::new(greeks, hedge, SessionConfig::new("bench", "paper")?, recorder, clock);
        for (time, port, bytes) in &self.packets {
            replay.datagram(*time, *port, bytes);
        }
        for ((hop, _), series) in HOPS.iter().zip(&mut self.series) {
            series.round_of(replay.recorder().latencies.of(*hop));
        }
        Ok(())
    }

    /// Forgets what was measured so far.
    pub(super) fn forget(&mut self) {
        self.series = Default::default();
    }

    /// Enters everything.
    pub(super) fn enter(&self, results: &mut Results) {
        let mut captured = Captured { packets: self.packets.len() as u64, ..Captured::default() };
        for ((_, name), series) in HOPS.iter().zip(&self.series) {
            captured.hops.insert(name, series.percentiles());
            results.enter(format!("capture.{name}"), series);
        }
        results.capture = Some(captured);
    }
}
