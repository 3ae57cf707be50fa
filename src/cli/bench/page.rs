//! The run as a page: percentile curves, where the time goes, sizes and rates, the host.

use std::collections::BTreeMap;

use crate::bench::{Rate, Results, TO_ORDER, TO_WIRE};
use crate::cli::page::{Chart, Dot, Series, chart, document, escaped, waterfall};
use crate::telemetry::Percentiles;

/// Quantiles of a curve.
const QUANTILES: [f64; 14] =
    [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.999_99];

/// The page.
pub(super) fn render(results: &Results) -> String {
    let mut body = facts(results);
    body += &percentiles(results);
    let without_sockets = |name: &str| name.ends_with(".no_trade") || name.ends_with(".order");
    body += &chart(&curves(results, "Bytes to bytes, by percentile", without_sockets));
    let over_sockets = |name: &str| matches!(name, "echo" | "wire" | "open_loop" | "closed_loop");
    body += &chart(&curves(results, "Over sockets, by percentile", over_sockets));
    body += &waterfall("Where the time goes: medians of the hops", "ns", &hops(results));
    let axes = ["ticks a second, each ending in an order", "nanoseconds from when it was due"];
    body += &chart(&sweeps("Rates up to the knee and beyond", axes, &results.rate_sweeps));
    let axes = ["ticks at once, each ending in an order", "nanoseconds from when it was due"];
    body += &chart(&sweeps("Bursts", axes, &results.burst_sweep));
    body += &chart(&books(results));
    document("latency", &body)
}

fn facts(results: &Results) -> String {
    let host = &results.host;
    let floor = results.floor_ns.map_or("none: one core".to_owned(), |floor| format!("{floor:.0} ns"));
    let ratio = results.wire_over_echo.map(|ratio| ("tick to order over bare echo, medians", format!("{ratio:.2}")));
    let knees =
        results.knee.iter().map(|(topology, knee)| ("sustained without queueing", format!("{knee}/s {topology}")));
    let rows = [
        ("processor", host.cpu.clone()),
        ("cores of this process", format!("{:?}", host.cores)),
        ("virtual machine", if host.is_virtual { "yes" } else { "no" }.to_owned()),
        ("kernel", host.kernel.clone()),
        ("frequency governor", host.governor.clone()),
        ("load at the start", format!("{:.2}", host.load)),
        ("stamps", format!("{}, {} ns apart", host.stamps, results.clock_resolution_ns)),
        ("cache line, core to core", floor),
        ("sockets", if results.wire_layout.is_empty() { "not measured" } else { &results.wire_layout }.to_owned()),
        ("hedgecore", format!("{}, {}", host.version, host.started)),
    ];
    let rows = rows.into_iter().chain(ratio).chain(knees);
    let rows: String =
        rows.map(|(name, value)| format!("<tr><td>{name}</td><td>{}</td></tr>\n", escaped(&value))).collect();
    let notes: String = results.notices.iter().map(|notice| format!("<p>{}</p>\n", escaped(notice))).collect();
    format!("<table>\n{rows}</table>\n{notes}")
}

fn percentiles(results: &Results) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, of: &Percentiles| {
        let Percentiles { count, p50, p90, p99, p999, max } = of;
        let cells = [p50, p90, p99, p999, max, count].map(|cell| format!("<td>{cell}</td>")).concat();
        rows += &format!("<tr><td>{}</td>{cells}</tr>\n", escaped(name));
    };
    for (name, series) in &results.series {
        row(name, &series.percentiles());
    }
    let head = ["p50", "p90", "p99", "p99.9", "max", "count"].map(|name| format!("<th>{name}</th>")).concat();
    format!(
        "<h2>Percentiles, nanoseconds</h2>\n<details open><summary>every series</summary>\n\
         <table>\n<tr><th></th>{head}</tr>\n{rows}</table></details>\n"
    )
}

/// One line a series; to the right the share of samples that are slower, one in so many.
fn curves(results: &Results, title: &str, is_shown: fn(&str) -> bool) -> Chart {
    let curve = |name: &str, of: &hdrhistogram::Histogram<u64>| {
        let known = QUANTILES.iter().filter(|quantile| (1.0 - **quantile) * of.len() as f64 >= 1.0);
        let dot = |quantile: &f64| Dot {
            x: 1.0 / (1.0 - quantile),
            y: of.value_at_quantile(*quantile) as f64,
            label: format!("p{}", 100.0 * quantile),
        };
        Series { name: name.to_owned(), points: known.map(dot).collect() }
    };
    let shown = results.series.iter().filter(|(name, _)| is_shown(name));
    let series = shown.map(|(name, series)| curve(name, series.histogram())).collect();
    Chart { title: title.to_owned(), axes: ["one tick in so many is slower", "nanoseconds"], series }
}

fn hops(results: &Results) -> Vec<(String, Vec<(&'static str, f64)>)> {
    let medians = |names: &'static [&'static str], of: &dyn Fn(&str) -> Option<Percentiles>| {
        names.iter().filter_map(|name| Some((*name, of(name)?.p50 as f64))).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = results
        .compute
        .iter()
        .map(|(topology, compute)| (topology.clone(), medians(TO_ORDER, &|hop| compute.hops.get(hop).copied())))
        .collect();
    if !results.wire_hops.is_empty() {
        rows.push(("over sockets".to_owned(), medians(TO_WIRE, &|hop| results.wire_hops.get(hop).copied())));
    }
    rows
}

/// Two lines a topology.
fn sweeps(title: &str, axes: [&'static str; 2], of: &BTreeMap<String, BTreeMap<u64, Rate>>) -> Chart {
    let line = |topology: &str, name: &str, rates: &BTreeMap<u64, Rate>, latency: fn(&Rate) -> u64| Series {
        name: format!("{topology} {name}"),
        points: rates
            .iter()
            .map(|(key, at)| Dot { x: *key as f64, y: latency(at) as f64, label: key.to_string() })
            .collect(),
    };
    let lines = of.iter().flat_map(|(topology, rates)| {
        [line(topology, "p50", rates, |rate| rate.p50), line(topology, "p99", rates, |rate| rate.p99)]
    });
    Chart { title: title.to_owned(), axes, series: lines.collect() }
}

fn books(results: &Results) -> Chart {
    let dots = results.book_sweep.iter().map(|(held, p50)| Dot {
        x: *held as f64,
        y: *p50 as f64,
        label: format!("{held} options"),
    });
    let series = vec![Series { name: "tick to no trade, median".to_owned(), points: dots.collect() }];
    Chart { title: "Size of the book".to_owned(), axes: ["options held", "nanoseconds"], series }
}
