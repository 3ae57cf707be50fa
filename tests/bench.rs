//! `hedgecore bench`: a slice of everything, and the figures and files that it leaves.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// Where a test may write.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// Hot threads spin, so that programs side by side would starve each other on a small machine: they run in turn.
static IN_TURN: Mutex<()> = Mutex::new(());

fn hedgecore(arguments: &[&str]) -> Output {
    let _turn = IN_TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_hedgecore")).args(arguments).output().expect("it runs")
}

fn report(directory: &Path) -> Value {
    let text = std::fs::read_to_string(directory.join("report.json")).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

/// Percentiles that are there, positive and in order.
fn check(of: &Value) {
    let at = |name: &str| of[name].as_u64().unwrap_or_else(|| panic!("{name} in {of}"));
    let values = ["count", "p50", "p90", "p99", "p999", "max"].map(at);
    assert!(values[0] > 0 && values[1] > 0, "{of}");
    assert!(values[1..].is_sorted(), "{of}");
}

#[test]
fn a_slice_of_everything_leaves_every_figure_and_every_file() {
    let directory = Path::new(SCRATCH).join("bench-quick");
    let out = directory.to_str().expect("UTF-8");
    let run = hedgecore(&["bench", "--quick", "--options", "48", "--out", out]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report = report(&directory);
    assert!(report["host"]["cpu"].is_string() && report["clock_resolution_ns"].as_u64() > Some(0));
    for topology in ["fused", "split"] {
        let compute = &report["compute"][topology];
        for figure in ["no_trade", "order"] {
            check(&compute[figure]);
        }
        for hop in ["decode", "greeks", "decision", "encode"] {
            check(&compute["hops"][hop]);
        }
        for rate in report["rate_sweeps"][topology].as_object().expect("rates").values() {
            assert!(rate["offered"].as_u64() > Some(0) && rate["orders"].as_u64() > Some(0), "{rate}");
            assert_eq!(rate["dropped"], 0, "{rate}");
        }
        let burst = &report["burst_sweep"][topology]["32"];
        assert!(burst["offered"].as_u64() > Some(0) && burst["p99"].as_u64() > Some(0), "{burst}");
    }
    for figure in ["echo", "wire", "open_loop", "closed_loop"] {
        check(&report[figure]);
    }
    for hop in ["decode", "greeks", "decision", "encode", "write"] {
        assert!(report["wire_hops"][hop]["count"].as_u64() > Some(0), "{hop}");
    }
    assert!(report["wire_over_echo"].as_f64() > Some(0.0));
    assert_eq!(report["rate_sweep"], report["rate_sweeps"]["fused"]);
    let hops: u64 = ["decode", "greeks", "decision", "encode"]
        .map(|hop| report["compute"]["fused"]["hops"][hop]["p50"].as_u64().expect("a median"))
        .iter()
        .sum();
    let whole = report["compute"]["fused"]["order"]["p50"].as_u64().expect("a median");
    assert!(hops.abs_diff(whole) < whole / 2, "the hops make the whole: {hops} against {whole}");
    assert!(report["book_sweep"].as_object().is_some_and(|books| books.len() == 2));
    for file in ["latency.hlog", "fused.order.hgrm", "split.no_trade.greeks.hgrm"] {
        let length = std::fs::metadata(directory.join(file)).map_or(0, |file| file.len());
        assert!(length > 100, "{file}");
    }
    let table = String::from_utf8_lossy(&run.stdout).into_owned();
    for what in ["clock resolution", "tick to order bytes", "options held", "ticks a second, split"] {
        assert!(table.contains(what), "{what}: {table}");
    }
}

/// The names by which browsers without a window go.
const BROWSERS: [&str; 6] =
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell"];

/// The page as a browser makes it, if there is one.
fn rendered(page: &Path) -> Option<String> {
    let address = format!("file://{}", page.display());
    let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", &address];
    let dom = BROWSERS.iter().find_map(|browser| Command::new(browser).args(arguments).output().ok())?;
    assert!(dom.status.success(), "{}", String::from_utf8_lossy(&dom.stderr));
    Some(String::from_utf8_lossy(&dom.stdout).into_owned())
}

#[test]
fn real_packets_are_timed_hop_by_hop() {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/deribit_multicast/sample_first42s.pcapng");
    if !Path::new(capture).exists() {
        return println!("skipped: the captures are not here");
    }
    let directory = Path::new(SCRATCH).join("bench-capture");
    let out = directory.to_str().expect("UTF-8");
    let slice = ["bench", "--quick", "--compute-only", "--options", "24", "--topology", "fused", "--out", out];
    let run = hedgecore(&[&slice[..], &["--pcap", capture]].concat());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report = report(&directory);
    assert!(report["capture"]["packets"].as_u64() > Some(1_000), "{}", report["capture"]);
    for hop in ["decode", "greeks", "decision", "encode", "order"] {
        check(&report["capture"]["hops"][hop]);
    }
    assert!(String::from_utf8_lossy(&run.stdout).contains("captured packets"));
    let missing = hedgecore(&["bench", "--quick", "--pcap", "no-such-file"]);
    let error = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(
        !missing.status.success() && error.contains("no-such-file") && error.trim().lines().count() == 1,
        "{error}"
    );
}

#[test]
fn a_run_has_a_page_and_is_compared_with_an_earlier_one() {
    let directory = Path::new(SCRATCH).join("bench-compare");
    let out = directory.to_str().expect("UTF-8");
    let slice = ["bench", "--quick", "--compute-only", "--options", "48", "--topology", "fused", "--out", out];
    assert!(hedgecore(&slice).status.success());

    let page = std::fs::read_to_string(directory.join("report.html")).expect("a page");
    let (opened, closed) = (page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(opened == closed && opened >= 4, "{opened} charts");
    assert!(page.contains("fused.order") && page.contains("Where the time goes") && page.contains("options held"));
    for loads in ["http", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(loads), "the page loads nothing, but holds {loads}");
    }
    match rendered(&directory.join("report.html")) {
        Some(dom) => assert!(dom.contains("<svg") && dom.contains("Rates up to the knee"), "{dom}"),
        None => println!("skipped: no Chromium here to show the page in"),
    }

    // A tolerance that no noise exceeds, then an earlier run that was impossibly fast.
    let again = |more: &[&str]| hedgecore(&[&slice[..], &["--compare", out], more].concat());
    let same = again(&["--worse-than", "10000"]);
    let told = String::from_utf8_lossy(&same.stdout).into_owned();
    assert!(same.status.success() && told.contains("95% interval") && told.contains("fused.order"), "{told}");
    let path = directory.join("report.json");
    let mut earlier = report(&directory);
    for round in earlier["rounds"]["fused.order"].as_array_mut().expect("rounds") {
        round["p50"] = 1.into();
    }
    std::fs::write(&path, earlier.to_string()).expect("written");
    let worse = again(&["--worse-than", "50"]);
    assert_eq!(worse.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&worse.stderr).contains("fused.order is"), "{worse:?}");
    std::fs::write(&path, "{}").expect("written");
    assert_eq!(again(&[]).status.code(), Some(2), "a report of something else");
}

#[test]
fn what_cannot_be_measured_is_refused_in_one_line() {
    for (arguments, why) in [
        (["bench", "--topology", "sideways"], "sideways"),
        (["bench", "--topology", "auto"], "fused, split, or both"),
        (["bench", "--options", "50000"], "1920"),
    ] {
        let run = hedgecore(&arguments);
        let error = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.code() == Some(2) && error.contains(why) && error.trim().lines().count() == 1, "{error}");
    }
}
