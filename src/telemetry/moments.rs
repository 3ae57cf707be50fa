//! Running mean and variance.

/// Mean and variance of a stream (Welford 1962), without keeping it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Adds a sample; one that is not finite is left out.
    pub fn add(&mut self, sample: f64) {
        if sample.is_finite() {
            self.count += 1;
            let off = sample - self.mean;
            self.mean += off / self.count as f64;
            self.squares += off * (sample - self.mean);
        }
    }

    /// Samples so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Unbiased variance; `None` before there are two samples.
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.squares / (self.count - 1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variance_is_that_of_the_samples() {
        let mut moments = Moments::default();
        assert_eq!(moments.variance(), None);
        [2.0, 4.0, 4.0, f64::NAN, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().for_each(|sample| moments.add(sample));
        assert_eq!(moments.count(), 8);
        assert!((moments.variance().unwrap() - 32.0 / 7.0).abs() < 1e-12);
    }
}
