//! What positions are exposed to: one number a greek, summed in coins.

use std::ops::AddAssign;

/// Sums over positions, in coins: quote-currency values are these times the forward.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exposure {
    /// Σ qB/F.
    pub value: f64,
    /// Σ q ∂B/∂F, Black's delta.
    pub delta: f64,
    /// Σ q (Δ − B/F), the premium-adjusted delta.
    pub coin_delta: f64,
    /// Σ q F ∂²B/∂F²: change of `delta` per unit of ln F.
    pub gamma: f64,
    /// Σ q ∂B/∂σ / F.
    pub vega: f64,
    /// Σ q ∂B/∂t / F, per year.
    pub theta: f64,
    /// Σ q ∂Δ/∂σ; that of the premium-adjusted delta is `vanna − vega`.
    pub vanna: f64,
    /// Σ q ∂²B/∂σ² / F.
    pub volga: f64,
    /// Σ q ∂B/∂σ / F × ∂σ/∂ln K: what a smile that moves with the forward takes from either delta.
    pub skew: f64,
}

impl Exposure {
    /// Change of the premium-adjusted delta per unit of ln F.
    pub fn coin_log_gamma(&self) -> f64 {
        self.gamma - self.coin_delta
    }

    /// Change of the premium-adjusted delta per 1.00 of volatility.
    pub fn coin_vanna(&self) -> f64 {
        self.vanna - self.vega
    }

    /// What to add to either delta when the smile moves with the forward: nothing at `stickiness` 0 (volatility belongs
    /// to the strike), −Σ vega ∂σ/∂ln K at 1 (it belongs to the moneyness).
    pub fn floating_smile(&self, stickiness: f64) -> f64 {
        -stickiness * self.skew
    }

    /// Change of the premium-adjusted delta, or of Black's, with [`floating_smile`](Self::floating_smile) per unit of ln F,
    /// beyond what it is when the smile stays: what F does to the smile's part, and what the smile does to the delta. To
    /// first order in the smile's slope; `skew_slope` is the change of `skew` per unit of ln F.
    pub fn floating_smile_slope(&self, stickiness: f64, skew_slope: f64, in_coins: bool) -> f64 {
        // F ∂²B/∂σ∂F / F is the change of vega over F, and vega over F more of Black's delta.
        -stickiness * (2.0 * skew_slope + if in_coins { 0.0 } else { self.skew })
    }
}

impl AddAssign for Exposure {
    fn add_assign(&mut self, other: Self) {
        self.value += other.value;
        self.delta += other.delta;
        self.coin_delta += other.coin_delta;
        self.gamma += other.gamma;
        self.vega += other.vega;
        self.theta += other.theta;
        self.vanna += other.vanna;
        self.volga += other.volga;
        self.skew += other.skew;
    }
}
