//! The solver against brute force, against plain coordinate descent, and on what no solver likes.

use proptest::prelude::*;

use super::*;

/// A problem as tests write it.
#[derive(Clone, Debug)]
struct Draft {
    exposure: Vec<f64>,
    /// Vectors whose outer products make Q.
    risks: Vec<Vec<f64>>,
    hedges: Vec<(Vec<f64>, [f64; 5])>,
}

impl Draft {
    fn problem(&self) -> Problem {
        let m = self.exposure.len();
        let mut problem = Problem::new(m);
        problem.exposure_mut().copy_from_slice(&self.exposure);
        for risk in &self.risks {
            problem.curvature_mut().add_outer(1.0, risk).unwrap();
        }
        for (column, [buy, sell, impact, lower, upper]) in &self.hedges {
            problem.push(&candidate(column, *buy, *sell, *impact, *lower, *upper)).unwrap();
        }
        problem
    }
}

fn candidate(column: &[f64], buy: f64, sell: f64, impact: f64, lower: f64, upper: f64) -> Candidate {
    let mut loading = [0.0; FACTORS_MAX];
    loading[..column.len()].copy_from_slice(column);
    Candidate { loading, buy, sell, impact, lower, upper }
}

/// One factor of unit risk, one hedge of unit loading.
fn single(exposure: f64, cost: f64, limit: f64) -> Problem {
    Draft {
        exposure: vec![exposure],
        risks: vec![vec![1.0]],
        hedges: vec![(vec![1.0], [cost, cost, 0.0, -limit, limit])],
    }
    .problem()
}

/// Numbers that look random and are the same every time.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0
    }
}

/// Least P over every way in which hedges may be at a limit, at zero, or free on either side: exact for a few hedges.
fn brute_force(problem: &Problem) -> f64 {
    let n = problem.hedges();
    let mut best = f64::INFINITY;
    for code in 0..5usize.pow(n as u32) {
        let state = |i: usize| code / 5usize.pow(i as u32) % 5;
        let mut z = vec![0.0; n];
        let free: Vec<usize> = (0..n).filter(|i| state(*i) >= 3).collect();
        for i in 0..n {
            z[i] = [problem.lower[i], 0.0, problem.upper[i], 0.0, 0.0][state(i)];
        }
        let m = problem.factors();
        let risk_of = |v: &[f64], k: usize| (0..m).map(|l| problem.curvature().at(k, l) * v[l]).sum::<f64>();
        let column = |i: usize| (0..m).map(|k| problem.loadings[k][i]).collect::<Vec<_>>();
        let fixed: Vec<f64> = (0..m)
            .map(|k| problem.exposure()[k] + (0..n).map(|i| problem.loadings[k][i] * z[i]).sum::<f64>())
            .collect();
        let mut system: Vec<Vec<f64>> = free
            .iter()
            .map(|&i| {
                let h = column(i);
                let mut row: Vec<f64> = free
                    .iter()
                    .map(|&j| {
                        let g = column(j);
                        let quadratic: f64 = (0..m).map(|k| h[k] * risk_of(&g, k)).sum();
                        quadratic + if i == j { problem.impact[i] } else { 0.0 }
                    })
                    .collect();
                let linear: f64 = (0..m).map(|k| h[k] * risk_of(&fixed, k)).sum();
                row.push(-linear - if state(i) == 3 { problem.buy[i] } else { -problem.sell[i] });
                row
            })
            .collect();
        let Some(solution) = eliminate(&mut system) else { continue };
        for (i, s) in free.iter().zip(&solution) {
            z[*i] = *s;
        }
        let feasible = (0..n).all(|i| {
            let sign = match state(i) {
                3 => z[i] >= 0.0,
                4 => z[i] <= 0.0,
                _ => true,
            };
            sign && z[i] >= problem.lower[i] && z[i] <= problem.upper[i]
        });
        if feasible {
            best = best.min(problem.objective(&z));
        }
    }
    best
}

