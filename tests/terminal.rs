//! `hedgecore demo --tui --metrics` as a person and a scraper meet it: a terminal that is drawn on, keys that reach the kill
//! switch, and a page that says so; and `hedgecore bench --tui`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How long something may take to show, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program on a terminal of its own.
struct Terminal {
    child: Child,
    keyboard: File,
    /// Everything drawn so far.
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let end = || slave.try_clone().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hedgecore"));
        command.args(arguments).env("TERM", "xterm").env("USER", "alice");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let (keyboard, mut output) = (File::from(master.try_clone().unwrap()), File::from(master));
        let screen = Arc::new(Mutex::new(String::new()));
        let drawn = Arc::clone(&screen);
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            // The master's end fails once nobody holds the other one.
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                drawn.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { child, keyboard, screen }
    }

    fn press(&mut self, key: &str) {
        self.screen.lock().unwrap().clear();
        self.keyboard.write_all(key.as_bytes()).unwrap();
    }

    /// Waits until this was drawn since the last key. A drawing holds what changed, so words are looked for, not lines.
    fn until(&self, word: &str) {
        let began = Instant::now();
        while !self.screen.lock().unwrap().contains(word) {
            assert!(began.elapsed() < PATIENCE, "{word:?} was never drawn: {}", self.screen.lock().unwrap());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The page once it says this, as Prometheus fetches it.
fn scraped(port: u16, line: &str) -> String {
    let began = Instant::now();
    loop {
        let mut page = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream.read_to_string(&mut page).unwrap();
        }
        if page.lines().any(|found| found == line) {
            return page;
        }
        assert!(began.elapsed() < PATIENCE, "{line:?} never came: {page}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn keys_pressed_at_the_terminal_reach_the_kill_switch_and_the_page_tells() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("terminal.json");
    let address = format!("127.0.0.1:{port}");
    let options = ["demo", "--seconds", "600", "--tui", "--metrics", &address, "--json", json.to_str().unwrap()];
    let mut terminal = Terminal::start(&options);
    terminal.until("BTC_USD");
    let page = scraped(port, "hedgecore_kill_level{level=\"open\"} 1");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("\nContent-Type: text/plain; version=0.0.4"));
    for name in ["feed_packets_total", "exposure", "latency", "ring_lag_messages", "hot_allocations_total"] {
        assert!(page.contains(&format!("\nhedgecore_{name}")), "{name}: {page}");
    }

    terminal.press("r");
    terminal.until("reduce_only");
    scraped(port, "hedgecore_kill_level{level=\"reduce_only\"} 1");
    terminal.press("k");
    terminal.until("KILL");
    terminal.press("n");
    terminal.press("p");
    terminal.until("pause");
    let page = scraped(port, "hedgecore_kill_level{level=\"pause\"} 1");
    assert!(page.contains("hedgecore_kill_level{level=\"halt\"} 0\n"), "a kill that was not confirmed is none");
    terminal.press("k");
    terminal.until("KILL");
    terminal.press("y");
    scraped(port, "hedgecore_kill_level{level=\"halt\"} 1");

    // The view is left, the run goes on; an interrupt ends it.
    terminal.press("q");
    scraped(port, "hedgecore_kill_level{level=\"halt\"} 1");
    assert!(terminal.child.try_wait().unwrap().is_none());
    let began = Instant::now();
    let interrupted = Command::new("kill").args(["-INT", &terminal.child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    while terminal.child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE, "it does not end");
        thread::sleep(Duration::from_millis(20));
    }
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(report["orders"].is_u64(), "the report is written all the same");
}

#[test]
fn a_benchmark_is_drawn_as_its_rounds_end_and_goes_on_without_its_view() {
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("terminal-bench.json");
    let options =
        ["bench", "--quick", "--compute-only", "--topology", "fused", "--tui", "--json", json.to_str().unwrap()];
    let mut terminal = Terminal::start(&options);
    terminal.until("warm-up");
    terminal.until("fused.no_trade");
    terminal.press("q");
    let began = Instant::now();
    while terminal.child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE, "it does not end");
        thread::sleep(Duration::from_millis(20));
    }
    terminal.until("tick to no trade");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(report["compute"]["fused"]["no_trade"]["p50"].is_u64(), "the report is written all the same");
}
