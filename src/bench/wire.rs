//! Over real sockets: a datagram in, an order out, seen from both ends.
//!
//! This thread is the exchange. For one and a half seconds it opens a market as the embedded venue does, then it lets the
//! pipeline log on and sends nothing but ticks of the perpetual; orders meet nobody and are cancelled, so that the next tick
//! is worth one again. The pipeline is the live one, [`Pipeline`], with its own stamps: `wire` runs from before the receive
//! call that brought the datagram to after the write call that took the order. `echo` is a thread on the same core that
//! answers each datagram with as many bytes as an order has, through the same kinds of socket, stamped at the same places. It
//! spins as the pipeline does, through the same calls in the same order: both lines of datagrams, then the session; it decodes,
//! values and decides nothing, and hears no answer.
//!
//! From the exchange's side a datagram is timed from when it was due to be sent until its order arrived. The order's price
//! tells the tick among the last [`STEPS`]. A tick that came while an order was working has none of its own and is answered
//! by the next one: that counts in full.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::fused::ticks;
use super::market::{self, BookSize, Ladder, Outcome, PACKET_BYTES_MAX, STEPS};
use super::results::Answered;
use super::series::Series;
use super::stages::OpenError;
use super::way::TO_WIRE;
use crate::feed::FeedConfig;
use crate::gateway::SessionConfig;
use crate::hedge::HedgeConfig;
use crate::portfolio::GreeksConfig;
use crate::runtime::clock::StampClock;
use crate::runtime::control::ControlConfig;
use crate::runtime::placement::{Plan, pin_current_thread};
use crate::runtime::socket::{FeedAddress, FeedSocket, OrderAddress, OrderSocket};
use crate::runtime::{Pipeline, PipelineConfig};
use crate::sim::venue::{Channel, Venue};
use crate::surface::SurfaceConfig;
use crate::telemetry::Hop;
use crate::units::{Nanos, Price};
use crate::wire::starbase::orders::{HEADER_BYTES, Message, NewOrderRequest, next_frame};

/// Real time for listings, snapshots and calibration.
const OPENING: Duration = Duration::from_millis(1_500);
/// How long a logon may take.
const LOGON: Duration = Duration::from_secs(5);
/// How long an answer may take before a closed loop goes on without it.
const ANSWER: Duration = Duration::from_millis(20);
/// Between an answer and the next tick of a closed loop, in which the pipeline takes the cancel.
const PAUSE: Duration = Duration::from_micros(100);
/// A channel falls silent after five seconds without a packet: rounds end before that.
pub(super) const LONGEST: Duration = Duration::from_millis(3_500);
/// Bytes of an order on the wire.
const ORDER_BYTES: usize = HEADER_BYTES + size_of::<NewOrderRequest>();

/// Everything measured over sockets, round by round.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// The bare echo.
    pub(super) echo: Series,
    /// The pipeline.
    pub(super) wire: Series,
    /// Its hops.
    pub(super) hops: Vec<(&'static str, Series)>,
    /// From the exchange's side, at a rate.
    pub(super) open: Seen,
    /// And one after the other.
    pub(super) closed: Seen,
    /// What the machine did not permit.
    pub(super) notices: Vec<String>,
}

/// What the exchange saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) latency: Series,
    sent: u64,
    covered: u64,
    unanswered: u64,
    took: Duration,
}

impl Seen {
    pub(super) fn answered(&self) -> Answered {
        let rate = self.sent as f64 / self.took.as_secs_f64().max(1e-9);
        let latency = self.latency.percentiles();
        Answered { latency, rate: rate.round() as u64, covered: self.covered, unanswered: self.unanswered }
    }
}

/// What a round is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round<'a> {
    /// Where the pipeline's threads run.
    pub(super) plan: &'a Plan,
    /// The exchange's own core.
    pub(super) core: Option<usize>,
    /// What is listed and held.
    pub(super) size: BookSize,
    /// Ticks a second of the open loop.
    pub(super) rate: u64,
    /// Of either loop.
    pub(super) lasts: Duration,
    pub(super) clock: StampClock,
}