/// Gauss with pivoting; `None` when singular.
fn eliminate(rows: &mut [Vec<f64>]) -> Option<Vec<f64>> {
    let n = rows.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|a, b| rows[*a][k].abs().total_cmp(&rows[*b][k].abs()))?;
        rows.swap(k, pivot);
        if rows[k][k].abs() < 1e-9 {
            return None;
        }
        for i in 0..n {
            if i != k {
                let ratio = rows[i][k] / rows[k][k];
                for j in k..=n {
                    rows[i][j] -= ratio * rows[k][j];
                }
            }
        }
    }
    Some((0..n).map(|k| rows[k][n] / rows[k][k]).collect())
}

/// Coordinate descent and nothing else, for as long as it takes.
fn crawl(problem: &Problem, sweeps: usize) -> f64 {
    let (n, m) = (problem.hedges(), problem.factors());
    let column = |i: usize| (0..m).map(|k| problem.loadings[k][i]).collect::<Vec<_>>();
    let form = |a: &[f64], b: &[f64]| -> f64 {
        (0..m).map(|k| a[k] * (0..m).map(|l| problem.curvature().at(k, l) * b[l]).sum::<f64>()).sum()
    };
    let gram: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| form(&column(i), &column(j))).collect()).collect();
    let slope: Vec<f64> = (0..n).map(|i| form(&column(i), problem.exposure())).collect();
    let mut z = vec![0.0; n];
    for _ in 0..sweeps {
        for i in 0..n {
            let others: f64 = (0..n).filter(|j| *j != i).map(|j| gram[i][j] * z[j]).sum();
            z[i] = problem.scalar_minimum(i, slope[i] + others, gram[i][i]);
        }
    }
    problem.objective(&z)
}

/// Solves, and holds whatever comes out against the definition.
fn checked(solver: &mut Solver, problem: &Problem) -> (Outcome, f64) {
    let outcome = solver.solve(problem);
    let n = problem.hedges();
    let objective = problem.objective(solver.trades());
    assert_eq!(solver.trades().len(), n);
    for i in 0..n {
        assert!(solver.trades()[i] >= problem.lower[i] && solver.trades()[i] <= problem.upper[i]);
    }
    match outcome {
        Outcome::Trade(certificate) => {
            let scale = certificate.scale.max(solver.rounding(problem) / GAP_TOLERANCE);
            assert!((certificate.objective - objective).abs() <= 1e-9 * scale, "{certificate:?} {objective}");
            assert!(certificate.gap <= GAP_TOLERANCE * scale);
            assert!(certificate.objective < certificate.untraded, "{certificate:?}");
        }
        Outcome::StandStill | Outcome::Unsolved(_) => assert!(solver.trades().iter().all(|z| *z == 0.0)),
    }
    (outcome, objective)
}

#[test]
fn one_hedge_trades_to_the_edge_where_its_cost_is_its_gain() {
    let mut solver = Solver::new();
    assert!(matches!(solver.solve(&single(-1.0, 0.25, 10.0)), Outcome::Trade(_)));
    assert_eq!(solver.trades(), [0.75]);
    assert_eq!(solver.solve(&single(0.25, 0.25, 10.0)), Outcome::StandStill);
    assert_eq!(solver.trades(), [0.0]);
}

#[test]
fn limits_hold_inside_the_solve_and_the_gap_still_closes() {
    let mut solver = Solver::new();
    let Outcome::Trade(certificate) = solver.solve(&single(-1.0, 0.25, 0.5)) else { panic!("must trade") };
    assert_eq!(solver.trades(), [0.5]);
    assert!(certificate.gap < 1e-15, "{certificate:?}");
    assert_eq!(solver.solve(&single(-1.0, 0.25, 0.0)), Outcome::StandStill);
}

#[test]
fn of_two_copies_the_cheaper_trades_alone() {
    let hedges = |first: f64, second: f64| Draft {
        exposure: vec![4.0, 1.0],
        risks: vec![vec![1.0, 0.5], vec![0.0, 0.3]],
        hedges: vec![
            (vec![1.0, 0.5], [first, first, 0.0, -100.0, 100.0]),
            (vec![2.0, 1.0], [second, second, 0.0, -100.0, 100.0]),
        ],
    };
    let mut solver = Solver::new();
    for (first, second, trades) in [(0.1, 0.1, 1), (0.1, 0.3, 0)] {
        let draft = hedges(first, second);
        let (outcome, objective) = checked(&mut solver, &draft.problem());
        assert!(matches!(outcome, Outcome::Trade(_)), "{outcome:?}");
        assert_eq!(solver.trades()[1 - trades], 0.0);
        assert!((objective - brute_force(&draft.problem())).abs() < 1e-12);
    }
}

