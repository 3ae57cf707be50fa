//! The program as a user meets it: what it prints, what it writes, and how it ends.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests fail and speak as tests do")]

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use hedgecore::sim::venue::{Channel, Endpoints, Venue, VenueConfig, VenueServer};
use hedgecore::units::Nanos;
use serde_json::Value;

/// Link types of captures.
const RAW_IPV4: u32 = 101;
const WIRELESS: u32 = 105;

/// Hot threads spin, so that programs side by side would starve each other on a small machine: they run in turn.
static IN_TURN: Mutex<()> = Mutex::new(());

fn hedgecore(arguments: &[&str]) -> Output {
    let _turn = IN_TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_hedgecore")).args(arguments).output().unwrap()
}

/// Runs what must end well; gives what it printed.
fn run(arguments: &[&str]) -> String {
    let output = hedgecore(arguments);
    let (printed, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && told.is_empty(), "{arguments:?}: {told}\n{printed}");
    printed
}

/// Runs what cannot be carried out; gives the one line that says why.
fn refused(arguments: &[&str]) -> String {
    let output = hedgecore(arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
    assert_eq!(told.lines().count(), 1, "{arguments:?}: {told}");
    let line = told.strip_prefix("hedgecore: ").unwrap_or_else(|| panic!("{arguments:?}: {told}"));
    assert!(!line.contains("panicked"), "{line}");
    line.trim_end().to_owned()
}

/// An empty directory for one test.
fn directory(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(test);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A file of the venue's real feed, or `None` with a notice.
fn shared(name: &str) -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/deribit_multicast");
    let path = Path::new(root).join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

/// A capture file, as tcpdump writes it.
struct Pcap {
    bytes: Vec<u8>,
}

impl Pcap {
    fn new(link_type: u32) -> Self {
        let header: [u32; 6] = [0xA1B2_3C4D, 2 | 4 << 16, 0, 0, 65_535, link_type];
        Self { bytes: header.iter().flat_map(|word| word.to_le_bytes()).collect() }
    }

    /// Adds a UDP datagram in a bare IPv4 packet.
    fn datagram(&mut self, time: Nanos, port: u16, payload: &[u8]) {
        let udp_bytes = 8 + payload.len() as u16;
        let packet_bytes = 20 + udp_bytes;
        let (seconds, nanos) = (time.0 / Nanos::PER_SECOND, time.0 % Nanos::PER_SECOND);
        for word in [seconds as u32, nanos as u32, u32::from(packet_bytes), u32::from(packet_bytes)] {
            self.bytes.extend(word.to_le_bytes());
        }
        let [length_high, length_low] = packet_bytes.to_be_bytes();
        self.bytes.extend([0x45, 0, length_high, length_low, 0, 0, 0, 0, 64, 17, 0, 0]);
        self.bytes.extend([127, 0, 0, 1, 239, 111, 111, 1]);
        for word in [40_000, port, udp_bytes, 0] {
            self.bytes.extend(word.to_be_bytes());
        }
        self.bytes.extend(payload);
    }
}

/// A few seconds of the embedded venue's market data.
fn market(seconds: u64) -> Pcap {
    let mut venue = Venue::new(VenueConfig::default()).unwrap();
    let (start, mut pcap) = (venue.start_time(), Pcap::new(RAW_IPV4));
    for millis in 0..seconds * 1_000 {
        let now = Nanos(start.0 + millis * Nanos::PER_MILLI);
        venue.advance(now, &mut |channel, bytes| {
            let port = if channel == Channel::Incremental { 6_100 } else { 6_200 };
            pcap.datagram(now, port, bytes);
        });
    }
    pcap
}

/// The figures that every measuring command writes.
const FIGURES: [&str; 17] = [
    "packets",
    "bytes",
    "messages",
    "trades",
    "instruments",
    "options",
    "sequence_gaps",
    "chain_breaks",
    "snapshots_compared",
    "snapshots_equal",
    "decode_errors",
    "orders",
    "fills",
    "net_delta",
    "hot_allocations",
    "digest",
    "latency_ns",
];

/// Holds a report against what its readers rely on.
fn assert_report_is_whole(report: &Value) {
    for key in FIGURES {
        assert!(report.get(key).is_some(), "no {key}");
    }
    for (name, delta) in report["net_delta"].as_object().unwrap() {
        for key in ["before", "after", "band"] {
            assert!(delta[key].is_number(), "{name} {key}");
        }
    }
    for (hop, latency) in report["latency_ns"].as_object().unwrap() {
        for key in ["count", "p50", "p90", "p99", "p999", "max"] {
            assert!(latency[key].is_u64(), "{hop} {key}");
        }
    }
    assert_eq!(report["digest"].as_str().unwrap().len(), 64);
    for key in ["hot_allocations", "decode_errors", "sequence_gaps", "chain_breaks"] {
        assert_eq!(report[key], 0, "{key}");
    }
    assert_eq!(report["snapshots_compared"], report["snapshots_equal"]);
}

/// Everything in a report that must be the same in every replay.
fn without_times(mut report: Value) -> Value {
    let fields = report.as_object_mut().unwrap();
    fields.remove("latency_ns").unwrap();
    report
}

fn assert_histograms_lie_in(directory: &Path) {
    for kind in ["hgrm", "hlog"] {
        let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let of_kind: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|ext| ext == kind)).collect();
        assert!(!of_kind.is_empty(), "no .{kind}");
        assert!(of_kind.iter().all(|path| fs::metadata(path).unwrap().len() > 0), "{of_kind:?}");
    }
}

