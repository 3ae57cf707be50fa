//! The report at the end of a run: the same figures for a person and, as JSON, for a program.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::ops::AddAssign;

use serde::Serialize;

use super::{Hop, Latencies, Percentiles};

/// Net delta of one underlying over a run, coins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct NetDelta {
    /// Last good one before the first fill.
    pub before: f64,
    /// Last one.
    pub after: f64,
    /// Half-width of the no-trade band at the end.
    pub band: f64,
    /// Whether the last decision was to leave it as it is.
    pub at_rest: bool,
}

/// What hedging one underlying came to, settlement currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Spread and fees paid.
    pub paid: f64,
    /// The same in quote currency, each fill's at the spot of its time.
    pub paid_in_quote: f64,
    /// Fills of options.
    pub option_fills: u64,
    /// Variance of the book's value, sample to sample, had it not been hedged.
    pub unhedged_variance: Option<f64>,
    /// Variance of book and hedge together.
    pub hedged_variance: Option<f64>,
}

/// What the program decided for one underlying, and what came of it, quote currency. Expectations are of its own
/// decisions; what came of it includes what the band did in its place.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProgramFigures {
    /// Decisions to trade.
    pub decisions: u64,
    /// Orders that rested.
    pub rested: u64,
    /// Orders that took.
    pub taken: u64,
    /// Fills of options.
    pub option_fills: u64,
    /// What risk was to fall by, in the units of costs.
    pub expected_risk_reduction: f64,
    /// What trading was to cost.
    pub expected_cost: f64,
    /// What it did cost.
    pub realised_cost: f64,
    /// Standard deviation of what book and hedge together gained from sample to sample, settlement currency.
    pub hedge_error: Option<f64>,
    /// Largest duality gap, relative to standing still.
    pub worst_gap: f64,
    /// Decisions by what bound their largest order.
    pub bindings: BTreeMap<&'static str, u64>,
    /// Decisions by the correlation stress they were made under.
    pub stresses: BTreeMap<&'static str, u64>,
    /// Times the band decided instead, by reason.
    pub fallbacks: BTreeMap<&'static str, u64>,
    /// Hedges left out of a decision, by reason.
    pub excluded: BTreeMap<&'static str, u64>,
    /// The last decisions, oldest first.
    pub recent: Vec<DecisionRow>,
}

/// One decision of the program, quote currency.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DecisionRow {
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// What risk was to fall by, in the units of costs.
    pub expected_risk_reduction: f64,
    /// What trading was to cost.
    pub expected_cost: f64,
    /// Duality gap, relative to standing still.
    pub gap: f64,
    /// Orders made.
    pub orders: u8,
    /// What bound the largest of them.
    pub binding: &'static str,
}

/// Exposure to one expiry of an underlying; each greek with the bound on its error.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ExpiryRow {
    /// Such as `27DEC26`; `perpetual` for what never expires, `account` for the coins of a dollar-neutral one.
    pub expiry: String,
    /// Instruments held.
    pub held: u16,
    /// Forward it was valued at.
    pub forward: f64,
    /// What it is exposed to.
    #[serde(flatten)]
    pub greeks: ByGreek,
}

/// Each greek with the bound on its error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ByGreek {
    /// Coins.
    pub delta: Bounded,
    /// Coins per unit of ln(forward).
    pub log_gamma: Bounded,
    /// Settlement currency per 1.00 of volatility.
    pub vega: Bounded,
    /// Settlement currency per year.
    pub theta: Bounded,
    /// Coins of delta per 1.00 of volatility.
    pub vanna: Bounded,
    /// Settlement currency per 1.00 of volatility, squared.
    pub volga: Bounded,
}

impl ByGreek {
    /// Each greek's name and number.
    fn named(&self) -> [(&'static str, Bounded); 6] {
        [
            ("delta", self.delta),
            ("log gamma", self.log_gamma),
            ("vega", self.vega),
            ("theta", self.theta),
            ("vanna", self.vanna),
            ("volga", self.volga),
        ]
    }
}

impl AddAssign for ByGreek {
    fn add_assign(&mut self, other: Self) {
        self.delta += other.delta;
        self.log_gamma += other.log_gamma;
        self.vega += other.vega;
        self.theta += other.theta;
        self.vanna += other.vanna;
        self.volga += other.volga;
    }
}

impl AddAssign for Bounded {
    fn add_assign(&mut self, other: Self) {
        self.value += other.value;
        self.bound += other.bound;
    }
}

/// A number and how far from it the truth may lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bounded {
    /// The number.
    pub value: f64,
    /// The bound.
    pub bound: f64,
}