impl Wire {
    /// One round of the echo, one of the pipeline.
    pub(super) fn round(&mut self, round: Round<'_>) -> Result<(), OpenError> {
        thread::scope(|scope| {
            let exchange = scope.spawn(|| {
                if let Some(core) = round.core {
                    pin_current_thread(core);
                }
                self.echo_round(round)?;
                self.pipeline_round(round)
            });
            exchange.join().expect("the exchange's thread ends")
        })
    }

    fn echo_round(&mut self, round: Round<'_>) -> Result<(), OpenError> {
        let any = FeedAddress::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), Ipv4Addr::LOCALHOST);
        let (mut feed, mut snapshots) = (FeedSocket::open(&any)?, FeedSocket::open(&any)?);
        let (listener, orders) = listen()?;
        let mut socket = OrderSocket::connect(orders)?;
        let core = round.plan.threads.first().and_then(|thread| thread.core);
        let (stop, clock, to) = (AtomicBool::new(false), round.clock, feed.local_address());
        let series = thread::scope(|scope| {
            let echo = scope.spawn(|| {
                if let Some(core) = core {
                    pin_current_thread(core);
                }
                let (mut series, answer, mut inbox) = (Series::default(), [0; ORDER_BYTES], [0; 4_096]);
                while !stop.load(Ordering::Relaxed) {
                    let received = clock.ticks();
                    let count = feed.receive_batch().unwrap_or(0);
                    for _ in 0..count {
                        if socket.write(&answer).is_ok_and(|length| length == ORDER_BYTES) {
                            series.record(clock.nanos(clock.ticks().0 - received.0));
                        }
                    }
                    // Nothing comes on either; a session that ended fails the next write.
                    let _ = snapshots.receive_batch();
                    let _ = socket.read(&mut inbox);
                }
                series.end_round();
                series
            });
            let outcome = accept(&listener).and_then(|stream| {
                let mut exchange = Exchange::new(stream, to, Ladder::default(), None, round)?;
                exchange.closed(&mut Seen::default())?;
                exchange.open(&mut Seen::default())
            });
            stop.store(true, Ordering::Relaxed);
            outcome.map(|()| echo.join().expect("the echo's thread ends"))
        })?;
        self.echo.absorb(&series);
        Ok(())
    }

    fn pipeline_round(&mut self, round: Round<'_>) -> Result<(), OpenError> {
        let start = round.clock.now();
        let (venue_config, book) = market::venue(round.size, start);
        let credentials = venue_config.session.clone();
        let mut venue = Venue::new(venue_config)?;
        let (listener, orders) = listen()?;
        // Found free, and bound by the pipeline in a moment.
        let [incremental, snapshot] = [free_port()?, free_port()?];
        let feeds = [incremental, snapshot]
            .map(|port| FeedAddress::new(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), Ipv4Addr::LOCALHOST));
        let pipeline = Pipeline::start(PipelineConfig {
            plan: round.plan.clone(),
            feeds: feeds.to_vec(),
            orders: OrderAddress { reconnect_last: Duration::from_millis(100), ..OrderAddress::new(orders) },
            feed: FeedConfig::default(),
            greeks: GreeksConfig { opening: book, ..GreeksConfig::default() },
            surface: SurfaceConfig::default(),
            hedge: HedgeConfig { started_s: (start.0 / Nanos::PER_SECOND) as u32, ..market::hedge(Outcome::Order) },
            session: SessionConfig::new(&credentials.client_id, &credentials.secret)?.into(),
            journal: None,
            drop_copy: None,
            control: ControlConfig::default(),
        })?;
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (began, mut ladder) = (Instant::now(), Ladder::default());
        while began.elapsed() < OPENING {
            venue.advance(round.clock.now(), &mut |channel, bytes| {
                if channel == Channel::Incremental {
                    ladder.follow(bytes);
                }
                // A datagram that the kernel refuses is lost, as on any network.
                let _ = sender.send_to(bytes, feeds[usize::from(channel == Channel::Snapshot)].address);
            });
            thread::sleep(Duration::from_millis(1));
        }
        let mut buffer = [0; PACKET_BYTES_MAX];
        sender.send_to(ladder.take_over(&venue, round.clock.now(), &mut buffer), feeds[0].address)?;
        let stream = accept(&listener)?;
        let mut exchange = Exchange::new(stream, feeds[0].address, ladder, Some(venue), round)?;
        let outcome = exchange.log_on().and_then(|()| {
            exchange.closed(&mut self.closed)?;
            exchange.open(&mut self.open)
        });
        let finished = pipeline.stop()?;
        outcome?;
        let latencies = &finished.recorder.latencies;
        self.wire.round_of(latencies.of_orders(Hop::EndToEnd));
        self.hops.resize_with(TO_WIRE.len(), Default::default);
        for ((hop, name), series) in Hop::ALL.into_iter().zip(TO_WIRE).zip(&mut self.hops) {
            series.0 = name;
            series.1.round_of(latencies.of_orders(hop));
        }
        self.notices = finished.notices;
        Ok(())
    }
}

