//! The order session's thread: instructions to bytes on a socket, bytes from it to reports; connects, and connects again.
//!
//! A venue that lets a connection in and then refuses the logon is waited for longer each time, like one that does not answer:
//! the wait starts again only with a session that came up. A gateway that is not armed is connected to nobody.

use super::clock::StampClock;
use super::connection::Connection;
use super::control::Board;
use super::observer::{Show, ring_shown};
use super::placement::HotStage;
use super::socket::{Alarm, OrderAddress};
use super::threads::{BATCH, Beat, Control, Rest, until_drained};
use super::watched_gateway::WatchedGateway;
use crate::event::KillLevel;
use crate::gateway::Gateway;
use crate::ring::Consumer;
use crate::risk::Instruction;
use crate::telemetry::live::GatewayShown;
use crate::units::Nanos;

/// How often the session is given the time, nanoseconds.
const CLOCK_NS: u64 = Nanos::PER_MILLI;
/// How long the last bytes may take after everything else has ended.
const FAREWELL_NS: u64 = 200 * Nanos::PER_MILLI;

/// A gateway and its socket.
#[derive(Debug)]
pub(super) struct OrderLink {
    gateway: WatchedGateway,
    connection: Connection,
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
        Self { gateway, connection: Connection::new(address), level_shown: KillLevel::Open, alarm, clock, show }
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
        let (Some(socket), false) = (&mut self.connection.socket, pending.is_empty()) else { return false };
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
        let Ok(received) = self.connection.read() else { return self.lose() };
        if received == 0 && (self.connection.unread().is_empty() || !self.gateway.is_unblocked()) {
            return false;
        }
        let taken = self.gateway.receive(self.connection.unread(), received, now);
        self.connection.consume(taken);
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
            self.connection.attempts.succeeded();
        }
        if self.connection.socket.is_none() {
            if self.connection.attempts.is_due(now) {
                self.connection.open(now, |socket| rest.poller.watch_order(socket));
            }
            return;
        }
        if self.connection.is_established_now() {
            self.gateway.connected(now);
        } else if self.gateway.gateway().wants_disconnect() {
            self.write();
            self.lose();
        }
    }

    /// The connection is gone: the gateway says what that means for its orders, and another one is tried later.
    fn lose(&mut self) -> bool {
        let now = self.clock.now();
        if self.connection.lose(now) {
            self.gateway.disconnected(now);
        }
        true
    }

    /// Logs out and gives the last bytes a moment each way.
    fn say_farewell(&mut self, mut rest: Rest) {
        let deadline = Nanos(self.clock.now().0 + FAREWELL_NS);
        self.gateway.log_out(self.clock.now());
        while self.connection.connected && self.clock.now() < deadline && !self.gateway.gateway().wants_disconnect() {
            let now = self.clock.now();
            let worked = self.write() | self.read(now);
            rest.idle(worked);
        }
    }
}