#[test]
fn the_demo_hedges_over_sockets_in_either_topology() {
    let directory = directory("demo");
    for topology in ["fused", "split"] {
        let (figures, out) = (directory.join(topology).with_extension("json"), directory.join(topology));
        let arguments =
            ["demo", "--seconds", "3", "--topology", topology, "--json", text(&figures), "--out", text(&out)];
        let printed = run(&arguments);
        assert!(printed.contains("positions equal the venue's"), "{printed}");
        let report = json(&figures);
        assert_report_is_whole(&report);
        for key in ["hedged_variance_ratio", "cores"] {
            assert!(report.get(key).is_some(), "no {key}");
        }
        assert_eq!(
            (&report["topology"], &report["positions_reconciled"]),
            (&Value::from(topology), &Value::from(true))
        );
        for key in ["orders", "fills", "snapshots_compared"] {
            assert!(report[key].as_u64().unwrap() > 0, "{key}");
        }
        for (name, delta) in report["net_delta"].as_object().unwrap() {
            let of = |key: &str| delta[key].as_f64().unwrap();
            assert!(of("after").abs() <= of("band") && of("before").abs() > of("band"), "{name} {delta}");
        }
        assert_histograms_lie_in(&out);
        assert_eq!(json(&out.join("report.json")), report);
    }
}

#[test]
fn a_replay_hedges_what_the_embedded_venue_published_and_repeats_itself() {
    let directory = directory("replay");
    let capture = directory.join("venue.pcap");
    fs::write(&capture, market(4).bytes).unwrap();
    let reports = ["first", "second"].map(|name| {
        let (figures, out) = (directory.join(name).with_extension("json"), directory.join(name));
        run(&["replay", "--pcap", text(&capture), "--json", text(&figures), "--out", text(&out)]);
        assert_histograms_lie_in(&out);
        json(&figures)
    });
    for report in &reports {
        assert_report_is_whole(report);
        for key in ["orders", "fills", "snapshots_compared", "trades"] {
            assert!(report[key].as_u64().unwrap() > 0, "{key}");
        }
        assert_eq!(report["net_delta"].as_object().unwrap().len(), 2);
    }
    let [first, second] = reports.map(without_times);
    assert_eq!(first, second);

    let positions = directory.join("positions.csv");
    fs::write(&positions, "instrument,quantity\nBTC-PERPETUAL,-100000\n").unwrap();
    let figures = directory.join("perpetual.json");
    run(&["replay", "--pcap", text(&capture), "--positions", text(&positions), "--json", text(&figures)]);
    let hedged = json(&figures);
    assert!(hedged["orders"].as_u64().unwrap() > 0);
    let delta = |key: &str| hedged["net_delta"]["BTC_USD"][key].as_f64().unwrap();
    assert!(delta("before") < -0.1 && delta("after").abs() < 0.01, "{}", hedged["net_delta"]);
    assert_ne!(hedged["digest"], first["digest"]);
}

