//! A connection of an order session: its socket, the bytes that came and are not whole messages yet, and when to try again.

use std::io;
use std::time::Duration;

use super::socket::{OrderAddress, OrderSocket};
use crate::units::Nanos;

/// Bytes of reports held until they are whole.
const INBOX_BYTES: usize = 1 << 17;

/// A connection that is opened again each time it is lost.
#[derive(Debug)]
pub(super) struct Connection {
    address: OrderAddress,
    pub(super) socket: Option<OrderSocket>,
    /// Whether the session was told that bytes flow.
    pub(super) connected: bool,
    pub(super) attempts: Attempts,
    inbox: Box<[u8]>,
    filled: usize,
}

impl Connection {
    /// One that is not open yet.
    pub(super) fn new(address: OrderAddress) -> Self {
        let inbox = vec![0; INBOX_BYTES].into();
        Self { attempts: Attempts::new(&address), address, socket: None, connected: false, inbox, filled: 0 }
    }

    /// Begins to connect, or says to the attempts that it failed. `watch` may refuse the socket.
    pub(super) fn open(&mut self, now: Nanos, watch: impl FnOnce(&mut OrderSocket) -> io::Result<()>) {
        self.socket = OrderSocket::open(&self.address).ok();
        let watched = self.socket.as_mut().map(watch);
        if !matches!(watched, Some(Ok(()))) {
            self.socket = None;
            self.attempts.failed(now);
        }
    }

    /// Whether bytes flow for the first time since it was opened.
    pub(super) fn is_established_now(&mut self) -> bool {
        let is_up = !self.connected && self.socket.as_mut().is_some_and(|socket| socket.is_connected());
        self.connected |= is_up;
        is_up
    }

    /// Reads what is there; how many bytes. Nothing without a socket.
    #[inline]
    pub(super) fn read(&mut self) -> io::Result<usize> {
        let Some(socket) = &mut self.socket else { return Ok(0) };
        let received = socket.read(&mut self.inbox[self.filled..])?;
        self.filled += received;
        Ok(received)
    }

    /// Bytes that came and were not consumed.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.inbox[..self.filled]
    }

    /// The first of them are done with.
    #[inline]
    pub(super) fn consume(&mut self, taken: usize) {
        self.inbox.copy_within(taken..self.filled, 0);
        self.filled -= taken;
    }

    /// It is gone, with what was not whole; another one is tried later. Whether bytes flowed.
    pub(super) fn lose(&mut self, now: Nanos) -> bool {
        self.socket = None;
        self.filled = 0;
        self.attempts.failed(now);
        std::mem::take(&mut self.connected)
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
