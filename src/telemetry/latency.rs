//! Latency of each hop of a tick's way, as HdrHistograms.
//!
//! The stamps travel inside events, so recording needs no clock and happens on a cold thread: exposures tell how long
//! decoding and valuing took on every tick; [`Sent`](Body::Sent) tells the whole way of a tick that became an order.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::Serialize;

use super::live::HopShown;
use crate::event::{Body, Event};

/// Longest latency told apart, nanoseconds; longer ones count as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;
/// Significant decimal digits kept.
const DIGITS: u8 = 3;

/// A part of the way from packet to wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Hop {
    /// Packet received → event out of the feed.
    Decode,
    /// → exposure out of the greeks.
    Greeks,
    /// → order approved.
    Decision,
    /// → order encoded.
    Encode,
    /// → bytes taken by the kernel.
    Write,
    /// Packet received → bytes taken by the kernel.
    EndToEnd,
}

impl Hop {
    /// Every hop, in the order of the way.
    pub const ALL: [Self; 6] = [Self::Decode, Self::Greeks, Self::Decision, Self::Encode, Self::Write, Self::EndToEnd];

    /// The name used in reports and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Greeks => "greeks",
            Self::Decision => "decision",
            Self::Encode => "encode",
            Self::Write => "write",
            Self::EndToEnd => "end_to_end",
        }
    }
}

/// Percentiles of one hop, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Samples.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest.
    pub max: u64,
}

impl Percentiles {
    /// Those of a histogram.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

/// One histogram a hop. Cold: recording may grow nothing, but files and tables allocate.
#[derive(Debug)]
pub struct Latencies {
    histograms: [Histogram<u64>; Hop::ALL.len()],
    /// Of those ticks alone that became orders, what every tick goes through.
    ordered: [Histogram<u64>; 2],
    nanos_per_tick: f64,
}

impl Latencies {
    /// Empty histograms for stamps of a counter with this rate.
    pub fn new(nanos_per_tick: f64) -> Self {
        let empty =
            || Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).expect("the bounds are constant and valid");
        Self { histograms: std::array::from_fn(|_| empty()), ordered: [empty(), empty()], nanos_per_tick }
    }

    /// Records what an event's stamps tell. An event that no packet caused has none.
    pub fn record(&mut self, event: &Event) {
        let trail = event.trail;
        if trail.received.0 == 0 {
            return;
        }
        match event.body {
            Body::Exposure { .. } => {
                self.hop(Hop::Decode, 0, trail.decoded);
                self.hop(Hop::Greeks, trail.decoded, trail.valued);
            }
            Body::Sent { decided, encoded, written, .. } => {
                self.hop(Hop::Decision, trail.valued, decided);
                self.hop(Hop::Encode, decided, encoded);
                self.hop(Hop::Write, encoded, written);
                self.hop(Hop::EndToEnd, 0, written);
                let steps = [trail.decoded, trail.valued.saturating_sub(trail.decoded)];
                for (histogram, steps) in self.ordered.iter_mut().zip(steps) {
                    histogram.saturating_record((f64::from(steps) * self.nanos_per_tick) as u64);
                }
            }
            _ => {}
        }
    }

    fn hop(&mut self, hop: Hop, from: u32, to: u32) {
        let nanos = f64::from(to.saturating_sub(from)) * self.nanos_per_tick;
        self.histograms[hop as usize].saturating_record(nanos as u64);
    }

    /// Percentiles of one hop.
    pub fn percentiles(&self, hop: Hop) -> Percentiles {
        Percentiles::of(&self.histograms[hop as usize])
    }

    /// One hop.
    pub fn of(&self, hop: Hop) -> &Histogram<u64> {
        &self.histograms[hop as usize]
    }

    /// One hop of the ticks that became orders.
    pub fn of_orders(&self, hop: Hop) -> &Histogram<u64> {
        self.ordered.get(hop as usize).unwrap_or(&self.histograms[hop as usize])
    }

    /// Percentiles and sum of one hop.
    pub fn shown(&self, hop: Hop) -> HopShown {
        let histogram = &self.histograms[hop as usize];
        HopShown { percentiles: Percentiles::of(histogram), sum_ns: histogram.mean() * histogram.len() as f64 }
    }

    /// Writes `latency.hlog` and one `.hgrm` a hop into `directory`, as HdrHistogram's own tools read them.
    pub fn write_files(&self, directory: &Path, started: SystemTime, lasted: Duration) -> io::Result<()> {
        write_histograms(&self.named(), directory, started, lasted)
    }

