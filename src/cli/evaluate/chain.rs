//! `evaluate chain --file CSV`: a whole option chain priced here and held against what the venue published.
//!
//! **In**: a chain file, one option a line, with the columns of [`Line`]; others are ignored. **Out**: absolute errors of
//! delta (plain Black), vega (dollars a volatility point) and mark (coins), each from the venue's own forward and
//! volatility; and a smile fitted to every expiry, its distance from the venue's volatilities and the arbitrage left in
//! it. Options within a day of expiry are counted and left out: the venue's volatility is rounded and its marks there
//! follow a settlement average.
//!
//! **The forward of the greeks.** In a fast market a venue's greeks are of an earlier moment than the forward, mark and
//! volatility published beside them, by up to 30 basis points. An option's delta and vega are of one moment, though, so delta
//! is held against Black's at the forward that the option's own vega implies; nothing of delta goes into that forward. Near
//! a vega's maximum it implies none, and the median distance of the options with the same index price, failing that of the
//! same expiry, stands in. `delta_error` is the error there, `delta_error_at_published` the one at the published forward,
//! `greeks_lag` the distance between the two in ln F.
//!
//! **Fails** when an error of `delta_error` or of the mark exceeds its limit ([`LIMITS`]).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::CliError;
use crate::cli::output::{Output, OutputArgs};
use crate::instrument::OptionKind;
use crate::pricing::Greeks;
use crate::pricing::elementary::{exp, ln, ln_ratio, normal_pdf};
use crate::surface::svi::{self, POINTS_MAX, Point, Points, Sooner, Svi};

/// Largest median and 99th percentile allowed: delta, then mark in coins.
const LIMITS: [(f64, f64); 2] = [(3e-4, 1e-2), (5e-5, f64::INFINITY)];
/// Least vega, dollars a point, whose rounding leaves a forward in it.
const VEGA_MIN: f64 = 0.5;
/// Least relative change of vega by ln F that tells a forward: when the search starts, and during it.
const VEGA_SLOPE_MIN: [f64; 2] = [1.0, 0.3];
/// Largest distance in ln F that is believed.
const LAG_MAX: f64 = 0.03;
const LAG_STEPS_MAX: usize = 30;
const DAY_YEARS: f64 = 1.0 / 365.0;

/// Arguments of `evaluate chain`.
#[derive(Clone, Debug, Args)]
pub(super) struct ChainArgs {
    /// The chain file
    #[arg(long, value_name = "CSV")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is read of a line. A blank is no number.
#[derive(Debug, Deserialize)]
struct Line {
    instrument_name: String,
    currency: String,
    option_type: String,
    strike: Option<f64>,
    /// When, and until when: ISO 8601 in UTC.
    timestamp: String,
    expiry_datetime: String,
    /// Forward of the expiry, quote currency.
    underlying: Option<f64>,
    /// Coins.
    mark_price: Option<f64>,
    /// Per year, 1.00 is 100%.
    implied_volatility: Option<f64>,
    delta: Option<f64>,
    /// Dollars a volatility point.
    vega: Option<f64>,
    /// Tells the moments of a file apart.
    #[serde(default)]
    index_price: Option<f64>,
}

/// An option that can be compared.
#[derive(Debug)]
struct Quoted {
    name: String,
    kind: OptionKind,
    strike: f64,
    forward: f64,
    years: f64,
    sigma: f64,
    delta: f64,
    vega: f64,
    mark: f64,
    index: f64,
}

/// How errors are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Spread {
    median: f64,
    p99: f64,
    max: f64,
}