#[test]
fn a_real_session_replays_whole_and_the_same_each_time() {
    let Some(capture) = shared("sample_first42s.pcapng") else { return };
    let directory = directory("real");
    let reports = ["first.json", "second.json"].map(|name| {
        let figures = directory.join(name);
        run(&["replay", "--pcap", text(&capture), "--json", text(&figures)]);
        json(&figures)
    });
    for report in &reports {
        assert_report_is_whole(report);
        let counts = [
            ("instrument", 84),
            ("instrument_v2", 84),
            ("snapshot", 84),
            ("book", 137),
            ("trades", 36),
            ("ticker", 1_837),
            ("price_index", 231),
        ];
        for (name, count) in counts {
            assert_eq!(report["messages"][name], count, "{name}");
        }
        let figures = ["instruments", "options", "trades"].map(|key| report[key].as_u64().unwrap());
        assert_eq!(figures, [84, 76, 45]);
        assert!(report["orders"].as_u64().unwrap() > 0 && report["fills"].as_u64().unwrap() > 0);
    }
    let [first, second] = reports.map(without_times);
    assert_eq!(first, second);

    let (positions, figures) = (directory.join("positions.csv"), directory.join("positions.json"));
    fs::write(&positions, "instrument,quantity\nBTC-16JUN23-25800-C,-2.5\nBTC-PERPETUAL,20000\n").unwrap();
    run(&["replay", "--pcap", text(&capture), "--positions", text(&positions), "--json", text(&figures)]);
    assert_ne!(json(&figures)["digest"], first["digest"]);
}

#[test]
fn captures_that_cannot_be_read_are_refused_in_one_line() {
    let directory = directory("captures");
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let whole = market(1).bytes;
    let cases = [
        (directory.join("missing.pcap"), "No such file"),
        (file("empty.pcap", b""), "the file is empty"),
        (file("notes.txt", b"instrument,quantity\nBTC-PERPETUAL,10\n"), "not a pcap or pcapng capture"),
        (file("cut.pcap", &whole[..whole.len() / 2 + 1]), "it was cut short"),
        (file("header.pcap", &whole[..13]), "it was cut short"),
        (file("wireless.pcap", &wireless()), "link type 105 is not supported"),
        (directory.clone(), "directory"),
    ];
    for (path, what) in cases {
        for arguments in [["replay", "--pcap", text(&path)].as_slice(), &["inspect", text(&path)]] {
            let line = refused(arguments);
            assert!(line.contains(text(&path)) && line.contains(what), "{arguments:?}: {line}");
        }
    }
    let hollow = file("hollow.pcap", &Pcap::new(RAW_IPV4).bytes);
    assert!(refused(&["replay", "--pcap", text(&hollow)]).contains("no UDP datagram"));
}

fn wireless() -> Vec<u8> {
    let mut pcap = Pcap::new(WIRELESS);
    pcap.datagram(Nanos::from_secs(1), 1, b"beacon");
    pcap.bytes
}

#[test]
fn positions_that_make_no_sense_are_refused_in_one_line() {
    let directory = directory("positions");
    let (capture, positions) = (directory.join("venue.pcap"), directory.join("positions.csv"));
    fs::write(&capture, market(1).bytes).unwrap();
    let cases: [(&[u8], &str); 9] = [
        (
            b"instrument,quantity\nBTC-PERPETUAL,10\nDOGE-PERPETUAL,1\n",
            "line 3: no instrument \"DOGE-PERPETUAL\" is listed",
        ),
        (b"instrument,quantity\nBTC-PERPETUAL,ten\n", "line 2: \"ten\" is not an amount"),
        (b"instrument,quantity\nBTC-PERPETUAL,inf\n", "line 2: \"inf\" is not an amount"),
        (b"instrument,quantity\nBTC-PERPETUAL,11\n", "line 2: 11 is not a whole number of lots of 10"),
        (b"instrument,quantity\nBTC-PERPETUAL,10\nBTC-PERPETUAL,10\n", "line 3: \"BTC-PERPETUAL\" is given twice"),
        (b"instrument,quantity\nBTC-PERPETUAL,10,20\n", "line 2: 3 field(s) where the header has 2"),
        (b"BTC-PERPETUAL,10\n", "line 1: the header has no `instrument`; it must be instrument,quantity"),
        (b"", "line 1: the header has no `instrument`; it must be instrument,quantity"),
        (b"instrument,quantity\n\xFF\xFE,1\n", "line 2: not UTF-8 text"),
    ];
    for (content, what) in cases {
        fs::write(&positions, content).unwrap();
        let line = refused(&["replay", "--pcap", text(&capture), "--positions", text(&positions)]);
        assert_eq!(line, format!("{}: {what}", positions.display()));
    }
    let missing = directory.join("missing.csv");
    let line = refused(&["replay", "--pcap", text(&capture), "--positions", text(&missing)]);
    assert!(line.contains("No such file"), "{line}");
}

