//! The order session's thread: instructions to bytes on a socket, bytes from it to reports; connects, and connects again.
//!
//! A venue that lets a connection in and then refuses the logon is waited for longer each time, like one that does not answer:
//! the wait starts again only with a session that came up. A gateway that is not armed is connected to nobody.

use std::time::Duration;

use super::clock::StampClock;
use super::control::Board;
use super::observer::{Show, ring_shown};
use super::placement::HotStage;
use super::socket::{Alarm, OrderAddress, OrderSocket};
use super::threads::{BATCH, Beat, Control, Rest, until_drained};
use super::watched_gateway::WatchedGateway;
use crate::event::KillLevel;
use crate::gateway::Gateway;
use crate::ring::Consumer;
use crate::risk::Instruction;
use crate::telemetry::live::GatewayShown;
use crate::units::Nanos;

/// Bytes of reports held until they are whole.
const INBOX_BYTES: usize = 1 << 17;
/// How often the session is given the time, nanoseconds.
const CLOCK_NS: u64 = Nanos::PER_MILLI;
/// How long the last bytes may take after everything else has ended.
const FAREWELL_NS: u64 = 200 * Nanos::PER_MILLI;

/// A gateway and its socket.
#[derive(Debug)]
pub(super) struct OrderLink {
    gateway: WatchedGateway,
    address: OrderAddress,
    socket: Option<OrderSocket>,
    /// Whether the gateway was told that bytes flow.
    connected: bool,
    inbox: Box<[u8]>,
    filled: usize,
    attempts: Attempts,
    /// The gateway's level as last shown on the board.
    level_shown: KillLevel,
    /// Wakes whoever takes the reports.
    alarm: Alarm,
    clock: StampClock,
    show: Show<GatewayShown>,
}

impl OrderLink {
    /// A link that is not connected yet.
    pub(super) fn new(
        gateway: WatchedGateway,
        address: OrderAddress,
        alarm: Alarm,
        clock: StampClock,
        show: Show<GatewayShown>,
    ) -> Self {
        Self {
            gateway,
            socket: None,
            connected: false,
            inbox: vec![0; INBOX_BYTES].into(),
            filled: 0,
            attempts: Attempts::new(&address),
            address,
            level_shown: KillLevel::Open,
            alarm,
            clock,
            show,
        }
    }

    /// Runs until the instructions are drained, then logs out.
    /// Abandoned, it leaves everything as it is at once.
    pub(super) fn run(mut self, mut instructions: Consumer<Instruction>, control: &Control, mut rest: Rest) -> Gateway {
        let mut beat = Beat::new(CLOCK_NS);
        until_drained(&mut instructions, control, |instructions| {
            let now = self.clock.now();
            let worked = self.turn(instructions, control, now);
            if beat.is_due(now) {
                self.tend(now, &mut rest);
                control.board.pulse(HotStage::Gateway, now);
                self.show(instructions, now);
            }
            rest.idle(worked);
        });
        self.end(control, rest)
    }

    /// Shows the gateway and how many instructions wait, if it is time to.
    #[inline]
    pub(super) fn show(&mut self, instructions: &Consumer<Instruction>, now: Nanos) {
        let gateway = self.gateway.gateway();
        let look = || GatewayShown { instructions: ring_shown(instructions), ..GatewayShown::of(gateway) };
        self.show.turn(now, look);
    }

    /// Logs out, unless everything is to be left as it is, and gives the gateway back.
    pub(super) fn end(mut self, control: &Control, rest: Rest) -> Gateway {
        if !control.is_abandoned() {
            self.say_farewell(rest);
        }
        self.show.end(&GatewayShown::of(self.gateway.gateway()));
        control.board.end(HotStage::Gateway);
        self.gateway.into_gateway()
    }

    /// Shuts the way out when a halt is on the board, and shows whether it is shut.
    #[inline]
    fn heed(&mut self, board: &Board, now: Nanos) {
        if board.is_halted() && self.gateway.gateway().level() != KillLevel::Halt {
            self.gateway.halt(now);
        }
        let gateway = self.gateway.gateway();
        if gateway.level() != self.level_shown {
            self.level_shown = gateway.level();
            match gateway.shut_at() {
                Some(traffic) if self.level_shown >= KillLevel::Pause => board.shut(traffic),
                _ => board.open(),
            }
        }
    }

    /// Heeds a halt, then instructions out, reports in; true when there was work.
    #[inline]
    pub(super) fn turn(&mut self, instructions: &mut Consumer<Instruction>, control: &Control, now: Nanos) -> bool {
        self.heed(&control.board, now);
        self.send(instructions, now) | self.write() | self.read(now)
    }

    /// Instructions out. While the reports' ring is short of room nothing is taken: ring and venue wait.
    #[inline]
    pub(super) fn send(&mut self, instructions: &mut Consumer<Instruction>, now: Nanos) -> bool {
        let mut worked = false;
        for _ in 0..BATCH {
            if !self.gateway.has_room() {
                break;
            }
            let Some(instruction) = instructions.try_pop() else { break };
            self.gateway.step(&instruction, now);
            self.write();
            worked = true;
        }
        worked
    }

