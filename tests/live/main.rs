//! `hedgecore venue` and `hedgecore run` as a desk uses them: two processes, one of which may die.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod protection;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hedgecore::event::{Body, KillCause, KillLevel};
use hedgecore::journal::recovery::{Recovery, recover};
use hedgecore::journal::replay::{Topology, replay};
use hedgecore::journal::{Directory, Reader, Record, runs};
use hedgecore::units::ClientOrderId;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hedgecore");
const SECRET: &str = "HEDGECORE_SECRET";
/// How long what has to happen may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a journal that grows.
const LOOK: Duration = Duration::from_millis(200);
/// A venue whose client brings the book that [`config`] says it holds.
const SHORT: [&str; 2] = ["--opening", "short-every-option"];

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
    fn end(self) -> serde_json::Value {
        let (last, is_well) = self.end_as_it_does();
        assert!(is_well, "{}", figures(&last));
        last
    }

    /// The same, and whether all was well.
    fn end_as_it_does(mut self) -> (serde_json::Value, bool) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let last = self.until("{");
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
        (serde_json::from_str(&last).unwrap(), self.child.wait().unwrap().success())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports that are free now: one for orders, five neighbours for market data.
fn ports() -> (u16, u16) {
    let orders = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let feeds = (0..100).find_map(|_| {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        (1..5).all(|after| UdpSocket::bind(("127.0.0.1", port.saturating_add(after))).is_ok()).then_some(port)
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
    let example = include_str!("../../examples/hedgecore.toml");
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

/// What is held, by name.
fn held(report: &serde_json::Value) -> BTreeMap<String, i64> {
    let positions = report["positions"].as_object().unwrap().iter();
    positions.filter_map(|(name, lots)| Some((name.clone(), lots.as_i64().filter(|lots| *lots != 0)?))).collect()
}

/// Where two reports do not hold the same: ours, theirs.
fn differing(ours: &serde_json::Value, theirs: &serde_json::Value) -> Vec<(String, Option<i64>, Option<i64>)> {
    let (ours, theirs) = (held(ours), held(theirs));
    let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let both = names.into_iter().map(|name| (name.clone(), ours.get(name).copied(), theirs.get(name).copied()));
    both.filter(|(_, ours, theirs)| ours != theirs).collect()
}

/// A directory for a journal that is not there yet.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("live-{name}"));
    let _ = std::fs::remove_dir_all(&directory);
    directory
}

/// What the last run in a journal has come to, once that is what `is_so` asks for.
fn wait_until(directory: &Path, what: &str, is_so: impl Fn(&Recovery) -> bool) -> Recovery {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let last = Directory::open(directory).ok().and_then(|disk| recover(&disk).ok()?.last);
        if let Some(last) = last.filter(&is_so) {
            return last;
        }
        assert!(Instant::now() < deadline, "no run {what}");
        thread::sleep(LOOK);
    }
}

/// Waits until run `run` has been filled this often.
fn wait_for_fills(directory: &Path, run: u32, fills: usize) {
    wait_until(directory, "has traded", |last| last.head.run == run && last.executions.len() >= fills);
}

/// Waits until what `choose` takes of the inputs of the first run begins like this.
fn wait_for_inputs<T: PartialEq + std::fmt::Debug>(
    directory: &Path,
    expected: &[T],
    choose: impl Fn(&Body) -> Option<T>,
) {
    let deadline = Instant::now() + PATIENCE;
    let disk = Directory::open(directory).unwrap();
    loop {
        let (mut reader, mut seen) = (Reader::open(&disk, 1).unwrap(), Vec::new());
        while let Some((_, record)) = reader.read().unwrap() {
            if let Record::Input { event } = record {
                seen.extend(choose(&event.body));
            }
        }
        if seen.starts_with(expected) {
            return;
        }
        assert!(Instant::now() < deadline, "the inputs were {seen:?}, not {expected:?}");
        thread::sleep(LOOK);
    }
}

/// Waits until the order session of the first run has come and gone so often.
fn wait_for_sessions(directory: &Path, expected: &[bool]) {
    wait_for_inputs(directory, expected, |body| if let Body::Session { up } = body { Some(*up) } else { None });
}

/// A run that keeps its journal in `directory`.
fn run<'a>(config: &'a Path, directory: &'a Path) -> [&'a str; 5] {
    ["run", "--config", config.to_str().unwrap(), "--journal", directory.to_str().unwrap()]
}

