//! Cost and risk of a policy over its risk aversions, and what risk is.
//!
//! A desk knows its book, so its risk is how far the week's result of *that* book may fall: [`Point::book`] takes the
//! standard deviation and the mean of the worst twentieth over the paths of each book, and averages over the books.
//! [`Point::pooled`] takes all results as one sample. There, what differs between books on average counts as risk too:
//! their costs, and the carry of marks that leave the smile out, neither of which a hedge can change.
//!
//! Policies meet the same paths, so what sets two of them apart is known far better than either: [`Frontiers`] takes the
//! error of a comparison from paths drawn anew, the same for all (Efron's bootstrap, within each book).

use serde::Serialize;

use super::desk::Result as PathResult;
use crate::cli::evaluate::lab::{Random, Sample};

/// Share of outcomes that the tail risk is the mean of.
const TAIL: f64 = 0.05;

/// How often paths are drawn anew: knows an error to a fourteenth of itself.
const REDRAWN: usize = 100;

/// What came of one path, a result each desk.
pub(super) type Path = Vec<PathResult>;

/// A risk of the week's result net of trading costs, and its standard error: not a number where paths are too few to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Figure {
    pub(super) value: f64,
    pub(super) error: f64,
}

/// Standard deviation, and the mean of the worst twentieth of losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Risk {
    pub(super) sd: Figure,
    pub(super) cvar95: Figure,
}

/// One risk aversion of one policy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Point {
    pub(super) risk_aversion: f64,
    /// Mean trading cost, dollars.
    pub(super) cost: f64,
    /// Of one book, averaged over books.
    pub(super) book: Risk,
    /// Of all books as one sample.
    pub(super) pooled: Risk,
    /// Decisions that the solver did not certify, per path.
    pub(super) unsolved: f64,
}

/// A policy's points, from cheap to dear.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Frontier {
    pub(super) name: &'static str,
    pub(super) points: Vec<Point>,
}

/// Which figure of a point.
pub(super) type Measure = fn(&Point) -> Figure;

/// The frontiers of policies that met the same paths.
#[derive(Clone, Debug)]
pub(super) struct Frontiers {
    /// As found.
    pub(super) found: Vec<Frontier>,
    /// As they would have been on other paths.
    redrawn: Vec<Vec<Frontier>>,
}

