//! Datagrams several at a time: one system call, fixed buffers, and what the kernel says beside them.
//!
//! Beside a datagram the kernel may say when it was received (`SO_TIMESTAMPNS`) and how many the socket has dropped so far
//! for want of room (`SO_RXQ_OVFL`). A datagram longer than a buffer is cut, and counted.

use std::io;
use std::os::fd::RawFd;

use crate::units::Nanos;

/// Datagrams of one call at most.
pub(super) const BATCH: usize = 16;
/// Longest datagram taken whole: a jumbo frame's.
pub const DATAGRAM_BYTES_MAX: usize = 9_216;
/// Room for two control messages of 32 bytes.
const CONTROL_WORDS: usize = 16;

/// One datagram of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The payload.
    pub bytes: &'a [u8],
    /// When the kernel received it, if it says so; nanoseconds since the epoch.
    pub kernel_time: Option<Nanos>,
}

/// What a socket has seen since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketStats {
    /// Datagrams received.
    pub datagrams: u64,
    /// Calls that brought at least one.
    pub calls: u64,
    /// Datagrams that the kernel dropped because the buffer was full.
    pub kernel_drops: u64,
    /// Datagrams cut because they were longer than a buffer.
    pub truncated: u64,
    /// Those of which the kernel said when it received them.
    pub timed: u64,
    /// How long those waited in the kernel until the thread asked for them, nanoseconds in all.
    pub kernel_wait_total_ns: u64,
    /// The longest of these waits.
    pub kernel_wait_max_ns: u64,
}

impl SocketStats {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.calls += other.calls;
        self.kernel_drops += other.kernel_drops;
        self.truncated += other.truncated;
        self.timed += other.timed;
        self.kernel_wait_total_ns += other.kernel_wait_total_ns;
        self.kernel_wait_max_ns = self.kernel_wait_max_ns.max(other.kernel_wait_max_ns);
    }

    /// A datagram that the kernel received at `kernel` was asked for at `now`, by the same clock give or take; one that the
    /// clocks put into the future did not wait.
    #[inline]
    pub(in crate::runtime) fn waited(&mut self, kernel: Nanos, now: Nanos) {
        let wait_ns = now.since(kernel);
        self.timed += 1;
        self.kernel_wait_total_ns += wait_ns;
        self.kernel_wait_max_ns = self.kernel_wait_max_ns.max(wait_ns);
    }

    /// The mean of these waits.
    pub fn kernel_wait_mean_ns(&self) -> u64 {
        self.kernel_wait_total_ns.checked_div(self.timed).unwrap_or(0)
    }
}

