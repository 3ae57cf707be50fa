//! Notes which compiler builds the comparison, for its report.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RUSTC");
    let version = env::var("RUSTC").ok().and_then(|rustc| Command::new(rustc).arg("--version").output().ok());
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=PEERS_RUSTC={}", version.trim());
}