/// Says in a configuration what a start does where the venue's account is another.
fn decide(config: &Path, policy: &str) {
    let text = std::fs::read_to_string(config).unwrap();
    std::fs::write(config, format!("{text}\n[journal]\ndirectory = \"unused\"\non_difference = \"{policy}\"\n"))
        .unwrap();
}

/// Everything but the positions.
fn figures(report: &serde_json::Value) -> String {
    let figures = report.as_object().unwrap().iter().filter(|(name, _)| *name != "positions");
    figures.map(|(name, value)| format!("{name} {value} ")).collect()
}

/// A venue of these arguments and a desk hedge until they have traded, and end with the same positions; the desk's report.
fn trade_and_agree(
    name: &str,
    protocol: &str,
    arguments: &[&str],
    adjust: impl FnOnce(&Path, u16),
) -> serde_json::Value {
    let (orders, feed) = ports();
    let venue = venue(protocol, orders, feed, arguments);
    let path = config(name, protocol, true, orders, feed);
    adjust(&path, feed);
    let directory = scratch(name);
    let mut desk = Process::start(&run(&path, &directory));
    desk.until("ARMED");
    wait_for_fills(&directory, 1, 2);
    let (ours, theirs) = (desk.end(), venue.end());
    assert!(ours["orders_sent"].as_u64().unwrap() > 0 && theirs["fills"].as_u64().unwrap() > 0);
    assert_eq!(differing(&ours, &theirs), [], "{protocol}: {}", figures(&ours));
    ours
}

#[test]
fn two_processes_hedge_over_either_protocol_and_agree_on_positions() {
    for protocol in ["fix", "starbase"] {
        trade_and_agree(&format!("agree-{protocol}"), protocol, &SHORT, |_, _| {});
    }
}

/// Reads Starbase market data, on both lines, and asks for what is missing.
fn take_starbase(config: &Path, feed: u16) {
    let mut text = std::fs::read_to_string(config).unwrap();
    text = text.replace("protocol = \"classic\"", "protocol = \"starbase\"");
    let service = format!("service = \"127.0.0.1:{}\"\ninterface = \"127.0.0.1\"\n", feed + 4);
    text = text.replace("[market_data.recovery] # starbase\n", &format!("[market_data.recovery]\n{service}"));
    for (port, stream) in [(feed + 2, feed), (feed + 3, feed + 1)] {
        text += &format!("\n[[line]]\naddress = \"239.111.111.3:{port}\"\ninterface = \"127.0.0.1\"\n");
        text += &format!("copy = \"B\"\nstream_port = {stream}\n");
    }
    assert!(text.contains(&service));
    std::fs::write(config, text).unwrap();
}

#[test]
fn two_processes_hedge_on_both_lines_of_starbase_market_data_over_either_protocol() {
    let arguments = [&SHORT[..], &["--feed", "starbase", "--two-lines"]].concat();
    for protocol in ["fix", "starbase"] {
        let ours = trade_and_agree(&format!("starbase-{protocol}"), protocol, &arguments, take_starbase);
        assert_eq!(ours["divergent_copies"], 0, "{}", figures(&ours));
        let of_line = |what: &str, line: &str| ours["lines"][format!("{what} on {line}")].as_u64().unwrap_or_default();
        let heard = |line| of_line("first", line) + of_line("second copies", line);
        assert!(heard("A") > 0 && heard("B") > 0, "{}", figures(&ours));
        // A busy host may let both lines overflow; what is lost then is lost.
        let is_lossless = ours["sockets"]["dropped by the kernel"] == 0;
        assert!(!is_lossless || ours["sequence_gaps"] == 0, "{}", figures(&ours));
    }
}

