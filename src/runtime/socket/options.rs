//! Socket options that the standard library and socket2 do not have.

use std::io;

use socket2::Socket;

/// Has the kernel poll the network card for so many microseconds before it says that nothing is there.
pub(super) fn busy_poll(socket: &Socket, micros: u32) -> io::Result<()> {
    linux::set(socket, linux::BUSY_POLL, i32::try_from(micros).unwrap_or(i32::MAX))
}

/// Has the kernel say beside a datagram how many it dropped.
pub(super) fn count_drops(socket: &Socket) -> io::Result<()> {
    linux::set(socket, linux::DROPS, 1)
}

/// Has the kernel say beside a datagram when it was received.
pub(super) fn timestamps(socket: &Socket) -> io::Result<()> {
    linux::set(socket, linux::TIMESTAMPS, 1)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::AsRawFd;

    use socket2::Socket;

    pub(super) const BUSY_POLL: libc::c_int = libc::SO_BUSY_POLL;
    pub(super) const DROPS: libc::c_int = libc::SO_RXQ_OVFL;
    pub(super) const TIMESTAMPS: libc::c_int = libc::SO_TIMESTAMPNS;

    pub(super) fn set(socket: &Socket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
        // SAFETY: the descriptor is open for the call, and the option's value is an int of the length given.
        let outcome = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// What the kernel has in force.
#[cfg(all(test, target_os = "linux"))]
pub(super) fn granted(socket: &Socket, option: libc::c_int) -> io::Result<libc::c_int> {
    use std::os::fd::AsRawFd;

    let (mut value, mut length): (libc::c_int, _) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the descriptor is open for the call, and the kernel writes no more than `length` bytes to `value`.
    let outcome = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut length)
    };
    if outcome == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    use std::io;

    use socket2::Socket;

    pub(super) const BUSY_POLL: i32 = 0;
    pub(super) const DROPS: i32 = 0;
    pub(super) const TIMESTAMPS: i32 = 0;

    pub(super) fn set(_: &Socket, _: i32, _: i32) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system cannot"))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use socket2::{Domain, Type};

    use super::*;

    fn socket() -> Socket {
        Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket")
    }

    #[test]
    fn the_kernel_counts_drops_and_stamps_once_it_is_asked_to() {
        let socket = socket();
        for (option, ask) in [(libc::SO_RXQ_OVFL, count_drops as fn(&Socket) -> _), (libc::SO_TIMESTAMPNS, timestamps)]
        {
            assert_eq!(granted(&socket, option).unwrap(), 0);
            ask(&socket).unwrap();
            assert_eq!(granted(&socket, option).unwrap(), 1);
        }
    }

    #[test]
    fn the_card_is_polled_for_as_long_as_was_asked_or_the_kernel_says_why_not() {
        let socket = socket();
        match busy_poll(&socket, 37) {
            Ok(()) => assert_eq!(granted(&socket, libc::SO_BUSY_POLL).unwrap(), 37),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }
}