/// The smile of one expiry.
#[derive(Debug, Serialize)]
struct Smile {
    currency: String,
    expiry: String,
    options: usize,
    /// Volatility at the forward.
    at_the_money: f64,
    /// Root mean square distance from the venue's volatilities.
    rms_vol: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    file: String,
    options: usize,
    /// Reason to lines.
    skipped: BTreeMap<&'static str, usize>,
    /// At the forward of the venue's greeks.
    delta_error: Spread,
    /// At the forward published beside them.
    delta_error_at_published: Spread,
    vega_error: Spread,
    mark_error_coin: Spread,
    /// Distance in ln F between the two forwards, where an option's own vega tells it.
    greeks_lag: Spread,
    /// Options whose vega does.
    greeks_lag_known: usize,
    surface_rms_vol: f64,
    /// Expiries whose smile or calendar is not free of arbitrage, or that could not be fitted.
    arbitrage_violations: usize,
    smiles: Vec<Smile>,
    /// The options whose delta differs most, and by how much.
    worst: Vec<(String, f64)>,
}

/// Runs the command.
pub(super) fn run(args: &ChainArgs) -> Result<(), CliError> {
    let output = Output::open(&args.output)?;
    let report = evaluate(&args.file)?;
    print(&report)?;
    output.write_json(&report)?;
    let errors = [("delta", report.delta_error), ("mark", report.mark_error_coin)];
    for ((what, error), (median, p99)) in errors.into_iter().zip(LIMITS) {
        if error.median > median || error.p99 > p99 {
            return Err(CliError::CheckFailed(format!(
                "{what} error: median {:.1e} (at most {median:.0e}), p99 {:.1e} (at most {p99:.0e})",
                error.median, error.p99
            )));
        }
    }
    Ok(())
}

/// Currency and expiry.
type Key = (String, String);
type Chain = BTreeMap<Key, Vec<Quoted>>;