/// Figures that only a run against a venue has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VenueFigures {
    /// The smallest ratio of unhedged to hedged variance over the underlyings.
    pub hedged_variance_ratio: Option<f64>,
    /// Whether our positions are the venue's.
    pub positions_reconciled: bool,
    /// Which stages shared a thread.
    pub topology: String,
    /// Cores available.
    pub cores: usize,
    /// Order messages that a ring did not take.
    pub order_drops: u64,
    /// Events that the cold side did not see.
    pub recorder_lost: u64,
    /// Reads of market-data sockets that failed.
    pub receive_errors: u64,
    /// Times the feed's ring was full and market data was conflated.
    pub conflated: u64,
    /// What the machine did not permit.
    pub notices: Vec<String>,
}

/// What throwing the kill switch came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KillFigures {
    /// The level in force at the end.
    pub level: &'static str,
    /// Why.
    pub cause: &'static str,
    /// Who.
    pub by: String,
    /// When it was thrown, seconds into the run.
    pub thrown_after_s: f64,
    /// From there until the gateway had shut the way out, microseconds; `None` if it never did.
    pub shut_within_us: Option<u64>,
    /// From there until no order was live or all were alarmed, milliseconds; `None` if that never came.
    pub settled_within_ms: Option<u64>,
    /// Bytes of orders handed to the socket before the way out was shut.
    pub order_bytes_before: u64,
    /// Bytes of orders that reached the venue beyond those.
    pub order_bytes_after: u64,
    /// Orders that rest at the venue at the end.
    pub resting_at_venue: u64,
    /// Orders that are live here at the end.
    pub live: u64,
    /// Orders alarmed as unknown.
    pub alarmed: u64,
    /// Decisions held back by the switch.
    pub held_back: u64,
    /// Whether all of this is as it must be.
    pub verified: bool,
}

/// How much could still leave at the end of a run, if not everything could.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StopFigures {
    /// The level in force.
    pub level: &'static str,
    /// Why.
    pub cause: &'static str,
    /// Who; `-` for the program itself.
    pub by: String,
    /// Whether a person asked for it.
    pub was_asked_for: bool,
}

impl fmt::Display for StopFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, by {})", self.level, self.cause, self.by)
    }
}

/// What a run's journal came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct JournalFigures {
    /// Number of the run in its directory.
    pub run: u32,
    /// Records written.
    pub frames: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Messages that never reached it.
    pub lost: u64,
    /// Why it could be written no more, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl JournalFigures {
    /// What is wrong with it.
    pub fn fault(&self) -> Option<String> {
        let gaps = (self.lost > 0).then(|| format!("{} messages never reached the journal", self.lost));
        self.failure.clone().or(gaps)
    }
}

