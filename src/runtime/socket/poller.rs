//! Where an adaptive thread sleeps until a socket is readable, another thread wakes it, or a bounded time has passed.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};

use super::{FeedSocket, OrderSocket};

/// No wait is longer: how late a message may be noticed when nothing wakes the thread for it.
pub const LONGEST_WAIT: Duration = Duration::from_millis(1);

/// Readiness of the sockets of one thread.
pub struct Poller {
    poll: Poll,
    events: Events,
    alarm: Alarm,
    registered: usize,
}

/// Wakes the thread that sleeps on a poller: for those who fill the rings that it drains.
#[derive(Clone)]
pub struct Alarm {
    asleep: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Poller {
    /// A poller with no sockets yet.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), ALARM)?);
        let alarm = Alarm { asleep: Arc::new(AtomicBool::new(false)), waker };
        Ok(Self { poll, events: Events::with_capacity(EVENTS), alarm, registered: 0 })
    }

    /// Wakes for datagrams.
    pub fn watch_feed(&mut self, socket: &mut FeedSocket) -> io::Result<()> {
        let token = self.next_token();
        self.poll.registry().register(socket.source(), token, Interest::READABLE)
    }

    /// Wakes for bytes, for room to write, and for the connection coming up or going down.
    pub fn watch_order(&mut self, socket: &mut OrderSocket) -> io::Result<()> {
        let token = self.next_token();
        self.poll.registry().register(socket.source(), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Sleeps for up to `limit`, at most [`LONGEST_WAIT`]; true when something happened. Before it, every socket must
    /// have been received from until it had nothing.
    pub fn wait(&mut self, limit: Duration) -> io::Result<bool> {
        self.alarm.asleep.store(true, Ordering::Release);
        let outcome = self.poll.poll(&mut self.events, Some(limit.min(LONGEST_WAIT)));
        self.alarm.asleep.store(false, Ordering::Release);
        match outcome {
            Ok(()) => Ok(!self.events.is_empty()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The handle that wakes this poller's thread.
    pub fn alarm(&self) -> Alarm {
        self.alarm.clone()
    }

    fn next_token(&mut self) -> Token {
        self.registered += 1;
        Token(self.registered)
    }
}

impl Alarm {
    /// Wakes the thread if it sleeps; one load if it does not. A thread about to sleep may be missed: it then wakes by
    /// itself within [`LONGEST_WAIT`], the price of not fencing every message.
    #[inline]
    pub fn ring(&self) {
        if self.asleep.load(Ordering::Acquire) && self.asleep.swap(false, Ordering::AcqRel) {
            // A wake-up that fails is a sleep that ends by itself.
            let _ = self.waker.wake();
        }
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("registered", &self.registered).finish_non_exhaustive()
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("asleep", &self.asleep).finish_non_exhaustive()
    }
}

/// The alarm's token; sockets count from one.
const ALARM: Token = Token(0);

/// Events taken a wait; more sockets than that are reported in turn.
const EVENTS: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};
    use std::thread;
    use std::time::Instant;

    use super::super::FeedAddress;
    use super::*;

    #[test]
    fn a_wait_is_bounded() {
        let mut poller = Poller::new().unwrap();
        let start = Instant::now();
        assert!(!poller.wait(Duration::from_secs(3600)).unwrap());
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    /// Waits until something happens; a wait is at most a millisecond.
    fn woken(poller: &mut Poller) -> bool {
        (0..10_000).any(|_| poller.wait(LONGEST_WAIT).unwrap())
    }

    #[test]
    fn a_datagram_ends_the_wait() {
        let any = FeedAddress::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), Ipv4Addr::LOCALHOST);
        let mut socket = FeedSocket::open(&any).unwrap();
        let mut poller = Poller::new().unwrap();
        poller.watch_feed(&mut socket).unwrap();
        let sender = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for _ in 0..3 {
            sender.send_to(b"tick", socket.local_address()).unwrap();
            assert!(woken(&mut poller));
            assert_eq!(socket.receive(&mut [0; 16]).unwrap(), Some(4));
            assert_eq!(socket.receive(&mut [0; 16]).unwrap(), None);
        }
    }

    #[test]
    fn an_alarm_ends_the_wait_and_costs_nothing_when_nobody_sleeps() {
        let mut poller = Poller::new().unwrap();
        let alarm = poller.alarm();
        alarm.ring();
        assert!(!poller.wait(Duration::ZERO).unwrap(), "nobody slept, so nothing was sent");
        thread::scope(|scope| {
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                while stopped.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty) {
                    alarm.ring();
                    thread::yield_now();
                }
            });
            assert!(woken(&mut poller));
            drop(stop);
        });
    }
}
