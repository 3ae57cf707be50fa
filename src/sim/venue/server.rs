//! A venue on a thread of its own, over loopback sockets.
//!
//! Market data leaves by UDP, incremental and snapshot lines on two ports of one multicast group, and once more on two
//! others if asked for; where the host refuses multicast on its loopback interface they go to the loopback address itself,
//! and a notice says so. What a Starbase client misses it asks for at a port of its own. Orders come by TCP,
//! one client at a time: a new connection replaces the one before it. So does the drop copy's, at a door of its own. The thread sleeps until bytes arrive or a
//! millisecond has passed, so it answers an order at once and costs little else. Venue time is the configured start plus
//! the time since the thread began.
//!
//! Failure: what cannot be bound is an error of [`VenueServer::spawn`]; a datagram that the kernel refuses is counted and
//! lost, as on any network; a client that does not read is cut off at [`UNREAD_BYTES_MAX`].

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream, UdpSocket as UdpService};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use super::drop_copy::DropCopy;
use super::{Channel, ConfigError, Statement, Venue, VenueConfig};
use crate::feed::Protocol as Wire;
use crate::runtime::socket::FeedAddress;
use crate::units::Nanos;

/// Unread bytes at which a client is cut off.
pub const UNREAD_BYTES_MAX: usize = 16 << 20;
/// Longest sleep between two looks at the market.
const SLEEP: Duration = Duration::from_millis(1);
/// How long a probe of the multicast group may take.
const PROBE_PATIENCE: Duration = Duration::from_millis(200);
const SERVICE: Token = Token(0);
/// Of the door for orders, its listener and its client; those of the drop copy's follow.
const FIRST_DOOR: usize = 1;

/// Where the venue is reached. Ports of 0 are chosen by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The multicast group to try; `None` for unicast to the loopback address.
    pub group: Option<Ipv4Addr>,
    /// Port of the incremental lines.
    pub incremental_port: u16,
    /// Port of the snapshot lines.
    pub snapshot_port: u16,
    /// Where the order session listens.
    pub order_host: Ipv4Addr,
    /// Port of the order session.
    pub order_port: u16,
    /// Where the drop copy listens, if the client has one.
    pub drop_copy: Option<SocketAddrV4>,
    /// Whether everything is sent a second time, on a line of its own.
    pub two_lines: bool,
    /// Ports of that line: incremental, snapshots.
    pub second_ports: [u16; 2],
    /// Port at which a Starbase client asks for what it missed.
    pub service_port: u16,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            group: Some(Ipv4Addr::new(239, 111, 111, 1)),
            incremental_port: 0,
            snapshot_port: 0,
            order_host: Ipv4Addr::LOCALHOST,
            order_port: 0,
            drop_copy: None,
            two_lines: false,
            second_ports: [0; 2],
            service_port: 0,
        }
    }
}

/// Why a venue did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum VenueError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A socket could not be had.
    #[error("the venue cannot use {address} for {purpose}: {source}; choose another port, or 0 for any free one")]
    Socket {
        /// What for.
        purpose: &'static str,
        /// Which address.
        address: SocketAddrV4,
        /// What the host says.
        source: io::Error,
    },
    /// The thread could not be started.
    #[error("the venue's thread cannot start: {0}")]
    Thread(io::Error),
    /// The thread is gone.
    #[error("the venue's thread has ended before its time")]
    Gone,
}

/// Starts venues.
#[derive(Debug)]
pub struct VenueServer;

impl VenueServer {
    /// Starts a venue on ports that the host chooses.
    pub fn spawn(config: VenueConfig) -> Result<VenueHandle, VenueError> {
        Self::spawn_at(config, Endpoints::default())
    }

