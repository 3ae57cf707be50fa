//! A [`Snapshot`] as a page of metrics in Prometheus' text format, version 0.0.4.
//!
//! In: a snapshot. Out: text. What is exported is one [table](FAMILIES); the page and its documentation, `METRICS.md`, are
//! both made from it. A stage that has shown nothing yet has no samples. Names follow Prometheus' conventions: counters end
//! in `_total`, units are seconds and bytes. Cold: a page is some ten kilobytes.

mod server;
mod table;

use std::fmt::{self, Write};

use super::Percentiles;
use super::live::{DropCopyShown, FeedShown, GatewayShown, GreeksShown, HedgeShown, Recorded, Snapshot, SurfaceShown};

pub use server::{CONNECTIONS_MAX, HEAD_BYTES_MAX, MetricsError, MetricsPort, MetricsServer, PATIENCE};
pub use table::FAMILIES;

/// What the page is served as.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics of one name.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, unit last.
    pub name: &'static str,
    /// What it may do.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
    read: Read,
}

/// What a metric may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rise, until the process starts again.
    Counter,
    /// Go up and down.
    Gauge,
    /// Quantiles, a sum and a count.
    Summary,
}

impl Kind {
    /// As the format has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

/// Which part of a snapshot a family is read from, and how.
#[derive(Clone, Copy, Debug)]
enum Read {
    Whole(fn(&Snapshot, &mut Samples<'_>)),
    Feed(fn(&FeedShown, &mut Samples<'_>)),
    Surface(fn(&SurfaceShown, &mut Samples<'_>)),
    Greeks(fn(&GreeksShown, &mut Samples<'_>)),
    Hedge(fn(&HedgeShown, &mut Samples<'_>)),
    Gateway(fn(&GatewayShown, &mut Samples<'_>)),
    DropCopy(fn(&DropCopyShown, &mut Samples<'_>)),
    Recorded(fn(&Recorded, &mut Samples<'_>)),
}

/// Takes the samples of one family.
#[derive(Debug)]
struct Samples<'a> {
    family: &'a Family,
    page: &'a mut String,
}

impl Samples<'_> {
    /// One sample; a value for each label.
    fn put(&mut self, values: &[&str], value: impl fmt::Display) {
        debug_assert_eq!(values.len(), self.family.labels.len(), "{}", self.family.name);
        self.line("", values, None, value);
    }

    /// Quantiles, sum and count of one set of nanoseconds, in seconds.
    fn summary(&mut self, values: &[&str], nanos: &Percentiles, sum_ns: f64) {
        let quantiles =
            [("0.5", nanos.p50), ("0.9", nanos.p90), ("0.99", nanos.p99), ("0.999", nanos.p999), ("1", nanos.max)];
        for (quantile, value) in quantiles {
            self.line("", values, Some(quantile), seconds(value as f64));
        }
        self.line("_sum", values, None, seconds(sum_ns));
        self.line("_count", values, None, nanos.count);
    }

    fn line(&mut self, suffix: &str, values: &[&str], quantile: Option<&str>, value: impl fmt::Display) {
        let labels = self.family.labels.iter().copied().zip(values.iter().copied());
        let labels = labels.chain(quantile.map(|quantile| ("quantile", quantile)));
        let mut text = String::new();
        for (name, value) in labels {
            let separator = if text.is_empty() { '{' } else { ',' };
            // Writing into a string does not fail.
            let _ = write!(text, "{separator}{name}=\"{}\"", escaped(value));
        }
        if !text.is_empty() {
            text.push('}');
        }
        let _ = writeln!(self.page, "{}{suffix}{text} {value}", self.family.name);
    }
}

/// The page.
pub fn page(snapshot: &Snapshot) -> String {
    let mut page = String::new();
    for family in FAMILIES {
        let _ = writeln!(page, "# HELP {} {}", family.name, family.help);
        let _ = writeln!(page, "# TYPE {} {}", family.name, family.kind.name());
        let samples = &mut Samples { family, page: &mut page };
        match family.read {
            Read::Whole(read) => read(snapshot, samples),
            Read::Feed(read) => snapshot.feed.iter().for_each(|feed| read(feed, samples)),
            Read::Surface(read) => snapshot.surface.iter().for_each(|surface| read(surface, samples)),
            Read::Greeks(read) => snapshot.greeks.iter().for_each(|greeks| read(greeks, samples)),
            Read::Hedge(read) => snapshot.hedge.iter().for_each(|hedge| read(hedge, samples)),
            Read::Gateway(read) => snapshot.gateway.iter().for_each(|gateway| read(gateway, samples)),
            Read::DropCopy(read) => snapshot.drop_copy.iter().for_each(|drop_copy| read(drop_copy, samples)),
            Read::Recorded(read) => snapshot.recorded.iter().for_each(|recorded| read(recorded, samples)),
        }
    }
    page
}

/// The table as documentation: the text of `METRICS.md`.
pub fn documentation() -> String {
    let mut text = "# Metrics\n\nWhat `--metrics HOST:PORT` serves at `/metrics`, in Prometheus' text format. Made from the \
                    table in\n`src/telemetry/metrics/table.rs`; a test compares the two. Counters begin at zero with the \
                    process. Stages show themselves every\ntenth of a second, latencies and accounts every quarter; a \
                    stage that has shown nothing yet has no samples.\n\n| name | type | labels | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            family.name,
            family.kind.name(),
            labels.join(", "),
            family.help.replace('|', "\\|")
        );
    }
    text
}

/// Nanoseconds as seconds.
fn seconds(nanos: f64) -> f64 {
    nanos / 1e9
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::live::{AccountShown, JournalShown};
    use super::*;

    /// Every part is there.
    fn whole() -> Snapshot {
        let mut greeks = GreeksShown { underlyings: 1, ..GreeksShown::default() };
        greeks.exposures[0].name[..3].copy_from_slice(b"BTC");
        greeks.exposures[0].net_delta = -0.25;
        let mut hedge = HedgeShown { underlyings: 1, level: 4, ..HedgeShown::default() };
        hedge.targets[0].name[..3].copy_from_slice(b"BTC");
        hedge.targets[0].half_width = 0.05;
        hedge.refusals[crate::risk::Refusal::Collar as usize] = 7;
        let mut recorded = Recorded::default();
        recorded.hops[0].percentiles = Percentiles { count: 10, p50: 1_500, ..Percentiles::default() };
        let account = AccountShown { name: "BTC".to_owned(), variance_ratio: Some(12.0), ..AccountShown::default() };
        recorded.accounts.push(account);
        recorded.journal = Some(JournalShown::default());
        let mut feed = FeedShown { packets: 42, ..FeedShown::default() };
        feed.lines[0].packets = 42;
        feed.lines[0].heard_ns = 1;
        Snapshot {
            time_ns: 2_000_000_000,
            topology: "split",
            feed: Some(feed),
            surface: Some(SurfaceShown::default()),
            greeks: Some(greeks),
            hedge: Some(hedge),
            gateway: Some(GatewayShown::default()),
            drop_copy: Some(DropCopyShown { is_up: 1, executions: [3, 0, 0, 1, 0, 0, 0, 0] }),
            recorded: Some(recorded),
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_documentation_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/METRICS.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == documentation(), "METRICS.md has to read:\n{}", documentation());
    }

    #[test]
    fn names_follow_the_conventions() {
        let mut seen = BTreeSet::new();
        for family in FAMILIES {
            let name = family.name;
            assert!(seen.insert(name), "{name} stands twice");
            assert!(name.starts_with("hedgecore_"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
            let stem = name.trim_end_matches("_total");
            for unit in ["_ns", "_us", "_ms", "_nanoseconds", "_milliseconds", "_kb", "_percent"] {
                assert!(!stem.ends_with(unit), "{name} is not in a base unit");
            }
            assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{name}");
            assert!(family.labels.iter().all(|label| *label != "quantile"), "{name}");
        }
    }

    #[test]
    fn a_page_holds_every_family_once_and_every_line_parses() {
        let page = page(&whole());
        let mut kinds = BTreeMap::new();
        let mut series = BTreeSet::new();
        let mut current = "";
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(kinds.insert(name, kind).is_none(), "{name} stands twice");
                current = name;
            } else if !line.starts_with("# HELP ") {
                let (id, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                let name = id.split('{').next().unwrap();
                let stem = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count")).unwrap_or(name);
                assert!(name == current || (stem == current && kinds[stem] == "summary"), "{line} under {current}");
                assert!(series.insert(id), "{id} stands twice");
            }
        }
        assert_eq!(kinds.len(), FAMILIES.len());
        for family in FAMILIES {
            assert!(series.iter().any(|id| id.starts_with(family.name)), "{} has no sample", family.name);
        }
    }

    #[test]
    fn samples_are_what_was_shown_in_base_units() {
        let page = page(&whole());
        for line in [
            "hedgecore_feed_packets_total 42",
            "hedgecore_net_delta_coins{underlying=\"BTC\"} -0.25",
            "hedgecore_band_half_width_coins{underlying=\"BTC\"} 0.05",
            "hedgecore_refusals_total{reason=\"collar\"} 7",
            "hedgecore_latency_seconds{hop=\"decode\",quantile=\"0.5\"} 0.0000015",
            "hedgecore_latency_seconds_count{hop=\"decode\"} 10",
            "hedgecore_drop_copy_up 1",
            "hedgecore_drop_copy_executions_total{outcome=\"untold_by_session\"} 1",
            "hedgecore_kill_level{level=\"halt\"} 1",
            "hedgecore_kill_level{level=\"open\"} 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is missing of:\n{page}");
        }
    }

    #[test]
    fn a_stage_that_showed_nothing_has_no_samples() {
        let page = page(&Snapshot::default());
        assert!(!page.lines().any(|line| line.starts_with("hedgecore_feed_packets_total")));
        assert!(page.contains("# TYPE hedgecore_feed_packets_total counter\n"));
    }

    #[test]
    fn label_values_cannot_break_out_of_their_quotes() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