#[test]
fn what_the_venue_states_otherwise_is_shown_and_halts_a_start_or_is_adopted() {
    let (orders, feed) = ports();
    // It holds nothing of what the desk says it opened with.
    let venue = venue("fix", orders, feed, &[]);
    let path = config("differs", "fix", true, orders, feed);
    let directory = scratch("differs");
    let mut desk = Process::start(&run(&path, &directory));
    desk.until("ARMED");
    wait_for_fills(&directory, 1, 1);
    drop(desk);

    let halted = Command::new(PROGRAM).args(run(&path, &directory)).env(SECRET, "swordfish").output().unwrap();
    let (said, told) = (String::from_utf8(halted.stdout).unwrap(), String::from_utf8(halted.stderr).unwrap());
    let differences = said.lines().filter(|line| line.ends_with("-1 lots by our executions, 0 by the venue's account"));
    assert!(differences.count() > 600, "{said}");
    assert!(told.contains("the policy is to halt; nothing was started"), "{told}");
    assert_eq!(halted.status.code(), Some(1));
    assert_eq!(runs(&Directory::open(&directory).unwrap()).unwrap(), [1], "nothing was started");

    decide(&path, "adopt");
    let mut desk = Process::start(&run(&path, &directory));
    desk.until("-1 lots by our executions, 0 by the venue's account");
    desk.until("contracts held");
    wait_until(&directory, "began", |last| last.head.run == 2 && !last.contracts.is_empty());
    let (ours, theirs) = (desk.end(), venue.end());
    assert_eq!(differing(&ours, &theirs), [], "{}", figures(&ours));
}

/// How long an execution may be told of by one of the two alone.
const WITNESS_PATIENCE: Duration = Duration::from_secs(2);