    /// Starts a venue at these endpoints.
    pub fn spawn_at(config: VenueConfig, endpoints: Endpoints) -> Result<VenueHandle, VenueError> {
        let sends_again = config.publish.protocol == Wire::Starbase;
        let venue = Venue::new(config)?;
        let mut notices = Vec::new();
        let incremental =
            Outlet::open("incremental market data", endpoints.group, endpoints.incremental_port, &mut notices)?;
        // One refusal is enough: the second outlet goes the way of the first.
        let group = endpoints.group.filter(|group| incremental.address.ip() == group);
        let snapshot = Outlet::open("snapshots", group, endpoints.snapshot_port, &mut notices)?;
        let (mut incremental, mut snapshot) = (vec![incremental], vec![snapshot]);
        if endpoints.two_lines {
            let [changes, snapshots] = endpoints.second_ports;
            incremental.push(Outlet::open("incremental market data, line B", group, changes, &mut notices)?);
            snapshot.push(Outlet::open("snapshots, line B", group, snapshots, &mut notices)?);
        }
        let order_address = SocketAddrV4::new(endpoints.order_host, endpoints.order_port);
        let poll = Poll::new().map_err(VenueError::Thread)?;
        let (door, orders) = Door::open(Purpose::Orders, order_address, &poll)?;
        let (mut doors, mut drop_copy) = (vec![door], None);
        if let Some(address) = endpoints.drop_copy {
            let (door, bound) = Door::open(Purpose::DropCopy, address, &poll)?;
            doors.push(door);
            drop_copy = Some(bound);
        }

        let mut feeds = Vec::new();
        for lines in [&incremental, &snapshot] {
            let first = FeedAddress::new(lines[0].address, Ipv4Addr::LOCALHOST);
            feeds.push(first);
            let others = lines[1..].iter().map(|line| FeedAddress::new(line.address, Ipv4Addr::LOCALHOST));
            feeds.extend(others.map(|line| line.second_line(&first)));
        }
        let service = if sends_again {
            let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, endpoints.service_port);
            let mut service = UdpService::bind(address.into())
                .and_then(|socket| Ok((socket.local_addr()?, socket)))
                .map_err(|source| VenueError::Socket { purpose: "retransmits", address, source })?;
            poll.registry().register(&mut service.1, SERVICE, Interest::READABLE).map_err(VenueError::Thread)?;
            let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, service.0.port());
            feeds.push(FeedAddress::answers_of(address, Ipv4Addr::LOCALHOST));
            Some(service.1)
        } else {
            None
        };
        let shared = Arc::new(Shared::default());
        let (commands, inbox) = channel();
        let shared_too = Arc::clone(&shared);
        let floor = Floor { venue, incremental, snapshot, service, doors, poll, inbox, shared: shared_too };
        let thread = std::thread::Builder::new().name("venue".to_owned()).spawn(move || floor.run());
        let thread = Some(thread.map_err(VenueError::Thread)?);
        Ok(VenueHandle { feeds, orders, drop_copy, notices, shared, commands, thread })
    }
}

/// A running venue. Dropping it stops the venue.
#[derive(Debug)]
pub struct VenueHandle {
    feeds: Vec<FeedAddress>,
    orders: SocketAddr,
    drop_copy: Option<SocketAddr>,
    notices: Vec<String>,
    shared: Arc<Shared>,
    commands: Sender<Command>,
    thread: Option<JoinHandle<Statement>>,
}

impl VenueHandle {
    /// Where to receive market data: the incremental lines, the snapshot lines, then what is sent again on request.
    pub fn feed_addresses(&self) -> &[FeedAddress] {
        &self.feeds
    }

    /// Where to connect for orders.
    pub fn order_address(&self) -> SocketAddr {
        self.orders
    }

    /// Where to connect for the drop copy, if there is one.
    pub fn drop_copy_address(&self) -> Option<SocketAddr> {
        self.drop_copy
    }

    /// What the host granted less of than was asked.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Datagrams sent so far.
    pub fn packets_sent(&self) -> u64 {
        self.shared.packets.load(Ordering::Relaxed)
    }

    /// Datagrams that the kernel refused.
    pub fn packets_refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Stops the market within about a millisecond; books, heartbeats and matching go on.
    pub fn freeze(&self) {
        // A venue that is gone is as frozen as can be.
        let _ = self.commands.send(Command::Freeze);
    }

    /// The venue's side of the story so far.
    pub fn statement(&self) -> Result<Statement, VenueError> {
        let (reply, answer) = sync_channel(1);
        self.commands.send(Command::Statement(reply)).map_err(|_| VenueError::Gone)?;
        answer.recv().map_err(|_| VenueError::Gone)
    }

    /// Ends the venue and hands out its last statement.
    pub fn stop(mut self) -> Result<Statement, VenueError> {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.take().ok_or(VenueError::Gone)?.join().map_err(|_| VenueError::Gone)
    }
}

impl Drop for VenueHandle {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of the venue has been printed by its thread; there is no one left here to tell.
            let _ = thread.join();
        }
    }
}

/// What both threads see.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    packets: AtomicU64,
    refused: AtomicU64,
}

/// What the handle asks of the thread.
enum Command {
    Freeze,
    Statement(SyncSender<Statement>),
}