/// Everything a run tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// UDP packets received.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages by name.
    pub messages: BTreeMap<&'static str, u64>,
    /// Trades inside trades messages.
    pub trades: u64,
    /// Instruments listed.
    pub instruments: u64,
    /// Of them options.
    pub options: u64,
    /// Places where packets were missing.
    pub sequence_gaps: u64,
    /// Book messages that did not follow their book.
    pub chain_breaks: u64,
    /// Snapshots at the change id of the book built here.
    pub snapshots_compared: u64,
    /// Of them equal to it.
    pub snapshots_equal: u64,
    /// Packets or messages that could not be read.
    pub decode_errors: u64,
    /// What redundant lines brought, and what became of what they did not; times in microseconds.
    pub lines: BTreeMap<&'static str, u64>,
    /// What came on the sockets of market data, and what the kernel did to it; times in microseconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sockets: BTreeMap<&'static str, u64>,
    /// What the surface did and refused, by name.
    pub surface: BTreeMap<&'static str, u64>,
    /// Exposures computed.
    pub exposures: u64,
    /// Orders sent.
    pub orders: u64,
    /// Fills received.
    pub fills: u64,
    /// Net delta by underlying.
    pub net_delta: BTreeMap<String, NetDelta>,
    /// What books were kept neutral in: `coin` or `dollar`.
    pub neutrality: &'static str,
    /// How the smile followed the forward: 0 with its strikes, 1 with moneyness.
    pub stickiness: f64,
    /// Exposures by underlying at the end of the run.
    pub by_underlying: BTreeMap<String, ByGreek>,
    /// Exposures by underlying and expiry at the end of the run.
    pub by_expiry: BTreeMap<String, Vec<ExpiryRow>>,
    /// Cost and variance by underlying.
    pub cost: BTreeMap<String, Cost>,
    /// Decisions by underlying, where the program decides.
    pub program: BTreeMap<String, ProgramFigures>,
    /// Decisions that did not become orders, by reason.
    pub holds: BTreeMap<&'static str, u64>,
    /// Orders that risk refused, by reason.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Reports on orders besides the ordinary, by kind.
    pub order_reports: BTreeMap<&'static str, u64>,
    /// Present when the kill switch was thrown on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill: Option<KillFigures>,
    /// Present when the kill switch was not open at the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopFigures>,
    /// Present when a journal was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalFigures>,
    /// Heap allocations on hot threads after start-up.
    pub hot_allocations: u64,
    /// Hash of all orders.
    pub digest: String,
    /// Latency by hop, nanoseconds.
    pub latency_ns: BTreeMap<&'static str, Percentiles>,
    /// Present for runs against a venue.
    #[serde(flatten)]
    pub venue: Option<VenueFigures>,
}

impl Report {
    /// Takes the percentiles of every hop.
    pub fn set_latencies(&mut self, latencies: &Latencies) {
        self.latency_ns = Hop::ALL.into_iter().map(|hop| (hop.name(), latencies.percentiles(hop))).collect();
    }

