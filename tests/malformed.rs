//! Bad input: files that are no captures end in one clear line and exit code 2; packets that lie are counted and survived.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail and speak as tests do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hedgecore::capture::Capture;
use hedgecore::event::{Body, Event};
use hedgecore::feed::{Feed, FeedConfig, Line, Packet};
use hedgecore::units::{Nanos, Ticks};

/// A file in the temporary directory, gone when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("hedgecore-malformed-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn hedgecore(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hedgecore")).args(arguments).arg(file).output().unwrap()
}

/// A pcap file of one packet of 60 zeros.
fn pcap(link: u32) -> Vec<u8> {
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link, 1, 1, 60, 60];
    header.into_iter().flat_map(u32::to_le_bytes).chain([0; 60]).collect()
}

#[test]
fn a_file_that_cannot_be_read_ends_in_one_clear_line() {
    let cut = pcap(1);
    let cases: [(&str, &[u8], &str); 5] = [
        ("empty", b"", "the file is empty"),
        ("text", b"time,price\n1,2\n", "not a pcap or pcapng capture"),
        ("head", &cut[..20], "the file ends inside its header: it was cut short"),
        ("wifi", &pcap(105), "link type 105 is not supported"),
        ("cut", &cut[..90], "the file ends inside packet 1: it was cut short"),
    ];
    for (name, bytes, reason) in cases {
        let file = Temporary::new(name, bytes);
        for command in [&["inspect"][..], &["replay", "--pcap"]] {
            let output = hedgecore(command, &file.0);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{name}: {stderr}");
            assert!(stderr.contains(reason) && stderr.contains(name), "{name}: {stderr}");
        }
    }
    let output = hedgecore(&["inspect"], Path::new("no/such/capture.pcap"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no/such/capture.pcap: "));
}

#[test]
fn a_summary_that_cannot_be_written_ends_in_one_clear_line() {
    let file = Temporary::new("unwritable", &pcap(1));
    let output = hedgecore(&["inspect", "--json", "/no/such/directory/summary.json"], &file.0);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.contains("/no/such/directory/summary.json"), "{stderr}");
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let file = Temporary::new("pipe", &pcap(1));
    let mut child = Command::new(env!("CARGO_BIN_EXE_hedgecore"))
        .arg("inspect")
        .arg(&file.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    /// Damages a packet: bytes flipped, a length replaced, the end cut off or doubled.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        match self.below(4) {
            0 => bytes.truncate(self.below(bytes.len() + 1)),
            1 => bytes.extend_from_within(self.below(bytes.len())..),
            2 => {
                let at = self.below(bytes.len() - 1);
                let lie = [0, 1, 0x7fff, 0xffff][self.below(4)] as u16;
                bytes[at..at + 2].copy_from_slice(&lie.to_le_bytes());
            }
            _ => {
                for _ in 0..=self.below(8) {
                    let at = self.below(bytes.len());
                    bytes[at] ^= 1 << self.below(8);
                }
            }
        }
    }
}

#[test]
fn real_packets_damaged_in_every_way_are_counted_and_survived() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/deribit_multicast/sample_first42s.pcapng");
    if !Path::new(path).exists() {
        println!("skipped: {path} is absent");
        return;
    }
    let mut packets: Vec<(Nanos, u16, Vec<u8>)> = Vec::new();
    let mut capture = Capture::open(path).unwrap();
    while let Some(datagram) = capture.next_datagram().unwrap() {
        packets.push((datagram.time, datagram.destination.port(), datagram.payload.to_vec()));
    }
    let mut errors_seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut feed = Feed::new(FeedConfig { levels_max: 1 << 15, ..FeedConfig::default() });
        let mut events: Vec<Event> = Vec::new();
        for (time, port, whole) in &packets {
            let mut bytes = whole.clone();
            if random.below(5) == 0 {
                random.damage(&mut bytes);
            }
            feed.step(
                &Packet { time: *time, received: Ticks(0), port: *port, line: Line::A, bytes: &bytes },
                &mut events,
            );
        }
        let counters = feed.counters();
        assert_eq!(counters.packets, packets.len() as u64);
        assert!(counters.decode_errors_total() > 100, "a fifth of the packets was damaged");
        errors_seen.extend((0..counters.decode_errors.len()).filter(|&kind| counters.decode_errors[kind] > 0));
        for event in &events {
            if let Body::Top { bid, ask, bid_lots, ask_lots, .. } = event.body {
                assert!((bid_lots > 0 || bid.0 == 0) && (ask_lots > 0 || ask.0 == 0), "an empty side has no price");
            }
        }
    }
    assert!(errors_seen.len() >= 8, "the damage must be of many kinds, was {errors_seen:?}");
}