#[test]
fn a_flat_direction_goes_where_the_costs_point() {
    // Warm-started with both copies in the support, the dearer must leave although no curvature pushes it out.
    let draft = |c: f64, d: f64| Draft {
        exposure: vec![-8.0],
        risks: vec![vec![1.0]],
        hedges: vec![(vec![1.0], [c, c, 0.0, -3.0, 3.0]), (vec![1.0], [d, d, 0.0, -9.0, 9.0])],
    };
    let mut solver = Solver::new();
    checked(&mut solver, &draft(0.1, 0.2).problem());
    assert_eq!(solver.trades()[0], 3.0);
    assert!(solver.trades()[1] > 4.0);
    let (_, objective) = checked(&mut solver, &draft(0.3, 0.2).problem());
    assert!((objective - brute_force(&draft(0.3, 0.2).problem())).abs() < 1e-12);
    assert_eq!(solver.trades()[0], 0.0);
}

#[test]
fn a_loading_of_nothing_is_not_traded() {
    let draft = Draft {
        exposure: vec![1.0, 0.0],
        risks: vec![vec![1.0, 0.0]],
        hedges: vec![(vec![0.0, 0.0], [0.0; 5].map(|_| 0.0)), (vec![0.0, 1.0], [0.0, 0.0, 0.0, -5.0, 5.0])],
    };
    assert_eq!(Solver::new().solve(&draft.problem()), Outcome::StandStill);
}

#[test]
fn being_paid_to_trade_without_risk_goes_to_the_limit() {
    let draft = Draft {
        exposure: vec![1.0, 0.0],
        risks: vec![vec![1.0, 0.0]],
        hedges: vec![(vec![0.0, 1.0], [-0.5, 0.6, 0.0, -5.0, 5.0])],
    };
    let mut solver = Solver::new();
    assert!(matches!(solver.solve(&draft.problem()), Outcome::Trade(_)));
    assert_eq!(solver.trades(), [5.0]);
}

#[test]
fn what_is_not_finite_is_refused_and_counted() {
    let mut solver = Solver::new();
    let mut problem = single(1.0, 0.1, 10.0);
    for bad in [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e200] {
        problem.exposure_mut()[0] = bad;
        assert_eq!(solver.solve(&problem), Outcome::Unsolved(Unsolved::NotFinite));
        assert_eq!(solver.trades(), [0.0]);
    }
    assert_eq!(solver.counts().not_finite, 4);
    problem.exposure_mut()[0] = 1.0;
    assert!(matches!(solver.solve(&problem), Outcome::Trade(_)));
}

#[test]
fn candidates_that_make_no_sense_are_not_admitted() {
    let mut problem = single(1.0, 0.1, 10.0);
    let good = candidate(&[1.0], 0.1, 0.1, 0.0, -1.0, 1.0);
    let refused = |problem: &mut Problem, change: &dyn Fn(&mut Candidate)| {
        let mut bad = good;
        change(&mut bad);
        problem.push(&bad).unwrap_err()
    };
    assert_eq!(refused(&mut problem, &|c| c.loading[0] = f64::NAN), NotAdmitted::Loading);
    assert_eq!(refused(&mut problem, &|c| c.buy = f64::NAN), NotAdmitted::Cost);
    assert_eq!(refused(&mut problem, &|c| c.sell = -0.2), NotAdmitted::Cost);
    assert_eq!(refused(&mut problem, &|c| c.impact = -1.0), NotAdmitted::Cost);
    assert_eq!(refused(&mut problem, &|c| c.lower = 0.1), NotAdmitted::Limits);
    assert_eq!(refused(&mut problem, &|c| c.upper = f64::INFINITY), NotAdmitted::Limits);
    assert_eq!(problem.hedges(), 1);
    for index in 1..HEDGES_MAX {
        assert_eq!(problem.push(&good), Ok(index));
    }
    assert_eq!(problem.push(&good), Err(NotAdmitted::Full));
}

