//! `hedgecore venue` and `hedgecore run` as a desk uses them: two processes, one of which may die.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hedgecore::journal::recovery::Recovery;
use hedgecore::journal::replay::{Topology, replay};
use hedgecore::journal::{Directory, Reader};
use hedgecore::units::ClientOrderId;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hedgecore");
const SECRET: &str = "HEDGECORE_SECRET";

/// A process of ours, ended when it is dropped.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        let mut child = command.args(args).env(SECRET, "swordfish").stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Its output up to the first line that holds this.
    fn until(&mut self, part: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it ended before it said {part:?}");
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Asks it to end, as a person at a terminal does, and reads its last words.
    fn end(mut self) -> serde_json::Value {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let last = self.until("{");
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&last).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports that are free now: one for orders, two neighbours for market data.
fn ports() -> (u16, u16) {
    let orders = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let feeds = (0..100).find_map(|_| {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        UdpSocket::bind(("127.0.0.1", port.checked_add(1)?)).ok().map(|_| port)
    });
    (orders, feeds.unwrap())
}

fn venue(protocol: &str, orders: u16, feed: u16, more: &[&str]) -> Process {
    let (orders, group) = (format!("127.0.0.1:{orders}"), format!("239.111.111.3:{feed}"));
    let mut args = vec!["venue", "--multicast", &group, "--client-id", "hedgecore"];
    match protocol {
        "fix" => args.extend(["--fix", &orders, "--sender", "DERIBITSERVER", "--target", "DESK"]),
        _ => args.extend(["--starbase", &orders]),
    }
    args.extend(more);
    let mut process = Process::start(&args);
    process.until("market data at");
    process
}

/// The example of the repository with this protocol and these ports, and a book of options to hedge.
fn config(name: &str, protocol: &str, armed: bool, orders: u16, feed: u16) -> PathBuf {
    let example = include_str!("../examples/hedgecore.toml");
    let text = example
        .replace("armed = false", &format!("armed = {armed}"))
        .replace("protocol = \"fix\"", &format!("protocol = \"{protocol}\""))
        .replace("127.0.0.1:9881", &format!("127.0.0.1:{orders}"))
        .replace("239.111.111.1:6100", &format!("239.111.111.3:{feed}"))
        .replace("239.111.111.1:6101", &format!("239.111.111.3:{}", feed + 1))
        .replace("opening = \"flat\"", "opening = \"short-every-option\"");
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

/// What is held of futures and perpetuals, by name: what trading changed.
fn futures(report: &serde_json::Value) -> Vec<(String, i64)> {
    let positions = report["positions"].as_object().unwrap();
    let traded = positions.iter().filter(|(name, lots)| !name.ends_with("-C") && !name.ends_with("-P") && **lots != 0);
    traded.map(|(name, lots)| (name.clone(), lots.as_i64().unwrap())).collect()
}

/// Everything but the positions.
fn figures(report: &serde_json::Value) -> String {
    let figures = report.as_object().unwrap().iter().filter(|(name, _)| *name != "positions");
    figures.map(|(name, value)| format!("{name} {value} ")).collect()
}

#[test]
fn two_processes_hedge_over_either_protocol_and_agree_on_positions() {
    for protocol in ["fix", "starbase"] {
        let (orders, feed) = ports();
        let venue = venue(protocol, orders, feed, &[]);
        let path = config(&format!("agree-{protocol}"), protocol, true, orders, feed);
        let mut desk = Process::start(&["run", "--config", path.to_str().unwrap()]);
        desk.until("ARMED");
        thread::sleep(Duration::from_secs(8));
        let (ours, theirs) = (desk.end(), venue.end());
        assert!(ours["orders_sent"].as_u64().unwrap() > 0 && theirs["fills"].as_u64().unwrap() > 0);
        assert_eq!(futures(&ours), futures(&theirs), "{protocol}: {}", figures(&ours));
    }
}

/// Everything in the segments of a directory.
fn bytes_in(directory: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(directory).unwrap();
    files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

/// The orders that a run decided on.
fn orders_of(disk: &Directory, run: u32) -> BTreeSet<ClientOrderId> {
    let (mut reader, mut recovery) = (Reader::open(disk, run).unwrap(), None);
    while let Some((_, record)) = reader.read().unwrap() {
        Recovery::take(&mut recovery, &record).unwrap();
    }
    recovery.unwrap().orders
}

#[test]
fn a_desk_that_is_killed_goes_on_from_its_journal_and_agrees_with_the_venue() {
    for protocol in ["starbase", "fix"] {
        let (orders, feed) = ports();
        let venue = venue(protocol, orders, feed, &[]);
        let path = config(&format!("killed-{protocol}"), protocol, true, orders, feed);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("live-killed-{protocol}"));
        let _ = std::fs::remove_dir_all(&directory);
        let arguments = ["run", "--config", path.to_str().unwrap(), "--journal", directory.to_str().unwrap()];
        let mut desk = Process::start(&arguments);
        desk.until("ARMED");
        thread::sleep(Duration::from_secs(6));
        // Killed, not asked.
        drop(desk);

        let mut desk = Process::start(&arguments);
        desk.until("read its journal back to");
        desk.until("contracts held");
        thread::sleep(Duration::from_secs(5));
        let (ours, theirs) = (desk.end(), venue.end());
        assert_eq!(futures(&ours), futures(&theirs), "{protocol}: {}", figures(&ours));
        assert_eq!(ours["journal"]["run"], 2, "{}", figures(&ours));

        let disk = Directory::open(&directory).unwrap();
        let (first, second) = (orders_of(&disk, 1), orders_of(&disk, 2));
        assert!(!first.is_empty() && !second.is_empty(), "{protocol}: {} and {} orders", first.len(), second.len());
        assert!(first.is_disjoint(&second), "{protocol}: an order id was used twice");
        for run in [1, 2] {
            let replayed = replay(&disk, run, Topology::Fused, &mut |_| {}).unwrap();
            let verified = replayed.is_verified() && replayed.bytes_equal > 0;
            assert!(verified, "{protocol}, run {run}: {:?}", replayed.difference);
        }
        let secret = b"swordfish";
        assert!(!bytes_in(&directory).windows(secret.len()).any(|bytes| bytes == secret), "{protocol}");
    }
}

#[test]
fn a_dry_run_computes_everything_and_connects_to_nobody() {
    let (orders, feed) = ports();
    let venue = venue("fix", orders, feed, &[]);
    let path = config("dry", "fix", false, orders, feed);
    let mut desk = Process::start(&["run", "--config", path.to_str().unwrap()]);
    desk.until("dry run: everything is computed, nothing is sent");
    thread::sleep(Duration::from_secs(6));
    let (ours, theirs) = (desk.end(), venue.end());
    let count = |name: &str| ours[name].as_u64().unwrap();
    assert!(count("withheld") > 0 && count("requests_decided") >= count("withheld"), "{}", figures(&ours));
    assert_eq!((ours["orders_sent"].as_u64(), theirs["order_messages"].as_u64()), (Some(0), Some(0)));
    assert!(futures(&ours).is_empty());
}

#[test]
fn a_venue_that_dies_is_connected_to_again() {
    let (orders, feed) = ports();
    let first = venue("fix", orders, feed, &[]);
    let path = config("reconnect", "fix", true, orders, feed);
    let mut text = std::fs::read_to_string(&path).unwrap();
    text = text.replace("reset = \"first-logon\"", "reset = \"every-logon\"");
    std::fs::write(&path, text).unwrap();
    let mut desk = Process::start(&["run", "--config", path.to_str().unwrap()]);
    desk.until("ARMED");
    thread::sleep(Duration::from_secs(4));
    // Killed, not asked.
    drop(first);
    thread::sleep(Duration::from_secs(3));
    let second = venue("fix", orders, feed, &["--seed", "2"]);
    thread::sleep(Duration::from_secs(8));
    let (ours, theirs) = (desk.end(), second.end());
    assert!(ours["disconnects"].as_u64().unwrap() >= 1, "{}", figures(&ours));
    assert!(theirs["order_messages"].as_u64().unwrap() > 0, "the second venue was traded with");
}

#[test]
fn a_configuration_is_checked_without_running_it() {
    let path = config("check", "fix", true, 1, 2);
    let check = |path: &PathBuf| {
        Command::new(PROGRAM).args(["run", "--check", "--config"]).arg(path).env(SECRET, "swordfish").output().unwrap()
    };
    assert!(check(&path).status.success());
    let text = std::fs::read_to_string(&path).unwrap().replace("heartbeat_s = 5", "heartbeat_s = 0");
    std::fs::write(&path, text).unwrap();
    let refused = check(&path);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains("check.toml:") && said.contains("heartbeat_s: 0 is out of range"), "{said}");
}
