//! The datagram side: multicast or unicast, received without waiting.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::{self, Batch, Datagram, SocketStats};
use super::{SocketError, options};
use crate::feed::Line;

/// Where datagrams come from, and how they are to be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedAddress {
    /// A multicast group, or an address of this host, and the port.
    pub address: SocketAddrV4,
    /// The address of the interface on which to join a group; unspecified lets the routing table choose.
    pub interface: Ipv4Addr,
    /// Bytes the kernel may hold for us; it may grant fewer, see [`FeedSocket::notices`].
    pub receive_buffer_bytes: usize,
    /// Microseconds the kernel polls the network card before it says that nothing is there; 0 for none.
    pub busy_poll_us: u32,
    /// Which copy of the stream comes here.
    pub line: Line,
    /// The port by which the stream is known, when its lines have different ones; 0 for the port of `address`.
    pub stream_port: u16,
    /// Senders to hear on a group; `None` for any.
    pub source: Option<Ipv4Addr>,
    /// Whether the kernel is to say when it received each datagram.
    pub timestamps: bool,
    /// The service that requests are sent to, when this socket is for its answers.
    pub service: Option<SocketAddrV4>,
}

impl FeedAddress {
    /// With a buffer of four mebibytes, and no polling of the card.
    pub const fn new(address: SocketAddrV4, interface: Ipv4Addr) -> Self {
        Self {
            address,
            interface,
            receive_buffer_bytes: 4 << 20,
            busy_poll_us: 0,
            line: Line::A,
            stream_port: 0,
            source: None,
            timestamps: false,
            service: None,
        }
    }

    /// Answers of the service at this address, which is asked from `interface`.
    pub const fn answers_of(service: SocketAddrV4, interface: Ipv4Addr) -> Self {
        let here = Self::new(SocketAddrV4::new(interface, 0), interface);
        Self { line: Line::Resent, service: Some(service), ..here }
    }

    /// The second line of the stream that `first` is the first line of.
    pub const fn second_line(self, first: &Self) -> Self {
        Self { line: Line::B, stream_port: first.address.port(), ..self }
    }
}

impl fmt::Display for FeedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.address.ip().is_multicast() { write!(f, " on interface {}", self.interface) } else { Ok(()) }
    }
}

/// An open socket for one channel's datagrams.
#[derive(Debug)]
pub struct FeedSocket {
    socket: UdpSocket,
    local: SocketAddrV4,
    line: Line,
    stream_port: u16,
    service: Option<SocketAddr>,
    batch: Batch,
    notices: Vec<String>,
}

impl FeedSocket {
    /// Binds, and joins the group when the address is one.
    ///
    /// A group may be received by several processes of a host; a unicast port belongs to one, so a second is refused
    /// rather than left to share the datagrams by chance.
    pub fn open(feed: &FeedAddress) -> Result<Self, SocketError> {
        let fail = |doing| move |cause| SocketError::new(doing, feed, cause);
        let socket =
            Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).map_err(fail("open a UDP socket for"))?;
        let multicast = feed.address.ip().is_multicast();
        if multicast {
            socket.set_reuse_address(true).map_err(fail("share the port of"))?;
        }
        let mut notices = Vec::new();
        ask_for_buffer(&socket, feed, &mut notices);
        ask_for_options(&socket, feed, &mut notices);
        // Bound to the group itself, the socket hears no other group on the port.
        socket.bind(&feed.address.into()).map_err(fail("receive on"))?;
        if multicast {
            match &feed.source {
                Some(source) => socket.join_ssm_v4(source, feed.address.ip(), &feed.interface),
                None => socket.join_multicast_v4(feed.address.ip(), &feed.interface),
            }
            .map_err(fail("join"))?;
        }
        socket.set_nonblocking(true).map_err(fail("receive without waiting on"))?;
        let local = socket.local_addr().map_err(fail("read the address of"))?;
        let socket = UdpSocket::from_std(socket.into());
        let local = local.as_socket_ipv4().unwrap_or(feed.address);
        let stream_port = if feed.stream_port == 0 { local.port() } else { feed.stream_port };
        let service = feed.service.map(SocketAddr::V4);
        Ok(Self { socket, local, line: feed.line, stream_port, service, batch: Batch::new(), notices })
    }

    /// The next datagram's length in `buffer`, or `None` when none waits. A datagram longer than the buffer is cut to
    /// it: give [`FeedSocket::LONGEST_DATAGRAM`] to receive anything.
    #[inline]
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.socket.recv_from(buffer) {
            Ok((length, _)) => Ok(Some(length)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the datagrams that wait, up to a batch, which [`FeedSocket::datagram`] then shows; how many. When fewer than
    /// [`FeedSocket::BATCH`] came, nothing more waits.
    #[inline]
    pub fn receive_batch(&mut self) -> io::Result<usize> {
        self.batch.fill(self.socket.as_raw_fd())
    }

    /// A datagram of the last batch.
    pub fn datagram(&self, at: usize) -> Datagram<'_> {
        self.batch.datagram(at)
    }

    /// What came and what did not.
    pub fn stats(&self) -> SocketStats {
        self.batch.stats()
    }

    /// Sends a request to the service; false when this socket has none.
    pub fn ask(&self, request: &[u8]) -> io::Result<bool> {
        match self.service {
            Some(service) => self.socket.send_to(request, service).map(|_| true),
            None => Ok(false),
        }
    }

    /// Datagrams of one batch at most.
    pub const BATCH: usize = batch::BATCH;

    /// Bytes of the longest datagram that IPv4 can carry.
    pub const LONGEST_DATAGRAM: usize = 65_507;

    /// Where it receives; the port is the kernel's choice when 0 was asked for.
    pub fn local_address(&self) -> SocketAddrV4 {
        self.local
    }

    /// The port by which its stream is known.
    pub fn stream_port(&self) -> u16 {
        self.stream_port
    }

    /// Which copy of the stream it receives.
    pub fn line(&self) -> Line {
        self.line
    }

    /// What the host granted less of than was asked.
    pub fn notices(&self) -> impl Iterator<Item = &str> {
        self.notices.iter().map(String::as_str)
    }

    pub(super) fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }
}