/// A UDP socket and where its datagrams go.
struct Outlet {
    socket: UdpSocket,
    address: SocketAddrV4,
}

impl Outlet {
    /// Multicast to `group` if a datagram can be heard there, else unicast with a notice.
    fn open(
        purpose: &'static str,
        group: Option<Ipv4Addr>,
        port: u16,
        notices: &mut Vec<String>,
    ) -> Result<Self, VenueError> {
        if let Some(group) = group {
            match Self::multicast(group, port) {
                Ok(outlet) => return Ok(outlet),
                Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                    return Err(VenueError::Socket { purpose, address: SocketAddrV4::new(group, port), source });
                }
                Err(error) => notices.push(format!(
                    "multicast on the loopback interface is refused ({error}); market data goes to {} instead",
                    Ipv4Addr::LOCALHOST
                )),
            }
        }
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        Self::unicast(address).map_err(|source| VenueError::Socket { purpose, address, source })
    }

    /// Sends from the loopback address with the port that it sends to, which keeps two venues from sharing a group's
    /// port.
    fn multicast(group: Ipv4Addr, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())?;
        socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
        socket.set_multicast_ttl_v4(0)?;
        socket.set_multicast_loop_v4(true)?;
        let socket = UdpSocket::from(socket);
        let address = SocketAddrV4::new(group, socket.local_addr()?.port());
        probe(&socket, address)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }

    /// Finds a port that is free now; the receiver binds it later.
    fn unicast(address: SocketAddrV4) -> io::Result<Self> {
        let port = UdpSocket::bind(address)?.local_addr()?.port();
        let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address: SocketAddrV4::new(*address.ip(), port) })
    }

    fn send(&self, packet: &[u8], shared: &Shared) {
        let counter = match self.socket.send_to(packet, self.address) {
            Ok(_) => &shared.packets,
            Err(_) => &shared.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether a member of the group hears what is sent to it.
fn probe(sender: &UdpSocket, address: SocketAddrV4) -> io::Result<()> {
    let member = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    member.set_reuse_address(true)?;
    member.bind(&address.into())?;
    member.join_multicast_v4(address.ip(), &Ipv4Addr::LOCALHOST)?;
    member.set_read_timeout(Some(PROBE_PATIENCE))?;
    sender.send_to(b"probe", address)?;
    let mut heard = [0; 5];
    UdpSocket::from(member).recv(&mut heard)?;
    Ok(())
}

/// Everything the thread owns.
struct Floor {
    venue: Venue,
    /// By line.
    incremental: Vec<Outlet>,
    snapshot: Vec<Outlet>,
    service: Option<UdpService>,
    /// For orders, and for the drop copy if there is one.
    doors: Vec<Door>,
    poll: Poll,
    inbox: Receiver<Command>,
    shared: Arc<Shared>,
}

impl Floor {
    fn run(mut self) -> Statement {
        let (start, began) = (self.venue.start_time(), Instant::now());
        let mut events = Events::with_capacity(8);
        let mut buffer = vec![0; 1 << 16];
        while !self.shared.stop.load(Ordering::Acquire) {
            // A poll that fails is a poll that heard nothing; the sockets say what is wrong with them when used.
            let _ = self.poll.poll(&mut events, Some(SLEEP));
            let now = Nanos(start.0 + u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX - start.0));
            while let Ok(command) = self.inbox.try_recv() {
                match command {
                    Command::Freeze => self.venue.freeze(),
                    // Whoever asked may have gone.
                    Command::Statement(reply) => drop(reply.try_send(self.venue.statement())),
                }
            }
            for event in &events {
                match event.token() {
                    SERVICE => self.send_again(&mut buffer, now),
                    Token(token) => {
                        let (door, is_client) = ((token - FIRST_DOOR) / 2, (token - FIRST_DOOR) % 2 == 1);
                        let Self { venue, doors, poll, .. } = &mut self;
                        if is_client {
                            doors[door].read(venue, &mut buffer, poll, now);
                        } else {
                            doors[door].accept(venue, poll, now);
                        }
                    }
                }
            }
            self.write(now);
            let (incremental, snapshot, shared) = (&self.incremental, &self.snapshot, &self.shared);
            self.venue.advance(now, &mut |channel, packet| {
                let lines = match channel {
                    Channel::Incremental => incremental,
                    Channel::Snapshot => snapshot,
                };
                lines.iter().for_each(|line| line.send(packet, shared));
            });
            self.write(now);
        }
        self.venue.statement()
    }

    fn write(&mut self, now: Nanos) {
        let Self { venue, doors, poll, .. } = self;
        doors.iter_mut().for_each(|door| door.write(venue, poll, now));
    }

    /// Answers what was asked to be sent again.
    fn send_again(&mut self, buffer: &mut [u8], now: Nanos) {
        let Some(service) = &self.service else { return };
        while let Ok((length, client)) = service.recv_from(buffer) {
            // An answer that the kernel refuses is lost, as on any network.
            self.venue.resend(&buffer[..length], now, &mut |answer| drop(service.send_to(answer, client)));
        }
    }
}

/// Who comes through a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Orders,
    DropCopy,
}

