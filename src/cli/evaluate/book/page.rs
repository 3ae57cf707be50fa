//! The frontier as a page: one file, nothing loaded, readable in light and dark.

use super::{Frontier, Point, Report};
use crate::cli::evaluate::lab::figure;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const MARGIN: [f64; 4] = [20.0, 20.0, 46.0, 60.0];
const COLOURS: [&str; 4] = ["#d97706", "#0891b2", "#16a34a", "#9333ea"];

/// The page.
pub(super) fn render(report: &Report) -> String {
    let mut body = String::new();
    for (name, value) in [("Standard deviation", sd as fn(&Point) -> f64), ("CVaR 95%", |point| point.cvar95)] {
        body += &format!("<h2>{name} of the week's result against trading cost</h2>\n");
        body += &chart(&report.frontiers, value);
    }
    let rows: String = report
        .table
        .rows
        .iter()
        .map(|row| {
            let reference = row.reference.map_or_else(|| "–".to_owned(), figure);
            let error = if row.error > 0.0 { format!(" ± {}", figure(row.error)) } else { String::new() };
            let verdict = row.holds.map_or("", |holds| if holds { "holds" } else { "does not hold" });
            format!(
                "<tr><td>{}</td><td>{reference}</td><td>{}{error}</td><td>{verdict}</td></tr>\n",
                row.what,
                figure(row.ours)
            )
        })
        .collect();
    let notes: String = report.table.notes.iter().map(|note| format!("<p>{note}</p>\n")).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>hedgecore: {model}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n\
         <p>{paths} paths, costs and risks in dollars at a spot of 100; each point is one risk aversion.</p>\n{body}\
         <h2>At equal cost</h2>\n<table>\n<tr><th></th><th>reference</th><th>ours</th><th></th></tr>\n{rows}</table>\n{notes}</html>\n",
        model = report.model,
        title = report.table.title,
        paths = report.paths,
    )
}

fn sd(point: &Point) -> f64 {
    point.sd
}

const STYLE: &str = ":root{color-scheme:light dark;--ink:#1f2937;--paper:#fff;--line:#d1d5db}\
@media(prefers-color-scheme:dark){:root{--ink:#e5e7eb;--paper:#111827;--line:#374151}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:48rem;margin:2rem auto;padding:0 1rem}\
svg{width:100%;height:auto}svg text{fill:var(--ink);font-size:13px}.grid{stroke:var(--line);stroke-width:1}\
table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid var(--line);text-align:right}td:first-child{text-align:left}";

/// Both axes logarithmic.
fn chart(frontiers: &[Frontier], value: fn(&Point) -> f64) -> String {
    let points = || frontiers.iter().flat_map(|f| &f.points).filter(|p| p.cost > 0.01 && value(p) > 0.0);
    let range = |of: &dyn Fn(&Point) -> f64| {
        let (low, high) = points().fold((f64::INFINITY, 0.0f64), |(low, high), p| (low.min(of(p)), high.max(of(p))));
        (low.log10().floor(), high.log10().ceil())
    };
    let (x_range, y_range) = (range(&|p| p.cost), range(&value));
    let [top, right, bottom, left] = MARGIN;
    let share = |v: f64, (low, high): (f64, f64)| (v.log10() - low) / (high - low).max(1.0);
    let x = |v: f64| left + share(v, x_range) * (WIDTH - left - right);
    let y = |v: f64| HEIGHT - bottom - share(v, y_range) * (HEIGHT - top - bottom);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
    for (low, high, horizontal) in [(x_range.0, x_range.1, false), (y_range.0, y_range.1, true)] {
        for decade in low as i32..=high as i32 {
            for digit in [1.0, 2.0, 5.0] {
                let v = digit * 10f64.powi(decade);
                if v.log10() > high {
                    continue;
                }
                let label = if v >= 1.0 { format!("{v:.0}") } else { format!("{v}") };
                svg += &if horizontal {
                    let at = y(v);
                    let end = WIDTH - right;
                    format!(
                        "<line class=\"grid\" x1=\"{left}\" x2=\"{end}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n",
                        left - 6.0,
                        at + 4.0
                    )
                } else {
                    let at = x(v);
                    let base = HEIGHT - bottom;
                    format!(
                        "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{base}\"/>\
                         <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>\n",
                        base + 16.0
                    )
                };
            }
        }
    }
    svg += &format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">mean trading cost, dollars</text>\n",
        0.5 * (left + WIDTH - right),
        HEIGHT - 8.0
    );
    for (k, (frontier, colour)) in frontiers.iter().zip(COLOURS).enumerate() {
        let drawn = || frontier.points.iter().filter(|p| p.cost > 0.01 && value(p) > 0.0);
        let line: Vec<String> = drawn().map(|p| format!("{:.1},{:.1}", x(p.cost), y(value(p)))).collect();
        svg += &format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n",
            line.join(" ")
        );
        for p in drawn() {
            svg += &format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{}: risk aversion {}, cost {}, risk {}</title></circle>\n",
                x(p.cost),
                y(value(p)),
                frontier.name,
                p.risk_aversion,
                figure(p.cost),
                figure(value(p))
            );
        }
        let at = HEIGHT - bottom - 12.0 - 18.0 * k as f64;
        svg += &format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{at:.1}\">{}</text>\n",
            left + 14.0,
            at - 4.0,
            left + 26.0,
            frontier.name
        );
    }
    svg + "</svg>\n"
}