fn evaluate(path: &std::path::Path) -> Result<Report, CliError> {
    let (chain, skipped) = read(path)?;
    let quotes = || chain.values().flatten();
    if quotes().next().is_none() {
        return Err(CliError::Input(format!("{}: no option to compare", path.display())));
    }
    let lags = Lags::of(&chain);
    let (mut deltas, mut published, mut vegas, mut marks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (key, quotes) in &chain {
        for quoted in quotes {
            let greeks = quoted.greeks(0.0);
            deltas.push((quoted.greeks(lags.at(key, quoted)).delta - quoted.delta).abs());
            published.push((greeks.delta - quoted.delta).abs());
            vegas.push((greeks.vega / 100.0 - quoted.vega).abs());
            marks.push((greeks.price / quoted.forward - quoted.mark).abs());
        }
    }
    let mut worst: Vec<_> = quotes().map(|q| q.name.clone()).zip(deltas.iter().copied()).collect();
    worst.sort_by(|p, q| q.1.total_cmp(&p.1));
    worst.truncate(3);
    let mut known: Vec<_> = quotes().filter_map(Quoted::lag).map(f64::abs).collect();
    let (smiles, squares, arbitrage_violations) = smiles(&chain);
    let fitted: usize = smiles.iter().map(|smile| smile.options).sum();
    Ok(Report {
        file: path.display().to_string(),
        options: deltas.len(),
        skipped,
        delta_error: spread(&mut deltas),
        delta_error_at_published: spread(&mut published),
        vega_error: spread(&mut vegas),
        mark_error_coin: spread(&mut marks),
        greeks_lag_known: known.len(),
        greeks_lag: spread(&mut known),
        surface_rms_vol: (squares / fitted.max(1) as f64).sqrt(),
        arbitrage_violations,
        smiles,
        worst,
    })
}

impl Quoted {
    /// Black's greeks at the published forward moved by `lag` in ln F.
    fn greeks(&self, lag: f64) -> Greeks {
        Greeks::new(self.kind, self.forward * exp(lag), self.strike, self.sigma, self.years)
    }

    /// How far from the published forward, in ln F, Black's vega is the published one; by Newton's method.
    fn lag(&self) -> Option<f64> {
        let s = self.sigma * self.years.sqrt();
        // ∂ ln(vega)/∂ ln F = 1 − d1/s.
        let slope = |lag: f64| 0.5 - (ln_ratio(self.forward, self.strike) + lag) / (s * s);
        if self.vega < VEGA_MIN || slope(0.0).abs() < VEGA_SLOPE_MIN[0] {
            return None;
        }
        let mut lag = 0.0;
        for _ in 0..LAG_STEPS_MAX {
            if slope(lag).abs() < VEGA_SLOPE_MIN[1] || lag.abs() > LAG_MAX {
                return None;
            }
            let step = ln(100.0 * self.vega / self.greeks(lag).vega) / slope(lag);
            lag += step;
            if step.abs() < 1e-12 {
                return Some(lag);
            }
        }
        None
    }
}

/// How far the venue's greeks lag, by moment and by expiry: medians in ln F.
struct Lags<'a> {
    of_moment: BTreeMap<(&'a str, u64), f64>,
    of_expiry: BTreeMap<&'a Key, f64>,
}

impl<'a> Lags<'a> {
    fn of(chain: &'a Chain) -> Self {
        let (mut moments, mut expiries) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for (key, quotes) in chain {
            for (quoted, lag) in quotes.iter().filter_map(|quoted| Some((quoted, quoted.lag()?))) {
                moments.entry((key.0.as_str(), quoted.index.to_bits())).or_default().push(lag);
                expiries.entry(key).or_default().push(lag);
            }
        }
        let median = |mut lags: Vec<f64>| spread(&mut lags).median;
        Self {
            of_moment: moments.into_iter().map(|(key, lags)| (key, median(lags))).collect(),
            of_expiry: expiries.into_iter().map(|(key, lags)| (key, median(lags))).collect(),
        }
    }

    /// That of an option: its own vega's, else its moment's, else its expiry's, else none.
    fn at(&self, key: &Key, quoted: &Quoted) -> f64 {
        let others =
            || self.of_moment.get(&(key.0.as_str(), quoted.index.to_bits())).or_else(|| self.of_expiry.get(key));
        quoted.lag().or_else(|| others().copied()).unwrap_or_default()
    }
}

/// The chain by currency and expiry, and the lines left out by reason.
fn read(path: &std::path::Path) -> Result<(Chain, BTreeMap<&'static str, usize>), CliError> {
    let unreadable = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => CliError::file(path)(error),
        other => CliError::Input(format!("{}: {other:?}", path.display())),
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(unreadable)?;
    let headers = reader.headers().map_err(unreadable)?.clone();
    let columns = ["instrument_name", "currency", "option_type", "strike", "timestamp", "expiry_datetime"];
    let numbers = ["underlying", "mark_price", "implied_volatility", "delta", "vega"];
    if let Some(missing) = columns.iter().chain(&numbers).find(|name| !headers.iter().any(|h| h == **name)) {
        return Err(CliError::Input(format!("{}: no column {missing:?}", path.display())));
    }
    let (mut chain, mut skipped) = (Chain::new(), BTreeMap::new());
    for line in reader.deserialize::<Line>() {
        match line.map_err(|_| "malformed line").and_then(quoted) {
            Ok((key, quoted)) => chain.entry(key).or_default().push(quoted),
            Err(reason) => *skipped.entry(reason).or_default() += 1,
        }
    }
    Ok((chain, skipped))
}

/// A line as an option that can be compared, or why it cannot be.
fn quoted(line: Line) -> Result<(Key, Quoted), &'static str> {
    let positive = |value: Option<f64>| value.filter(|v| v.is_finite() && *v > 0.0);
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    let kind = match line.option_type.as_str() {
        "call" => OptionKind::Call,
        "put" => OptionKind::Put,
        _ => return Err("neither call nor put"),
    };
    let (from, to) = seconds(&line.timestamp).zip(seconds(&line.expiry_datetime)).ok_or("no time to expiry")?;
    let years = positive(Some((to - from) / (365.0 * 86_400.0))).ok_or("expired")?;
    if years <= DAY_YEARS {
        return Err("within a day of expiry");
    }
    let quoted = Quoted {
        kind,
        years,
        strike: positive(line.strike).ok_or("no strike")?,
        forward: positive(line.underlying).ok_or("no forward")?,
        sigma: positive(line.implied_volatility).ok_or("no volatility")?,
        delta: finite(line.delta).ok_or("no delta")?,
        vega: finite(line.vega).ok_or("no vega")?,
        mark: finite(line.mark_price).ok_or("no mark")?,
        index: line.index_price.unwrap_or_default(),
        name: line.instrument_name,
    };
    Ok(((line.currency, line.expiry_datetime), quoted))
}