/// A listener and the client that it let in last.
struct Door {
    purpose: Purpose,
    listener: TcpListener,
    client: Option<TcpStream>,
}

impl Door {
    /// A door that nobody has come through, and where it is.
    fn open(purpose: Purpose, address: SocketAddrV4, poll: &Poll) -> Result<(Self, SocketAddr), VenueError> {
        let name = match purpose {
            Purpose::Orders => "orders",
            Purpose::DropCopy => "the drop copy",
        };
        let fail = |source| VenueError::Socket { purpose: name, address, source };
        let mut listener = TcpListener::bind(address.into()).map_err(fail)?;
        let bound = listener.local_addr().map_err(fail)?;
        let door = FIRST_DOOR + 2 * purpose as usize;
        poll.registry().register(&mut listener, Token(door), Interest::READABLE).map_err(VenueError::Thread)?;
        Ok((Self { purpose, listener, client: None }, bound))
    }

    fn accept(&mut self, venue: &mut Venue, poll: &Poll, now: Nanos) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            self.hang_up(venue, poll, now);
            let client = Token(FIRST_DOOR + 2 * self.purpose as usize + 1);
            let registered = poll.registry().register(&mut stream, client, Interest::READABLE);
            if registered.and_then(|()| stream.set_nodelay(true)).is_ok() {
                match self.purpose {
                    Purpose::Orders => venue.connect(now),
                    Purpose::DropCopy => venue.drop_copy().into_iter().for_each(|copy| copy.connect(now)),
                }
                self.client = Some(stream);
            }
        }
    }

    /// Reads until nothing waits, answering after each piece.
    fn read(&mut self, venue: &mut Venue, buffer: &mut [u8], poll: &Poll, now: Nanos) {
        while let Some(client) = &mut self.client {
            match client.read(buffer) {
                Ok(0) => self.hang_up(venue, poll, now),
                Ok(length) => {
                    match self.purpose {
                        Purpose::Orders => venue.receive(&buffer[..length], now),
                        Purpose::DropCopy => {
                            venue.drop_copy().into_iter().for_each(|copy| copy.receive(&buffer[..length], now));
                        }
                    }
                    self.write(venue, poll, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.hang_up(venue, poll, now),
            }
        }
    }

    /// Writes what the client takes; what it does not is tried again within a millisecond.
    fn write(&mut self, venue: &mut Venue, poll: &Poll, now: Nanos) {
        let Some(client) = &mut self.client else { return };
        let wants_close = match self.purpose {
            Purpose::Orders => venue.wants_close(),
            Purpose::DropCopy => venue.drop_copy().is_none_or(|copy| copy.wants_close()),
        };
        let outgoing = match self.purpose {
            Purpose::Orders => Some(venue.outgoing()),
            Purpose::DropCopy => venue.drop_copy().map(DropCopy::outgoing),
        };
        let Some(outgoing) = outgoing else { return self.hang_up(venue, poll, now) };
        let mut at = 0;
        let lost = loop {
            if at == outgoing.len() {
                break false;
            }
            match client.write(&outgoing[at..]) {
                Ok(0) => break true,
                Ok(length) => at += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break true,
            }
        };
        outgoing.drain(..at);
        let unread = outgoing.len();
        if lost || unread > UNREAD_BYTES_MAX || (unread == 0 && wants_close) {
            self.hang_up(venue, poll, now);
        }
    }

    fn hang_up(&mut self, venue: &mut Venue, poll: &Poll, now: Nanos) {
        if let Some(mut client) = self.client.take() {
            // Both fail only for a socket that is already gone.
            let _ = poll.registry().deregister(&mut client);
            let _ = client.shutdown(std::net::Shutdown::Both);
            match self.purpose {
                Purpose::Orders => venue.disconnect(now),
                Purpose::DropCopy => venue.drop_copy().into_iter().for_each(DropCopy::disconnect),
            }
        }
    }
}