    /// Writes what is pending; true when bytes went out.
    #[inline]
    fn write(&mut self) -> bool {
        let pending = self.gateway.gateway().pending();
        let (Some(socket), false) = (&mut self.socket, pending.is_empty()) else { return false };
        match socket.write(pending) {
            Ok(0) => false,
            Ok(written) => {
                self.gateway.written(written);
                self.alarm.ring();
                true
            }
            Err(_) => self.lose(),
        }
    }

    /// Reads what is there and hands on the whole messages; true when there were bytes.
    fn read(&mut self, now: Nanos) -> bool {
        let Some(socket) = &mut self.socket else { return false };
        let Ok(received) = socket.read(&mut self.inbox[self.filled..]) else { return self.lose() };
        self.filled += received;
        if received == 0 && !(self.filled > 0 && self.gateway.is_unblocked()) {
            return false;
        }
        let taken = self.gateway.receive(&self.inbox[..self.filled], received, now);
        self.inbox.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        self.alarm.ring();
        received > 0 || taken > 0
    }

    /// What time asks for: heartbeats, connecting, giving up a session that is broken.
    pub(super) fn tend(&mut self, now: Nanos, rest: &mut Rest) {
        self.gateway.tick(now);
        if !self.gateway.gateway().is_armed() {
            return;
        }
        if self.gateway.gateway().ready() {
            self.attempts.succeeded();
        }
        let Some(socket) = &mut self.socket else {
            if self.attempts.is_due(now) {
                self.connect(now, rest);
            }
            return;
        };
        if !self.connected && socket.is_connected() {
            self.connected = true;
            self.gateway.connected(now);
        } else if self.gateway.gateway().wants_disconnect() {
            self.write();
            self.lose();
        }
    }

    fn connect(&mut self, now: Nanos, rest: &mut Rest) {
        self.socket = OrderSocket::open(&self.address).ok();
        let watched = self.socket.as_mut().map(|socket| rest.poller.watch_order(socket));
        if !matches!(watched, Some(Ok(()))) {
            self.socket = None;
            self.attempts.failed(now);
        }
    }

    /// The connection is gone: the gateway says what that means for its orders, and another one is tried later.
    fn lose(&mut self) -> bool {
        let now = self.clock.now();
        self.socket = None;
        self.filled = 0;
        if std::mem::take(&mut self.connected) {
            self.gateway.disconnected(now);
        }
        self.attempts.failed(now);
        true
    }

    /// Logs out and gives the last bytes a moment each way.
    fn say_farewell(&mut self, mut rest: Rest) {
        let deadline = Nanos(self.clock.now().0 + FAREWELL_NS);
        self.gateway.log_out(self.clock.now());
        while self.connected && self.clock.now() < deadline && !self.gateway.gateway().wants_disconnect() {
            let now = self.clock.now();
            let worked = self.write() | self.read(now);
            rest.idle(worked);
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// When to connect again: a while after a failure, twice as long after the next one, and so on up to a bound.
#[derive(Debug)]
pub(super) struct Attempts {
    at: Nanos,
    wait_ns: u64,
    first_ns: u64,
    last_ns: u64,
}

impl Attempts {
    pub(super) fn new(address: &OrderAddress) -> Self {
        let first_ns = nanos(address.reconnect_first);
        Self { at: Nanos(0), wait_ns: first_ns, first_ns, last_ns: nanos(address.reconnect_last).max(first_ns) }
    }

    pub(super) fn is_due(&self, now: Nanos) -> bool {
        now >= self.at
    }

    pub(super) fn failed(&mut self, now: Nanos) {
        self.at = Nanos(now.0.saturating_add(self.wait_ns));
        self.wait_ns = self.wait_ns.saturating_mul(2).min(self.last_ns);
    }

    pub(super) fn succeeded(&mut self) {
        self.wait_ns = self.first_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_at_twice_the_distance_up_to_the_bound_and_again_from_the_first_after_a_success() {
        let [first, last] = [10, 1_000].map(Duration::from_millis);
        let usual = OrderAddress::new("127.0.0.1:1".parse().unwrap());
        let mut attempts =
            Attempts::new(&OrderAddress { reconnect_first: first, reconnect_last: last, ..usual.clone() });
        let mut now = Nanos(5);
        assert!(attempts.is_due(now), "the first attempt waits for nothing");
        let mut waits_ms = |attempts: &mut Attempts| {
            attempts.failed(now);
            let wait = attempts.at.since(now);
            assert!(!attempts.is_due(Nanos(attempts.at.0 - 1)) && attempts.is_due(attempts.at));
            now = attempts.at;
            wait / Nanos::PER_MILLI
        };
        let waits: Vec<u64> = (0..9).map(|_| waits_ms(&mut attempts)).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        attempts.succeeded();
        assert_eq!(waits_ms(&mut attempts), 10);
        // A bound below the first wait is none.
        let mut attempts = Attempts::new(&OrderAddress { reconnect_first: last, reconnect_last: first, ..usual });
        assert_eq!([waits_ms(&mut attempts), waits_ms(&mut attempts)], [1_000, 1_000]);
    }
}
