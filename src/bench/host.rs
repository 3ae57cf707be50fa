//! The machine that figures were measured on, and what was not ours to decide about it.

use std::fs;

use serde::{Deserialize, Serialize};

/// Facts about the host, as far as it tells them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: Vec<usize>,
    /// Whether a hypervisor runs it: cores may be shared with others, or move.
    pub is_virtual: bool,
    /// The kernel's release.
    pub kernel: String,
    /// How the first core's frequency is governed.
    pub governor: String,
    /// Processes that wanted a core over the last minute, when the run began.
    pub load: f64,
    /// What stamps are read from.
    pub stamps: String,
    /// Of this program.
    pub version: String,
    /// When the run began, RFC 3339.
    pub started: String,
}

impl Host {
    /// Asks the host.
    pub fn describe(cores: &[usize], stamps: &str) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let processor = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line = processor.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
        };
        let known = |text: String| if text.is_empty() { "unknown".to_owned() } else { text };
        Self {
            cpu: known(field("model name").to_owned()),
            cores: cores.to_vec(),
            is_virtual: field("flags").split(' ').any(|flag| flag == "hypervisor"),
            kernel: known(read("/proc/sys/kernel/osrelease")),
            governor: known(read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
            load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
            stamps: stamps.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: jiff::Timestamp::now().to_string(),
        }
    }
}
