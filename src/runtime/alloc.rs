//! A global allocator that counts what hot threads allocate and free: the proof that they do neither.
//!
//! Enters: every call to the heap, passed on to the system's allocator. Leaves: two counts, of calls made by threads
//! between [`mark_hot`] and the drop of its guard. Cold threads pay one thread-local read a call.
//!
//! ```
//! use hedgecore::runtime::alloc::CountingAllocator;
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator;
//! # fn main() { assert!(hedgecore::runtime::alloc::is_installed()) }
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The system's allocator, with hot threads watched. A binary installs it with `#[global_allocator]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

/// While it lives, the heap calls of this thread count as hot.
#[derive(Debug)]
#[must_use = "the thread is hot only while this lives"]
pub struct HotSection {
    outer: bool,
    /// The flag belongs to this thread.
    not_send: PhantomData<*const ()>,
}

/// Marks this thread hot until the guard is dropped; sections nest.
pub fn mark_hot() -> HotSection {
    HotSection { outer: HOT.replace(true), not_send: PhantomData }
}

/// Runs `work` as a hot section.
pub fn hot_section<R>(work: impl FnOnce() -> R) -> R {
    let _hot = mark_hot();
    work()
}

/// Allocations and reallocations by hot threads, in the whole process, ever.
pub fn hot_allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Frees by hot threads, in the whole process, ever.
pub fn hot_frees() -> u64 {
    FREES.load(Ordering::Relaxed)
}

/// Whether the counts mean anything: this process allocates through [`CountingAllocator`].
pub fn is_installed() -> bool {
    INSTALLED.load(Ordering::Relaxed)
}

thread_local! {
    static HOT: Cell<bool> = const { Cell::new(false) };
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static FREES: AtomicU64 = AtomicU64::new(0);
static INSTALLED: AtomicBool = AtomicBool::new(false);

impl Drop for HotSection {
    fn drop(&mut self) {
        HOT.set(self.outer);
    }
}

/// Counts when this thread is hot. The flag has neither destructor nor lazy initialiser, so reading it allocates nothing.
#[inline]
fn count(counter: &AtomicU64) {
    if HOT.get() {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on, unchanged, to the system's allocator, which keeps the contract; counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !INSTALLED.load(Ordering::Relaxed) {
            INSTALLED.store(true, Ordering::Relaxed);
        }
        count(&ALLOCATIONS);
        // SAFETY: the caller's promises are the ones `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the caller's promises are the ones `System` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the block came from `System` through this allocator; the rest the caller promises.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(&FREES);
        // SAFETY: the block came from `System` through this allocator; the rest the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}
