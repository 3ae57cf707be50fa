//! What an exposure costs: from prices, covariance and risk aversion to the [`Curvature`] of the program.
//!
//! Factors, in this order: delta (floating-smile: coins per unit of spot), then the exposures to what else moves (vega by
//! maturity bucket, skew), gamma (∂Δ/∂S), and what each of a few jumps of the spot gains beyond what delta gains. With γ the risk aversion, τ the time the exposure will be held, λ the
//! proportional cost of trading delta, C the covariance per year and β_k = C_0k/C_00, the exposure v costs
//!
//! - ½κ(βᵀv)², κ = λS/w with w the half-width of [`BandConfig`]: the delta that also hedges what moves with the spot is left
//!   alone within exactly Whalley and Wilmott's band, where κw = λS is the cost of trading;
//! - ½γτ(C_ab − C_a0·C_0b/C_00)v_a·v_b over a, b ≥ 1: what the spot cannot hedge;
//! - ½(4/3)k_c|Γ|^{-2/3}·v_Γ², k_c = ½γσ²S²(1.5λS/γ)^{2/3}τ: what it costs to keep following a delta that moves, the
//!   k_c|Γ|^{4/3} of Whalley and Wilmott as a quadratic of the same slope;
//! - ½γτ·λ_j·v_j² for every jump j that comes λ_j times a year: what is gained or lost when delta cannot follow. Gamma says
//!   what a move of a percent does; where two options of opposite sign stand apart, only a revaluation says what one of
//!   twenty does.

use super::covariance::Covariance;
use super::{Curvature, FACTORS_MAX, NotConvex};
use crate::event::JUMPS;
use crate::hedge::policy::{BandConfig, cbrt};

/// What the desk fears and expects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectiveConfig {
    /// Risk aversion and the bounds of the delta band.
    pub band: BandConfig,
    /// How long an exposure that is taken over will be held, years.
    pub horizon_years: f64,
    /// Gamma (∂Δ/∂S) below which following delta costs as if it were that large: keeps the curvature finite.
    pub gamma_min: f64,
    /// How often a year each jump of [`JUMP_SIZES`](crate::event::JUMP_SIZES) comes.
    pub jumps: [f64; JUMPS],
}

/// What the market shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarketView {
    /// Spot, quote currency.
    pub spot: f64,
    /// Proportional cost λ of trading delta.
    pub delta_cost: f64,
    /// Volatility of the spot a year.
    pub sigma: f64,
    /// ∂Δ/∂S of the book.
    pub gamma: f64,
}