/// Buffers of one socket.
pub(super) struct Batch {
    buffers: Box<[[u8; DATAGRAM_BYTES_MAX]]>,
    lengths: [usize; BATCH],
    times: [Option<Nanos>; BATCH],
    #[cfg(target_os = "linux")]
    calls: linux::Calls,
    stats: SocketStats,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            buffers: vec![[0; DATAGRAM_BYTES_MAX]; BATCH].into_boxed_slice(),
            lengths: [0; BATCH],
            times: [None; BATCH],
            #[cfg(target_os = "linux")]
            calls: linux::Calls::new(),
            stats: SocketStats::default(),
        }
    }

    pub(super) fn stats(&self) -> SocketStats {
        self.stats
    }

    pub(super) fn datagram(&self, at: usize) -> Datagram<'_> {
        Datagram { bytes: &self.buffers[at][..self.lengths[at]], kernel_time: self.times[at] }
    }

    /// Takes what waits, up to [`BATCH`]; fewer means that nothing more did.
    #[cfg(target_os = "linux")]
    #[inline]
    pub(super) fn fill(&mut self, socket: RawFd) -> io::Result<usize> {
        let taken = self.calls.receive(socket, &mut self.buffers)?;
        for at in 0..taken {
            let received = self.calls.read(at);
            self.lengths[at] = received.length.min(DATAGRAM_BYTES_MAX);
            self.times[at] = received.time;
            self.stats.truncated += u64::from(received.is_cut);
            if let Some(drops) = received.drops {
                // The kernel counts in 32 bits.
                let more = drops.wrapping_sub(self.stats.kernel_drops as u32);
                self.stats.kernel_drops += u64::from(more);
            }
        }
        self.stats.datagrams += taken as u64;
        self.stats.calls += u64::from(taken > 0);
        Ok(taken)
    }

    /// Takes what waits, up to [`BATCH`]; fewer means that nothing more did.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn fill(&mut self, socket: RawFd) -> io::Result<usize> {
        let mut taken = 0;
        while taken < BATCH {
            let buffer = &mut self.buffers[taken];
            // SAFETY: the buffer is valid for its length for the duration of the call.
            let length = unsafe { libc::recv(socket, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) };
            match usize::try_from(length) {
                Ok(length) => self.lengths[taken] = length,
                Err(_) => match io::Error::last_os_error() {
                    error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => break,
                    error => return Err(error),
                },
            }
            taken += 1;
        }
        self.stats.datagrams += taken as u64;
        self.stats.calls += u64::from(taken > 0);
        Ok(taken)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::RawFd;

    use super::{BATCH, CONTROL_WORDS, DATAGRAM_BYTES_MAX};
    use crate::units::Nanos;

    /// What one message's header says after the call.
    pub(super) struct Received {
        pub(super) length: usize,
        pub(super) is_cut: bool,
        pub(super) time: Option<Nanos>,
        pub(super) drops: Option<u32>,
    }

    /// The headers of `recvmmsg`. Their pointers are set before each call and mean nothing after it.
    pub(super) struct Calls {
        headers: Box<[libc::mmsghdr]>,
        parts: Box<[libc::iovec]>,
        controls: Box<[[u64; CONTROL_WORDS]]>,
    }

    // SAFETY: the pointers in `headers` and `parts` are followed only during `receive`, which sets them itself from
    // buffers it borrows and owns, and by `read`, which follows those into `controls`, whose heap block moves with `self`.
    unsafe impl Send for Calls {}

    impl Calls {
        pub(super) fn new() -> Self {
            // SAFETY: a plain C struct for which all zeros (null pointers, zero lengths) is a valid value.
            let header = unsafe { std::mem::zeroed::<libc::mmsghdr>() };
            let part = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
            Self {
                headers: vec![header; BATCH].into_boxed_slice(),
                parts: vec![part; BATCH].into_boxed_slice(),
                controls: vec![[0; CONTROL_WORDS]; BATCH].into_boxed_slice(),
            }
        }

        #[inline]
        pub(super) fn receive(&mut self, socket: RawFd, buffers: &mut [[u8; DATAGRAM_BYTES_MAX]]) -> io::Result<usize> {
            let parts = self.headers.iter_mut().zip(&mut self.parts).zip(&mut self.controls).zip(buffers);
            for (((header, part), control), buffer) in parts {
                part.iov_base = buffer.as_mut_ptr().cast();
                part.iov_len = DATAGRAM_BYTES_MAX;
                let header = &mut header.msg_hdr;
                header.msg_iov = part;
                header.msg_iovlen = 1;
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = size_of_val(control) as _;
                header.msg_flags = 0;
            }
            // SAFETY: every header points to one part and one control block, each valid for the length beside it and
            // borrowed or owned here until the call returns.
            let taken = unsafe {
                libc::recvmmsg(
                    socket,
                    self.headers.as_mut_ptr(),
                    BATCH as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    std::ptr::null_mut(),
                )
            };
            match usize::try_from(taken) {
                Ok(taken) => Ok(taken),
                Err(_) => match io::Error::last_os_error() {
                    error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
                    error => Err(error),
                },
            }
        }

        pub(super) fn read(&self, at: usize) -> Received {
            let header = &self.headers[at];
            let mut received = Received {
                length: header.msg_len as usize,
                is_cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                time: None,
                drops: None,
            };
            // SAFETY: `msg_control` points into `self.controls[at]`, aligned for a control message, of which the kernel
            // filled the first `msg_controllen` bytes.
            let mut control = unsafe { libc::CMSG_FIRSTHDR(&raw const header.msg_hdr) };
            // SAFETY: the macros return null or a whole control message within those bytes.
            while let Some(message) = unsafe { control.as_ref() } {
                // SAFETY: as above; the data follow the message's head.
                let data = unsafe { libc::CMSG_DATA(control) };
                match (message.cmsg_level, message.cmsg_type) {
                    (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                        // SAFETY: the kernel writes a timespec under this type; it may lie unaligned.
                        let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
                        received.time = Some(Nanos(time.tv_sec as u64 * Nanos::PER_SECOND + time.tv_nsec as u64));
                    }
                    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                        // SAFETY: the kernel writes 32 bits under this type; they may lie unaligned.
                        received.drops = Some(unsafe { data.cast::<u32>().read_unaligned() });
                    }
                    _ => {}
                }
                // SAFETY: as for the first.
                control = unsafe { libc::CMSG_NXTHDR(&raw const header.msg_hdr, control) };
            }
            received
        }
    }
}
