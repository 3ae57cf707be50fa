//! The figures as a person reads them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::bench::{Answered, Load, Rate, Results};
use crate::telemetry::Percentiles;

/// Prints everything, times in nanoseconds.
pub(super) fn print(results: &Results, out: &mut impl Write) -> io::Result<()> {
    let host = &results.host;
    writeln!(out, "{}, {} core(s), Linux {}, governor {}", host.cpu, host.cores.len(), host.kernel, host.governor)?;
    writeln!(out, "hedgecore {}, {}, load {:.2}; nanoseconds\n", host.version, host.started, host.load)?;
    writeln!(out, "{:<28} {:>10}", "clock resolution", results.clock_resolution_ns)?;
    if let Some(floor) = results.floor_ns {
        writeln!(out, "{:<28} {floor:>10.0}", "cache line, core to core")?;
    }
    wire(results, out)?;
    for (topology, compute) in &results.compute {
        let shared = if compute.shares_cores { ", threads share cores" } else { "" };
        head(out, &format!("compute, {topology}{shared}"))?;
        row(out, "tick to no trade", &compute.no_trade)?;
        row(out, "tick to order bytes", &compute.order)?;
        for (hop, percentiles) in &compute.hops {
            row(out, &format!("  {}", hop.replace('_', " ")), percentiles)?;
        }
    }
    if let Some(capture) = &results.capture {
        head(out, &format!("{} captured packets", capture.packets))?;
        capture.hops.iter().try_for_each(|(hop, percentiles)| row(out, hop, percentiles))?;
    }
    if !results.book_sweep.is_empty() {
        writeln!(out, "\n{:<28} {:>10}", "options held", "no trade p50")?;
        for (held, p50) in &results.book_sweep {
            writeln!(out, "{held:<28} {p50:>10}")?;
        }
    }
    for (topology, rates) in &results.rate_sweeps {
        sweep(&format!("ticks a second, {topology}"), rates, out)?;
        if let Some(knee) = results.knee.get(topology) {
            writeln!(out, "sustained without queueing: {knee} ticks a second")?;
        }
    }
    for (topology, bursts) in &results.burst_sweep {
        sweep(&format!("ticks at once, {topology}"), bursts, out)?;
    }
    if !results.notices.is_empty() {
        writeln!(out)?;
    }
    results.notices.iter().try_for_each(|notice| writeln!(out, "note: {notice}"))
}

fn sweep(title: &str, of: &BTreeMap<u64, Rate>, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{title:<28} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "p50", "p99", "orders", "conflated", "lost", "dropped"
    )?;
    of.iter().try_for_each(|(key, Rate { p50, p99, load })| {
        let Load { orders, conflated, lost, dropped, .. } = load;
        writeln!(out, "{key:<28} {p50:>10} {p99:>10} {orders:>10} {conflated:>10} {lost:>10} {dropped:>10}")
    })
}

fn wire(results: &Results, out: &mut impl Write) -> io::Result<()> {
    let (Some(echo), Some(wire)) = (&results.echo, &results.wire) else { return Ok(()) };
    head(out, "sockets on loopback")?;
    writeln!(out, "({})", results.wire_layout)?;
    row(out, "bare echo", echo)?;
    row(out, "tick to order written", wire)?;
    for (hop, percentiles) in &results.wire_hops {
        row(out, &format!("  {hop}"), percentiles)?;
    }
    if let Some(ratio) = results.wire_over_echo {
        writeln!(out, "median over the echo's: {ratio:.2}")?;
    }
    for (name, answered) in [("open loop", &results.open_loop), ("closed loop", &results.closed_loop)] {
        let Some(Answered { latency, rate, covered, unanswered }) = answered else { continue };
        row(out, &format!("{name}, {rate}/s"), latency)?;
        writeln!(out, "  {covered} answered by the order of a later one, {unanswered} by none")?;
    }
    Ok(())
}

fn head(out: &mut impl Write, title: &str) -> io::Result<()> {
    writeln!(
        out,
        "\n{title:<28} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "p50", "p90", "p99", "p99.9", "max", "count"
    )
}

fn row(out: &mut impl Write, name: &str, of: &Percentiles) -> io::Result<()> {
    writeln!(
        out,
        "{name:<28} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        of.p50, of.p90, of.p99, of.p999, of.max, of.count
    )
}
