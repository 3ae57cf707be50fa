//! `evaluate book --model gbm|heston|bates`: a book of 50 options hedged for a week, at equal cost.
//!
//! Random books, each over many paths, are hedged by several policies at several risk aversions at once, in steps of five
//! minutes: Whalley and Wilmott's band on delta, the same with a floating smile, the quadratic program over
//! perpetual and options, and the program under a wrong belief (half the volatility of variance, no jumps). Each gives a
//! frontier of cost against risk, risk being that of one book, averaged over the books; frontiers are compared at equal
//! cost. Decisions are made by the live band, sizing and
//! program. Nothing was tuned on these paths: the grid of risk aversions is fixed and the whole frontier is shown.

mod desk;
mod market;

use clap::Args;
use serde::Serialize;

use self::desk::{Book, Desk, Policy, Result as PathResult, SPOT, run_path};
use self::market::{Market, Model};
use super::lab::{EVALUATION_SEED, Random, Sample, Table, parallel};
use crate::cli::CliError;
use crate::cli::evaluate::report::{Chart, Dot, Outlets, ReportArgs, Series};

/// Risk aversions, per dollar: one point of the frontier each.
const AVERSIONS: [f64; 10] = [1e-5, 1e-4, 5e-4, 2e-3, 7e-3, 0.02, 0.06, 0.2, 0.7, 3.0];
const BLOCKS: usize = 64;
/// Books, over which the paths are spread evenly.
const BOOKS: usize = 8;
const BOOKS_SEED: u64 = 0xB00C;
/// Share of outcomes that the tail risk is the mean of.
const TAIL: f64 = 0.05;

/// Arguments of `evaluate book`.
#[derive(Clone, Debug, Args)]
pub(super) struct BookArgs {
    /// The market
    #[arg(long, value_enum, default_value_t = Model::Heston)]
    model: Model,
    /// Simulated paths
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..=10_000_000))]
    paths: u32,
    #[command(flatten)]
    report: ReportArgs,
}

/// One risk aversion of one policy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Point {
    risk_aversion: f64,
    /// Mean trading cost, dollars.
    cost: f64,
    /// Standard deviation of the gain net of costs, and its standard error.
    sd: f64,
    sd_error: f64,
    /// Mean of the worst twentieth of losses.
    cvar95: f64,
    /// Decisions that the solver did not certify, per path.
    unsolved: f64,
}

