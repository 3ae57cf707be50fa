//! Recorded runs of the demo, replayed in either topology, whole and tampered with.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hedgecore::journal::recovery::recover;
use hedgecore::journal::replay::{Replayed, Topology, replay};
use hedgecore::journal::{Decision, Directory, End, Head, Reader, Record, SessionCall, Writer, WriterConfig};
use hedgecore::order::Request;
use serde_json::Value;

/// A fresh directory for one test.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("journal-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Hot threads spin, so that programs side by side would starve each other on a small machine: they run in turn.
static IN_TURN: Mutex<()> = Mutex::new(());
/// Runs until one has traded, on a machine that is busy with other things.
const ATTEMPTS: u32 = 4;

fn hedgecore(arguments: &[&str]) -> Output {
    let _turn = IN_TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_hedgecore")).args(arguments).output().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A run of the demo that sent at least two orders, recorded in `topology` with orders by `protocol`: its output directory.
fn demo(topology: &str, protocol: &str) -> PathBuf {
    let name = format!("{topology}-{protocol}");
    for seconds in (2..).step_by(2).take(ATTEMPTS as usize) {
        let (directory, seconds) = (scratch(&name), seconds.to_string());
        let out = directory.to_str().unwrap();
        let how = ["--topology", topology, "--orders", protocol];
        let run = hedgecore(&[&["demo", "--seconds", &seconds, "--out", out], &how[..]].concat());
        assert!(directory.join("report.json").exists(), "{}", String::from_utf8_lossy(&run.stderr));
        if json(&directory.join("report.json"))["orders"].as_u64() > Some(1) {
            return directory;
        }
    }
    panic!("nothing was hedged in {ATTEMPTS} runs");
}

/// A run of the demo, recorded once for all tests: its output directory.
fn recorded() -> &'static Path {
    static RECORDED: OnceLock<PathBuf> = OnceLock::new();
    RECORDED.get_or_init(|| demo("fused", "starbase"))
}

fn replayed(journal: &Path, topology: Topology) -> Replayed {
    replay(&Directory::open(journal).unwrap(), 1, topology, &mut |_| {}).unwrap()
}

/// A copy of the recorded run in which `change` had its way with every record.
fn tampered(name: &str, mut change: impl FnMut(&mut Record)) -> PathBuf {
    let disk = Directory::open(&recorded().join("journal")).unwrap();
    let mut reader = Reader::open(&disk, 1).unwrap();
    let path = scratch(name);
    let mut writer = None;
    while let Some((_, mut record)) = reader.read().unwrap() {
        match record {
            Record::Head { .. } => {}
            Record::Settings { json } => {
                let head = Head::of_this_process(1, 1, &json);
                let copy = Directory::create(&path).unwrap();
                writer = Some(Writer::begin(copy, WriterConfig::default(), head, &json).unwrap());
            }
            _ => {
                change(&mut record);
                writer.as_mut().unwrap().append(&record);
            }
        }
    }
    // The copy of `Closed` stands before it.
    assert_eq!(reader.end(), Some(End::Closed));
    writer.unwrap().turn(hedgecore::units::Nanos(u64::MAX));
    path
}

#[test]
fn a_journal_of_any_topology_and_protocol_replays_in_both_to_the_digest_of_the_demo() {
    let others = [("split", "starbase"), ("solo", "starbase"), ("fused", "fix"), ("split", "fix"), ("solo", "fix")];
    let others = others.map(|(topology, protocol)| demo(topology, protocol));
    for directory in others.iter().map(PathBuf::as_path).chain([recorded()]) {
        let report = json(&directory.join("report.json"));
        for topology in ["fused", "split"] {
            let file = directory.join(format!("replay-{topology}.json"));
            let journal = directory.join("journal");
            let (journal, json_file) = (journal.to_str().unwrap(), file.to_str().unwrap());
            let run = hedgecore(&["replay", "--journal", journal, "--topology", topology, "--json", json_file]);
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
            let replay = json(&file);
            assert_eq!(replay["digest"], report["digest"], "{} as {topology}", directory.display());
            assert!(replay["verified"] == true && replay["bytes_equal"].as_u64() > Some(0), "{replay}");
            assert_eq!(replay["unrecorded"], 0, "a journal that was closed holds everything");
        }
    }
}

#[test]
fn one_flipped_price_is_found_in_both_topologies_and_named() {
    let mut changed = 0;
    let journal = tampered("price", |record| {
        if let Record::Decision { decision: Decision::Send { request: Request::New { price, .. } } } = record {
            changed += 1;
            if changed == 2 {
                price.0 += 1;
            }
        }
    });
    assert!(changed >= 2, "only {changed} orders were recorded");
    for topology in [Topology::Fused, Topology::Split] {
        let difference = replayed(&journal, topology).difference.unwrap();
        assert_eq!(difference.stream, "what the hedge decided");
        assert!(!difference.context.is_empty() && difference.recorded != difference.replayed, "{difference}");
    }
    let run = hedgecore(&["replay", "--journal", journal.to_str().unwrap()]);
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stdout).contains("first difference: what the hedge decided at frame"));
}

