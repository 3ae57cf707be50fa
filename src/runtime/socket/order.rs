//! The order session's connection: connects, writes and reads without waiting.
//!
//! Enters: bytes, from whoever keeps those that the kernel does not take at once. Leaves: how many it took, the bytes
//! of the peer, or how the connection ended, as an [`io::Error`] made of its kind alone, so that failing allocates
//! nothing. Once ended it stays ended, with its first cause; the next connection is a new socket.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::SocketError;
#[cfg(feature = "tls")]
use super::tls::Records;

/// How long a peer may take to answer, unless said otherwise.
pub const CONNECT_TIME_OUT: Duration = Duration::from_secs(5);

/// Where orders go, and how the connection is made and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderAddress {
    /// The venue's.
    pub address: SocketAddr,
    /// Ours; chosen by the system when `None`, its port when that is 0.
    pub source: Option<SocketAddr>,
    /// How long the venue may take to answer.
    pub connect_time_out: Duration,
    /// First wait before connecting again; doubled at each failure,
    pub reconnect_first: Duration,
    /// up to this. A session that came up starts again with the first.
    pub reconnect_last: Duration,
    /// Whom to speak TLS with; `None` for bytes in clear.
    #[cfg(feature = "tls")]
    pub tls: Option<super::Tls>,
}

impl OrderAddress {
    /// From any address of ours, at most a second between two attempts.
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            source: None,
            connect_time_out: CONNECT_TIME_OUT,
            reconnect_first: Duration::from_millis(10),
            reconnect_last: Duration::from_secs(1),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderSocketState {
    /// Not answered yet, or, over TLS, not sure of each other.
    Connecting {
        /// When to give up.
        deadline: Instant,
    },
    /// Bytes flow.
    Open,
    /// Over: `TimedOut` when nobody answered, `UnexpectedEof` when the peer closed its side, else what the system said.
    Closed(io::ErrorKind),
}

/// One TCP connection, without Nagle's delay and with acknowledgements sent at once.
pub struct OrderSocket {
    stream: TcpStream,
    state: OrderSocketState,
    #[cfg(feature = "tls")]
    records: Option<Records>,
}

impl OrderSocket {
    /// Begins to connect, for [`CONNECT_TIME_OUT`] at most.
    pub fn connect(address: SocketAddr) -> Result<Self, SocketError> {
        Self::connect_within(address, CONNECT_TIME_OUT)
    }

    /// Begins to connect as an address says.
    pub fn open(address: &OrderAddress) -> Result<Self, SocketError> {
        let socket = match address.source {
            None => Self::connect_within(address.address, address.connect_time_out)?,
            Some(source) => {
                let stream = connect_from(source, address.address).map_err(|cause| {
                    SocketError::new("connect from", format!("{source} to {}", address.address), cause)
                })?;
                Self::over(stream, OrderSocketState::Connecting { deadline: Instant::now() + address.connect_time_out })
            }
        };
        #[cfg(feature = "tls")]
        if let Some(tls) = &address.tls {
            let records =
                Records::new(tls).map_err(|cause| SocketError::new("speak TLS with", address.address, cause))?;
            return Ok(Self { records: Some(records), ..socket });
        }
        Ok(socket)
    }

    /// Begins to connect. Every other call moves the connection on, and fails when it was refused or took longer than
    /// `time_out`.
    pub fn connect_within(address: SocketAddr, time_out: Duration) -> Result<Self, SocketError> {
        let stream = TcpStream::connect(address).map_err(|cause| SocketError::new("connect to", address, cause))?;
        Ok(Self::over(stream, OrderSocketState::Connecting { deadline: Instant::now() + time_out }))
    }

    /// A connection that a listener accepted.
    pub fn accepted(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self::over(TcpStream::from_std(stream), OrderSocketState::Open))
    }

    const fn over(stream: TcpStream, state: OrderSocketState) -> Self {
        Self {
            stream,
            state,
            #[cfg(feature = "tls")]
            records: None,
        }
    }

    /// Whether bytes flow.
    pub fn is_connected(&mut self) -> bool {
        self.is_open().unwrap_or(false)
    }