    fn named(&self) -> [(&'static str, &Histogram<u64>); Hop::ALL.len()] {
        Hop::ALL.map(|hop| (hop.name(), &self.histograms[hop as usize]))
    }
}

/// Writes `latency.hlog`, a tag a histogram, and one `.hgrm` each into `directory`, as HdrHistogram's own tools read them.
/// Names are used as files' names and as tags: letters, digits, `.` and `_`.
pub fn write_histograms(
    named: &[(&str, &Histogram<u64>)],
    directory: &Path,
    started: SystemTime,
    lasted: Duration,
) -> io::Result<()> {
    let mut log = io::BufWriter::new(File::create(directory.join("latency.hlog"))?);
    write_hlog(named, &mut log, started, lasted)?;
    log.flush()?;
    for (name, histogram) in named {
        let mut file = io::BufWriter::new(File::create(directory.join(format!("{name}.hgrm")))?);
        write_hgrm(histogram, &mut file)?;
        file.flush()?;
    }
    Ok(())
}

fn write_hlog(
    named: &[(&str, &Histogram<u64>)],
    out: &mut impl Write,
    started: SystemTime,
    lasted: Duration,
) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("hedgecore latency, nanoseconds, one tag a histogram")
        .with_start_time(started)
        .begin_log_with(out, &mut serializer)?;
    for (name, histogram) in named {
        // The writer's own error cannot be shown in any other way.
        writer
            .write_histogram(histogram, Duration::ZERO, lasted, Tag::new(name))
            .map_err(|error| io::Error::other(format!("{error:?}")))?;
    }
    Ok(())
}

/// Percentile distribution in HdrHistogram's text form.
fn write_hgrm(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    for step in histogram.iter_quantiles(5) {
        let (value, quantile) = (step.value_iterated_to(), step.quantile_iterated_to());
        let seen = histogram.count_between(0, value);
        if quantile < 1.0 {
            writeln!(out, "{value:>12} {quantile:>14.12} {seen:>10} {:>14.2}", 1.0 / (1.0 - quantile))?;
        } else {
            writeln!(out, "{value:>12} {quantile:>14.12} {seen:>10}")?;
        }
    }
    writeln!(out, "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]", histogram.mean(), histogram.stdev())?;
    writeln!(out, "#[Max     = {:>12.3}, Total count    = {:>12}]", histogram.max() as f64, histogram.len())?;
    let half = 10_u64.pow(u32::from(DIGITS)).next_power_of_two();
    let buckets = u64::BITS - (LATENCY_NS_MAX / (2 * half)).leading_zeros() + 1;
    writeln!(out, "#[Buckets = {buckets:>12}, SubBuckets     = {:>12}]", 2 * half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Trail;
    use crate::units::{ClientOrderId, Nanos, Ticks};
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn sent(received: u64, steps: [u32; 5]) -> Event {
        let [decoded, valued, decided, encoded, written] = steps;
        Event {
            trail: Trail { received: Ticks(received), decoded, valued },
            time: Nanos(0),
            body: Body::Sent { order: ClientOrderId(1), decided, encoded, written },
        }
    }

    #[test]
    fn each_hop_is_the_difference_of_its_stamps_at_the_counters_rate() {
        let mut latencies = Latencies::new(0.5);
        latencies.record(&sent(7, [100, 300, 600, 1_000, 2_000]));
        let p50 = |hop| latencies.percentiles(hop).p50;
        let [decode, greeks] = [Hop::Decode, Hop::Greeks].map(|hop| latencies.of_orders(hop).max());
        assert_eq!((decode, greeks, p50(Hop::Greeks)), (50, 100, 0), "no exposure was recorded, an order was");
        assert_eq!([p50(Hop::Decision), p50(Hop::Encode), p50(Hop::Write), p50(Hop::EndToEnd)], [150, 200, 500, 1_000]);
    }

    #[test]
    fn events_without_a_packet_are_not_measured() {
        let mut latencies = Latencies::new(1.0);
        latencies.record(&sent(0, [1, 2, 3, 4, 5]));
        assert_eq!(latencies.percentiles(Hop::EndToEnd).count, 0);
    }

    #[test]
    fn the_log_reads_back_as_it_was_written() {
        let mut latencies = Latencies::new(1.0);
        for step in 1..=1_000 {
            latencies.record(&sent(1, [step, 2 * step, 3 * step, 4 * step, 5 * step]));
        }
        let mut log = Vec::new();
        write_hlog(&latencies.named(), &mut log, SystemTime::now(), Duration::from_secs(1)).unwrap();
        let tags: Vec<String> = IntervalLogIterator::new(&log)
            .filter_map(|entry| match entry.unwrap() {
                LogEntry::Interval(interval) => {
                    Some((interval.tag().unwrap().as_str().to_owned(), interval.encoded_histogram().to_owned()))
                }
                _ => None,
            })
            .map(|(tag, encoded)| {
                let bytes = base64_decode(&encoded);
                let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                assert_eq!(
                    histogram.len(),
                    if matches!(tag.as_str(), "decode" | "greeks") { 0 } else { 1_000 },
                    "{tag}"
                );
                tag
            })
            .collect();
        assert_eq!(tags, Hop::ALL.map(|hop| hop.name().to_owned()));
    }

    #[test]
    fn the_percentile_file_ends_at_the_maximum_with_every_sample() {
        let mut histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).unwrap();
        (1..=100).for_each(|value| histogram.record(value).unwrap());
        let mut text = Vec::new();
        write_hgrm(&histogram, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
        assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["100", "1.000000000000", "100"]);
        assert!(text.contains("Total count    =          100]"));
    }

    fn base64_decode(text: &str) -> Vec<u8> {
        let value = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let mut bytes = Vec::new();
        for quad in text.trim_end_matches('=').as_bytes().chunks(4) {
            let word = quad.iter().fold(0_u32, |word, &c| word << 6 | u32::from(value(c))) << (6 * (4 - quad.len()));
            bytes.extend_from_slice(&word.to_be_bytes()[1..quad.len()]);
        }
        bytes
    }
}