/// A policy's points, from cheap to dear.
#[derive(Clone, Debug, Serialize)]
struct Frontier {
    name: &'static str,
    points: Vec<Point>,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Report {
    model: &'static str,
    paths: usize,
    table: Table,
    frontiers: Vec<Frontier>,
}

pub(super) fn run(args: &BookArgs) -> Result<(), CliError> {
    let outlets = Outlets::open(&args.report)?;
    let market = args.model.market();
    let blind = Market { xi: 0.5 * market.xi, jumps: 0.0, ..market };
    let mut policies = vec![("Whalley-Wilmott", Policy::Band)];
    if args.model != Model::Gbm {
        policies.push(("Whalley-Wilmott, floating smile", Policy::FloatingBand { assumed: market }));
    }
    policies.push(("program", Policy::Program { assumed: market }));
    if args.model != Model::Gbm {
        policies.push(("program, wrong beliefs", Policy::Program { assumed: blind }));
    }
    let paths = args.paths as usize;
    let frontiers = frontiers(&market, &policies, EVALUATION_SEED, paths);
    let table = compare(args.model, &frontiers);
    let report = Report { model: args.model.name(), paths, table, frontiers };
    let charts = [("Standard deviation", sd as fn(&Point) -> f64), ("CVaR 95%", |point| point.cvar95)]
        .map(|(name, value)| chart(name, &report.frontiers, value));
    outlets.publish(&report.table, &report, &charts)
}

fn sd(point: &Point) -> f64 {
    point.sd
}

fn chart(name: &str, frontiers: &[Frontier], value: fn(&Point) -> f64) -> Chart {
    let dot =
        |point: &Point| Dot { x: point.cost, y: value(point), label: format!("risk aversion {}", point.risk_aversion) };
    let series = |frontier: &Frontier| Series {
        name: frontier.name.to_owned(),
        points: frontier.points.iter().map(dot).collect(),
    };
    Chart {
        title: format!("{name} of the week's result against trading cost"),
        axes: ["mean trading cost, dollars", "dollars"],
        series: frontiers.iter().map(series).collect(),
    }
}

/// Hedges `paths` paths by every policy at every risk aversion.
fn frontiers(market: &Market, policies: &[(&'static str, Policy)], seed: u64, paths: usize) -> Vec<Frontier> {
    let blocks = parallel("book", BLOCKS, |block| {
        let mut random = Random::new(seed, block);
        let sigma = market.sigma(&market.start(SPOT), 0.05);
        let book = Book::draw(&mut Random::new(BOOKS_SEED, block % BOOKS), sigma);
        let mut results = Vec::new();
        for _ in 0..paths.div_ceil(BLOCKS) {
            let mut desks: Vec<Desk> = policies
                .iter()
                .flat_map(|(_, policy)| AVERSIONS.iter().map(|risk_aversion| Desk::new(*policy, *risk_aversion)))
                .collect();
            results.push(run_path(&book, market, &mut desks, &mut random));
        }
        results
    });
    let mut books = vec![Vec::new(); BOOKS];
    for (block, results) in blocks.into_iter().enumerate() {
        books[block % BOOKS].extend(results);
    }
    let frontier = |(p, (name, _)): (usize, &(&'static str, Policy))| {
        let mut points: Vec<Point> = AVERSIONS
            .iter()
            .enumerate()
            .map(|(a, aversion)| {
                let of_book = |paths: &Vec<Vec<PathResult>>| {
                    point(*aversion, paths.iter().map(|path| path[p * AVERSIONS.len() + a]))
                };
                average(&books.iter().map(of_book).collect::<Vec<_>>())
            })
            .collect();
        points.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        Frontier { name, points }
    };
    policies.iter().enumerate().map(frontier).collect()
}

/// Over books: means, of standard deviations the root mean square.
fn average(books: &[Point]) -> Point {
    let n = books.len() as f64;
    let mean = |of: fn(&Point) -> f64| books.iter().map(of).sum::<f64>() / n;
    let sd = mean(|book| book.sd * book.sd).sqrt();
    // Of a mean of independent squares: each has the error 2·sd·sd_error.
    let squares: f64 = books.iter().map(|book| (2.0 * book.sd * book.sd_error).powi(2)).sum();
    Point {
        risk_aversion: books[0].risk_aversion,
        cost: mean(|book| book.cost),
        sd,
        sd_error: squares.sqrt() / n / (2.0 * sd),
        cvar95: mean(|book| book.cvar95),
        unsolved: mean(|book| book.unsolved),
    }
}

fn point(risk_aversion: f64, results: impl Iterator<Item = PathResult>) -> Point {
    let results: Vec<PathResult> = results.collect();
    let mut gains: Vec<f64> = results.iter().map(|result| result.gain).collect();
    let sample = Sample::of(&gains);
    gains.sort_by(f64::total_cmp);
    let tail = ((TAIL * gains.len() as f64).round() as usize).max(1);
    let n = results.len() as f64;
    // Gains have fat tails: the error of the deviation comes from the fourth moment.
    let fourth = gains.iter().map(|g| (g - sample.mean).powi(4)).sum::<f64>() / n;
    let kurtosis_excess = fourth / sample.sd.powi(4) - 1.0;
    Point {
        risk_aversion,
        cost: results.iter().map(|result| result.cost).sum::<f64>() / n,
        sd: sample.sd,
        sd_error: 0.5 * sample.sd * (kurtosis_excess.max(0.0) / n).sqrt(),
        cvar95: -gains[..tail].iter().sum::<f64>() / tail as f64,
        unsolved: results.iter().map(|result| result.unsolved as f64).sum::<f64>() / n,
    }
}

impl Frontier {
    /// The point at a mean cost of `budget`, interpolated; beyond the ends, the end. A budget need not be spent: of all
    /// cheaper points the least risk counts.
    fn at(&self, budget: f64) -> Point {
        let between = |a: &Point, b: &Point| {
            let w = if b.cost > a.cost { ((budget - a.cost) / (b.cost - a.cost)).clamp(0.0, 1.0) } else { 0.0 };
            let mix = |a: f64, b: f64| a + w * (b - a);
            Point {
                risk_aversion: mix(a.risk_aversion, b.risk_aversion),
                cost: mix(a.cost, b.cost),
                sd: mix(a.sd, b.sd),
                sd_error: mix(a.sd_error, b.sd_error),
                cvar95: mix(a.cvar95, b.cvar95),
                unsolved: a.unsolved.max(b.unsolved),
            }
        };
        let ends = self.points.windows(2).filter(|pair| pair[0].cost <= budget).map(|pair| between(&pair[0], &pair[1]));
        let cheaper = self.points.iter().filter(|point| point.cost <= budget).copied();
        ends.chain(cheaper).min_by(|a, b| a.sd.total_cmp(&b.sd)).unwrap_or(self.points[0])
    }
}

/// Cost at which frontiers are compared, and what an earlier study found there: (sd, CVaR) of band and program.
fn study(model: Model) -> (f64, [(f64, f64); 2]) {
    match model {
        Model::Gbm => (5.0, [(9.3, 25.0), (5.4, 20.0)]),
        Model::Heston => (7.5, [(63.0, 143.0), (10.7, 29.0)]),
        Model::Bates => (7.5, [(72.6, 194.0), (13.0, 35.0)]),
    }
}

fn compare(model: Model, frontiers: &[Frontier]) -> Table {
    let (budget, references) = study(model);
    let title = format!("A book of 50 options for a week, {} market: risk at equal cost", model.name());
    let mut table = Table::new(title);
    let named = |name: &str| frontiers.iter().find(|frontier| frontier.name == name);
    let (Some(band), Some(program)) = (named("Whalley-Wilmott"), named("program")) else { return table };
    for frontier in frontiers {
        let at = frontier.at(budget);
        let reference = match frontier.name {
            "Whalley-Wilmott" => Some(references[0]),
            "program" => Some(references[1]),
            _ => None,
        };
        let what = format!("{} at cost {budget}", frontier.name);
        table.row(format!("{what}, sd"), reference.map(|r| r.0), at.sd, at.sd_error, None);
        table.row(format!("{what}, CVaR95"), reference.map(|r| r.1), at.cvar95, 0.0, None);
    }
    let (a, b) = (band.at(budget), program.at(budget));
    let ratio_min = if model == Model::Gbm { 1.6 } else { 4.0 };
    let ratio = a.sd / b.sd;
    let error = ratio * ((a.sd_error / a.sd).powi(2) + (b.sd_error / b.sd).powi(2)).sqrt();
    let reference = references[0].0 / references[1].0;
    table.row("band over program, sd", Some(reference), ratio, error, Some(ratio >= ratio_min));
    let tails = a.cvar95 / b.cvar95;
    let holds = (model != Model::Gbm).then_some(tails >= ratio_min);
    table.row("band over program, CVaR95", Some(references[0].1 / references[1].1), tails, 0.0, holds);
    if let Some(floating) = named("Whalley-Wilmott, floating smile") {
        table.row("band with floating smile over program, sd", None, floating.at(budget).sd / b.sd, 0.0, None);
    }
    for low in [0.1, 0.2, 0.4].map(|share| share * budget) {
        let ratio = band.at(low).sd / program.at(low).sd;
        table.row(format!("band over program at cost {low}, sd"), None, ratio, 0.0, Some(ratio >= 0.99));
    }
    if let Some(wrong) = named("program, wrong beliefs") {
        let loss = wrong.at(budget).sd / b.sd - 1.0;
        table.row(format!("loss by wrong beliefs at cost {budget}, sd"), None, loss, 0.0, Some(loss <= 0.1));
        let low = 0.4 * budget;
        let loss = wrong.at(low).sd / program.at(low).sd - 1.0;
        table.row(format!("loss by wrong beliefs at cost {low}, sd"), None, loss, 0.0, None);
    }
    let unsolved = program.points.iter().map(|point| point.unsolved).fold(0.0, f64::max);
    table.row("decisions not certified, a path", Some(0.0), unsolved, 0.0, None);
    table.note(
        "Dollars at a spot of 100, positions up to 10 coins. References: an earlier study of ours, another book.",
    );
    if model != Model::Gbm {
        table.note("Wrong beliefs: half the volatility of variance, no jumps.");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cost: f64, sd: f64) -> Point {
        Point { risk_aversion: 1.0, cost, sd, sd_error: 0.0, cvar95: 2.0 * sd, unsolved: 0.0 }
    }

    #[test]
    fn frontiers_are_read_between_their_points_and_a_budget_need_not_be_spent() {
        let frontier = Frontier { name: "", points: vec![at(1.0, 10.0), at(3.0, 4.0), at(5.0, 6.0)] };
        assert_eq!(frontier.at(2.0).sd, 7.0);
        assert_eq!(frontier.at(4.0).sd, 4.0);
        assert_eq!(frontier.at(9.0).sd, 4.0);
        assert_eq!(frontier.at(0.5).sd, 10.0);
    }

    #[test]
    fn the_program_beats_the_band_and_every_decision_is_certified() {
        let market = Model::Heston.market();
        let book = Book::draw(&mut Random::new(BOOKS_SEED, 0), 0.6);
        let mut random = Random::new(1, 0);
        let paths: Vec<Vec<PathResult>> = (0..6)
            .map(|_| {
                let mut desks =
                    [Policy::Band, Policy::Program { assumed: market }].map(|policy| Desk::new(policy, 0.02));
                run_path(&book, &market, &mut desks, &mut random)
            })
            .collect();
        let [band, program] = [0, 1].map(|policy| point(0.02, paths.iter().map(|path| path[policy])));
        assert!(program.sd < 0.5 * band.sd, "{program:?} {band:?}");
        assert_eq!(program.unsolved, 0.0);
    }
}
