//! A disk in memory, and what can go wrong with one: full, short writes, refused syncs, the loss of what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journal::{Disk, Segment};

/// What goes wrong, and when. Counts are from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Bytes that can be reserved in all; `None` for any number.
    pub capacity: Option<u64>,
    /// From this write on, there is no space.
    pub full_at_write: Option<u64>,
    /// This write takes half of what it is given, and the one after it nothing.
    pub short_at_write: Option<u64>,
    /// This sync and those after it fail.
    pub fail_at_sync: Option<u64>,
}

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// A segment of it.
#[derive(Debug)]
pub struct MemorySegment {
    state: Arc<Mutex<State>>,
    name: String,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Stored>,
    faults: DiskFaults,
    writes: u64,
    syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct Stored {
    bytes: Vec<u8>,
    written: usize,
    synced: usize,
}

impl MemoryDisk {
    /// A disk with these faults.
    pub fn with_faults(faults: DiskFaults) -> Self {
        let disk = Self::default();
        disk.lock().faults = faults;
        disk
    }

    /// The power fails: of what was not synced, each segment keeps the first `torn` bytes.
    pub fn lose_power(&self, torn: usize) {
        for stored in self.lock().files.values_mut() {
            let kept = (stored.synced + torn).min(stored.written);
            stored.bytes[kept..].fill(0);
            stored.written = kept;
        }
    }

    /// Every sync from here on fails.
    pub fn refuse_syncs(&self) {
        let mut state = self.lock();
        state.faults.fail_at_sync = Some(state.syncs);
    }

    /// The next write takes half of what it is given, and the one after it nothing.
    pub fn cut_next_write(&self) {
        let mut state = self.lock();
        state.faults.short_at_write = Some(state.writes);
    }

    /// From here on there is no space.
    pub fn fill_up(&self) {
        let mut state = self.lock();
        (state.faults.full_at_write, state.faults.capacity) = (Some(state.writes), Some(0));
    }

    /// From here on it works.
    pub fn heal(&self) {
        self.lock().faults = DiskFaults::default();
    }

    /// Turns a bit of what was written, the one that `choice` falls on; false when nothing was written.
    pub fn flip_a_bit(&self, choice: u64) -> bool {
        let mut state = self.lock();
        let written: usize = state.files.values().map(|stored| stored.written).sum();
        let Some(mut bit) = (choice as usize).checked_rem(written * 8) else { return false };
        for stored in state.files.values_mut() {
            match bit.checked_sub(stored.written * 8) {
                Some(beyond) => bit = beyond,
                None => {
                    stored.bytes[bit / 8] ^= 1 << (bit % 8);
                    return true;
                }
            }
        }
        false
    }

    /// Puts other bytes in place of a segment's.
    pub fn replace(&self, name: &str, bytes: Vec<u8>) {
        let (written, synced) = (bytes.len(), bytes.len());
        self.lock().files.insert(name.to_owned(), Stored { bytes, written, synced });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemoryDisk {
    type Segment = MemorySegment;

    fn create(&mut self, name: &str, bytes: u64) -> io::Result<MemorySegment> {
        let mut state = self.lock();
        let used: u64 = state.files.values().map(|stored| stored.bytes.len() as u64).sum();
        if state.faults.capacity.is_some_and(|capacity| used + bytes > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(name.to_owned(), Stored { bytes: vec![0; bytes as usize], ..Stored::default() });
        Ok(MemorySegment { state: Arc::clone(&self.state), name: name.to_owned() })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().files.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.lock().files.get(name).map(|stored| stored.bytes.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.lock().files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl MemorySegment {
    /// Does something to the segment as it is stored.
    fn with<R>(&self, work: impl FnOnce(&mut State, &mut Stored) -> io::Result<R>) -> io::Result<R> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stored = state.files.remove(&self.name).ok_or(io::ErrorKind::NotFound)?;
        let done = work(&mut state, &mut stored);
        state.files.insert(self.name.clone(), stored);
        done
    }
}

impl Segment for MemorySegment {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|state, stored| {
            let write = state.writes;
            state.writes += 1;
            if state.faults.full_at_write.is_some_and(|at| write >= at) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = match state.faults.short_at_write {
                Some(at) if write == at => bytes.len() / 2,
                Some(at) if write == at + 1 => 0,
                _ => bytes.len(),
            };
            let end = stored.written + taken;
            if stored.bytes.len() < end {
                stored.bytes.resize(end, 0);
            }
            stored.bytes[stored.written..end].copy_from_slice(&bytes[..taken]);
            stored.written = end;
            Ok(taken)
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(|state, stored| {
            let sync = state.syncs;
            state.syncs += 1;
            if state.faults.fail_at_sync.is_some_and(|at| sync >= at) {
                return Err(io::Error::other("the disk did not confirm"));
            }
            stored.synced = stored.written;
            Ok(())
        })
    }

    fn trim(&mut self, bytes: u64) -> io::Result<()> {
        self.sync()?;
        self.with(|_, stored| {
            stored.bytes.truncate(bytes as usize);
            Ok(())
        })
    }
}
