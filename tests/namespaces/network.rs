//! Two namespaces and the two lines between them.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;

use hedgecore::sim::relay::LineFaults;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What a line does to datagrams.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineQuality {
    pub loss_percent: f64,
    pub delay_us: u64,
    pub reorder_percent: f64,
    pub duplicate_percent: f64,
}

impl LineQuality {
    pub(super) const CLEAN: Self =
        Self { loss_percent: 0.0, delay_us: 0, reorder_percent: 0.0, duplicate_percent: 0.0 };

    fn faults(&self) -> LineFaults {
        LineFaults {
            loss: self.loss_percent / 100.0,
            duplicate: self.duplicate_percent / 100.0,
            reorder: self.reorder_percent / 100.0,
            delay_ns: self.delay_us * 1_000,
            late_ns: 400_000,
            dies_at: None,
        }
    }

    fn is_clean(&self) -> bool {
        self.loss_percent == 0.0 && self.delay_us == 0
    }
}

/// Namespaces `<name>-v` of the venue and `<name>-d` of the desk; removed when dropped.
pub(super) struct Network {
    name: String,
    lines: [LineQuality; 2],
    /// Whether the kernel spoils the lines, or why it does not.
    netem: Result<(), String>,
}

impl Network {
    /// Makes both namespaces and the lines between them, or says why it cannot.
    pub(super) fn new(name: &str, lines: [LineQuality; 2]) -> Result<Self, String> {
        let name = format!("{name}-{}", std::process::id());
        let mut network = Self { name, lines, netem: Ok(()) };
        let (venue, desk) = (network.venue(), network.desk());
        for side in [&venue, &desk] {
            ip(&["netns", "add", side])?;
            ip(&["-n", side, "link", "set", "lo", "up"])?;
        }
        for line in 0..2 {
            let [card, peer] = ["venue", "desk"].map(|side| format!("{side}-{}", ["a", "b"][line]));
            ip(&["-n", &venue, "link", "add", &card, "type", "veth", "peer", "name", &peer, "netns", &desk])?;
            for (side, card, address) in [(&venue, &card, venue_address(line)), (&desk, &peer, desk_address(line))] {
                ip(&["-n", side, "address", "add", &format!("{address}/24"), "dev", card])?;
                ip(&["-n", side, "link", "set", card, "up"])?;
            }
        }
        network.netem = (0..2).filter(|line| !lines[*line].is_clean()).try_for_each(|line| network.impair(line));
        if let Err(why) = &network.netem {
            // Before the kernel has its say, `tc` has to understand what is asked.
            assert!(!why.contains("Usage:"), "{why}");
            network.unimpair();
        }
        Ok(network)
    }

    /// Takes back what the kernel was asked for on the other line, so that no line is spoilt twice.
    fn unimpair(&self) {
        for card in ["venue-a", "venue-b"] {
            // A card without a queue of ours has none to take back.
            let _ = ip(&["netns", "exec", &self.venue(), "tc", "qdisc", "del", "dev", card, "root"]);
        }
    }

    /// Has the kernel spoil what leaves on a line.
    fn impair(&self, line: usize) -> Result<(), String> {
        let quality = self.lines[line];
        let (delay, loss) = (format!("{}us", quality.delay_us.max(1)), format!("{}%", quality.loss_percent));
        let (reorder, repeat) = (format!("{}%", quality.reorder_percent), format!("{}%", quality.duplicate_percent));
        let card = ["venue-a", "venue-b"][line];
        let venue = self.venue();
        let mut asked =
            vec!["netns", "exec", &venue, "tc", "qdisc", "add", "dev", card, "root", "netem", "delay", &delay];
        asked.extend(["loss", &loss, "duplicate", &repeat]);
        if quality.reorder_percent > 0.0 {
            asked.extend(["reorder", &reorder]);
        }
        ip(&asked)
    }

    /// What has to be injected before the cards because the kernel cannot.
    pub(super) fn injected(&self) -> [LineFaults; 2] {
        self.lines.map(|line| if self.netem.is_ok() { LineQuality::CLEAN.faults() } else { line.faults() })
    }

    pub(super) fn describe(&self) -> String {
        match &self.netem {
            _ if self.lines.iter().all(LineQuality::is_clean) => "clean lines".to_owned(),
            Ok(()) => "faults by tc netem in the kernel".to_owned(),
            Err(why) => format!("faults by a relay before the cards, since the kernel refuses netem ({why})"),
        }
    }

    fn venue(&self) -> String {
        format!("{}-v", self.name)
    }

    fn desk(&self) -> String {
        format!("{}-d", self.name)
    }

    /// Moves this thread, and those that it starts, to the venue's side.
    pub(super) fn enter_venue(&self) {
        enter(&self.venue());
    }

    /// The same to the desk's side.
    pub(super) fn enter_desk(&self) {
        enter(&self.desk());
    }

    /// Unplugs line A at the venue's end.
    pub(super) fn cut_line_a(&self) {
        ip(&["-n", &self.venue(), "link", "set", "venue-a", "down"]).expect("a card to unplug");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for side in [self.venue(), self.desk()] {
            // One that was never made cannot be removed.
            let _ = ip(&["netns", "delete", &side]);
        }
    }
}

pub(super) fn venue_address(line: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, line as u8 + 1, 1)
}

pub(super) fn desk_address(line: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, line as u8 + 1, 2)
}

/// The group of a line.
pub(super) fn group(line: usize) -> Ipv4Addr {
    Ipv4Addr::new(239, 99, 1, line as u8 + 1)
}

fn enter(namespace: &str) {
    let file = File::open(format!("/run/netns/{namespace}")).expect("a namespace");
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("to be let in");
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
