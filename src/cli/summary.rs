//! From the stages' counters to a report.

use std::collections::BTreeMap;

use crate::event::{KillCause, KillLevel};
use crate::feed::{Feed, Line};
use crate::hedge::program::Stress;
use crate::hedge::{Binding, Decision, Excluded, Fallback, Hedge};
use crate::portfolio::{ExpiryExposure, Greeks};
use crate::runtime::Finished;
use crate::runtime::alloc::hot_allocations;
use crate::runtime::control::RiskShown;
use crate::runtime::socket::SocketStats;
use crate::surface::Surface;
use crate::telemetry::{Bounded, ByGreek, DecisionRow, ExpiryRow, JournalFigures, Report, StopFigures};
use crate::units::UnderlyingId;
use crate::wire::deribit_multicast::Template;

/// What the journal came to, if one was kept.
pub(super) fn journal(finished: &Finished) -> Option<JournalFigures> {
    let summary = finished.journal.as_ref()?;
    let failure = summary.failure.as_ref().map(ToString::to_string);
    Some(JournalFigures { run: summary.run, frames: summary.frames, bytes: summary.bytes, lost: summary.lost, failure })
}

/// How much may still leave, if not everything may.
pub(super) fn stop(risk: &RiskShown) -> Option<StopFigures> {
    (risk.level != KillLevel::Open).then(|| StopFigures {
        level: risk.level.name(),
        cause: risk.cause.name(),
        by: risk.by.name().to_owned(),
        was_asked_for: risk.cause == KillCause::Operator,
    })
}

/// What the feed counted.
pub(super) fn feed(report: &mut Report, feed: &Feed) {
    let counters = feed.counters();
    report.packets = counters.packets;
    report.bytes = counters.bytes;
    report.messages =
        Template::ALL.into_iter().map(|template| (template.name(), counters.messages_of(template))).collect();
    report.trades = counters.trades;
    let instruments = feed.catalogue().instruments();
    report.instruments = instruments.len() as u64;
    report.options = instruments.iter().filter(|instrument| instrument.option.is_some()).count() as u64;
    report.sequence_gaps = counters.sequence_gaps;
    report.chain_breaks = counters.chain_breaks;
    report.snapshots_compared = counters.snapshots_compared;
    report.snapshots_equal = counters.snapshots_equal;
    report.decode_errors = counters.decode_errors_total();
    for (name, count) in [
        ("starbase messages", counters.starbase_messages),
        ("order changes", counters.order_changes),
        ("heartbeats", counters.heartbeats),
    ] {
        if count > 0 {
            report.messages.insert(name, count);
        }
    }
    report.lines = lines(feed);
}

/// What the surface did and refused.
pub(super) fn surface(report: &mut Report, surface: &Surface) {
    report.surface = surface.counters().iter().collect();
}

/// What came on the sockets of market data.
pub(super) fn sockets(stats: &SocketStats) -> BTreeMap<&'static str, u64> {
    let mut shown = BTreeMap::from([
        ("datagrams", stats.datagrams),
        ("reads", stats.calls),
        ("dropped by the kernel", stats.kernel_drops),
        ("cut", stats.truncated),
    ]);
    if stats.timed > 0 {
        shown.insert("mean wait in the kernel us", stats.kernel_wait_mean_ns() / 1_000);
        shown.insert("longest wait in the kernel us", stats.kernel_wait_max_ns / 1_000);
    }
    shown
}

/// Second copies of packets that were other bytes: one of the lines lies.
pub(super) fn divergent(feed: &Feed) -> u64 {
    feed.line(Line::A).divergent + feed.line(Line::B).divergent
}

/// What each line did, and what became of what they did not bring; nothing for a single one that missed nothing.
pub(super) fn lines(feed: &Feed) -> BTreeMap<&'static str, u64> {
    let (a, b, recovery) = (feed.line(Line::A), feed.line(Line::B), feed.recovery());
    if b.packets == 0 && a.missing == 0 && recovery.holes == 0 {
        return BTreeMap::new();
    }
    [
        ("first on A", a.first),
        ("first on B", b.first),
        ("second copies on A", a.duplicates),
        ("second copies on B", b.duplicates),
        ("divergent on A", a.divergent),
        ("divergent on B", b.divergent),
        ("late on A", a.late),
        ("late on B", b.late),
        ("missing on A", a.missing),
        ("missing on B", b.missing),
        ("times A was down", a.downs),
        ("times B was down", b.downs),
        ("holes", recovery.holes),
        ("holes recovered", recovery.recovered),
        ("holes given up", recovery.given_up),
        ("requests", recovery.requests),
        ("requests refused", recovery.rejects),
        ("mean recovery us", recovery.recovery_mean_ns() / 1_000),
        ("longest recovery us", recovery.recovery_max_ns / 1_000),
        ("books restored", recovery.books_restored),
        ("snapshots behind", feed.counters().snapshots_behind),
        ("snapshots ahead", feed.counters().snapshots_ahead),
        ("snapshots broken", feed.counters().snapshots_broken),
        ("longest stale us", recovery.stale_max_ns / 1_000),
    ]
    .into()
}