/// The venue's end of both sockets.
struct Exchange<'a> {
    orders: TcpStream,
    ticks: UdpSocket,
    ladder: Ladder,
    /// Answers the order session; without one, any bytes answer the oldest tick.
    venue: Option<Venue>,
    inbox: Vec<u8>,
    waiting: Waiting,
    round: Round<'a>,
}

impl<'a> Exchange<'a> {
    fn new(
        orders: TcpStream,
        to: SocketAddrV4,
        ladder: Ladder,
        venue: Option<Venue>,
        round: Round<'a>,
    ) -> io::Result<Self> {
        orders.set_nonblocking(true)?;
        orders.set_nodelay(true)?;
        let ticks = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        ticks.connect(to)?;
        let (inbox, waiting) = (Vec::with_capacity(1 << 16), Waiting::default());
        Ok(Self { orders, ticks, ladder, venue, inbox, waiting, round })
    }

    /// Answers the session until it trades, which the first order shows.
    fn log_on(&mut self) -> io::Result<()> {
        let began = Instant::now();
        if let Some(venue) = &mut self.venue {
            venue.connect(self.round.clock.now());
        }
        let mut seen = Seen::default();
        while began.elapsed() < LOGON {
            let due = self.round.clock.ticks().0;
            self.tick(due)?;
            let until = Instant::now() + ANSWER;
            while Instant::now() < until {
                if self.hear(&mut seen)? {
                    self.waiting.0.clear();
                    return Ok(());
                }
            }
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the pipeline did not trade within five seconds of its market's opening",
        ))
    }

    /// One tick when the one before was answered.
    fn closed(&mut self, seen: &mut Seen) -> io::Result<()> {
        let clock = self.round.clock;
        let (start, length) = (clock.ticks().0, ticks(&clock, self.round.lasts));
        while clock.ticks().0 < start + length {
            let due = clock.ticks().0;
            self.tick(due)?;
            seen.sent += 1;
            while !self.hear(seen)? && clock.ticks().0 < due + ticks(&clock, ANSWER) {}
            let pause = clock.ticks().0 + ticks(&clock, PAUSE);
            while clock.ticks().0 < pause {
                self.hear(seen)?;
            }
        }
        self.end(seen)
    }

    /// Ticks when they are due.
    fn open(&mut self, seen: &mut Seen) -> io::Result<()> {
        let clock = self.round.clock;
        let (start, each) = (clock.ticks().0, ticks(&clock, Duration::from_secs(1)) as f64 / self.round.rate as f64);
        let count = (self.round.rate as f64 * self.round.lasts.as_secs_f64()) as u64;
        for at in 0..count {
            let due = start + (each * at as f64) as u64;
            while clock.ticks().0 < due {
                self.hear(seen)?;
            }
            self.tick(due)?;
            seen.sent += 1;
        }
        let last = clock.ticks().0 + ticks(&clock, ANSWER);
        while !self.waiting.0.is_empty() && clock.ticks().0 < last {
            self.hear(seen)?;
        }
        self.end(seen)
    }

    fn end(&mut self, seen: &mut Seen) -> io::Result<()> {
        seen.unanswered += self.waiting.0.len() as u64;
        self.waiting.0.clear();
        seen.took += self.round.lasts;
        seen.latency.end_round();
        Ok(())
    }

    fn tick(&mut self, due: u64) -> io::Result<()> {
        let mut buffer = [0; PACKET_BYTES_MAX];
        let bytes = self.ladder.next(self.round.clock.now(), &mut buffer);
        self.waiting.0.push_back((due, self.ladder.step()));
        self.ticks.send(bytes).map(|_| ())
    }

    /// Takes what has arrived and answers it; true when an order was among it.
    fn hear(&mut self, seen: &mut Seen) -> io::Result<bool> {
        let mut buffer = [0; 4_096];
        let length = match self.orders.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let now = self.round.clock.ticks().0;
        self.inbox.extend_from_slice(&buffer[..length]);
        let mut at = 0;
        let mut heard = false;
        if self.venue.is_none() {
            while self.inbox.len() - at >= ORDER_BYTES {
                at += ORDER_BYTES;
                heard = true;
                if let Some((due, _)) = self.waiting.0.pop_front() {
                    seen.latency.record(self.round.clock.nanos(now.saturating_sub(due)));
                }
            }
        } else {
            while let Ok(Some(frame)) = next_frame(&self.inbox[at..]) {
                at += frame.bytes();
                if let Ok(Message::NewOrderRequest(order)) = frame.message() {
                    let step = self.ladder.step_of(Price(order.price.get()));
                    self.waiting.answered(step, now, &self.round.clock, seen);
                    heard = true;
                }
            }
        }
        let Some(venue) = &mut self.venue else {
            self.inbox.drain(..at);
            return Ok(heard);
        };
        venue.receive(&self.inbox[..at], self.round.clock.now());
        self.inbox.drain(..at);
        if !venue.outgoing().is_empty() {
            let taken = self.orders.write(venue.outgoing())?;
            venue.outgoing().drain(..taken);
        }
        Ok(heard)
    }
}

