//! Instructions of the hot steps, counted by callgrind and held against `benches/instructions.budget`.
//!
//! ```text
//! cargo bench --bench instructions                 fails when a step takes more than its budget
//! cargo bench --bench instructions -- --update     writes what it counted as the budget
//! ```
//!
//! Times on a shared machine come and go; an instruction count comes back to the last digit. The program runs itself
//! under callgrind, which pretends a processor without AVX-512: vector code is counted in its AVX2 form. Each step is a
//! function that is never inlined, called [`REPEATS`] times after a setting-up that is not counted. What allocates,
//! draws or waits is outside it. Without valgrind nothing is counted, and it says so.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

mod rig {
    pub(crate) mod greeks;
    pub(crate) mod orders;
    pub(crate) mod tally;
}
#[path = "rig/steps.rs"]
mod steps;

use steps::{GROUPS, REPEATS};

/// Above its budget by more than this a step fails; below it by more than this it asks for a tighter one.
const TOLERANCE: f64 = 0.03;
/// Set, to the name of a group, where the program runs under callgrind.
const INSIDE: &str = "HEDGECORE_COUNTED";
const ILLEGAL_INSTRUCTION: i32 = 4;

fn main() -> ExitCode {
    if let Ok(group) = env::var(INSIDE) {
        steps::run(&group);
        return ExitCode::SUCCESS;
    }
    match count() {
        Ok(None) => {
            println!("skipped: valgrind is not installed, no instruction was counted");
            ExitCode::SUCCESS
        }
        Ok(Some(counts)) => judge(&counts),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Instructions of a step, by its name; `None` without valgrind. A group that this valgrind does not know an instruction
/// of is left out.
fn count() -> Result<Option<BTreeMap<&'static str, u64>>, String> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Ok(None);
    }
    let out = env::temp_dir().join(format!("hedgecore-instructions-{}", std::process::id()));
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut counts = BTreeMap::new();
    for (group, steps) in GROUPS {
        let ran = Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet", "--compress-strings=no", "--compress-pos=no"])
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(&program)
            .env(INSIDE, group)
            .stderr(Stdio::null())
            .status()
            .map_err(|error| error.to_string())?;
        let profile = fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        fs::remove_file(&out).map_err(|error| error.to_string())?;
        match ran.signal() {
            Some(ILLEGAL_INSTRUCTION) => continue,
            _ if !ran.success() => return Err(format!("{group}, under callgrind: {ran}")),
            _ => counts.extend(steps.iter().map(|&step| (step, inclusive(&profile, step) / REPEATS))),
        }
    }
    Ok(Some(counts))
}

/// Instructions of a step's function and all it calls: the last number of every line of its block.
fn inclusive(profile: &str, step: &str) -> u64 {
    let name = format!("::steps::{step}");
    let mut inside = false;
    let mut sum = 0;
    for line in profile.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            inside = function.split("::h").next().unwrap_or(function).ends_with(&name) || function.ends_with(&name);
        } else if inside && line.starts_with(|c: char| c.is_ascii_digit()) {
            sum += line.rsplit(' ').next().and_then(|cost| cost.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    sum
}

fn judge(counts: &BTreeMap<&str, u64>) -> ExitCode {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.budget");
    let steps = GROUPS.iter().flat_map(|(_, steps)| *steps);
    if env::args().any(|argument| argument == "--update") {
        let counted = steps.filter_map(|step| Some((step, counts.get(step)?)));
        let lines: String = counted.map(|(step, count)| format!("{step} {count}\n")).collect();
        return fs::write(&path, lines).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let budget = fs::read_to_string(&path).unwrap_or_default();
    let budget: BTreeMap<&str, u64> = budget
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(k, v)| Some((k, v.parse().ok()?)))
        .collect();
    println!("{:<20} {:>8} {:>8}", "step", "counted", "budget");
    let mut over = 0;
    for &step in steps {
        match (counts.get(step), budget.get(step)) {
            (None, _) => println!("{step:<20} {:>8} {:>8}  not counted: unknown to this valgrind", "-", "-"),
            (Some(counted), None) => println!("{step:<20} {counted:>8} {:>8}  has no budget", "-"),
            (Some(&counted), Some(&allowed)) => {
                let ratio = counted as f64 / allowed as f64 - 1.0;
                let verdict = match ratio {
                    _ if counted == 0 => "NOT FOUND",
                    _ if ratio > TOLERANCE => "OVER",
                    _ if ratio < -TOLERANCE => "well below: tighten the budget",
                    _ => "",
                };
                over += u32::from(counted == 0 || ratio > TOLERANCE);
                println!("{step:<20} {counted:>8} {allowed:>8}  {:>+6.1}%  {verdict}", 100.0 * ratio);
            }
        }
    }
    if over == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