#[test]
fn large_problems_agree_with_plain_coordinate_descent() {
    for (n, m, seed) in [(8, 6, 1), (16, 12, 2), (32, 24, 3)] {
        let draft = large(n, m, seed);
        let problem = draft.problem();
        let mut solver = Solver::new();
        let (outcome, objective) = checked(&mut solver, &problem);
        assert!(matches!(outcome, Outcome::Trade(_)), "{outcome:?}");
        let slow = crawl(&problem, 10_000);
        assert!(objective <= slow * (1.0 + 1e-9), "{n}x{m}: {objective} {slow}");
        assert!(objective >= slow * (1.0 - 1e-4), "{n}x{m}: {objective} {slow}");
    }
}

/// A problem with nearly collinear hedges.
fn large(n: usize, m: usize, seed: u64) -> Draft {
    let mut next = noise(seed);
    let base: Vec<f64> = (0..m).map(|_| next()).collect();
    Draft {
        exposure: (0..m).map(|_| 5.0 * next()).collect(),
        risks: (0..m).map(|_| (0..m).map(|_| next()).collect()).collect(),
        hedges: (0..n)
            .map(|i| {
                let column = base.iter().map(|b| b + 0.2 * next()).collect();
                let cost = 0.05 + 0.02 * (i % 5) as f64;
                (column, [cost, cost, 0.01, -4.0, 4.0])
            })
            .collect(),
    }
}

#[test]
fn a_warm_start_changes_the_way_and_not_the_answer() {
    let mut warm = Solver::new();
    let mut draft = large(16, 12, 7);
    let mut next = noise(8);
    for _ in 0..200 {
        for x in &mut draft.exposure {
            *x += 0.3 * next();
        }
        let problem = draft.problem();
        let (outcome, with) = checked(&mut warm, &problem);
        let Outcome::Trade(certificate) = outcome else { panic!("must trade: {outcome:?}") };
        assert!(certificate.gap <= 1e-9 * certificate.objective, "{certificate:?}");
        let (_, without) = checked(&mut Solver::new(), &problem);
        let scale = problem.objective(&[]);
        assert!((with - without).abs() <= 2.0 * GAP_TOLERANCE * scale, "{with} {without}");
    }
    assert_eq!(warm.counts().iterations, 0);
}

#[test]
fn lots_coarser_than_the_trade_are_left_alone() {
    let mut solver = Solver::new();
    let problem = single(-1.0, 0.25, 10.0);
    solver.solve(&problem);
    let rounded = solver.to_lots(&problem, &[0.4], 0.0).unwrap();
    assert_eq!(rounded.lots[0], 2);
    solver.solve(&problem);
    assert_eq!(solver.to_lots(&problem, &[2.0], 0.0), None);
    solver.solve(&problem);
    assert_eq!(solver.to_lots(&problem, &[0.0], 0.0), None);
    solver.solve(&problem);
    assert_eq!(solver.to_lots(&problem, &[f64::NAN], 0.0), None);
}

#[test]
fn a_batch_is_sent_only_if_it_earns_its_cost() {
    let mut solver = Solver::new();
    let problem = single(-1.0, 0.25, 10.0);
    // 0.75 lots of 0.25: P falls from 0.5 to 0.03125 + 0.1875.
    for (batch_cost, sent) in [(0.28, true), (0.29, false), (f64::NAN, false)] {
        solver.solve(&problem);
        assert_eq!(solver.to_lots(&problem, &[0.25], batch_cost).is_some(), sent);
    }
}

