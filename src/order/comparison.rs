//! Executions as two told them: the order session, and a drop copy of the account.
//!
//! In: every execution that either tells, in any order, the time, and whether the drop copy is whole. Out: a [`Difference`]
//! where one of them has not told within the patience what the other has, or has told it otherwise. Invariants:
//!
//! - an execution is told of once by each, however often it is repeated: it goes by the venue's number, its taking back by
//!   the complement of that;
//! - of the drop copy only that is expected which was executed a patience or more after it first stood. While it is down
//!   nothing is, and the patience begins anew once it is whole;
//! - each difference comes out once. What is told after that counts as late, and contradicts as before.
//!
//! Cost: a look-up, and one step for each execution that waits, [`WAITING_MAX`] at most: one more is a difference itself.

use arrayvec::ArrayVec;

use super::executions::Executions;
use crate::event::Body;
use crate::units::{ClientOrderId, ExecutionId, Nanos};

/// Executions that may wait for the other's word.
pub const WAITING_MAX: usize = 256;

/// Who tells of executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Teller {
    /// The order session.
    Session,
    /// The drop copy.
    DropCopy,
}

impl Teller {
    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "the order session",
            Self::DropCopy => "the drop copy",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Session => Self::DropCopy,
            Self::DropCopy => Self::Session,
        }
    }
}

/// A fill, or its taking back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Execution {
    order: ClientOrderId,
    number: ExecutionId,
    body: Body,
}

impl Execution {
    /// The execution that an event tells of.
    pub fn of(body: &Body) -> Option<Self> {
        let body = *body;
        match body {
            Body::Filled { order, execution, .. } => Some(Self { order, number: execution, body }),
            Body::Busted { order, execution, .. } => Some(Self { order, number: ExecutionId(!execution.0), body }),
            _ => None,
        }
    }

    /// As an event tells it.
    pub fn body(&self) -> Body {
        self.body
    }

    /// The order that it belongs to.
    pub fn order(&self) -> ClientOrderId {
        self.order
    }

    fn is_told_by(&self, other: &Self) -> bool {
        (self.order, self.number) == (other.order, other.number)
    }
}

/// Where the two do not agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Difference {
    /// One has not told it.
    Untold {
        /// Who has not.
        by: Teller,
        /// As the other has.
        execution: Execution,
    },
    /// Both have told it, each otherwise.
    Contradicted {
        /// As the order session has.
        session: Execution,
        /// As the drop copy has.
        drop_copy: Execution,
    },
    /// Too many wait: this one is not compared.
    Overrun(Execution),
}

/// What was counted since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ComparisonCounters {
    /// Told by both alike.
    pub matched: u64,
    /// Of those, after a difference had come out.
    pub late: u64,
    /// Told by the order session before the drop copy was to be expected to.
    pub unwitnessed: u64,
    /// Not told by the order session in time.
    pub untold_by_session: u64,
    /// Not told by the drop copy in time.
    pub untold_by_drop_copy: u64,
    /// Told by both, each otherwise.
    pub contradicted: u64,
    /// Not compared for want of room.
    pub overrun: u64,
}

impl ComparisonCounters {
    /// How often the two did not agree.
    pub fn differences(&self) -> u64 {
        self.untold_by_session + self.untold_by_drop_copy + self.contradicted + self.overrun
    }
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    execution: Execution,
    teller: Teller,
    since: Nanos,
    /// Whether the difference has come out.
    is_out: bool,
}

/// Holds what one tells against what the other does.
#[derive(Debug)]
pub struct Comparison {
    patience_ns: u64,
    /// What each has told.
    told: [Executions; 2],
    waiting: Box<ArrayVec<Waiting, WAITING_MAX>>,
    whole_since: Option<Nanos>,
    /// From when on executions are expected of the drop copy.
    expected_from: Option<Nanos>,
    counters: ComparisonCounters,
}

impl Comparison {
    /// Nothing told. Either may take so long. Allocates all it will ever use.
    pub fn new(patience_ns: u64) -> Self {
        Self {
            patience_ns,
            told: [Executions::new(), Executions::new()],
            waiting: Box::new(ArrayVec::new()),
            whole_since: None,
            expected_from: None,
            counters: ComparisonCounters::default(),
        }
    }

    /// Whether the drop copy is up with nothing of its past missing.
    pub fn drop_copy_is(&mut self, whole: bool, now: Nanos) {
        self.whole_since = if whole { self.whole_since.or(Some(now)) } else { None };
        if whole {
            self.expected_from.get_or_insert(Nanos(now.0.saturating_add(self.patience_ns)));
        }
    }