#[test]
fn outlets_that_cannot_be_written_are_refused_before_the_work() {
    let directory = directory("outlets");
    let (file, lost) = (directory.join("file"), directory.join("missing").join("figures.json"));
    fs::write(&file, "precious").unwrap();
    // No capture is opened and no demo begun: a run of minutes must not end in a file that cannot be written.
    for command in [["demo", "--seconds", "60"], ["replay", "--pcap", "never-opened.pcap"]] {
        for (option, path) in [("--json", &lost), ("--json", &directory), ("--out", &file)] {
            let line = refused(&[&command[..], &[option, text(path)]].concat());
            assert!(line.starts_with(text(path)), "{line}");
        }
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn a_view_without_a_terminal_and_metrics_without_a_port_are_refused_before_anything_starts() {
    let line = refused(&["demo", "--tui"]);
    assert!(line.contains("--tui needs a terminal") || line.contains("--features tui"), "{line}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert!(refused(&["demo", "--metrics", &address]).contains(&format!("cannot serve metrics at {address}")));
}

#[test]
fn arguments_that_make_no_sense_are_refused_in_one_line() {
    let cases: [(&[&str], &str); 16] = [
        (&["demo", "--topology", "ring"], "`ring` is no topology"),
        (&["demo", "--cores", "1000"], "core 1000 is not available"),
        (&["demo", "--cores", "0,0"], "core 0 is listed twice"),
        (&["demo", "--cores", "zero"], "`zero` is no list of cores"),
        (&["demo", "--seconds", "0"], "'0' for '--seconds <SECONDS>'"),
        (&["demo", "--seconds", "1.5"], "'1.5' for '--seconds <SECONDS>'"),
        (&["demo", "--seed", "-1"], "unexpected argument '-1'"),
        (&["demo", "--risk-aversion", "nan"], "must be a number above zero"),
        (&["--seconds", "0"], "'0' for '--seconds <SECONDS>'"),
        (&["replay"], "--pcap <FILE>..."),
        (&["replay", "--pcap"], "a value is required for '--pcap"),
        (&["inspect"], "<FILE>"),
        (&["venue", "--protection", "-1"], "'-1'"),
        (&["venue", "--protection=1e10"], "not an amount that can trade"),
        (&["evaluate"], "--help"),
        (&["hedge"], "'hedge'"),
    ];
    for (arguments, what) in cases {
        let line = refused(arguments);
        assert!(line.contains(what), "{arguments:?}: {line}");
    }
}

#[test]
fn help_names_every_command_and_the_default() {
    let help = run(&["--help"]);
    for command in ["demo", "replay", "inspect", "evaluate", "(the default)", "--seconds", "--topology"] {
        assert!(help.contains(command), "no {command}:\n{help}");
    }
    assert_eq!(run(&["--version"]), concat!("hedgecore ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_reader_that_closes_the_pipe_ends_nothing_badly() {
    let directory = directory("pipe");
    let (capture, figures) = (directory.join("venue.pcap"), directory.join("figures.json"));
    fs::write(&capture, market(1).bytes).unwrap();
    let commands: [&[&str]; 3] =
        [&["inspect", text(&capture)], &["replay", "--pcap", text(&capture), "--json", text(&figures)], &["--help"]];
    for arguments in commands {
        let _turn = IN_TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut program = Command::new(env!("CARGO_BIN_EXE_hedgecore"));
        let mut child = program.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && told.is_empty(), "{arguments:?}: {:?} {told}", output.status);
    }
    assert_report_is_whole(&json(&figures));
}

#[test]
fn a_port_in_use_is_named_in_one_line() {
    let (taken_tcp, taken_udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (tcp_port, udp_port) = (taken_tcp.local_addr().unwrap().port(), taken_udp.local_addr().unwrap().port());
    let unicast = Endpoints { group: None, ..Endpoints::default() };
    for (endpoints, port) in [
        (Endpoints { order_port: tcp_port, ..Endpoints::default() }, tcp_port),
        (Endpoints { incremental_port: udp_port, ..unicast }, udp_port),
        (Endpoints { snapshot_port: udp_port, ..unicast }, udp_port),
        (Endpoints { incremental_port: udp_port, ..Endpoints::default() }, udp_port),
    ] {
        let error = VenueServer::spawn_at(VenueConfig::default(), endpoints).unwrap_err().to_string();
        assert!(error.contains(&format!(":{port} ")) && error.lines().count() == 1, "{error}");
    }
}