/// The page of metrics.
fn scrape(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// A desk that hedges by FIX with a drop copy beside it, whose venue may lose its third report of executions, one or several: both
/// reports, and whether all was well with the desk's.
fn trade_with_a_witness(
    name: &str,
    policy: &str,
    loses: bool,
    enough: usize,
) -> (serde_json::Value, serde_json::Value, bool) {
    let (orders, feed) = ports();
    let (copies, _) = ports();
    let address = format!("127.0.0.1:{copies}");
    let mut arguments = [&SHORT[..], &["--drop-copy", &address, "--drop-copy-target", "DESK-COPY"]].concat();
    if loses {
        arguments.extend(["--lose-execution", "2"]);
    }
    let venue = venue("fix", orders, feed, &arguments);
    let path = config(name, "fix", true, orders, feed);
    let text = std::fs::read_to_string(&path).unwrap();
    let of_orders = "client_id = \"hedgecore\"\nsecret_env = \"HEDGECORE_SECRET\"\ntarget = \"DERIBITSERVER\"\n";
    let patience = format!("patience_ms = {}", WITNESS_PATIENCE.as_millis());
    let drop_copy = format!("address = \"{address}\"\nsender = \"DESK-COPY\"\n{patience}\n{of_orders}");
    std::fs::write(&path, format!("{text}\n[drop_copy]\n{drop_copy}on_difference = \"{policy}\"\n")).unwrap();
    let directory = scratch(name);
    let (metrics, _) = ports();
    let metrics = format!("127.0.0.1:{metrics}");
    let mut desk = Process::start(&[&run(&path, &directory)[..], &["--metrics", &metrics]].concat());
    desk.until("ARMED");
    wait_for_fills(&directory, 1, 1);
    if loses && policy == "halt" {
        let kill = |body: &Body| match *body {
            Body::Kill { level, cause, .. } => Some((level, cause)),
            _ => None,
        };
        wait_for_inputs(&directory, &[(KillLevel::Halt, KillCause::DropCopy)], kill);
    } else {
        wait_for_fills(&directory, 1, enough);
        // What only one of the two has told of is judged after its patience.
        thread::sleep(2 * WITNESS_PATIENCE);
        let page = scrape(&metrics);
        let differs = !page.contains("{outcome=\"untold_by_session\"} 0\n");
        assert!(page.contains("hedgecore_drop_copy_up 1\n") && differs == loses, "{page}");
    }
    let (ours, is_well) = desk.end_as_it_does();
    (ours, venue.end(), is_well)
}

#[test]
fn a_drop_copy_that_agrees_is_compared_and_changes_nothing() {
    let (ours, theirs, is_well) = trade_with_a_witness("witness", "halt", false, 4);
    assert!(is_well && ours["drop_copy"]["matched"].as_u64().unwrap() > 0, "{}", figures(&ours));
    assert_eq!(ours["drop_copy"]["differences"], serde_json::json!([]));
    assert_eq!(differing(&ours, &theirs), [], "{}", figures(&ours));
}

#[test]
fn an_execution_that_only_the_drop_copy_shows_halts() {
    let (ours, theirs, is_well) = trade_with_a_witness("witness-halts", "halt", true, 0);
    assert!(!is_well && ours["drop_copy"]["untold_by_session"].as_u64() >= Some(1), "{}", figures(&ours));
    assert_eq!(differing(&ours, &theirs).len(), 1, "the execution that was lost: {}", figures(&ours));
}

#[test]
fn an_execution_that_only_the_drop_copy_shows_is_adopted() {
    let (ours, theirs, is_well) = trade_with_a_witness("witness-adopts", "adopt", true, 6);
    let counted = |name: &str| ours["drop_copy"][name].as_u64().unwrap();
    assert!(counted("untold_by_session") >= 1, "{}", figures(&ours));
    assert_eq!(counted("late"), counted("untold_by_session"), "all of it adopted: {}", figures(&ours));
    assert!(!is_well, "an adopted difference is one");
    assert_eq!(differing(&ours, &theirs), [], "{}", figures(&ours));
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
        let venue = venue(protocol, orders, feed, &SHORT);
        let path = config(&format!("killed-{protocol}"), protocol, true, orders, feed);
        let directory = scratch(&format!("killed-{protocol}"));
        let mut desk = Process::start(&run(&path, &directory));
        desk.until("ARMED");
        wait_for_fills(&directory, 1, 2);
        // Killed, not asked.
        drop(desk);

        if protocol == "starbase" {
            // What the venue does not state is for a person to decide on beforehand.
            let refused = Command::new(PROGRAM).args(run(&path, &directory)).env(SECRET, "swordfish").output().unwrap();
            let said = String::from_utf8(refused.stdout).unwrap();
            assert!(said.contains("difference: no session of this protocol states the account"), "{said}");
            assert_eq!(refused.status.code(), Some(1));
            decide(&path, "adopt");
        }
        let mut desk = Process::start(&run(&path, &directory));
        desk.until("read its journal back to");
        desk.until("contracts held");
        wait_for_fills(&directory, 2, 1);
        let (ours, theirs) = (desk.end(), venue.end());
        assert_eq!(differing(&ours, &theirs), [], "{protocol}: {}", figures(&ours));
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
    let directory = scratch("dry");
    let mut desk = Process::start(&run(&path, &directory));
    desk.until("dry run: everything is computed, nothing is sent");
    wait_until(&directory.join("dry-run"), "decided", |last| last.orders.len() > 1);
    let (ours, theirs) = (desk.end(), venue.end());
    let count = |name: &str| ours[name].as_u64().unwrap();
    assert!(count("withheld") > 0 && count("requests_decided") >= count("withheld"), "{}", figures(&ours));
    assert_eq!((ours["orders_sent"].as_u64(), theirs["order_messages"].as_u64()), (Some(0), Some(0)));
    assert!(held(&ours).values().all(|lots| *lots == -1), "the options that it opened with, and nothing else");
}

#[test]
fn a_venue_that_dies_is_connected_to_again() {
    let (orders, feed) = ports();
    let first = venue("fix", orders, feed, &[]);
    let path = config("reconnect", "fix", true, orders, feed);
    let mut text = std::fs::read_to_string(&path).unwrap();
    text = text.replace("reset = \"first-logon\"", "reset = \"every-logon\"");
    std::fs::write(&path, text).unwrap();
    let directory = scratch("reconnect");
    let mut desk = Process::start(&run(&path, &directory));
    desk.until("ARMED");
    wait_for_fills(&directory, 1, 1);
    // Killed, not asked.
    drop(first);
    wait_for_sessions(&directory, &[true, false]);
    let fills = recover(&Directory::open(&directory).unwrap()).unwrap().last.unwrap().executions.len();
    let second = venue("fix", orders, feed, &["--seed", "2"]);
    wait_for_sessions(&directory, &[true, false, true]);
    wait_for_fills(&directory, 1, fills + 1);
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
