//! `evaluate book --model gbm|heston|bates`: a book of 50 options hedged for a week, at equal cost.
//!
//! Random books, each over many paths, are hedged by several policies at many risk aversions at once, in steps of five
//! minutes: Whalley and Wilmott's band on delta, the same with a floating smile, and the quadratic program over
//! perpetual and options: with the market's own covariance, with one that the live estimator has from the market's
//! moves, and under a wrong belief (half the volatility of variance, no jumps): one that gives way to the estimate, as what is
//! configured does live, and one that never does. Each gives a frontier of cost against
//! [risk](frontier), and frontiers are compared at equal cost. Decisions are made by the live band, sizing and planner. The
//! program may trade what it is offered live: the perpetual and, an expiry, the put and the call half a standard deviation
//! out of the money. In every market and under every belief it insures against the jumps that the live configuration
//! names by default, which are none of these markets' own.
//!
//! What bounds the tail in the Bates market (512 paths, seed 1, which parameters were looked at with): with one option an
//! expiry and no jumps in the objective, half of what the worst twentieth loses is lost in jumps, by the difference of
//! strikes that no greek tells, and a third is cost; CVaR is 2.8 times lower than the band's. Jumps in the objective alone
//! make that 3.1, three options an expiry alone 3.2, both together 4.3 and more: there a quarter is lost in jumps, and half
//! is cost. How often a jump is insured against matters little there, and is a premium where none comes: six a year took
//! the ratio in the Black–Scholes market below its 1.6 (256 paths, seed 20261123), so it is one.
//!
//! Nothing was tuned on these paths and books: the grid of risk aversions is fixed and the whole frontier is shown;
//! `--seed` draws others.

mod desk;
mod frontier;
mod market;
mod tick;

use clap::Args;
use serde::Serialize;

use self::desk::{Beliefs, Desk, Policy, run_path};
use self::frontier::{Frontier, Frontiers, Measure, Point};
use self::market::{Market, Model};
use self::tick::{Book, SPOT};
use super::lab::{Random, Table, parallel};
use super::report::{Chart, Dot, Outlets, ReportArgs, Series};
use crate::cli::CliError;

/// Risk aversions, per dollar: one point of the frontier each.
const AVERSIONS: [f64; 14] = [1e-5, 1e-4, 5e-4, 2e-3, 7e-3, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 10.0, 30.0];
const BLOCKS: usize = 64;
/// Books, over which the paths are spread evenly.
const BOOKS: usize = 16;
/// What is said of the books is drawn from this stream of the seed, beyond those of the paths.
const BOOKS_STREAM: usize = 1 << 32;
/// And from this one, which paths are drawn anew.
const REDRAWN_STREAM: usize = 1 << 33;

/// Arguments of `evaluate book`.
#[derive(Clone, Debug, Args)]
pub(super) struct BookArgs {
    /// The market
    #[arg(long, value_enum, default_value_t = Model::Heston)]
    model: Model,
    /// Simulated paths, spread over sixteen books
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(256..=10_000_000))]
    paths: u32,
    /// Of the books and the paths
    #[arg(long, default_value_t = 20_261_122)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Report {
    model: &'static str,
    seed: u64,
    paths: usize,
    table: Table,
    frontiers: Vec<Frontier>,
}

const BAND: &str = "Whalley-Wilmott";
const PROGRAM: &str = "program";
const ESTIMATED: &str = "program, estimated";
const WRONG: &str = "program, wrong beliefs";
const UNCORRECTED: &str = "program, wrong beliefs for ever";

