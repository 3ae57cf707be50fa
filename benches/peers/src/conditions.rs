//! Under what conditions a run was made.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Prints machine, compiler, load and clock.
pub fn print() {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':')).map(|(_, name)| name.trim());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<_> = load.split_whitespace().take(3).collect();
    println!("cpu    {}, {cores} core(s)", model.unwrap_or("unknown"));
    println!("rustc  {}", env!("PEERS_RUSTC"));
    println!("load   {}", if load.is_empty() { "unknown".into() } else { load.join(" ") });
    println!("clock  advances by {} ns at the least", clock_resolution().as_nanos());
}

/// The smallest step that the clock was seen to make.
fn clock_resolution() -> Duration {
    let step = || {
        let start = Instant::now();
        loop {
            let elapsed = start.elapsed();
            if !elapsed.is_zero() {
                return elapsed;
            }
        }
    };
    (0..10_000).map(|_| step()).min().unwrap_or_default()
}
