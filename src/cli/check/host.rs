//! What the host says of itself, read below a root so that a test can be another host. Nothing is ever written.

use std::fs;
use std::path::{Path, PathBuf};

use crate::runtime::placement::parse_cores;

/// The files of `/proc` and `/sys`, and what they are asked about.
#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
    /// Cores of the hot threads.
    pub(super) hot: Vec<usize>,
    /// Network cards of the market-data lines; every card where that is not known.
    pub(super) cards: Vec<String>,
    /// Largest receive buffer that a line asks for.
    pub(super) receive_buffer_bytes: usize,
}

impl Host {
    /// The host below `root`, of which these cores are hot and these interfaces' addresses carry market data.
    pub(super) fn new(root: &Path, hot: Vec<usize>, interfaces: &[[u8; 4]], receive_buffer_bytes: usize) -> Self {
        let mut host = Self { root: root.to_owned(), hot, cards: Vec::new(), receive_buffer_bytes };
        let mut cards: Vec<String> = interfaces.iter().filter_map(|address| host.card_of(*address)).collect();
        if cards.is_empty() && !interfaces.iter().any(|address| address[0] == 127) {
            let physical = |name: &String| host.path(&format!("sys/class/net/{name}/device")).exists();
            cards = host.list("sys/class/net").into_iter().filter(physical).collect();
        }
        cards.sort();
        cards.dedup();
        host.cards = cards;
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A file's text without the white space around it; `None` when it cannot be read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok().map(|text| text.trim().to_owned())
    }

    /// A file that holds one number.
    pub(super) fn number(&self, path: &str) -> Option<i64> {
        self.text(path)?.parse().ok()
    }

    /// Names in a directory, in order; none when it cannot be read.
    pub(super) fn list(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A file that holds a list of cores such as `2-3,6`; empty for an empty one.
    pub(super) fn cores(&self, path: &str) -> Option<Vec<usize>> {
        let text = self.text(path)?;
        let is_empty = text.is_empty() || text == "(null)";
        if is_empty { Some(Vec::new()) } else { parse_cores(&text).ok() }
    }

    /// Online cores that are not hot.
    pub(super) fn others(&self) -> Vec<usize> {
        let mut online = self.cores("sys/devices/system/cpu/online").unwrap_or_default();
        online.retain(|core| !self.hot.contains(core));
        online
    }

    /// A file of one core.
    pub(super) fn of_core(&self, core: usize, path: &str) -> String {
        format!("sys/devices/system/cpu/cpu{core}/{path}")
    }

    /// The card whose network an address belongs to, by the routing table.
    fn card_of(&self, address: [u8; 4]) -> Option<String> {
        let table = self.text("proc/net/route")?;
        let address = u32::from_le_bytes(address);
        let routes = table.lines().skip(1).filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (name, destination) = (fields.next()?, u32::from_str_radix(fields.next()?, 16).ok()?);
            let mask = u32::from_str_radix(fields.nth(5)?, 16).ok()?;
            (address & mask == destination).then(|| (mask.count_ones(), name.to_owned()))
        });
        routes.max().map(|(_, name)| name)
    }
}

/// Cores as one writes them: `2,3`.
pub(super) fn listed(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}
