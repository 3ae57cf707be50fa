//! Tables of a fixed size on the heap.
//!
//! Tables with one index and one size are one check of bounds: what was looked up in the first is known to be in the others.

/// So many entries, all the same. Allocated in place, however large.
pub(crate) fn table<T: Clone, const N: usize>(entry: T) -> Box<[T; N]> {
    let Ok(table) = vec![entry; N].into_boxed_slice().try_into() else { unreachable!("of that length") };
    table
}