    /// Prints it as a person reads it.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        self.print_feed(out)?;
        writeln!(out, "  surface: {}", counted(&self.surface))?;
        self.print_hedge(out)?;
        self.print_exposures(out)?;
        self.print_latency(out)?;
        self.print_health(out)
    }

    fn print_feed(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "market data")?;
        writeln!(
            out,
            "  {} packets, {} bytes, {} instruments ({} options)",
            self.packets, self.bytes, self.instruments, self.options
        )?;
        writeln!(out, "  {}", counted(&self.messages))?;
        writeln!(
            out,
            "  {} sequence gaps, {} chain breaks, {} decode errors, {} of {} comparable snapshots equal",
            self.sequence_gaps, self.chain_breaks, self.decode_errors, self.snapshots_equal, self.snapshots_compared
        )?;
        if !self.lines.is_empty() {
            writeln!(out, "  lines: {}", counted(&self.lines))?;
        }
        if !self.sockets.is_empty() {
            writeln!(out, "  sockets: {}", counted(&self.sockets))?;
        }
        Ok(())
    }

    fn print_hedge(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nhedge")?;
        writeln!(out, "  {} exposures, {} orders, {} fills", self.exposures, self.orders, self.fills)?;
        writeln!(
            out,
            "  {:<12} {:>14} {:>14} {:>10} {:>14} {:>12}",
            "underlying", "delta before", "delta after", "band", "cost", "variance"
        )?;
        for (name, delta) in &self.net_delta {
            let cost = self.cost.get(name).copied().unwrap_or_default();
            let ratio = cost.unhedged_variance.zip(cost.hedged_variance).filter(|(_, hedged)| *hedged > 0.0);
            let ratio =
                ratio.map_or_else(|| "-".to_owned(), |(unhedged, hedged)| format!("1/{:.1}", unhedged / hedged));
            writeln!(
                out,
                "  {name:<12} {:>14.6} {:>14.6} {:>10.6} {:>14.8} {ratio:>12}",
                delta.before, delta.after, delta.band, cost.paid
            )?;
        }
        writeln!(out, "  held back: {}", counted(&self.holds))?;
        writeln!(out, "  refused by risk: {}", counted(&self.refusals))?;
        writeln!(out, "  reports besides the ordinary: {}", counted(&self.order_reports))?;
        match (&self.kill, &self.stop) {
            (Some(kill), _) => kill.print(out)?,
            (None, Some(stop)) => writeln!(out, "  stopped at the end: {stop}")?,
            (None, None) => {}
        }
        writeln!(out, "  digest of all orders: {}", self.digest)
    }

    fn print_exposures(&self, out: &mut impl Write) -> io::Result<()> {
        for (name, rows) in self.by_expiry.iter().filter(|(_, rows)| !rows.is_empty()) {
            writeln!(out, "\n{name} by expiry, {}-neutral, stickiness {}", self.neutrality, self.stickiness)?;
            write!(out, "  {:<10} {:>5} {:>12}", "expiry", "held", "forward")?;
            for (greek, _) in ByGreek::default().named() {
                write!(out, " {greek:>13}")?;
            }
            writeln!(out)?;
            for row in rows {
                write!(out, "  {:<10} {:>5} {:>12.2}", row.expiry, row.held, row.forward)?;
                for (_, greek) in row.greeks.named() {
                    write!(out, " {:>13.5}", greek.value)?;
                }
                writeln!(out)?;
            }
            let total = self.by_underlying.get(name).copied().unwrap_or_default().named();
            write!(out, "  {:<29}", "all")?;
            for (_, greek) in total {
                write!(out, " {:>13.5}", greek.value)?;
            }
            write!(out, "\n  {:<29}", "within")?;
            for (_, greek) in total {
                write!(out, " {:>13.1e}", greek.bound)?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn print_latency(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nlatency, nanoseconds")?;
        writeln!(
            out,
            "  {:<12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>12}",
            "hop", "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for hop in Hop::ALL {
            if let Some(p) = self.latency_ns.get(hop.name()) {
                writeln!(
                    out,
                    "  {:<12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>12}",
                    hop.name(),
                    p.count,
                    p.p50,
                    p.p90,
                    p.p99,
                    p.p999,
                    p.max
                )?;
            }
        }
        Ok(())
    }

    fn print_health(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nhealth")?;
        writeln!(out, "  {} heap allocations on hot threads after start-up", self.hot_allocations)?;
        if let Some(journal) = &self.journal {
            let JournalFigures { run, frames, bytes, lost, .. } = journal;
            write!(out, "  journal: run {run}, {frames} records, {bytes} bytes, {lost} messages lost")?;
            writeln!(out, "{}", journal.failure.as_ref().map_or(String::new(), |why| format!("; FAILED: {why}")))?;
        }
        let Some(venue) = &self.venue else { return Ok(()) };
        writeln!(
            out,
            "  {} order messages dropped, {} market data conflations, {} failed reads, {} events lost to the recorder",
            venue.order_drops, venue.conflated, venue.receive_errors, venue.recorder_lost
        )?;
        writeln!(out, "  positions {} the venue's", if venue.positions_reconciled { "equal" } else { "DIFFER FROM" })?;
        writeln!(out, "  topology {}, cores available: {}", venue.topology, venue.cores)?;
        venue.notices.iter().try_for_each(|notice| writeln!(out, "  notice: {notice}"))
    }
}

impl KillFigures {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let or_never = |figure: Option<u64>, unit: &str| figure.map_or("NEVER".to_owned(), |n| format!("{n} {unit}"));
        writeln!(
            out,
            "\nkill switch\n  {} ({}, by {}) thrown after {:.1} s, way out shut within {}, orders settled within {}",
            self.level,
            self.cause,
            self.by,
            self.thrown_after_s,
            or_never(self.shut_within_us, "us"),
            or_never(self.settled_within_ms, "ms"),
        )?;
        writeln!(
            out,
            "  {} bytes of orders before, {} after; {} resting at the venue, {} live here, {} alarmed; {} decisions held back",
            self.order_bytes_before,
            self.order_bytes_after,
            self.resting_at_venue,
            self.live,
            self.alarmed,
            self.held_back
        )?;
        writeln!(out, "  {}", if self.verified { "verified" } else { "NOT VERIFIED" })
    }
}

/// What happened at all, with how often.
fn counted(counts: &BTreeMap<&'static str, u64>) -> String {
    let counts: Vec<String> = counts.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}