/// When each tick was due that nothing has answered, oldest first, and its step.
#[derive(Debug, Default)]
struct Waiting(VecDeque<(u64, u32)>);

impl Waiting {
    /// An order decided at `step` answers every tick up to the latest one of that step.
    fn answered(&mut self, step: Option<u32>, now: u64, clock: &StampClock, seen: &mut Seen) {
        let recent = self.0.len().saturating_sub(STEPS as usize);
        let own = self.0.iter().skip(recent).rposition(|(_, of)| Some(*of) == step).map(|at| at + recent);
        let Some(own) = own else { return };
        for (due, _) in self.0.drain(..=own) {
            seen.latency.record(clock.nanos(now.saturating_sub(due)));
        }
        seen.covered += own as u64;
    }
}

fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The latest of those who have connected; whoever gave up waiting has connected again.
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + LOGON;
    let mut latest = None;
    loop {
        match listener.accept() {
            Ok((stream, _)) => latest = Some(stream),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if latest.is_none() && Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            Err(error) => return latest.ok_or(error),
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::Source;

    #[test]
    fn an_order_answers_its_own_tick_and_those_that_waited_before_it() {
        let clock = StampClock::with_source(Source::Monotonic);
        let (mut waiting, mut seen) = (Waiting::default(), Seen::default());
        // The steps have begun anew: the latest tick of a step is meant, not one a whole ladder ago.
        waiting.0.extend((0..=STEPS).map(|at| (u64::from(at), at % STEPS)));
        waiting.answered(Some(STEPS), 1_000, &clock, &mut seen);
        assert_eq!((waiting.0.len(), seen.covered), (STEPS as usize + 1, 0), "no tick has that step");
        waiting.answered(Some(0), 1_000, &clock, &mut seen);
        assert_eq!((waiting.0.len(), seen.covered), (0, u64::from(STEPS)));
        seen.latency.end_round();
        let latency = seen.latency.percentiles();
        assert_eq!((latency.count, latency.max), (u64::from(STEPS) + 1, 1_000));
    }
}