fn drafts(hedges: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Draft> {
    // Coarse values on purpose: they collide, cancel and vanish.
    let value = || prop_oneof![Just(0.0), Just(1.0), Just(-1.0), Just(2.0), -3.0f64..3.0];
    let cost = || prop_oneof![Just(0.0), Just(0.5), 0.0f64..2.0];
    let impact = prop_oneof![Just(0.0), 0.01f64..1.0];
    let limit = || prop_oneof![Just(0.0), Just(1.0), 0.0f64..20.0];
    (1usize..=4).prop_flat_map(move |m| {
        let hedge = (prop::collection::vec(value(), m), (cost(), cost(), impact.clone(), limit(), limit()))
            .prop_map(|(column, (buy, sell, impact, lower, upper))| (column, [buy, sell, impact, -lower, upper]));
        (
            prop::collection::vec(value(), m),
            prop::collection::vec(prop::collection::vec(value(), m), 0..=m),
            prop::collection::vec(hedge, hedges.clone()),
        )
            .prop_map(|(exposure, risks, hedges)| Draft { exposure, risks, hedges })
    })
}

#[test]
fn exposures_that_all_but_cancel_are_solved_as_far_as_rounding_tells() {
    let draft = Draft {
        exposure: vec![2.0, 2.822_923_181_803_760_3, 2.0, 1.0],
        risks: vec![vec![-1.0, 1.0, 0.022_442_390_033_788_874, -0.870_517_454_683_344_2]],
        hedges: vec![
            (vec![1.0, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]),
            (vec![0.0, 2.0, -1.0, 2.0], [0.0, 0.0, 0.0, -14.429_889_621_743_794, 0.0]),
        ],
    };
    let (outcome, objective) = checked(&mut Solver::new(), &draft.problem());
    let Outcome::Trade(certificate) = outcome else { panic!("must trade: {outcome:?}") };
    assert!(certificate.untraded > 1e-6 && objective < 1e-12, "{certificate:?}");
    assert!(certificate.iterations < 8, "{certificate:?}");
}

/// What is left of an exposure to the first risk, the only one then; `None` to leave draft and risks as they are.
fn cancelled() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![Just(None), Just(Some(0.0)), Just(Some(1e-12)), Just(Some(1e-7)), Just(Some(1e-3))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_few_hedges_agree_with_brute_force(draft in drafts(0..=3)) {
        let problem = draft.problem();
        let (outcome, objective) = checked(&mut Solver::new(), &problem);
        let best = brute_force(&problem);
        let slack = 1e-9 * problem.objective(&[]) + 1e-12;
        prop_assert!(!matches!(outcome, Outcome::Unsolved(_)), "{outcome:?}");
        prop_assert!((objective - best).abs() <= slack, "{outcome:?} {objective} {best}");
        if let Outcome::Trade(certificate) = outcome {
            prop_assert!(certificate.gap >= objective - best - 1e-12 * problem.objective(&[]));
        }
    }

    #[test]
    fn degenerate_problems_of_any_size_are_solved(mut draft in drafts(4..=32), left in cancelled()) {
        if let (Some(left), Some(risk)) = (left, draft.risks.first().filter(|risk| risk[0].abs() > 0.1)) {
            let others: f64 = risk.iter().zip(&draft.exposure).skip(1).map(|(b, x)| b * x).sum();
            draft.exposure[0] = (left - others) / risk[0];
            draft.risks.truncate(1);
        }
        let mut solver = Solver::new();
        let problem = draft.problem();
        for _ in 0..2 {
            let (outcome, _) = checked(&mut solver, &problem);
            prop_assert!(!matches!(outcome, Outcome::Unsolved(_)), "{outcome:?}");
        }
    }

    #[test]
    fn lots_are_within_limits_and_never_worse_than_standing_still(draft in drafts(1..=6), lot in 0.01f64..3.0) {
        let mut solver = Solver::new();
        let problem = draft.problem();
        solver.solve(&problem);
        let sizes = vec![lot; problem.hedges()];
        if let Some(rounded) = solver.to_lots(&problem, &sizes, 0.0) {
            let trades: Vec<f64> = (0..sizes.len()).map(|i| f64::from(rounded.lots[i]) * lot).collect();
            prop_assert!(problem.objective(&trades) < problem.objective(&[]) + 1e-12);
            for (i, z) in trades.iter().enumerate() {
                prop_assert!(*z >= problem.lower[i] - 1e-9 && *z <= problem.upper[i] + 1e-9);
            }
        }
    }
}