pub(super) fn run(args: &BookArgs) -> Result<(), CliError> {
    let outlets = Outlets::open(&args.report)?;
    let market = args.model.market();
    let blind = Market { xi: 0.5 * market.xi, jumps: 0.0, ..market };
    let program = |beliefs| Policy::Program { beliefs };
    let mut policies = vec![
        (BAND, Policy::Band),
        (PROGRAM, program(Beliefs::Model(market))),
        (ESTIMATED, program(Beliefs::Estimated)),
    ];
    if args.model != Model::Gbm {
        policies.push((WRONG, program(Beliefs::Corrected(blind))));
        policies.push((UNCORRECTED, program(Beliefs::Model(blind))));
        policies.push(("Whalley-Wilmott, floating smile", Policy::FloatingBand { assumed: market }));
    }
    let paths = args.paths as usize;
    let frontiers = frontiers(&market, &policies, args.seed, paths);
    let table = compare(args.model, &frontiers);
    let report = Report { model: args.model.name(), seed: args.seed, paths, table, frontiers: frontiers.found };
    let measures: [(&str, Measure); 4] = [
        ("Standard deviation", |point| point.book.sd),
        ("CVaR 95%", |point| point.book.cvar95),
        ("Standard deviation over all books together", |point| point.pooled.sd),
        ("CVaR 95% over all books together", |point| point.pooled.cvar95),
    ];
    let charts = measures.map(|(name, measure)| chart(name, &report.frontiers, measure));
    outlets.publish(&report.table, &report, &charts)
}

fn chart(name: &str, frontiers: &[Frontier], measure: Measure) -> Chart {
    let dot = |point: &Point| Dot {
        x: point.cost,
        y: measure(point).value,
        label: format!("risk aversion {}", point.risk_aversion),
    };
    let series = |of: &Frontier| Series { name: of.name.to_owned(), points: of.points.iter().map(dot).collect() };
    Chart {
        title: format!("{name} of the week's result against trading cost"),
        axes: ["mean trading cost, dollars", "dollars"],
        series: frontiers.iter().map(series).collect(),
    }
}

