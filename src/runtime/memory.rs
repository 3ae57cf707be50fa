//! Keeps the process's memory in RAM, and a hot thread's stack mapped, where the host permits.
//!
//! Enters: nothing. Leaves: what was done, as a sentence for the report; never an error, because a pipeline that may be
//! paged out is worse, not wrong. Pages are locked as they are touched (`MCL_ONFAULT`), so locking neither fills memory
//! with stacks that nobody uses nor, under a limit, makes a later allocation fail: with a limit in force nothing is locked.

use std::fmt;
use std::hint::black_box;
use std::io;

/// What became of the wish to lock memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryLock {
    /// Every page, present and future, stays in RAM once touched.
    Locked,
    /// The host limits locked memory to this many bytes; locking under a limit would make later allocations fail.
    Limited {
        /// The limit.
        bytes: u64,
    },
    /// The host refuses, with its reason.
    Refused(String),
}

/// Locks the memory of this process, present and future. Call it once, before the hot threads start.
pub fn lock_memory() -> MemoryLock {
    match locked_memory_limit() {
        Some(bytes) => MemoryLock::Limited { bytes },
        None => lock_all(),
    }
}

/// Touches [`STACK_BYTES`] of this thread's stack, so that going deeper later faults no page in. Call it from the thread.
#[inline(never)]
pub fn prefault_stack() {
    let mut stack = [0_u8; STACK_BYTES];
    for byte in stack.iter_mut().step_by(SMALLEST_PAGE_BYTES) {
        *byte = 1;
    }
    black_box(&mut stack);
}

/// How deep a hot thread's stack is prefaulted: far below the two mebibytes a thread has, far above what stages use.
pub const STACK_BYTES: usize = 256 * 1024;

impl fmt::Display for MemoryLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("memory is locked in RAM"),
            Self::Limited { bytes } => write!(
                f,
                "memory is not locked: the limit is {bytes} bytes; raise it (ulimit -l unlimited) to avoid paging"
            ),
            Self::Refused(reason) => write!(f, "memory is not locked: {reason}"),
        }
    }
}

const SMALLEST_PAGE_BYTES: usize = 4096;

/// The limit that applies to this process; `None` when there is none.
#[cfg(target_os = "linux")]
fn locked_memory_limit() -> Option<u64> {
    const CAP_IPC_LOCK: u32 = 14;
    if effective_capabilities() & (1 << CAP_IPC_LOCK) != 0 {
        return None;
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the call to fill in.
    let outcome = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    if outcome != 0 {
        return Some(0);
    }
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// The bits of `CapEff` in `/proc/self/status`; none when it cannot be read.
#[cfg(target_os = "linux")]
fn effective_capabilities() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    u64::from_str_radix(mask.trim(), 16).unwrap_or(0)
}

#[cfg(target_os = "linux")]
fn lock_all() -> MemoryLock {
    // SAFETY: takes no pointer, and changes no mapping's contents or protection.
    match unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) } {
        0 => MemoryLock::Locked,
        _ => MemoryLock::Refused(io::Error::last_os_error().to_string()),
    }
}

#[cfg(not(target_os = "linux"))]
fn locked_memory_limit() -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn lock_all() -> MemoryLock {
    MemoryLock::Refused(io::Error::from(io::ErrorKind::Unsupported).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locking_never_keeps_the_process_from_allocating() {
        let outcome = lock_memory();
        assert!(outcome.to_string().contains("memory is"), "{outcome}");
        let pages = vec![1_u8; 32 << 20];
        assert_eq!(black_box(&pages)[pages.len() - 1], 1);
        std::thread::spawn(prefault_stack).join().unwrap();
    }

    #[test]
    fn notices_say_what_to_do() {
        assert!(MemoryLock::Limited { bytes: 65_536 }.to_string().contains("ulimit -l unlimited"));
        assert_eq!(MemoryLock::Refused("no".into()).to_string(), "memory is not locked: no");
    }
}