    /// Hears of an execution.
    pub fn hear(&mut self, teller: Teller, execution: Execution, now: Nanos) -> Option<Difference> {
        let Execution { order, number, .. } = execution;
        if !self.told[teller as usize].take(order, number) {
            return None;
        }
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.execution.is_told_by(&execution)) {
            let other = self.waiting.swap_remove(at);
            return self.settle(teller, execution, &other);
        }
        if self.told[teller.other() as usize].contains(order, number) {
            self.counters.matched += 1;
            return None;
        }
        let is_expected = teller == Teller::DropCopy || self.expected_from.is_some_and(|from| now >= from);
        if !is_expected {
            self.counters.unwitnessed += 1;
            return None;
        }
        let waiting = Waiting { execution, teller, since: now, is_out: false };
        self.waiting.try_push(waiting).err().map(|_| {
            self.counters.overrun += 1;
            Difference::Overrun(execution)
        })
    }

    /// The next execution that has waited too long.
    pub fn overdue(&mut self, now: Nanos) -> Option<Difference> {
        let Self { patience_ns, whole_since, waiting, counters, .. } = self;
        let late = waiting.iter_mut().filter(|waiting| !waiting.is_out).find(|waiting| match waiting.teller {
            Teller::DropCopy => now.since(waiting.since) > *patience_ns,
            Teller::Session => whole_since.is_some_and(|whole| now.since(whole.max(waiting.since)) > *patience_ns),
        })?;
        late.is_out = true;
        let by = late.teller.other();
        match by {
            Teller::Session => counters.untold_by_session += 1,
            Teller::DropCopy => counters.untold_by_drop_copy += 1,
        }
        Some(Difference::Untold { by, execution: late.execution })
    }

    /// Whether an execution waits that no difference has come out of.
    pub fn is_waiting(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_out)
    }

    /// What was counted.
    pub fn counters(&self) -> &ComparisonCounters {
        &self.counters
    }

    fn settle(&mut self, teller: Teller, execution: Execution, other: &Waiting) -> Option<Difference> {
        if execution == other.execution {
            self.counters.matched += 1;
            self.counters.late += u64::from(other.is_out);
            return None;
        }
        self.counters.contradicted += 1;
        let (session, drop_copy) = match teller {
            Teller::Session => (execution, other.execution),
            Teller::DropCopy => (other.execution, execution),
        };
        Some(Difference::Contradicted { session, drop_copy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{InstrumentId, Price, Side};
    use proptest::prelude::*;

    const PATIENCE: u64 = 1_000;
    const BEGIN: Nanos = Nanos(10_000);

    fn execution(number: u64, lots: u32, is_bust: bool) -> Execution {
        let (order, execution, instrument) = (ClientOrderId(number / 3), ExecutionId(number), InstrumentId(1));
        let (side, price) = (Side::Buy, Price(9));
        let filled = Body::Filled { order, execution, instrument, side, price, lots };
        let busted = Body::Busted { order, execution, instrument, side, price, lots };
        Execution::of(if is_bust { &busted } else { &filled }).expect("it is one")
    }

    /// With a drop copy that has stood for long.
    fn comparison() -> Comparison {
        let mut comparison = Comparison::new(PATIENCE);
        comparison.drop_copy_is(true, Nanos(0));
        comparison
    }

    /// What has waited too long by then.
    fn overdue(comparison: &mut Comparison, now: u64) -> Vec<Difference> {
        std::iter::from_fn(|| comparison.overdue(Nanos(now))).collect()
    }

    /// What happens to the two tellings of an execution.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fate {
        Agree,
        Lost(Teller),
        Contradict,
    }

    proptest! {
        #[test]
        fn exactly_what_one_lost_or_altered_comes_out_in_any_order_of_arrival(
            fates in prop::collection::vec((prop_oneof![
                6 => Just(Fate::Agree),
                1 => Just(Fate::Lost(Teller::Session)),
                1 => Just(Fate::Lost(Teller::DropCopy)),
                1 => Just(Fate::Contradict),
            ], any::<bool>()), 1..60),
            seed in any::<u64>(),
        ) {
            let mut arrivals = Vec::new();
            let mut draws = seed;
            let mut draw = || {
                draws = draws.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                draws >> 33
            };
            for (number, (fate, is_bust)) in fates.iter().enumerate() {
                let number = number as u64;
                for teller in [Teller::Session, Teller::DropCopy] {
                    let lots = if *fate == Fate::Contradict && teller == Teller::DropCopy { 2 } else { 1 };
                    if *fate != Fate::Lost(teller) {
                        // Each is repeated now and then, and none takes as long as the patience.
                        for _ in 0..1 + draw() % 2 {
                            arrivals.push((draw() % PATIENCE, teller, execution(number, lots, *is_bust)));
                        }
                    }
                }
            }
            arrivals.sort_by_key(|(at, ..)| *at);
            let mut comparison = comparison();
            let mut out = Vec::new();
            for (at, teller, execution) in arrivals {
                out.extend(comparison.hear(teller, execution, Nanos(BEGIN.0 + at)));
                prop_assert_eq!(comparison.overdue(Nanos(BEGIN.0 + at)), None, "nobody was late");
            }
            out.extend(overdue(&mut comparison, BEGIN.0 + 3 * PATIENCE));
            prop_assert_eq!(overdue(&mut comparison, BEGIN.0 + 9 * PATIENCE), []);
            let lost = |by, execution| Difference::Untold { by, execution };
            for (number, (fate, is_bust)) in fates.iter().enumerate() {
                let told = execution(number as u64, 1, *is_bust);
                let of_it = out.iter().filter(|difference| match difference {
                    Difference::Untold { execution, .. } | Difference::Overrun(execution) => execution.is_told_by(&told),
                    Difference::Contradicted { session, .. } => session.is_told_by(&told),
                });
                let of_it: Vec<_> = of_it.copied().collect();
                match *fate {
                    Fate::Agree => prop_assert_eq!(of_it, []),
                    Fate::Lost(by) => prop_assert_eq!(of_it, [lost(by, told)]),
                    Fate::Contradict => {
                        let drop_copy = execution(number as u64, 2, *is_bust);
                        prop_assert_eq!(of_it, [Difference::Contradicted { session: told, drop_copy }]);
                    }
                }
            }
            let agreed = fates.iter().filter(|(fate, _)| *fate == Fate::Agree).count() as u64;
            prop_assert_eq!(comparison.counters().matched, agreed);
            prop_assert_eq!(comparison.counters().differences(), fates.len() as u64 - agreed);
        }
    }

    #[test]
    fn nothing_is_expected_of_a_drop_copy_before_a_patience_after_it_first_stood() {
        let mut comparison = Comparison::new(PATIENCE);
        assert_eq!(comparison.hear(Teller::Session, execution(1, 1, false), BEGIN), None);
        comparison.drop_copy_is(true, BEGIN);
        assert_eq!(comparison.hear(Teller::Session, execution(2, 1, false), Nanos(BEGIN.0 + PATIENCE - 1)), None);
        assert_eq!(overdue(&mut comparison, u64::MAX), []);
        assert_eq!(
            comparison.hear(Teller::DropCopy, execution(2, 1, false), BEGIN),
            None,
            "it may tell it all the same"
        );
        assert_eq!((comparison.counters().unwitnessed, comparison.counters().matched), (2, 1));
    }

    #[test]
    fn a_drop_copy_that_is_down_has_its_patience_again_once_it_is_whole() {
        let mut comparison = comparison();
        assert_eq!(comparison.hear(Teller::Session, execution(1, 1, false), BEGIN), None);
        comparison.drop_copy_is(false, BEGIN);
        assert_eq!(overdue(&mut comparison, BEGIN.0 + 100 * PATIENCE), []);
        let back = BEGIN.0 + 200 * PATIENCE;
        comparison.drop_copy_is(true, Nanos(back));
        assert_eq!(overdue(&mut comparison, back + PATIENCE), []);
        assert_eq!(overdue(&mut comparison, back + PATIENCE + 1).len(), 1);
    }

    #[test]
    fn what_is_told_late_counts_as_late_and_is_no_second_difference() {
        let mut comparison = comparison();
        assert_eq!(comparison.hear(Teller::DropCopy, execution(1, 1, false), BEGIN), None);
        assert_eq!(overdue(&mut comparison, BEGIN.0 + PATIENCE + 1).len(), 1);
        assert!(!comparison.is_waiting());
        assert_eq!(comparison.hear(Teller::Session, execution(1, 1, false), Nanos(BEGIN.0 + 2 * PATIENCE)), None);
        let counters = *comparison.counters();
        assert_eq!((counters.matched, counters.late, counters.differences()), (1, 1, 1));
    }

    #[test]
    fn one_more_than_may_wait_is_a_difference() {
        let mut comparison = comparison();
        for number in 0..WAITING_MAX as u64 {
            assert_eq!(comparison.hear(Teller::Session, execution(number, 1, false), BEGIN), None);
        }
        let one_more = execution(WAITING_MAX as u64, 1, false);
        assert_eq!(comparison.hear(Teller::Session, one_more, BEGIN), Some(Difference::Overrun(one_more)));
    }
}