    /// How many of `bytes` the kernel took: 0 when it has no room, or the peer has not answered yet.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_open()? {
            return Ok(0);
        }
        #[cfg(feature = "tls")]
        if let Some(records) = &mut self.records {
            return records.write(&mut self.stream, bytes).or_else(|error| self.end(error.kind()));
        }
        self.stream.write(bytes).or_else(|error| self.none_if_transient(&error))
    }

    /// How many bytes of the peer are now in `buffer`: 0 when none wait, or the peer has not answered yet.
    #[inline]
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_open()? || buffer.is_empty() {
            return Ok(0);
        }
        #[cfg(feature = "tls")]
        if let Some(records) = &mut self.records {
            return match records.read(&mut self.stream, buffer) {
                Ok(Some(0)) => self.end(io::ErrorKind::UnexpectedEof),
                Ok(length) => Ok(length.unwrap_or(0)),
                Err(error) => self.end(error.kind()),
            };
        }
        match self.stream.read(buffer) {
            Ok(0) => self.end(io::ErrorKind::UnexpectedEof),
            Ok(length) => {
                // The kernel forgets it after a while, so it is said again; where it is not known, nothing is lost.
                let _ = socket2::SockRef::from(&self.stream).set_tcp_quickack(true);
                Ok(length)
            }
            Err(error) => self.none_if_transient(&error),
        }
    }

    /// Where the connection stood after the last call.
    pub fn state(&self) -> OrderSocketState {
        self.state
    }

    pub(super) fn source(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Moves a connection on that is not there yet.
    #[inline]
    fn is_open(&mut self) -> io::Result<bool> {
        match self.state {
            OrderSocketState::Open => Ok(true),
            OrderSocketState::Connecting { deadline } => self.finish_connecting(deadline),
            OrderSocketState::Closed(cause) => Err(cause.into()),
        }
    }

    #[cold]
    fn finish_connecting(&mut self, deadline: Instant) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error().unwrap_or_else(Some) {
            return self.end(error.kind());
        }
        // A socket has a peer from the moment the connection stands.
        if self.stream.peer_addr().is_err() {
            return if Instant::now() < deadline { Ok(false) } else { self.end(io::ErrorKind::TimedOut) };
        }
        if let Err(error) = self.stream.set_nodelay(true) {
            return self.end(error.kind());
        }
        #[cfg(feature = "tls")]
        if let Some(records) = &mut self.records {
            match records.shake_hands(&mut self.stream) {
                Ok(true) => {}
                Ok(false) if Instant::now() < deadline => return Ok(false),
                Ok(false) => return self.end(io::ErrorKind::TimedOut),
                Err(error) => return self.end(error.kind()),
            }
        }
        self.state = OrderSocketState::Open;
        Ok(true)
    }

    fn none_if_transient(&mut self, error: &io::Error) -> io::Result<usize> {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            kind => self.end(kind),
        }
    }

    /// Ends the connection with its first cause.
    #[cold]
    fn end<T>(&mut self, cause: io::ErrorKind) -> io::Result<T> {
        self.state = OrderSocketState::Closed(cause);
        // It may be gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
        Err(cause.into())
    }
}

/// Begins to connect from an address of ours.
fn connect_from(source: SocketAddr, target: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if source.port() != 0 {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&source.into())?;
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    Ok(TcpStream::from_std(socket.into()))
}