#[test]
fn one_flipped_bit_of_an_order_on_the_wire_is_found() {
    let mut changed = false;
    let journal = tampered("wire", |record| {
        if let Record::Session { call: SessionCall::Written { bytes, .. } } = record
            && bytes.len() > 80
            && !changed
        {
            changed = true;
            bytes[79] ^= 1;
        }
    });
    assert!(changed);
    for topology in [Topology::Fused, Topology::Split] {
        assert_eq!(replayed(&journal, topology).difference.unwrap().stream, "bytes to the venue");
    }
}

#[test]
fn an_input_that_never_was_shows_in_what_follows() {
    let mut inputs = 0;
    let journal = tampered("input", |record| {
        if let Record::Input { event } = record
            && let hedgecore::event::Body::Index { price, .. } = &mut event.body
        {
            inputs += 1;
            if inputs == 5 {
                price.0 += price.0 / 10;
            }
        }
    });
    assert!(inputs >= 5);
    for topology in [Topology::Fused, Topology::Split] {
        assert!(replayed(&journal, topology).difference.is_some());
    }
}

#[test]
fn the_secret_of_the_session_is_nowhere_in_the_journal() {
    for entry in std::fs::read_dir(recorded().join("journal")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(13).any(|window| window == b"loopback-only"));
    }
}

/// A demo that may write no more than `bytes` of a file once its journal is begun; `None` where that cannot be arranged.
fn demo_on_a_full_disk(out: &Path, bytes: u64) -> Option<Output> {
    let _turn = IN_TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // A write beyond the limit is to fail, and not to end the process.
    let started = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_hedgecore")])
        .args(["demo", "--seconds", "8", "--risk-aversion", "1", "--out"])
        .arg(out)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.ok()?;
    let began = Instant::now();
    while !out.join("journal/000001-000000.journal").exists() && began.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(20));
    }
    let limited = Command::new("prlimit").args([format!("--pid={}", child.id()), format!("--fsize={bytes}")]).status();
    if !limited.is_ok_and(|status| status.success()) {
        child.kill().unwrap();
        child.wait().unwrap();
        return None;
    }
    Some(child.wait_with_output().unwrap())
}

#[test]
fn a_journal_that_cannot_be_written_halts_the_desk_and_the_run_says_so() {
    let directory = scratch("full");
    let Some(run) = demo_on_a_full_disk(&directory, 1 << 18) else {
        println!("skipped: it takes prlimit");
        return;
    };
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{told}");
    assert!(told.contains("trading was stopped: halt (journal, by -)"), "{told}");
    assert!(told.contains("the journal cannot write to 000001-000000.journal"), "{told}");
    let printed = String::from_utf8(run.stdout).unwrap();
    assert!(printed.contains("stopped at the end: halt (journal, by -)") && printed.contains("FAILED"), "{printed}");
    // What was written before is whole, and what a start would go on from.
    let recovered = recover(&Directory::open(&directory.join("journal")).unwrap()).unwrap();
    let last = recovered.last.unwrap();
    assert!(!last.closed && matches!(recovered.end, End::Open | End::Torn), "{}", recovered.end);
    assert!(!last.contracts.is_empty());
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_before_anything_starts() {
    let directory = scratch("unwritable");
    std::fs::write(directory.join("journal"), "a file where the journal would go").unwrap();
    let run = hedgecore(&["demo", "--seconds", "60", "--out", directory.to_str().unwrap()]);
    assert_eq!(run.status.code(), Some(2), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(String::from_utf8_lossy(&run.stderr).contains("journal"), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn before_send_replays_like_any_other_and_a_table_holds_every_record() {
    let directory = scratch("before-send");
    let path = directory.to_str().unwrap();
    hedgecore(&["demo", "--seconds", "1", "--durability", "before-send", "--out", path]);
    let journal = directory.join("journal");
    let replayed = replayed(&journal, Topology::Fused);
    assert!(replayed.is_verified() && replayed.bytes_equal > 0, "{:?}", replayed.difference);

    let table = directory.join("journal.csv");
    let run = hedgecore(&["inspect", journal.to_str().unwrap(), "--table", table.to_str().unwrap()]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let rows = std::fs::read_to_string(&table).unwrap();
    assert!(rows.starts_with("sequence,segment,offset_bytes,kind,time_ns,event,underlying,instrument,symbol,order,"));
    assert_eq!(rows.lines().count() as u64, 1 + replayed.place.sequence);
    if !cfg!(feature = "parquet") {
        let refused = hedgecore(&["inspect", journal.to_str().unwrap(), "--table", "journal.parquet"]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("build it with --features parquet"));
    }
    let printed = hedgecore(&["inspect", journal.to_str().unwrap(), "--filter", "decision", "--limit", "3"]);
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.lines().count() == 4 && printed.contains("closed in order"), "{printed}");
}
