//! What can go wrong, how each kind is called, and how often it happens at most.

/// How a fault's rate is meant, and the largest that a seed chooses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// A probability for each packet, frame or write.
    Each(f64),
    /// So many times a second.
    PerSecond(f64),
    /// Zero or one: on for the whole run.
    Switch,
}

/// How often each fault struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts([u64; Fault::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Counts {
    /// How often this one did.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault.index()]
    }

    /// It struck once.
    pub(super) fn count(&mut self, fault: Fault) {
        self.0[fault.index()] += 1;
    }

    /// Adds those of another run.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }
}

/// One line a fault: its name in options and reports, and its rate.
macro_rules! faults {
    ($($(#[$doc:meta])+ $fault:ident = $name:literal at $rate:ident$(($most:literal))?,)+) => {
        /// Something that goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Fault {
            $($(#[$doc])+ $fault,)+
        }

        impl Fault {
            /// Every fault, in order of its index.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$fault),+];

            /// Its name in options and reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)+
                }
            }

            /// How its rate is meant.
            pub const fn rate(self) -> Rate {
                match self {
                    $(Self::$fault => Rate::$rate$(($most))?,)+
                }
            }

            /// Table index.
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

faults! {
    /// A packet of the feed is lost.
    Loss = "loss" at Each(0.05),
    /// A packet comes twice.
    Duplicate = "duplicate" at Each(0.05),
    /// A packet is held back for some milliseconds, and overtaken.
    Reorder = "reorder" at Each(0.05),
    /// A packet says that it is longer or shorter than it is.
    CorruptLength = "corrupt_length" at Each(0.01),
    /// A packet is cut short.
    Truncate = "truncate" at Each(0.01),
    /// A snapshot packet is lost.
    SnapshotLoss = "snapshot_loss" at Each(0.2),
    /// An old snapshot packet comes again.
    SnapshotStale = "snapshot_stale" at Each(0.2),
    /// A snapshot packet is held back into the next round.
    SnapshotOverlap = "snapshot_overlap" at Each(0.1),
    /// One of two lines is silent for a while.
    LineDown = "line_down" at PerSecond(0.5),
    /// The second copy of a packet has other bytes.
    Divergence = "divergence" at Each(0.02),
    /// What the feed asks for again is no longer kept.
    ResendRefused = "resend_refused" at Each(0.5),
    /// What the feed asks for again is lost.
    ResendLoss = "resend_loss" at Each(0.5),
    /// There is news of an instrument that was never listed.
    UnknownInstrument = "unknown_instrument" at PerSecond(2.0),
    /// Every line is silent for a while.
    FeedSilence = "feed_silence" at PerSecond(0.1),
    /// A channel's sequence begins anew.
    SequenceReset = "sequence_reset" at PerSecond(0.3),
    /// An instrument is halted for a while.
    Halt = "halt" at PerSecond(0.5),
    /// A book is crossed for a while.
    Crossed = "crossed" at PerSecond(0.5),
    /// A packet of noise arrives.
    Noise = "noise" at PerSecond(2.0),

    /// The order connection breaks; a part of what is under way still arrives.
    Drop = "drop" at PerSecond(0.5),
    /// The order connection breaks before an order that waits for it leaves.
    DropBeforeSend = "drop_before_send" at PerSecond(0.3),
    /// The order connection breaks in the middle of an order.
    DropDuringSend = "drop_during_send" at PerSecond(0.3),
    /// The order connection breaks after an order has arrived and before it is answered.
    DropAfterSend = "drop_after_send" at PerSecond(0.3),
    /// The connection swallows everything in both directions until somebody times out.
    HalfOpen = "half_open" at PerSecond(0.1),
    /// Connections are refused for a while.
    Refuse = "refuse" at PerSecond(0.3),
    /// The socket takes only a part of what is pending.
    PartialWrite = "partial_write" at Each(0.5),
    /// A frame of the venue comes twice.
    FrameDuplicate = "frame_duplicate" at Each(0.05),
    /// A frame of the venue is lost.
    FrameLoss = "frame_loss" at Each(0.05),
    /// Two frames of the venue change places.
    FrameSwap = "frame_swap" at Each(0.05),
    /// A byte of the venue's stream is wrong.
    FrameCorrupt = "frame_corrupt" at Each(0.01),
    /// The connection is slow for a while.
    SlowLink = "slow_link" at PerSecond(0.5),
    /// The venue takes few orders a second.
    Throttle = "throttle" at Switch,
    /// The venue is started again: the connection breaks, every line is silent, every sequence begins anew.
    VenueRestart = "venue_restart" at PerSecond(0.1),
    /// The process starts with a wrong secret, and its logons are refused until a person corrects it.
    WrongSecret = "wrong_secret" at Switch,
    /// Bytes are lost in both directions and then the connection breaks: both ends ask for what they miss.
    LostBothWays = "lost_both_ways" at PerSecond(0.3),

    /// The venue refuses an order that nothing is wrong with.
    VenueRefusal = "venue_refusal" at PerSecond(2.0),
    /// The venue ends an order of its own accord.
    UnsolicitedCancel = "unsolicited_cancel" at PerSecond(2.0),
    /// The venue refuses an amendment that nobody asked for.
    AmendReject = "amend_reject" at PerSecond(2.0),
    /// The venue's market-maker protection triggers and freezes an underlying's orders.
    Protection = "protection" at PerSecond(0.5),
    /// Somebody else trades the hedge on the account: the fill is of an order that is not known here.
    UnknownOrder = "unknown_order" at PerSecond(0.1),
    /// The venue takes the last fill back.
    Bust = "bust" at PerSecond(0.3),

    /// Our clock jumps ahead.
    ClockAhead = "clock_ahead" at PerSecond(0.3),
    /// Our clock jumps back.
    ClockBack = "clock_back" at PerSecond(0.3),
    /// The whole process stands still for a while.
    Stall = "stall" at PerSecond(0.5),
    /// The surface's thread stands still.
    SurfacePause = "surface_pause" at PerSecond(2.0),
    /// The gateway's thread stands still.
    GatewayPause = "gateway_pause" at PerSecond(2.0),
    /// The rings of orders and reports are tiny.
    TinyRings = "tiny_rings" at Switch,
    /// The process dies between two steps and is started again.
    Crash = "crash" at PerSecond(0.5),
    /// The operator throws the kill switch.
    Kill = "kill" at PerSecond(0.1),
    /// The operator throws the kill switch while an order waits for the socket.
    KillInFlight = "kill_in_flight" at PerSecond(0.2),
    /// The process is started again with another position limit while orders may be under way.
    LimitChange = "limit_change" at PerSecond(0.2),
    /// The position limit is far below what a hedge needs.
    TightLimits = "tight_limits" at Switch,

    /// The power fails: of what was not durable, the disk keeps a few bytes.
    TornWrite = "torn_write" at PerSecond(0.2),
    /// A bit of what was written is another.
    BitFlip = "bit_flip" at PerSecond(0.3),
    /// A write takes a part of what it is given.
    ShortWrite = "short_write" at PerSecond(0.1),
    /// The disk does not confirm.
    SyncError = "sync_error" at PerSecond(0.1),
    /// The disk is full.
    DiskFull = "disk_full" at PerSecond(0.1),
}