/// Hedges `paths` paths by every policy at every risk aversion.
fn frontiers(market: &Market, policies: &[(&'static str, Policy)], seed: u64, paths: usize) -> Frontiers {
    let blocks = parallel("book", BLOCKS, |block| {
        let mut random = Random::new(seed, block);
        let sigma = market.sigma(&market.start(SPOT), 0.05);
        let book = Book::draw(&mut Random::new(seed, BOOKS_STREAM + block % BOOKS), sigma);
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
    let names: Vec<&'static str> = policies.iter().map(|(name, _)| *name).collect();
    Frontiers::new(&names, &AVERSIONS, &books, &mut Random::new(seed, REDRAWN_STREAM))
}

/// Cost at which frontiers are compared, and what an earlier study found there: (sd, CVaR) of band and program.
fn study(model: Model) -> (f64, [(f64, f64); 2]) {
    match model {
        Model::Gbm => (5.0, [(9.3, 25.0), (5.4, 20.0)]),
        Model::Heston => (7.5, [(63.0, 143.0), (10.7, 29.0)]),
        Model::Bates => (7.5, [(72.6, 194.0), (13.0, 35.0)]),
    }
}

fn compare(model: Model, frontiers: &Frontiers) -> Table {
    let (budget, references) = study(model);
    let title = format!("A book of 50 options for a week, {} market: risk at equal cost", model.name());
    let mut table = Table::new(title);
    let named = |name: &str| frontiers.found.iter().position(|frontier| frontier.name == name);
    let (Some(band), Some(program)) = (named(BAND), named(PROGRAM)) else { return table };
    let (sd, cvar): (Measure, Measure) = (|point| point.book.sd, |point| point.book.cvar95);
    let (pooled_sd, pooled_cvar): (Measure, Measure) = (|point| point.pooled.sd, |point| point.pooled.cvar95);
    for frontier in &frontiers.found {
        let reference = match frontier.name {
            BAND => Some(references[0]),
            PROGRAM => Some(references[1]),
            _ => None,
        };
        let what = format!("{} at cost {budget}", frontier.name);
        let (deviation, tail) = (frontier.at(budget, sd), frontier.at(budget, cvar));
        table.row(format!("{what}, sd"), reference.map(|r| r.0), deviation.value, deviation.error, None);
        table.row(format!("{what}, CVaR95"), reference.map(|r| r.1), tail.value, tail.error, None);
    }
    let over = |a: usize, b: usize, cost: f64, measure: Measure| {
        frontiers.compare(|f| f[a].at(cost, measure).value / f[b].at(cost, measure).value)
    };
    let least = if model == Model::Gbm { 1.6 } else { 4.0 };
    let study_ratios = [references[0].0 / references[1].0, references[0].1 / references[1].1];
    let mut compared = |what: &str, measure: Measure, reference: Option<f64>, least: Option<f64>| {
        let found = over(band, program, budget, measure);
        let holds = least.map(|least| found.value >= least);
        table.row(format!("band over program, {what}"), reference, found.value, found.error, holds);
    };
    compared("sd", sd, Some(study_ratios[0]), Some(least));
    compared("CVaR95", cvar, Some(study_ratios[1]), Some(least));
    compared("sd, all books together", pooled_sd, Some(study_ratios[0]), None);
    compared("CVaR95, all books together", pooled_cvar, Some(study_ratios[1]), None);
    for low in [0.1, 0.2, 0.4, 0.7].map(|share| share * budget) {
        let found = over(band, program, low, sd);
        let what = format!("band over program at cost {low:.2}, sd");
        table.row(what, None, found.value, found.error, Some(found.value >= 0.99));
    }
    let beside = [
        (ESTIMATED, "an estimated covariance", None),
        (WRONG, "wrong beliefs", Some(0.1)),
        (UNCORRECTED, "wrong beliefs for ever", None),
    ];
    for (name, what, most) in beside {
        let Some(other) = named(name) else { continue };
        for share in [0.4, 0.7, 1.0] {
            let at = share * budget;
            let found = over(other, program, at, sd);
            let holds = most.filter(|_| share == 1.0).map(|most| found.value <= 1.0 + most);
            table.row(format!("loss by {what} at cost {at:.2}, sd"), None, found.value - 1.0, found.error, holds);
        }
    }
    let points = frontiers.found.iter().flat_map(|frontier| &frontier.points);
    let unsolved = points.map(|point| point.unsolved).fold(0.0, f64::max);
    table.row("decisions not certified, a path", Some(0.0), unsolved, 0.0, Some(unsolved == 0.0));
    table.note(
        "Dollars at a spot of 100, positions up to 10 coins. Risk is that of a book's result net of costs over its",
    );
    table.note("paths, averaged over the books; all books together count what differs between books as risk as well.");
    table.note("Every program insures against a jump of 10% a year, up or down, whatever its covariance believes.");
    table.note(
        "References: an earlier study of ours, other books. A budget need not be spent. The policies meet the same paths:",
    );
    table.note("errors of ratios and losses are from paths drawn anew for both at once.");
    if model != Model::Gbm {
        table.note(
            "Wrong beliefs: a covariance of half the volatility of variance and no jumps, which gives way to the estimate as",
        );
        table.note(
            "what is configured does live; for ever: it does not. Estimated: the live estimate alone, over two days.",
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::frontier::Path;
    use super::*;

    /// Paths of one book under policies at one risk aversion, as points.
    fn points(model: Model, policies: &[Policy], paths: usize) -> Vec<Point> {
        let market = model.market();
        let book = Book::draw(&mut Random::new(3, BOOKS_STREAM), 0.6);
        let mut random = Random::new(3, 0);
        let results: Vec<Path> = (0..paths)
            .map(|_| {
                let mut desks: Vec<Desk> = policies.iter().map(|policy| Desk::new(*policy, 0.05)).collect();
                run_path(&book, &market, &mut desks, &mut random)
            })
            .collect();
        let of_desk = |desk: usize| results.iter().map(|path| path[desk]).collect();
        (0..policies.len()).map(|desk| Point::new(0.05, &[of_desk(desk)])).collect()
    }

    #[test]
    fn the_program_beats_the_band_whatever_it_has_its_covariance_from_and_every_decision_is_certified() {
        let market = Model::Heston.market();
        let beliefs = [Beliefs::Model(market), Beliefs::Estimated].map(|beliefs| Policy::Program { beliefs });
        let found = points(Model::Heston, &[Policy::Band, beliefs[0], beliefs[1]], 8);
        // The ratio is 5 to 10: eight paths know each deviation to a quarter of itself.
        for program in &found[1..] {
            assert!(program.book.sd.value < 0.5 * found[0].book.sd.value, "{found:?}");
            assert_eq!(program.unsolved, 0.0);
        }
    }
}