/// The kernel caps the buffer silently, and reports twice what it grants (half is its own bookkeeping).
fn ask_for_buffer(socket: &Socket, feed: &FeedAddress, notices: &mut Vec<String>) {
    let asked = feed.receive_buffer_bytes;
    let granted = match socket.set_recv_buffer_size(asked).and_then(|()| socket.recv_buffer_size()) {
        Ok(reported) if cfg!(target_os = "linux") => reported / 2,
        Ok(reported) => reported,
        Err(_) => 0,
    };
    if granted < asked {
        notices.push(format!(
            "{feed}: the kernel holds {granted} bytes of the {asked} asked for; raise net.core.rmem_max against bursts"
        ));
    }
}

/// Options that the hot path does without where the host does not have them.
fn ask_for_options(socket: &Socket, feed: &FeedAddress, notices: &mut Vec<String>) {
    let mut ask = |what: &str, outcome: io::Result<()>| {
        if let Err(error) = outcome {
            notices.push(format!("{feed}: {what}: {error}"));
        }
    };
    if feed.busy_poll_us > 0 {
        ask("the network card is not busy-polled", options::busy_poll(socket, feed.busy_poll_us));
    }
    ask("datagrams dropped by the kernel are not counted", options::count_drops(socket));
    if feed.timestamps {
        ask("the kernel does not say when it received a datagram", options::timestamps(socket));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

    fn unicast() -> FeedSocket {
        FeedSocket::open(&FeedAddress::new(SocketAddrV4::new(LOOPBACK, 0), LOOPBACK)).unwrap()
    }

    fn receive_within(socket: &FeedSocket, limit: Duration) -> Option<Vec<u8>> {
        let (start, mut buffer) = (Instant::now(), vec![0; FeedSocket::LONGEST_DATAGRAM]);
        while start.elapsed() < limit {
            if let Some(length) = socket.receive(&mut buffer).unwrap() {
                return Some(buffer[..length].to_vec());
            }
            std::thread::yield_now();
        }
        None
    }

    #[test]
    fn datagrams_arrive_whole_and_in_order_and_nothing_is_no_wait() {
        let receiver = unicast();
        assert_eq!(receiver.receive(&mut [0; 16]).unwrap(), None);
        let sender = std::net::UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let longest = vec![7; 9_000];
        for message in [b"".as_slice(), b"one", &longest] {
            sender.send_to(message, receiver.local_address()).unwrap();
            assert_eq!(receive_within(&receiver, Duration::from_secs(5)).as_deref(), Some(message));
        }
    }

    #[test]
    fn a_unicast_port_in_use_is_refused_by_name() {
        let first = unicast();
        let second = FeedSocket::open(&FeedAddress::new(first.local_address(), LOOPBACK)).unwrap_err().to_string();
        assert!(second.starts_with(&format!("cannot receive on {}: ", first.local_address())), "{second}");
        assert!(second.ends_with("another process holds the port: stop it or choose another port"), "{second}");
    }

    #[test]
    fn an_address_of_another_host_is_refused_with_the_reason() {
        let elsewhere = FeedAddress::new("192.0.2.1:0".parse().unwrap(), LOOPBACK);
        let error = FeedSocket::open(&elsewhere).unwrap_err().to_string();
        assert!(error.contains("no interface of this host has that address"), "{error}");
    }

    #[test]
    fn both_receivers_of_a_group_hear_it() {
        let group = Ipv4Addr::new(239, 77, 5, 1);
        let port = unicast().local_address().port();
        let feed = FeedAddress::new(SocketAddrV4::new(group, port), LOOPBACK);
        let (first, second) = match (FeedSocket::open(&feed), FeedSocket::open(&feed)) {
            (Ok(first), Ok(second)) => (first, second),
            (Err(error), _) | (_, Err(error)) => return println!("skipped: {error}"),
        };
        let sender = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        sender.set_multicast_if_v4(&LOOPBACK).unwrap();
        if let Err(error) = sender.send_to(b"tick", &SocketAddrV4::new(group, port).into()) {
            return println!("skipped: this host sends no multicast: {error}");
        }
        let heard = [first, second].map(|socket| receive_within(&socket, Duration::from_secs(1)));
        if heard == [None, None] {
            return println!("skipped: multicast does not loop back on this host");
        }
        assert_eq!(heard, [Some(b"tick".to_vec()), Some(b"tick".to_vec())]);
    }

    /// A socket that sends to groups by the loopback interface, from this address.
    fn sender(from: Ipv4Addr) -> Socket {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.bind(&SocketAddrV4::new(from, 0).into()).unwrap();
        socket.set_multicast_if_v4(&LOOPBACK).unwrap();
        socket
    }

    #[test]
    fn a_group_joined_for_one_source_hears_nobody_else() {
        let (wanted, other) = (Ipv4Addr::new(127, 0, 0, 9), Ipv4Addr::new(127, 0, 0, 8));
        let group = SocketAddrV4::new(Ipv4Addr::new(239, 77, 5, 2), unicast().local_address().port());
        let everybody = FeedAddress::new(group, LOOPBACK);
        let opened = FeedSocket::open(&FeedAddress { source: Some(wanted), ..everybody });
        let (filtered, open) = match (opened, FeedSocket::open(&everybody)) {
            (Ok(filtered), Ok(open)) => (filtered, open),
            (Err(error), _) | (_, Err(error)) => return println!("skipped: {error}"),
        };
        for (from, text) in [(other, b"other"), (wanted, b"mine!")] {
            if let Err(error) = sender(from).send_to(text, &group.into()) {
                return println!("skipped: this host sends no multicast: {error}");
            }
        }
        let Some(first) = receive_within(&open, Duration::from_secs(1)) else {
            return println!("skipped: multicast does not loop back on this host");
        };
        assert_eq!(first, b"other", "both were sent, and one socket hears everybody");
        assert_eq!(receive_within(&filtered, Duration::from_secs(1)), Some(b"mine!".to_vec()));
        assert_eq!(receive_within(&filtered, Duration::from_millis(20)), None);
    }

    #[test]
    fn a_group_is_joined_on_the_interface_asked_for_or_not_at_all() {
        let group = SocketAddrV4::new(Ipv4Addr::new(239, 77, 5, 3), 0);
        let error = FeedSocket::open(&FeedAddress::new(group, Ipv4Addr::new(192, 0, 2, 1))).unwrap_err().to_string();
        assert!(error.starts_with("cannot join 239.77.5.3:0 on interface 192.0.2.1: "), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_feeds_options_are_in_force_on_its_socket_or_are_noticed() {
        let asked = FeedAddress {
            receive_buffer_bytes: 65_536,
            busy_poll_us: 41,
            timestamps: true,
            ..FeedAddress::new(SocketAddrV4::new(LOOPBACK, 0), LOOPBACK)
        };
        let feed = FeedSocket::open(&asked).unwrap();
        let noticed = |part: &str| feed.notices().any(|notice| notice.contains(part));
        let socket = Socket::from(std::os::fd::AsFd::as_fd(&feed.socket).try_clone_to_owned().unwrap());
        assert_eq!(
            socket.recv_buffer_size().unwrap(),
            2 * asked.receive_buffer_bytes,
            "half of it is the kernel's own"
        );
        for (option, value, part) in [
            (libc::SO_BUSY_POLL, 41, "not busy-polled"),
            (libc::SO_RXQ_OVFL, 1, "are not counted"),
            (libc::SO_TIMESTAMPNS, 1, "does not say when"),
        ] {
            assert!(options::granted(&socket, option).unwrap() == value || noticed(part), "{part}");
        }
    }

    #[test]
    fn a_buffer_smaller_than_asked_is_noticed_with_its_size() {
        let mut feed = FeedAddress::new(SocketAddrV4::new(LOOPBACK, 0), LOOPBACK);
        feed.receive_buffer_bytes = 1 << 30;
        let open = FeedSocket::open(&feed).unwrap();
        let granted = socket2::SockRef::from(&open.socket).recv_buffer_size().unwrap() / 2;
        let notice = format!("the kernel holds {granted} bytes of the {} asked for", 1 << 30);
        assert!(open.notices().any(|said| said.contains(&notice)), "{open:?}");
    }

    #[test]
    fn what_the_host_does_not_grant_is_a_notice() {
        let mut feed = FeedAddress::new(SocketAddrV4::new(LOOPBACK, 0), LOOPBACK);
        feed.receive_buffer_bytes = 1 << 30;
        feed.busy_poll_us = 50;
        let socket = FeedSocket::open(&feed).unwrap();
        assert!(socket.notices().any(|notice| notice.contains("rmem_max")), "{socket:?}");
    }
}
