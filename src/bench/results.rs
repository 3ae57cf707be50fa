//! What a run measured, as its report tells it; all times in nanoseconds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::host::Host;
use super::recorded::Captured;
use super::series::{Round, Series};
use super::way::{Load, Way};
use super::wire::Wire;
use crate::runtime::placement::Plan;
use crate::telemetry::Percentiles;

/// A run's figures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Results {
    /// The machine.
    pub host: Host,
    /// The smallest step of the clock that stamps are read from.
    pub clock_resolution_ns: u64,
    /// Half a round trip of a cache line between two cores; none with one core.
    pub floor_ns: Option<f64>,
    /// A datagram in, bytes of an order's size out, nothing between: from before the receive to after the write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<Percentiles>,
    /// The same of the live pipeline, where a hedge is decided between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire: Option<Percentiles>,
    /// Ratio of their medians.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire_over_echo: Option<f64>,
    /// The topology of `wire`, and where its threads ran.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wire_layout: String,
    /// Each hop of `wire`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wire_hops: BTreeMap<&'static str, Percentiles>,
    /// From when a datagram was due to be sent until its order arrived, at a rate kept whatever happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<Answered>,
    /// The same, each datagram sent when the order of the one before had arrived: hides what it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_loop: Option<Answered>,
    /// Bytes to bytes, without sockets, by topology.
    pub compute: BTreeMap<String, Compute>,
    /// Real packets through the fused stages, if there were captures of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<Captured>,
    /// Median to a decision not to trade, fused, by options held.
    pub book_sweep: BTreeMap<usize, u64>,
    /// Ticks offered at a rate, of the first topology.
    pub rate_sweep: BTreeMap<u64, Rate>,
    /// The same, of every topology.
    pub rate_sweeps: BTreeMap<String, BTreeMap<u64, Rate>>,
    /// Ticks that come so many at once, by topology.
    pub burst_sweep: BTreeMap<String, BTreeMap<u64, Rate>>,
    /// The highest rate of the sweep up to which the median stays within four times that of a closed loop, by topology; 0 if
    /// not even the lowest.
    pub knee: BTreeMap<String, u64>,
    /// Every series' rounds, for comparisons.
    pub rounds: BTreeMap<String, Vec<Round>>,
    /// What to know when reading them.
    pub notices: Vec<String>,
    /// The histograms behind the percentiles, by the same names as `rounds`.
    #[serde(skip)]
    pub series: Vec<(String, Series)>,
}

/// Seen from the venue's side.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Answered {
    /// Percentiles over every datagram that was answered.
    #[serde(flatten)]
    pub latency: Percentiles,
    /// Datagrams a second.
    pub rate: u64,
    /// Datagrams that no order of their own answered: the next one that came counts for them too.
    pub covered: u64,
    /// Datagrams that nothing answered before the round was over.
    pub unanswered: u64,
}

/// One topology without sockets.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Compute {
    /// Packet to decision not to trade.
    pub no_trade: Percentiles,
    /// Packet to the bytes of an order.
    pub order: Percentiles,
    /// Each hop on the way to an order; and of `no_trade`, whose decision is another. Of the fused topology, which is timed as a
    /// whole without them, measured in rounds of their own: they add up to more, by what stamping takes.
    pub hops: BTreeMap<String, Percentiles>,
    /// Whether threads shared cores.
    pub shares_cores: bool,
}

/// One rate of a sweep.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rate {
    /// Median from when a tick was due.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// What became of what was offered.
    #[serde(flatten)]
    pub load: Load,
}

impl Rate {
    /// What these arrivals came to.
    pub fn of(way: &Way, load: Load) -> Self {
        let latency = way.total.percentiles();
        Self { p50: latency.p50, p99: latency.p99, load }
    }
}

impl Results {
    /// Enters one topology's ways without sockets, to no trade and to an order: of whole ticks, and of their hops.
    pub fn enter_compute(&mut self, topology: &str, shares_cores: bool, whole: &[Way; 2], stamped: &[Way; 2]) {
        let mut hops: BTreeMap<String, Percentiles> =
            stamped[1].hops.iter().map(|(name, series)| ((*name).to_owned(), series.percentiles())).collect();
        if let Some((name, series)) = stamped[0].hops.last() {
            hops.insert(format!("{name}_no_trade"), series.percentiles());
        }
        let [no_trade, order] = [0, 1].map(|at| whole[at].total.percentiles());
        self.compute.insert(topology.to_owned(), Compute { no_trade, order, hops, shares_cores });
        for (outcome, (whole, stamped)) in ["no_trade", "order"].into_iter().zip(whole.iter().zip(stamped)) {
            self.enter(format!("{topology}.{outcome}"), &whole.total);
            for (name, series) in &stamped.hops {
                self.enter(format!("{topology}.{outcome}.{name}"), series);
            }
            let otherwise = whole.otherwise.max(stamped.otherwise);
            if otherwise > 0 {
                self.notices
                    .push(format!("{topology}: {otherwise} ticks ended otherwise than as {outcome}, uncounted"));
            }
        }
    }

    /// Enters what was measured over sockets.
    pub(super) fn enter_wire(&mut self, layout: &Plan, wire: &Wire) {
        let (echo, pipeline) = (wire.echo.percentiles(), wire.wire.percentiles());
        self.wire_over_echo = Some(pipeline.p50 as f64 / echo.p50.max(1) as f64);
        (self.echo, self.wire) = (Some(echo), Some(pipeline));
        (self.open_loop, self.closed_loop) = (Some(wire.open.answered()), Some(wire.closed.answered()));
        self.wire_layout = layout.to_string();
        self.wire_hops = wire.hops.iter().map(|(name, series)| (*name, series.percentiles())).collect();
        for (name, series) in [
            ("echo", &wire.echo),
            ("wire", &wire.wire),
            ("open_loop", &wire.open.latency),
            ("closed_loop", &wire.closed.latency),
        ] {
            self.enter(name.to_owned(), series);
        }
        wire.hops.iter().for_each(|(name, series)| self.enter(format!("wire.{name}"), series));
        self.notices.extend(layout.notices.iter().cloned());
        self.notices.extend(wire.notices.iter().cloned());
    }

    /// Enters a sweep of rates.
    pub fn enter_rates(&mut self, topology: &str, rates: BTreeMap<u64, Rate>, is_first: bool) {
        let alone = self.compute.get(topology).map_or(0, |compute| compute.order.p50);
        let knee = rates.iter().take_while(|(_, rate)| rate.p50 <= 4 * alone).last();
        self.knee.insert(topology.to_owned(), knee.map_or(0, |(rate, _)| *rate));
        if is_first {
            self.rate_sweep.clone_from(&rates);
        }
        self.rate_sweeps.insert(topology.to_owned(), rates);
    }

    /// Keeps a series, and its rounds for comparisons.
    pub fn enter(&mut self, name: String, series: &Series) {
        self.rounds.insert(name.clone(), series.rounds().to_vec());
        self.series.push((name, series.clone()));
    }
}