/// What the book is exposed to, by underlying and expiry.
pub(super) fn greeks(report: &mut Report, greeks: &Greeks) {
    (report.neutrality, report.stickiness) = (greeks.neutrality().name(), greeks.stickiness());
    for (id, underlying) in greeks.catalogue().underlyings() {
        let mut rows: Vec<ExpiryRow> = greeks.report(id).filter(|expiry| expiry.held > 0).map(row).collect();
        if rows.is_empty() {
            continue;
        }
        if let Some((value, bound)) = greeks.cash(id) {
            let greeks = ByGreek { delta: Bounded { value, bound }, ..ByGreek::default() };
            rows.push(ExpiryRow { expiry: "account".to_owned(), greeks, ..ExpiryRow::default() });
        }
        let mut total = ByGreek::default();
        rows.iter().for_each(|row| total += row.greeks);
        report.by_underlying.insert(underlying.name().to_owned(), total);
        report.by_expiry.insert(underlying.name().to_owned(), rows);
    }
}

fn row(exposure: ExpiryExposure) -> ExpiryRow {
    let (greeks, bounds) = (exposure.greeks, exposure.bounds);
    let bounded = |value, bound| Bounded { value, bound };
    let greeks = ByGreek {
        delta: bounded(greeks.delta, bounds.delta),
        log_gamma: bounded(greeks.log_gamma, bounds.log_gamma),
        vega: bounded(greeks.vega, bounds.vega),
        theta: bounded(greeks.theta, bounds.theta),
        vanna: bounded(greeks.vanna, bounds.vanna),
        volga: bounded(greeks.volga, bounds.volga),
    };
    ExpiryRow { expiry: expiry_name(exposure.expiry_s), held: exposure.held, forward: exposure.forward, greeks }
}

/// As venues name it: `27DEC26`.
fn expiry_name(expiry_s: u32) -> String {
    if expiry_s == 0 {
        return "perpetual".to_owned();
    }
    let time = jiff::Timestamp::from_second(i64::from(expiry_s)).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%-d%b%y").to_string().to_uppercase()
}

/// What the hedge counted, and the bands at the end.
pub(super) fn hedge(report: &mut Report, hedge: &Hedge) {
    let counters = hedge.counters();
    report.orders = counters.orders;
    report.holds = counters.holds.iter().map(|(hold, count)| (hold.name(), count)).collect();
    report.refusals = hedge.gate().refusals().iter().map(|(refusal, count)| (refusal.name(), count)).collect();
    for (name, target) in hedge.targets() {
        if let Some(delta) = report.net_delta.get_mut(name) {
            delta.band = target.half_width();
            delta.at_rest = target.is_at_rest;
        }
    }
    let orders = hedge.store().counters();
    report.order_reports = BTreeMap::from([
        ("duplicate", orders.duplicates),
        ("late", orders.late),
        ("late_fill", orders.late_fills),
        ("unknown_order", orders.unknown),
        ("inconsistent", orders.inconsistent),
        ("unsolicited_cancel", orders.unsolicited),
        ("bust", orders.busts),
        ("alarmed", orders.alarmed),
        ("owed_forgotten", orders.owed_forgotten),
    ]);
    program(report, hedge);
    report.hot_allocations = hot_allocations();
}

/// What the program decided, beside what the ledger saw come of it.
fn program(report: &mut Report, hedge: &Hedge) {
    for (index, (name, attribution)) in hedge.attributions().enumerate() {
        let underlying = UnderlyingId(index as u8);
        let figures = report.program.entry(name.to_owned()).or_default();
        figures.decisions = attribution.decisions;
        figures.rested = attribution.rested;
        figures.taken = attribution.taken;
        figures.expected_risk_reduction = attribution.risk_reduction;
        figures.expected_cost = attribution.cost;
        figures.worst_gap = attribution.worst_gap;
        figures.bindings = Binding::ALL.iter().map(|b| b.name()).zip(attribution.bindings).collect();
        figures.stresses = Stress::ALL.iter().map(|s| s.name()).zip(attribution.stresses).collect();
        figures.fallbacks = Fallback::ALL.iter().map(|f| f.name()).zip(attribution.fallbacks).collect();
        figures.excluded = Excluded::ALL.iter().map(|e| e.name()).zip(attribution.excluded).collect();
        figures.recent = hedge.decisions().filter(|decision| decision.underlying == underlying).map(decision).collect();
        if let Some(cost) = report.cost.get(name) {
            figures.realised_cost = cost.paid_in_quote;
            figures.option_fills = cost.option_fills;
            figures.hedge_error = cost.hedged_variance.map(f64::sqrt);
        }
    }
}

fn decision(decision: &Decision) -> DecisionRow {
    DecisionRow {
        time_ns: decision.time.0,
        expected_risk_reduction: decision.risk_reduction,
        expected_cost: decision.cost,
        gap: decision.gap,
        orders: decision.orders,
        binding: decision.binding.name(),
    }
}
