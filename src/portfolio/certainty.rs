//! How far what the panel shows can be wrong.

use super::anchored::{GROUPS, Lanes, groups};
use crate::pricing::anchor::PANEL_LANES;
use crate::units::Nanos;

/// How far a lane of the panel can be wrong, or some together: now, what each nanosecond adds, and until when that is so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Certainty {
    /// Extrapolated back to the epoch.
    pub(super) at_epoch: f64,
    pub(super) per_ns: f64,
    pub(super) until: Nanos,
}

/// That of every lane, group by group.
#[derive(Debug, Default)]
pub(super) struct Certainties([Group; GROUPS]);

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    at_epoch: [f64; PANEL_LANES],
    per_ns: [f64; PANEL_LANES],
    until: [u64; PANEL_LANES],
}

impl Certainties {
    /// Of one lane.
    pub(super) fn set(&mut self, lane: usize, certainty: Certainty) {
        let (group, at) = (&mut self.0[lane / PANEL_LANES], lane % PANEL_LANES);
        (group.at_epoch[at], group.per_ns[at]) = (certainty.at_epoch, certainty.per_ns);
        group.until[at] = certainty.until.0;
    }

    /// Of some lanes together. The eight places of a group are summed side by side, so that no addition waits for the one of
    /// the lane before.
    pub(super) fn of(&self, lanes: Lanes) -> Certainty {
        let (mut at_epoch, mut per_ns, mut until) = ([0.0; PANEL_LANES], [0.0; PANEL_LANES], [u64::MAX; PANEL_LANES]);
        let mut left = groups(lanes);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let (group, shown) = (&self.0[at], lanes.to_le_bytes()[at]);
            for i in 0..PANEL_LANES {
                let is_shown = shown >> i & 1 != 0;
                at_epoch[i] += if is_shown { group.at_epoch[i] } else { 0.0 };
                per_ns[i] += if is_shown { group.per_ns[i] } else { 0.0 };
                until[i] = until[i].min(if is_shown { group.until[i] } else { u64::MAX });
            }
        }
        let sum = |l: [f64; PANEL_LANES]| ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
        let until = until.into_iter().fold(u64::MAX, u64::min);
        Certainty { at_epoch: sum(at_epoch), per_ns: sum(per_ns), until: Nanos(until) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certainty_of_lanes_is_the_sum_of_theirs_until_the_first_ends() {
        let mut all = Certainties::default();
        let one = |lane: usize| Certainty {
            at_epoch: 1.0 + lane as f64,
            per_ns: 0.5 * lane as f64,
            until: Nanos(1_000 - lane as u64),
        };
        (0..64).for_each(|lane| all.set(lane, one(lane)));
        let lanes = [0usize, 7, 8, 30, 63];
        let shown = lanes.iter().fold(0, |shown, lane| shown | 1 << lane);
        let expected = Certainty { at_epoch: 113.0, per_ns: 54.0, until: Nanos(937) };
        assert_eq!(all.of(shown), expected);
        assert_eq!(all.of(0), Certainty { until: Nanos(u64::MAX), ..Certainty::default() });
        all.set(63, Certainty::default());
        assert_eq!(all.of(1 << 63), Certainty::default());
    }
}
