//! Deliberate defects, in builds made for it: a checker that catches nothing is a defect itself.
//!
//! With the feature `canary` each `Canary` is a mutation of the live code, off until it is chosen; without it this module
//! has nothing but a macro that says `false`, and the mutations are not compiled. `hedgecore simulate --canaries N` has
//! to catch each of them within `N` seeds.

/// Whether a canary was chosen: a constant `false` in every build but those with the feature `canary`.
macro_rules! canary {
    ($name:ident) => {{
        #[cfg(feature = "canary")]
        let sings = $crate::canary::sings($crate::canary::Canary::$name);
        #[cfg(not(feature = "canary"))]
        let sings = false;
        sings
    }};
}
pub(crate) use canary;

#[cfg(feature = "canary")]
pub use chosen::*;
#[cfg(not(feature = "canary"))]
pub(crate) use silent::*;

/// What the mutations call, where there are none.
#[cfg(not(feature = "canary"))]
mod silent {
    pub(crate) const fn whim() -> i64 {
        0
    }

    pub(crate) const fn allocate() {}
}

#[cfg(feature = "canary")]
mod chosen {
    use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

    /// A defect that some invariant forbids.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(u8)]
    pub enum Canary {
        /// The greeks enter every fill twice.
        DoubledFill = 1,
        /// The gateway asks for twice the lots.
        OversizedOrder,
        /// Risk does not look at the position limit.
        IgnoredLimit,
        /// Risk does not hear of a kill.
        DeafKill,
        /// Hedge and risk take any book for good.
        BlindToQuality,
        /// The exposure is a little off, and its bound does not say so.
        WrongDelta,
        /// Deleted levels stay in the book.
        StickyLevel,
        /// An order's price depends on what the process did before.
        Whim,
        /// A journal is read without a look at its checksums.
        BlindToChecksum,
        /// Order ids begin anew with every process.
        ReusedId,
        /// A stage allocates.
        HotAllocation,
        /// The hedge is content far outside its band.
        LazyHedge,
        /// Orders reach three times as far as they may, which the collar lets pass.
        CarelessPrice,
    }

    impl Canary {
        /// Every canary, with the invariants that it breaks; 0 for what is asked beyond them.
        pub const ALL: [(Self, &'static [u8]); 13] = [
            (Self::DoubledFill, &[1]),
            (Self::OversizedOrder, &[2]),
            (Self::IgnoredLimit, &[3]),
            (Self::DeafKill, &[4]),
            (Self::BlindToQuality, &[5]),
            (Self::WrongDelta, &[6]),
            (Self::StickyLevel, &[7]),
            (Self::Whim, &[8]),
            (Self::BlindToChecksum, &[9]),
            (Self::ReusedId, &[10]),
            (Self::HotAllocation, &[11]),
            (Self::LazyHedge, &[12]),
            (Self::CarelessPrice, &[0]),
        ];
    }

    static CHOSEN: AtomicU8 = AtomicU8::new(0);
    static WHIMS: AtomicU64 = AtomicU64::new(0);

    /// Chooses one for the whole process, or none.
    pub fn choose(canary: Option<Canary>) {
        CHOSEN.store(canary.map_or(0, |canary| canary as u8), Ordering::Relaxed);
    }

    /// Whether it was chosen.
    pub fn sings(canary: Canary) -> bool {
        CHOSEN.load(Ordering::Relaxed) == canary as u8
    }

    /// A slippage that is another one every time, 1e-9.
    pub fn whim() -> i64 {
        (WHIMS.fetch_add(1, Ordering::Relaxed) % 7) as i64 * 50_000
    }

    /// Takes memory from the heap, for a moment.
    pub fn allocate() {
        drop(std::hint::black_box(Box::new(0_u8)));
    }
}