/// Seconds since the epoch of a time such as `2026-01-03T08:00:00.5+00:00`.
fn seconds(text: &str) -> Option<f64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_duration().as_secs_f64())
}

/// Smiles of all expiries, the sum of their squared errors, and how many have arbitrage or could not be fitted.
fn smiles(chain: &Chain) -> (Vec<Smile>, f64, usize) {
    let (mut smiles, mut squares, mut violations) = (Vec::new(), 0.0, 0);
    // Expiries sort by time within a currency: the dates are ISO 8601.
    let mut sooner: Option<(&str, Sooner)> = None;
    for ((currency, expiry), quotes) in chain {
        let points = points(quotes);
        let Some(range) = svi::range(&points) else {
            violations += 1;
            continue;
        };
        let below = sooner.filter(|(of, _)| of == currency).map(|(_, (smile, other))| {
            let (low, high) = (range.0.max(other.0), range.1.min(other.1));
            (smile, (low, high.max(low)))
        });
        let Some(svi) = Svi::fit(&points, below) else {
            violations += 1;
            continue;
        };
        violations += usize::from(below.is_some_and(|(smile, common)| !svi.is_calendar_free(&smile, common)));
        sooner = Some((currency, (svi, range)));
        let misses = quotes.iter().map(|q| (svi.w(ln_ratio(q.strike, q.forward)) / q.years).sqrt() - q.sigma);
        let square: f64 = misses.map(|miss| miss * miss).sum();
        squares += square;
        smiles.push(Smile {
            currency: currency.clone(),
            expiry: expiry.clone(),
            options: quotes.len(),
            at_the_money: (svi.w(0.0) / quotes[0].years).sqrt(),
            rms_vol: (square / quotes.len() as f64).sqrt(),
        });
    }
    (smiles, squares, violations)
}

/// One point a strike, weighted so that errors count in volatility, more so near the money.
fn points(quotes: &[Quoted]) -> Points {
    let mut points = Points::new();
    for quoted in quotes.iter().take(POINTS_MAX) {
        let (k, w) = (ln_ratio(quoted.strike, quoted.forward), quoted.sigma * quoted.sigma * quoted.years);
        if points.iter().any(|p| p.k == k) {
            continue;
        }
        points.push(Point { k, w, weight: (0.1 + normal_pdf(k / w.sqrt())) / w });
    }
    points
}

/// Nearest-rank percentiles; zeros of nothing.
fn spread(errors: &mut [f64]) -> Spread {
    if errors.is_empty() {
        return Spread::default();
    }
    errors.sort_unstable_by(f64::total_cmp);
    let rank = |share: f64| errors[((share * errors.len() as f64).ceil() as usize).clamp(1, errors.len()) - 1];
    Spread { median: rank(0.5), p99: rank(0.99), max: rank(1.0) }
}

