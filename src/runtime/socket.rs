//! Sockets as the hot threads use them: never blocking, allocating nothing after they are opened.
//!
//! Enters: addresses. Leaves: datagrams ([`FeedSocket`]), the two byte streams of an order session ([`OrderSocket`]),
//! and a [`Poller`] on which an adaptive thread sleeps until one of them has something, for a bounded time.
//!
//! A busy thread calls `receive` over and over; an adaptive one drains a socket until it returns nothing and only then
//! waits, since readiness is reported on its edges. Opening fails with an error that names the address and what to do.

mod batch;
mod feed;
mod options;
mod order;
mod poller;
#[cfg(feature = "tls")]
mod tls;

use std::fmt::Display;
use std::io;

use thiserror::Error;

pub use batch::{DATAGRAM_BYTES_MAX, Datagram, SocketStats};
pub use feed::{FeedAddress, FeedSocket};
pub use order::{CONNECT_TIME_OUT, OrderAddress, OrderSocket, OrderSocketState};
pub use poller::{Alarm, LONGEST_WAIT, Poller};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};

/// Why a socket was not opened.
#[derive(Debug, Error)]
#[error("cannot {doing} {address}: {cause}{}", advice(.cause))]
pub struct SocketError {
    /// What was tried, such as `receive on`.
    pub doing: &'static str,
    /// The address as it was given.
    pub address: String,
    /// The system's answer.
    #[source]
    pub cause: io::Error,
}

impl SocketError {
    fn new(doing: &'static str, address: impl Display, cause: io::Error) -> Self {
        Self { doing, address: address.to_string(), cause }
    }
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "; another process holds the port: stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => "; no interface of this host has that address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges, and a sandbox may forbid sockets",
        _ if cause.raw_os_error() == Some(libc::ENODEV) => "; no interface of this host has that address",
        _ => "",
    }
}