/// Writes the curvature of `covariance.factors() + 1 + JUMPS` factors. What was in `curvature` is gone even if it fails.
pub fn write(
    curvature: &mut Curvature,
    config: &ObjectiveConfig,
    view: &MarketView,
    covariance: &Covariance,
) -> Result<(), NotConvex> {
    curvature.clear();
    let (risks, gamma) = (covariance.factors(), covariance.factors());
    let (factors, variance) = (risks + 1 + JUMPS, covariance.at(0, 0));
    if curvature.factors() != factors || !(variance > 0.0 && variance.is_finite()) {
        return Err(NotConvex);
    }
    let MarketView { spot, delta_cost, sigma, .. } = *view;
    let (aversion, years) = (config.band.risk_aversion, config.horizon_years);

    let half_width = config.band.half_width(delta_cost, spot * view.gamma, spot);
    let mut beta = [0.0; FACTORS_MAX];
    for k in 0..risks {
        beta[k] = covariance.at(0, k) / variance;
    }
    curvature.add_outer(delta_cost * spot / half_width, &beta[..factors])?;

    let mut unhedgeable = Curvature::new(factors);
    for a in 1..risks {
        for b in 1..risks {
            unhedgeable.rows[a][b] = covariance.at(a, b) - covariance.at(a, 0) * covariance.at(0, b) / variance;
        }
        // The complement of a semidefinite matrix is one too, but for rounding.
        unhedgeable.rows[a][a] += 1e-12 * covariance.at(a, a);
    }
    curvature.add(aversion * years, &unhedgeable)?;

    let gamma_size = if view.gamma.abs() > config.gamma_min { view.gamma.abs() } else { config.gamma_min };
    let two_thirds = |x: f64| cbrt(x) * cbrt(x);
    let carry = 0.5 * aversion * sigma * sigma * spot * spot * two_thirds(1.5 * delta_cost * spot / aversion) * years;
    curvature.add_diagonal(gamma, 4.0 / 3.0 * carry / two_thirds(gamma_size))?;
    for (jump, per_year) in config.jumps.iter().enumerate() {
        curvature.add_diagonal(gamma + 1 + jump, aversion * years * per_year)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hedge::program::{Candidate, Outcome, Problem, Solver};

    fn config() -> ObjectiveConfig {
        ObjectiveConfig {
            band: BandConfig { risk_aversion: 0.1, half_width_min: 1e-6, half_width_max: 1e6 },
            horizon_years: 0.02,
            gamma_min: 1e-6,
            jumps: [0.0; JUMPS],
        }
    }

    fn view() -> MarketView {
        MarketView { spot: 100.0, delta_cost: 0.001, sigma: 0.6, gamma: 0.3 }
    }

    fn perpetual(cost: f64) -> Candidate {
        let mut loading = [0.0; FACTORS_MAX];
        loading[0] = 1.0;
        Candidate { loading, buy: cost, sell: cost, impact: 0.0, lower: -100.0, upper: 100.0 }
    }

    #[test]
    fn with_the_perpetual_alone_the_program_is_whalley_and_wilmotts_band() {
        let covariance = Covariance::new(&[&[3_600.0], &[0.0, 0.5]]).unwrap();
        let half_width = config().band.half_width(0.001, 30.0, 100.0);
        let mut solver = Solver::new();
        for delta in [0.5, 0.99, 1.01, 2.0, -3.0f64] {
            let mut problem = Problem::new(3 + JUMPS);
            write(problem.curvature_mut(), &config(), &view(), &covariance).unwrap();
            problem.exposure_mut()[..3].copy_from_slice(&[delta * half_width, 7.0, 0.3]);
            problem.push(&perpetual(0.1)).unwrap();
            let outcome = solver.solve(&problem);
            let edge = delta.signum() * (delta.abs() - 1.0).max(0.0) * half_width;
            assert_eq!(outcome == Outcome::StandStill, delta.abs() < 1.0);
            assert!((solver.trades()[0] + edge).abs() < 1e-9, "{:?} {edge}", solver.trades());
        }
    }

    #[test]
    fn delta_is_hedged_where_it_also_hedges_what_moves_with_the_spot() {
        // Volatility falls by 0.001 a dollar: 100 of vega are 0.1 coins short.
        let covariance = Covariance::new(&[&[3_600.0], &[-3.6, 0.5]]).unwrap();
        let mut problem = Problem::new(3 + JUMPS);
        write(problem.curvature_mut(), &config(), &view(), &covariance).unwrap();
        assert!(problem.curvature().half_form(&[0.1, 100.0, 0.0]) < problem.curvature().half_form(&[0.0, 100.0, 0.0]));
        let matched = problem.curvature().half_form(&[0.1, 100.0, 0.0]);
        let expected = 0.5 * 0.1 * 0.02 * (0.5 - 3.6 * 3.6 / 3_600.0) * 1e4;
        assert!((matched / expected - 1.0).abs() < 1e-9, "{matched} {expected}");
    }

    #[test]
    fn gamma_carry_has_the_slope_of_its_power() {
        let covariance = Covariance::new(&[&[3_600.0]]).unwrap();
        let mut curvature = Curvature::new(2 + JUMPS);
        write(&mut curvature, &config(), &view(), &covariance).unwrap();
        let carry =
            |gamma: f64| 0.5 * 0.1 * 0.36 * 1e4 * (1.5 * 0.1 / 0.1f64).powf(2.0 / 3.0) * 0.02 * gamma.powf(4.0 / 3.0);
        let slope = (carry(0.3 + 1e-6) - carry(0.3 - 1e-6)) / 2e-6;
        assert!((curvature.at(1, 1) * 0.3 / slope - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_loss_in_a_jump_costs_its_square_as_often_as_the_jump_comes() {
        let covariance = Covariance::new(&[&[3_600.0]]).unwrap();
        let mut curvature = Curvature::new(2 + JUMPS);
        let mut jumps = [0.0; JUMPS];
        jumps[1] = 5.0;
        write(&mut curvature, &ObjectiveConfig { jumps, ..config() }, &view(), &covariance).unwrap();
        let mut gains = [0.0; 2 + JUMPS];
        (gains[2], gains[3]) = (100.0, -10.0);
        let expected = 0.5 * 0.1 * 0.02 * 5.0 * 100.0;
        assert!((curvature.half_form(&gains) / expected - 1.0).abs() < 1e-12, "{}", curvature.half_form(&gains));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let mut curvature = Curvature::new(2 + JUMPS);
        let flat = Covariance::new(&[&[0.0]]).unwrap();
        assert_eq!(write(&mut curvature, &config(), &view(), &flat), Err(NotConvex));
        let good = Covariance::new(&[&[3_600.0]]).unwrap();
        let bad = MarketView { spot: f64::NAN, ..view() };
        assert_eq!(write(&mut curvature, &config(), &bad, &good), Err(NotConvex));
        assert_eq!(write(&mut Curvature::new(3), &config(), &view(), &good), Err(NotConvex));
        let jumps = [f64::NAN; JUMPS];
        assert_eq!(write(&mut curvature, &ObjectiveConfig { jumps, ..config() }, &view(), &good), Err(NotConvex));
        let no_gamma = MarketView { gamma: 0.0, ..view() };
        assert_eq!(write(&mut curvature, &config(), &no_gamma, &good), Ok(()));
    }
}
