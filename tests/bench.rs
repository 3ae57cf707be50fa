//! `hedgecore bench`: a slice of everything, and the figures and files that it leaves.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Where a test may write.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

fn hedgecore(arguments: &[&str]) -> Output {
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
