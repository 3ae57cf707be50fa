//! The average that options settle on.
//!
//! A venue settles on the mean of its index over a last window (half an hour at Deribit), so as the window passes, an
//! option's payoff becomes known and its delta leaves it. With fraction a of the window elapsed at mean Ā, an option on
//! the mean is (1 − a) options on what remains, struck at K* = (K − aĀ)/(1 − a), and the variance of the mean of a
//! Brownian path over the remaining time t is σ²t/3. Ignoring this over-hedges the book into expiry.

/// What is known of the average at an instant inside the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Averaging {
    /// Fraction of the window elapsed, 0 to 1.
    pub elapsed: f64,
    /// Mean of the index over the elapsed part.
    pub mean: f64,
}

/// Length of Deribit's window in years of 365 days.
pub const WINDOW_YEARS: f64 = 1_800.0 / (365.0 * 86_400.0);

impl Averaging {
    /// The strike of the option on what remains. It may be zero or negative: the option is then certain to be exercised
    /// (a call) or to lapse (a put), which Black-76 here returns as its intrinsic limit. After the window, the payoff's
    /// own strike.
    pub fn strike(&self, strike: f64) -> f64 {
        let left = self.weight();
        if left > 0.0 { (strike - self.elapsed * self.mean) / left } else { strike }
    }

    /// How many options on what remains one option is: 1 − a.
    pub fn weight(&self) -> f64 {
        if self.elapsed > 1.0 { 0.0 } else { 1.0 - self.elapsed }
    }
}

/// Years of variance left in the settlement average `years` before expiry: two thirds of the window less than the
/// calendar time before the window opens, a third of what remains inside it.
pub fn variance_years(years: f64, window_years: f64) -> f64 {
    if years > window_years { years - window_years * (2.0 / 3.0) } else { years * (1.0 / 3.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::OptionKind;
    use crate::pricing::black76::Greeks;

    #[test]
    fn variance_is_continuous_where_the_window_opens() {
        let before = variance_years(WINDOW_YEARS * (1.0 + 1e-9), WINDOW_YEARS);
        let inside = variance_years(WINDOW_YEARS, WINDOW_YEARS);
        assert!((before / inside - 1.0).abs() < 1e-8);
        assert_eq!(variance_years(0.0, WINDOW_YEARS), 0.0);
    }

    #[test]
    fn delta_leaves_the_book_as_the_window_passes() {
        let delta = |elapsed: f64| {
            let averaging = Averaging { elapsed, mean: 100.0 };
            let years = variance_years(WINDOW_YEARS * (1.0 - elapsed), WINDOW_YEARS);
            averaging.weight() * Greeks::new(OptionKind::Call, 100.0, averaging.strike(100.0), 0.6, years).delta
        };
        assert!((delta(0.0) - 0.5).abs() < 1e-3);
        assert!((delta(0.5) - 0.25).abs() < 1e-3);
        assert_eq!(delta(1.0), 0.0);
    }

    #[test]
    fn a_call_already_paid_for_by_the_mean_is_certain() {
        let averaging = Averaging { elapsed: 0.9, mean: 200.0 };
        assert!(averaging.strike(100.0) < 0.0);
        let call = Greeks::new(OptionKind::Call, 150.0, averaging.strike(100.0), 0.6, 1e-6);
        assert_eq!(call.delta, 1.0);
        // (1 − a)(F − K*) is the mean that is expected less the strike.
        assert!((averaging.weight() * call.price - (0.9 * 200.0 + 0.1 * 150.0 - 100.0)).abs() < 1e-12);
    }
}
