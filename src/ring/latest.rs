//! A cell that holds the latest value: for parameters and snapshots, where only the newest matters.
//!
//! Enters: values from one writer, which never waits. Leaves: whole values at any number of readers. The value is kept
//! in atomic words, so a torn read is a wrong guess that the version detects, not undefined behaviour (H.-J. Boehm,
//! "Can seqlocks get along with programming language memory models?", 2012). A read costs one load per eight bytes and
//! two of the version; it fails, after [`ATTEMPTS`] tries, only against a writer that never pauses.

use std::{fmt, marker::PhantomData};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::sync::{Arc, AtomicU64, Ordering, fence};

/// How often a reader tries before it gives up.
pub const ATTEMPTS: usize = if cfg!(loom) { 1 } else { 16 };

/// A cell holding `initial`, with its one writer and a first reader, which may be cloned.
///
/// `T` is plain bytes without padding, so any size fits; the last word is filled up with zeros.
pub fn latest<T: IntoBytes + FromBytes + Immutable>(initial: T) -> (Writer<T>, Reader<T>) {
    let words = (0..size_of::<T>().div_ceil(WORD)).map(|_| AtomicU64::new(0)).collect();
    let shared = Arc::new(Shared { version: AtomicU64::new(0), words });
    shared.store_words(&initial);
    let writer = Writer {
        shared: Arc::clone(&shared),
        value: PhantomData,
        #[cfg(loom)]
        fenced: true,
    };
    (writer, Reader { shared, value: PhantomData })
}

/// The writing end.
pub struct Writer<T> {
    shared: Arc<Shared>,
    value: PhantomData<fn(T)>,
    /// Whether the version is kept ahead of the words: a field only so that the models can leave it out.
    #[cfg(loom)]
    fenced: bool,
}

impl<T: IntoBytes + FromBytes + Immutable> Writer<T> {
    /// Replaces the value.
    pub fn store(&mut self, value: &T) {
        let version = self.shared.version.load(Ordering::Relaxed);
        self.shared.version.store(version + 1, Ordering::Relaxed);
        // A reader that sees a word of this store also sees the odd version, or a later one.
        self.keep_version_ahead();
        self.shared.store_words(value);
        self.shared.version.store(version + 2, Ordering::Release);
    }

    #[cfg(not(loom))]
    #[inline(always)]
    fn keep_version_ahead(&self) {
        fence(Ordering::Release);
    }

    #[cfg(loom)]
    fn keep_version_ahead(&self) {
        if self.fenced {
            fence(Ordering::Release);
        }
    }

    /// Leaves the fence out, so that a model can show that it would be caught.
    #[cfg(all(test, loom))]
    pub(super) fn leave_out_the_fence(&mut self) {
        self.fenced = false;
    }
}

/// A reading end.
pub struct Reader<T> {
    shared: Arc<Shared>,
    value: PhantomData<fn() -> T>,
}

impl<T: IntoBytes + FromBytes + Immutable> Reader<T> {
    /// The latest value, whole; `None` when the writer was in the way at each of [`ATTEMPTS`] tries.
    pub fn try_read(&self) -> Option<T> {
        (0..ATTEMPTS).find_map(|_| self.try_once())
    }

    /// How many values were stored after the first, so that a reader can skip what it has seen.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire) / 2
    }

    fn try_once(&self) -> Option<T> {
        let before = self.shared.version.load(Ordering::Acquire);
        if !before.is_multiple_of(2) {
            return None;
        }
        let mut value = T::new_zeroed();
        self.shared.load_words(&mut value);
        // Whoever wrote a word that was read above had made its version odd before; see it now.
        fence(Ordering::Acquire);
        (self.shared.version.load(Ordering::Relaxed) == before).then_some(value)
    }
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), value: PhantomData }
    }
}

impl<T> fmt::Debug for Writer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// Bytes in an atomic word.
const WORD: usize = size_of::<u64>();

/// The version is odd while the words change; each stored value adds two.
#[repr(align(128))]
struct Shared {
    version: AtomicU64,
    words: Box<[AtomicU64]>,
}

impl Shared {
    fn store_words<T: IntoBytes + Immutable>(&self, value: &T) {
        for (word, bytes) in self.words.iter().zip(value.as_bytes().chunks(WORD)) {
            let mut padded = [0; WORD];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
    }

    fn load_words<T: IntoBytes + FromBytes>(&self, value: &mut T) {
        for (word, bytes) in self.words.iter().zip(value.as_mut_bytes().chunks_mut(WORD)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..bytes.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn odd_sizes_come_back_whole() {
        let (mut writer, reader) = latest([1_u8; 13]);
        assert_eq!(reader.try_read(), Some([1; 13]));
        writer.store(&[7; 13]);
        assert_eq!((reader.try_read(), reader.version()), (Some([7; 13]), 1));
        let (mut writer, reader) = latest(());
        writer.store(&());
        assert_eq!(reader.try_read(), Some(()));
    }

    #[test]
    fn a_value_half_written_is_not_returned() {
        let (writer, reader) = latest(5_u64);
        writer.shared.version.store(1, Ordering::Relaxed);
        assert_eq!(reader.try_read(), None);
        assert_eq!(reader.version(), 0, "the value being written does not count yet");
    }

    #[test]
    fn readers_beside_a_busy_writer_see_whole_values_in_order() {
        const LAST: u64 = 50_000;
        let (mut writer, reader) = latest([0_u64; 9]);
        thread::scope(|scope| {
            for reader in [reader.clone(), reader] {
                scope.spawn(move || {
                    let mut seen = 0;
                    while seen < LAST {
                        if let Some(value) = reader.try_read() {
                            assert_eq!(value, [value[0]; 9], "torn");
                            assert!(value[0] >= seen, "went back from {seen} to {}", value[0]);
                            seen = value[0];
                        }
                        thread::yield_now();
                    }
                });
            }
            for value in 1..=LAST {
                writer.store(&[value; 9]);
            }
        });
    }
}