fn print(report: &Report) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {} options", report.file, report.options)?;
    for (reason, lines) in &report.skipped {
        writeln!(out, "  skipped {lines:>5}  {reason}")?;
    }
    writeln!(out, "\nerror against the venue         median       p99       max")?;
    let rows = [
        ("delta", report.delta_error),
        ("  at the published forward", report.delta_error_at_published),
        ("vega, $/point", report.vega_error),
        ("mark, coin", report.mark_error_coin),
    ];
    for (name, Spread { median, p99, max }) in rows {
        writeln!(out, "  {name:<26} {median:>9.1e} {p99:>9.1e} {max:>9.1e}")?;
    }
    let Report { greeks_lag: Spread { median, p99, .. }, greeks_lag_known, .. } = report;
    writeln!(
        out,
        "  by {greeks_lag_known} vegas, the venue's greeks are of a forward {:.1} bp away (median; p99 {:.1})",
        1e4 * median,
        1e4 * p99
    )?;
    for (name, error) in &report.worst {
        writeln!(out, "  largest in delta: {name} {error:.1e}")?;
    }
    writeln!(out, "\nsmiles                    options  at the money  rms vol")?;
    for smile in &report.smiles {
        let Smile { currency, expiry, options, at_the_money, rms_vol } = smile;
        writeln!(
            out,
            "  {currency:<4} {:<18} {options:>7} {at_the_money:>12.2}% {rms_vol:>7.2}%",
            &expiry[..expiry.len().min(16)],
            at_the_money = 100.0 * at_the_money,
            rms_vol = 100.0 * rms_vol
        )?;
    }
    writeln!(out, "  all: {:.2}% rms, {} with arbitrage", 100.0 * report.surface_rms_vol, report.arbitrage_violations)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "instrument_name,underlying,option_type,strike,expiry_datetime,timestamp,mark_price,\
                          implied_volatility,delta,vega,currency";
    /// A tenth of a year before the expiry.
    const AT: &str = "2026-02-18T20:00:00.000000+00:00";

    fn evaluate_text(lines: &[String]) -> Result<Report, String> {
        let thread = std::thread::current().id();
        let path = std::env::temp_dir().join(format!("hedgecore-chain-{}-{thread:?}", std::process::id()));
        std::fs::write(&path, format!("{HEADER}\n{}\n", lines.join("\n"))).unwrap();
        let report = evaluate(&path).map_err(|error| error.to_string());
        std::fs::remove_file(&path).unwrap();
        report
    }

    fn line(strike: f64, at: &str, delta_shift: f64) -> String {
        lagging(strike, at, 50_000.0, |greeks| greeks.delta + delta_shift)
    }

    /// A line whose greeks are of another forward than its mark.
    fn lagging(strike: f64, at: &str, greeks_forward: f64, delta: impl Fn(&Greeks) -> f64) -> String {
        let (forward, sigma) = (50_000.0, 0.5 + (strike / 50_000.0 - 1.0) * (strike / 50_000.0 - 1.0));
        let mark = Greeks::new(OptionKind::Call, forward, strike, sigma, 0.1).price / forward;
        let greeks = Greeks::new(OptionKind::Call, greeks_forward, strike, sigma, 0.1);
        let (delta, vega) = (delta(&greeks), greeks.vega / 100.0);
        format!(
            "BTC-{strike}-C,{forward},call,{strike},2026-03-27T08:00:00+00:00,{at},{mark},{sigma},{delta},{vega},BTC"
        )
    }

    #[test]
    fn a_chain_priced_here_agrees_with_itself_and_a_shifted_delta_shows() {
        let strikes = (0..21).map(|i| 30_000.0 + 2_000.0 * f64::from(i));
        let mut lines: Vec<_> = strikes.map(|strike| line(strike, AT, 0.0)).collect();
        let report = evaluate_text(&lines).unwrap();
        assert_eq!((report.options, report.arbitrage_violations, report.smiles.len()), (21, 0, 1));
        assert!(report.delta_error.max < 1e-12 && report.mark_error_coin.max < 1e-12, "{report:?}");
        assert!(report.surface_rms_vol < 5e-3, "{}", report.surface_rms_vol);
        lines[20] = line(70_000.0, AT, 0.02);
        let shifted = evaluate_text(&lines).unwrap();
        assert!((shifted.delta_error.p99 - 0.02).abs() < 1e-12 && shifted.delta_error.median < 1e-12);
        assert_eq!(shifted.worst[0].0, "BTC-70000-C");
    }

    #[test]
    fn late_greeks_are_met_at_their_own_forward_and_another_delta_is_met_nowhere() {
        let late = 50_000.0 * (1.0 - 2e-3);
        let report = |delta: &dyn Fn(&Greeks) -> f64| {
            let strikes = (0..41).map(|i| 30_000.0 + 1_000.0 * f64::from(i));
            let lines: Vec<_> = strikes.map(|strike| lagging(strike, AT, late, delta)).collect();
            evaluate_text(&lines).unwrap()
        };
        let black = report(&|greeks| greeks.delta);
        assert!(black.delta_error.max < 1e-9, "{black:?}");
        assert!(black.delta_error_at_published.median > 1e-3);
        assert!((black.greeks_lag.median - 2e-3).abs() < 1e-5 && black.greeks_lag_known > 30);
        let adjusted = report(&|greeks| greeks.in_coin(late).delta);
        assert!(adjusted.delta_error.median > 10.0 * LIMITS[0].0, "{adjusted:?}");
        let biased = report(&|greeks| 1.002 * greeks.delta);
        assert!(biased.delta_error.median > LIMITS[0].0, "{biased:?}");
    }

    #[test]
    fn every_line_left_out_has_a_reason() {
        let good = line(50_000.0, AT, 0.0);
        let lines = [
            good.clone(),
            line(50_000.0, "2026-03-26T20:00:00+00:00", 0.0),
            line(50_000.0, "2026-03-27T08:00:00+00:00", 0.0),
            line(50_000.0, "soon", 0.0),
            good.replace(",call,", ",both,"),
            good.replace(",50000,call", ",,call"),
            good.replace(",0.5,", ",NaN,"),
            good.replace(",50000,2026", ",many,2026"),
        ];
        let report = evaluate_text(&lines).unwrap();
        assert_eq!(report.options, 1);
        let reasons: Vec<_> = report.skipped.into_iter().collect();
        let expected = [
            ("expired", 1),
            ("malformed line", 1),
            ("neither call nor put", 1),
            ("no forward", 1),
            ("no time to expiry", 1),
            ("no volatility", 1),
            ("within a day of expiry", 1),
        ];
        assert_eq!(reasons, expected);
    }

    #[test]
    fn times_are_read_as_the_calendar_has_them() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(seconds("2024-02-29T12:34:56.5+00:00"), Some(1_709_210_096.5));
        assert_eq!(seconds("2026-03-27T08:00:00+00:00"), Some(1_774_598_400.0));
        assert_eq!((seconds("2026-03-27"), seconds("next Friday at noon"), seconds("")), (None, None, None));
    }

    #[test]
    fn files_that_are_no_chains_are_told_apart() {
        assert!(evaluate_text(&[]).unwrap_err().ends_with("no option to compare"));
        let missing = evaluate(std::path::Path::new("/nonexistent/chain.csv")).unwrap_err().to_string();
        assert!(missing.starts_with("/nonexistent/chain.csv: "), "{missing}");
    }

    /// The published chains themselves, where they are at hand.
    #[test]
    fn venue_chains_are_met_within_the_limits() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/deribit_chain");
        let Ok(entries) = std::fs::read_dir(directory) else {
            println!("skipped: {directory} is absent");
            return;
        };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.to_string_lossy().contains("options_snapshot"));
        paths.sort();
        for path in paths {
            let report = evaluate(&path).unwrap();
            let delta = report.delta_error;
            assert!(delta.median <= LIMITS[0].0 && delta.p99 <= LIMITS[0].1, "{path:?}: {delta:?}");
            assert!(2 * report.greeks_lag_known > report.options, "{path:?}");
            assert_eq!(report.arbitrage_violations, 0, "{path:?}");
            assert!(report.mark_error_coin.median <= LIMITS[1].0, "{path:?}");
        }
    }
}