impl fmt::Debug for OrderSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderSocket").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Calls until it answers, or fails after a long while.
    fn within_patience<T>(mut call: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(answer) = call() {
                return answer;
            }
            assert!(start.elapsed() < PATIENCE, "stuck");
            thread::yield_now();
        }
    }

    fn ends_with(socket: &mut OrderSocket) -> io::ErrorKind {
        within_patience(|| socket.read(&mut [0; 64]).err()).kind()
    }

    fn connected() -> (OrderSocket, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = OrderSocket::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        within_patience(|| socket.is_connected().then_some(()));
        (socket, peer)
    }

    #[test]
    fn bytes_flow_both_ways_and_none_is_no_wait() {
        let (mut socket, mut peer) = connected();
        let mut buffer = [0; 16];
        assert_eq!(socket.read(&mut buffer).unwrap(), 0);
        assert_eq!(socket.write(b"logon").unwrap(), 5);
        peer.read_exact(&mut buffer[..5]).unwrap();
        assert_eq!(&buffer[..5], b"logon");
        peer.write_all(b"welcome").unwrap();
        let mut received = Vec::new();
        within_patience(|| {
            let length = socket.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..length]);
            (received.len() == 7).then_some(())
        });
        assert_eq!(received, b"welcome");
    }

    #[test]
    fn a_peer_that_does_not_read_makes_writes_partial_and_loses_nothing() {
        const BYTES: usize = 16 << 20;
        let (mut socket, mut peer) = connected();
        let bytes: Vec<u8> = (0..BYTES).map(|i| (i % 251) as u8).collect();
        let mut sent = 0;
        while sent < BYTES {
            match socket.write(&bytes[sent..]).unwrap() {
                0 => break,
                taken => sent += taken,
            }
        }
        assert!((1..BYTES).contains(&sent), "{sent} bytes went out, though nobody read them");
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            received
        });
        within_patience(|| {
            sent += socket.write(&bytes[sent..]).unwrap();
            (sent == BYTES).then_some(())
        });
        drop(socket);
        assert!(reader.join().unwrap() == bytes, "what arrived is not what was sent");
    }

    #[test]
    fn a_peer_that_closes_ends_the_connection_for_good() {
        let (mut socket, peer) = connected();
        drop(peer);
        assert_eq!(ends_with(&mut socket), io::ErrorKind::UnexpectedEof);
        assert_eq!(socket.write(b"order").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(!socket.is_connected());
        assert_eq!(socket.state(), OrderSocketState::Closed(io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn small_messages_leave_at_once_and_what_comes_is_acknowledged_at_once() {
        let (mut socket, mut peer) = connected();
        let mut buffer = [0; 16];
        assert!(socket2::SockRef::from(&socket.stream).tcp_nodelay().unwrap());
        socket2::SockRef::from(&socket.stream).set_tcp_quickack(false).unwrap();
        peer.write_all(b"report").unwrap();
        within_patience(|| (socket.read(&mut buffer).unwrap() > 0).then_some(()));
        assert!(socket2::SockRef::from(&socket.stream).tcp_quickack().unwrap(), "asked again with every read");
        assert!(socket2::SockRef::from(&OrderSocket::accepted(peer).unwrap().stream).tcp_nodelay().unwrap());
    }

    #[test]
    fn a_connection_comes_from_the_address_it_was_given() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let source = Some("127.0.0.7:0".parse().unwrap());
        let mut socket = OrderSocket::open(&OrderAddress { source, ..OrderAddress::new(to) }).unwrap();
        let (peer, from) = listener.accept().unwrap();
        within_patience(|| socket.is_connected().then_some(()));
        assert_eq!(from.ip().to_string(), "127.0.0.7");
        drop(peer);
        let elsewhere = Some("192.0.2.1:0".parse().unwrap());
        let error = OrderSocket::open(&OrderAddress { source: elsewhere, ..OrderAddress::new(to) }).unwrap_err();
        assert!(error.to_string().contains("no interface of this host has that address"), "{error}");
    }

    #[test]
    fn nobody_listening_is_a_refused_connection() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        match OrderSocket::connect(address) {
            Ok(mut socket) => assert_eq!(ends_with(&mut socket), io::ErrorKind::ConnectionRefused),
            Err(error) => assert!(error.to_string().starts_with(&format!("cannot connect to {address}: "))),
        }
    }

    #[test]
    fn a_peer_that_does_not_answer_times_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = OrderSocket::connect(listener.local_addr().unwrap()).unwrap();
        socket.state = OrderSocketState::Connecting { deadline: Instant::now() };
        // On loopback the kernel answers for a listener at once; a socket that never connected stands in for silence.
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.set_nonblocking(true).unwrap();
        socket.stream = TcpStream::from_std(silent.into());
        assert_eq!(socket.write(b"early").unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(!socket.is_connected());
    }
}
