//! The operator's control of a running program: the kill switch thrown at a set time, over the control socket, and by
//! signals, with what the embedded venue saw of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Hot threads spin, so that programs side by side would starve each other on a small machine: they run in turn.
static IN_TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    IN_TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hedgecore"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// An empty directory for one test; short, as the path of a socket has to be.
fn directory(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("hedgecore-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn demo(seconds: u64, socket: &Path, json: &Path, more: &[&str]) -> Child {
    let mut command = program();
    command.args(["demo", "--seconds", &seconds.to_string(), "--control"]).arg(socket).arg("--json").arg(json);
    command.args(more);
    let child = command.spawn().unwrap();
    let began = Instant::now();
    while !socket.exists() && began.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(20));
    }
    child
}

fn control(socket: &Path, arguments: &[&str]) -> Output {
    program().args(["control", "--socket"]).arg(socket).args(arguments).output().unwrap()
}

/// What was answered, of a command that was carried out.
fn done(socket: &Path, arguments: &[&str]) -> String {
    let output = control(socket, arguments);
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {answer}");
    answer
}

/// Waits until the hedge trades or stands as it should.
fn until(socket: &Path, what: &str) -> String {
    let began = Instant::now();
    loop {
        let status = done(socket, &["status"]);
        if status.contains(what) {
            return status;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{what} never came: {status}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn report(json: &Path) -> Value {
    serde_json::from_slice(&fs::read(json).unwrap()).unwrap()
}

#[test]
fn after_the_kill_no_order_byte_reaches_the_venue() {
    let _turn = turn();
    let (directory, seconds) = (directory("after"), "5");
    for topology in ["fused", "split"] {
        let json = directory.join(topology).with_extension("json");
        // Averse to risk, so that there is always an order to hold back.
        let averse = ["demo", "--risk-aversion", "1", "--topology", topology];
        let arguments = ["--seconds", seconds, "--kill-after", "2.5", "--json"];
        let output = program().args(averse).args(arguments).arg(&json).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{topology}: {told}");
        let kill = &report(&json)["kill"];
        assert_eq!(kill["verified"], true, "{kill}");
        assert_eq!(
            (&kill["order_bytes_after"], &kill["live"], &kill["resting_at_venue"]),
            (&0.into(), &0.into(), &0.into())
        );
        assert!(kill["order_bytes_before"].as_u64().unwrap() > 0 && kill["held_back"].as_u64().unwrap() > 0, "{kill}");
        assert_eq!(
            (&kill["level"], &kill["cause"], &kill["by"]),
            (&"halt".into(), &"operator".into(), &"kill-after".into())
        );
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn an_operator_goes_through_the_levels_and_no_way_leads_out_of_a_halt() {
    let _turn = turn();
    let directory = directory("levels");
    let (socket, json) = (directory.join("control"), directory.join("report.json"));
    let mut child = demo(60, &socket, &json, &[]);
    until(&socket, "level open\n");
    for (command, level, gateway) in [
        ("reduce-only", "reduce_only", "gateway open"),
        ("flatten", "flatten", "gateway open"),
        ("pause", "pause", "gateway shut"),
        ("re-enable", "open", "gateway open"),
        ("kill", "halt", "gateway shut"),
    ] {
        let answer = done(&socket, &[command, "--operator", "alice"]);
        assert!(
            answer.starts_with(&format!("done: {command} alice\nlevel {level}\ncause operator\nby alice\n")),
            "{answer}"
        );
        until(&socket, gateway);
    }
    let refused = control(&socket, &["re-enable", "--operator", "bob"]);
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stdout));
    assert!(until(&socket, "level halt\n").contains("by alice\n"));
    assert_eq!(control(&socket, &["kill", "--operator", "two words"]).status.code(), Some(2));

    // An interrupt ends the run in order, long before its time.
    let began = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    child.wait().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(report(&json)["orders"].is_u64(), "the report is still written");
    assert!(!socket.exists());
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_desk_that_was_paused_ends_as_it_was_asked_to() {
    let _turn = turn();
    let directory = directory("paused");
    let (socket, json) = (directory.join("control"), directory.join("report.json"));
    let child = demo(5, &socket, &json, &[]);
    until(&socket, "level open\n");
    done(&socket, &["pause", "--operator", "alice"]);
    let output = child.wait_with_output().unwrap();
    let (told, stop) = (String::from_utf8_lossy(&output.stderr), &report(&json)["stop"]);
    assert!(output.status.success(), "no band is judged that nobody was to hedge: {told}");
    assert_eq!((&stop["level"], &stop["cause"], &stop["by"]), (&"pause".into(), &"operator".into(), &"alice".into()));
    assert!(String::from_utf8_lossy(&output.stdout).contains("stopped at the end: pause (operator, by alice)"));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn who_asked_for_a_thaw_is_in_the_journal_which_replays_in_either_topology() {
    let _turn = turn();
    let directory = directory("thaw");
    let (socket, json) = (directory.join("control"), directory.join("report.json"));
    let child = demo(4, &socket, &json, &["--out", directory.to_str().unwrap()]);
    assert!(until(&socket, "level open\n").contains("frozen 0\n"));
    let answer = done(&socket, &["thaw", "--operator", "alice"]);
    assert!(answer.starts_with("done: thaw alice\nlevel open\n"), "{answer}");
    assert!(child.wait_with_output().unwrap().status.success());
    let journal = directory.join("journal");
    let printed = program().args(["inspect", "--filter", "input"]).arg(&journal).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.lines().any(|line| line.contains("Thaw") && line.contains("alice")), "nobody asked");
    for topology in ["fused", "split"] {
        let again = program().args(["replay", "--topology", topology, "--journal"]).arg(&journal).output().unwrap();
        assert!(again.status.success(), "{topology}: {}", String::from_utf8_lossy(&again.stderr));
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_signal_halts_and_is_named() {
    let _turn = turn();
    let directory = directory("signal");
    let (socket, json) = (directory.join("control"), directory.join("report.json"));
    let mut child = demo(60, &socket, &json, &[]);
    until(&socket, "level open\n");
    assert!(Command::new("kill").args(["-USR1", &child.id().to_string()]).status().unwrap().success());
    let status = until(&socket, "level halt\n");
    assert!(status.contains("by signal\n") && status.contains("cause operator\n"), "{status}");
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn after_a_flatten_orders_leave_until_nothing_is_left_to_hedge() {
    let _turn = turn();
    let directory = directory("flatten");
    let (socket, json) = (directory.join("control"), directory.join("report.json"));
    // Indifferent to risk: by itself it would leave everything as it is.
    let mut child = demo(8, &socket, &json, &["--risk-aversion", "1e-12"]);
    until(&socket, "level open\n");
    thread::sleep(Duration::from_secs(2));
    done(&socket, &["flatten", "--operator", "alice"]);
    assert!(child.wait().unwrap().success());
    let report = report(&json);
    let mut was_exposed = false;
    for (name, delta) in report["net_delta"].as_object().unwrap() {
        let [before, after] = ["before", "after"].map(|figure| delta[figure].as_f64().unwrap());
        let perpetual = &report["by_expiry"][name][0];
        assert_eq!(perpetual["expiry"], "perpetual");
        // The venue's lots: ten dollars, and a hundredth of a coin.
        let lot = if name == "BTC_USD" { 10.0 / perpetual["forward"].as_f64().unwrap() } else { 0.01 };
        // The venue's market stands still at the end, and so does whoever is flat to a lot.
        assert!(after.abs() <= lot && delta["at_rest"] == true, "{name}: {delta}");
        was_exposed |= before.abs() > 100.0 * lot;
    }
    assert!(was_exposed && report["orders"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["positions_reconciled"], true, "{report}");
    fs::remove_dir_all(directory).unwrap();
}
