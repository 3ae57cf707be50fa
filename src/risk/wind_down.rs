//! After the switch is thrown: every order ends, or somebody is told.
//!
//! What rests is asked back at once and again every [`ASK_AGAIN_NS`] while anything is live. Orders that have not ended
//! within the bound are alarmed as unknown, once; they keep counting, and the asking goes on.

use crate::units::Nanos;

/// Between two askings.
pub const ASK_AGAIN_NS: u64 = 250 * Nanos::PER_MILLI;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// Ask everything back.
    CancelAll,
    /// Give up what is live as unknown, and ask again.
    Alarm,
}

/// Where winding down stands.
#[derive(Clone, Copy, Debug)]
pub struct WindDown {
    bound_ns: u64,
    began: Option<Nanos>,
    asked: Nanos,
    is_alarmed: bool,
}

impl WindDown {
    /// Not begun. Orders have `bound_ns` to end once it has.
    pub const fn new(bound_ns: u64) -> Self {
        Self { bound_ns, began: None, asked: Nanos(0), is_alarmed: false }
    }

    /// Begins, anew if it had begun before: a stricter level starts the bound again.
    pub const fn begin(&mut self, now: Nanos) {
        *self = Self { bound_ns: self.bound_ns, began: Some(now), asked: Nanos(0), is_alarmed: false };
    }

    /// Trading goes on.
    pub const fn end(&mut self) {
        self.began = None;
    }

    /// What is due while so many orders are live. The first asking is due even when none is: an order may be on its way.
    pub fn due(&self, now: Nanos, open_orders: u32) -> Due {
        match self.began {
            None => Due::Nothing,
            Some(_) if self.asked == Nanos(0) => Due::CancelAll,
            Some(_) if open_orders == 0 => Due::Nothing,
            Some(began) if !self.is_alarmed && now.since(began) >= self.bound_ns => Due::Alarm,
            Some(_) if now.since(self.asked) >= ASK_AGAIN_NS => Due::CancelAll,
            Some(_) => Due::Nothing,
        }
    }

    /// What is live was given up.
    pub const fn alarmed(&mut self) {
        self.is_alarmed = true;
    }

    /// Everything was asked back.
    pub const fn asked(&mut self, now: Nanos) {
        self.asked = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: u64 = Nanos::PER_SECOND;

    #[test]
    fn what_stays_live_is_asked_for_again_and_alarmed_once_at_the_bound() {
        let mut wind_down = WindDown::new(BOUND);
        assert_eq!(wind_down.due(Nanos(1), 5), Due::Nothing);
        wind_down.begin(Nanos(1));
        let (mut asked, mut alarmed) = (Vec::new(), Vec::new());
        for at in (1..3 * BOUND).step_by(Nanos::PER_MILLI as usize) {
            let due = wind_down.due(Nanos(at), 2);
            if due == Due::Alarm {
                wind_down.alarmed();
                alarmed.push(at);
            }
            if due != Due::Nothing {
                wind_down.asked(Nanos(at));
                asked.push(at);
            }
        }
        assert_eq!(alarmed, [1 + BOUND]);
        assert_eq!(asked.len(), 12, "at once, then every quarter of a second");
    }

    #[test]
    fn once_nothing_is_live_nothing_is_due() {
        let mut wind_down = WindDown::new(BOUND);
        wind_down.begin(Nanos(1));
        assert_eq!(wind_down.due(Nanos(1), 0), Due::CancelAll, "an order may be on its way");
        wind_down.asked(Nanos(1));
        assert_eq!(wind_down.due(Nanos(10 * BOUND), 0), Due::Nothing);
        wind_down.end();
        assert_eq!(wind_down.due(Nanos(10 * BOUND), 3), Due::Nothing);
    }
}