impl Frontiers {
    /// From the paths of each book, on which every policy in turn had a desk each risk aversion.
    pub(super) fn new(names: &[&'static str], aversions: &[f64], books: &[Vec<Path>], random: &mut Random) -> Self {
        let frontiers = |books: &[Vec<&Path>]| -> Vec<Frontier> {
            let frontier =
                |(p, name): (usize, &&'static str)| Frontier::new(name, aversions, books, p * aversions.len());
            names.iter().enumerate().map(frontier).collect()
        };
        let found = frontiers(&books.iter().map(|paths| paths.iter().collect()).collect::<Vec<_>>());
        let mut redraw = |paths: &[Path]| -> Vec<usize> {
            paths.iter().map(|_| (random.uniform() * paths.len() as f64) as usize).collect()
        };
        let redrawn = (0..REDRAWN).map(|_| {
            let redrawn = books.iter().map(|paths| redraw(paths).into_iter().map(|path| &paths[path]).collect());
            frontiers(&redrawn.collect::<Vec<_>>())
        });
        let redrawn = redrawn.collect();
        Self { found, redrawn }
    }

    /// A figure that sets frontiers beside each other, with its error.
    pub(super) fn compare(&self, of: impl Fn(&[Frontier]) -> f64) -> Figure {
        let redrawn: Vec<f64> = self.redrawn.iter().map(|frontiers| of(frontiers)).collect();
        Figure { value: of(&self.found), error: Sample::of(&redrawn).sd }
    }
}

impl Point {
    /// From the results of the paths of each book, two or more.
    pub(super) fn new(risk_aversion: f64, books: &[Vec<PathResult>]) -> Self {
        let all: Vec<PathResult> = books.iter().flatten().copied().collect();
        let n = all.len() as f64;
        Self {
            risk_aversion,
            cost: all.iter().map(|result| result.cost).sum::<f64>() / n,
            book: Risk::average(&books.iter().map(|book| Risk::of(book)).collect::<Vec<_>>()),
            pooled: Risk::of(&all),
            unsolved: all.iter().map(|result| result.unsolved as f64).sum::<f64>() / n,
        }
    }
}

impl Risk {
    fn of(results: &[PathResult]) -> Self {
        let mut gains: Vec<f64> = results.iter().map(|result| result.gain).collect();
        gains.sort_by(f64::total_cmp);
        let (sample, n) = (Sample::of(&gains), gains.len() as f64);
        // Gains have fat tails: the error of the deviation comes from the fourth moment.
        let fourth = gains.iter().map(|g| (g - sample.mean).powi(4)).sum::<f64>() / n;
        let kurtosis_excess = fourth / sample.sd.powi(4) - 1.0;
        let sd = Figure { value: sample.sd, error: 0.5 * sample.sd * (kurtosis_excess.max(0.0) / n).sqrt() };
        let worst = ((TAIL * n).round() as usize).max(1);
        let quantile = -gains[worst - 1];
        // The tail's mean is the mean of quantile + (loss − quantile)⁺/share; its error is that of a mean.
        let parts: Vec<f64> = gains.iter().map(|g| quantile + (-g - quantile).max(0.0) * n / worst as f64).collect();
        let tail = Sample::of(&parts);
        // A tail of one path says nothing of its spread.
        let error = if worst > 1 { tail.mean_error() } else { f64::NAN };
        Self { sd, cvar95: Figure { value: tail.mean, error } }
    }

    /// Over books: means, of standard deviations the root mean square.
    fn average(books: &[Self]) -> Self {
        let n = books.len() as f64;
        let mean = |of: fn(&Self) -> f64| books.iter().map(of).sum::<f64>() / n;
        let sd = mean(|book| book.sd.value * book.sd.value).sqrt();
        // Of a mean of independent squares: each has the error 2·sd·error.
        let squares = books.iter().map(|book| (2.0 * book.sd.value * book.sd.error).powi(2)).sum::<f64>().sqrt();
        let tails = books.iter().map(|book| book.cvar95.error * book.cvar95.error).sum::<f64>().sqrt();
        Self {
            sd: Figure { value: sd, error: squares / n / (2.0 * sd) },
            cvar95: Figure { value: mean(|book| book.cvar95.value), error: tails / n },
        }
    }
}

impl Frontier {
    /// From the desks from `first` on, one each risk aversion.
    fn new(name: &'static str, aversions: &[f64], books: &[Vec<&Path>], first: usize) -> Self {
        let of_desk = |desk: usize| -> Vec<Vec<PathResult>> {
            books.iter().map(|paths| paths.iter().map(|path| path[desk]).collect()).collect()
        };
        let point = |(a, aversion): (usize, &f64)| Point::new(*aversion, &of_desk(first + a));
        let mut points: Vec<Point> = aversions.iter().enumerate().map(point).collect();
        points.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        Self { name, points }
    }

    /// The least of `measure` for a mean cost of `budget`: of all cheaper points, since a budget need not be spent, and of
    /// what lies between the two points around it, where logarithms are interpolated.
    pub(super) fn at(&self, budget: f64, measure: Measure) -> Figure {
        let between = |pair: &[Point]| {
            let (a, b) = (measure(&pair[0]), measure(&pair[1]));
            let w = (budget / pair[0].cost).ln() / (pair[1].cost / pair[0].cost).ln();
            let mix = |a: f64, b: f64| if a > 0.0 && b > 0.0 { a.powf(1.0 - w) * b.powf(w) } else { a.max(b) };
            Figure { value: mix(a.value, b.value), error: mix(a.error, b.error) }
        };
        let around = self.points.windows(2).filter(|pair| pair[0].cost <= budget && budget < pair[1].cost).map(between);
        let cheaper = self.points.iter().filter(|point| point.cost <= budget).map(measure);
        let least = around.chain(cheaper).min_by(|a, b| a.value.total_cmp(&b.value));
        least.unwrap_or_else(|| measure(&self.points[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cost: f64, sd: f64) -> Point {
        let figure = |value| Figure { value, error: 0.0 };
        let risk = Risk { sd: figure(sd), cvar95: figure(2.0 * sd) };
        Point { risk_aversion: 1.0, cost, book: risk, pooled: risk, unsolved: 0.0 }
    }

    #[test]
    fn frontiers_are_read_between_their_points_and_a_budget_need_not_be_spent() {
        let frontier = Frontier { name: "", points: vec![at(1.0, 10.0), at(4.0, 4.0), at(5.0, 6.0)] };
        let sd = |budget| frontier.at(budget, |point| point.book.sd).value;
        assert!((sd(2.0) - 40f64.sqrt()).abs() < 1e-12);
        assert_eq!(sd(4.5), 4.0);
        assert_eq!(sd(9.0), 4.0);
        assert_eq!(sd(0.5), 10.0);
    }

    #[test]
    fn what_differs_between_books_on_average_is_no_risk_of_a_book() {
        let result = |gain| PathResult { gain, cost: 1.0, unsolved: 0 };
        let book = |mean: f64| (0..100).map(|i| result(mean + f64::from(i % 2))).collect::<Vec<_>>();
        let point = Point::new(1.0, &[book(0.0), book(10.0)]);
        assert!((point.book.sd.value - 0.5).abs() < 0.01, "{point:?}");
        assert!(point.pooled.sd.value > 5.0, "{point:?}");
        assert_eq!(point.cost, 1.0);
    }

    #[test]
    fn what_two_policies_share_is_no_error_of_their_ratio() {
        let mut random = Random::new(1, 0);
        let books: Vec<Vec<Path>> = (0..2)
            .map(|_| {
                let path = |_| {
                    let (shared, own) = (random.normal(), random.normal());
                    [shared, 2.0 * shared, own].map(|gain| PathResult { gain, cost: 1.0, unsolved: 0 }).to_vec()
                };
                (0..50).map(path).collect()
            })
            .collect();
        let frontiers = Frontiers::new(&["one", "double", "other"], &[1.0], &books, &mut random);
        let sd = |frontier: &Frontier| frontier.at(1.0, |point| point.book.sd).value;
        let double = frontiers.compare(|f| sd(&f[1]) / sd(&f[0]));
        assert!((double.value - 2.0).abs() < 1e-12 && double.error < 1e-12, "{double:?}");
        // Of independent figures: the root of both squares, each 1/√(2·100).
        let other = frontiers.compare(|f| sd(&f[2]) / sd(&f[0]));
        assert!((other.error / other.value / 0.1 - 1.0).abs() < 0.35, "{other:?}");
    }

    #[test]
    fn the_tail_is_the_mean_of_the_worst_twentieth() {
        let results: Vec<_> = (0..100).map(|i| PathResult { gain: f64::from(i), ..PathResult::default() }).collect();
        let risk = Risk::of(&results);
        assert_eq!(risk.cvar95.value, -2.0);
        assert!(risk.cvar95.error > 0.0 && risk.sd.error > 0.0);
        assert!(Risk::of(&results[..29]).cvar95.error.is_nan(), "one path");
        assert!(Risk::of(&results[..30]).cvar95.error > 0.0, "two");
    }
}
