//! Pages of figures: one file that loads nothing, readable in light and dark, charts as inline SVG.

use serde::Serialize;

/// A chart of the page, both axes logarithmic; what is not positive is left out.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Chart {
    /// Its heading.
    pub(in crate::cli) title: String,
    /// What runs to the right, and what runs upward.
    pub(in crate::cli) axes: [&'static str; 2],
    /// Its lines.
    pub(in crate::cli) series: Vec<Series>,
}

/// A line of a chart.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Series {
    /// Its name.
    pub(in crate::cli) name: String,
    /// Its points, in the order in which they are joined.
    pub(in crate::cli) points: Vec<Dot>,
}

/// A point of a chart.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Dot {
    /// To the right.
    pub(in crate::cli) x: f64,
    /// Upward.
    pub(in crate::cli) y: f64,
    /// What it stands for.
    pub(in crate::cli) label: String,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Around the axes: top, right, bottom, left.
const MARGIN: [f64; 4] = [20.0, 20.0, 46.0, 60.0];
const COLOURS: [&str; 6] = ["#d97706", "#0891b2", "#16a34a", "#9333ea", "#dc2626", "#64748b"];

const STYLE: &str = ":root{color-scheme:light dark;--ink:#1f2937;--paper:#fff;--line:#d1d5db}\
@media(prefers-color-scheme:dark){:root{--ink:#e5e7eb;--paper:#111827;--line:#374151}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:52rem;margin:2rem auto;padding:0 1rem}\
svg{width:100%;height:auto}svg text{fill:var(--ink);font-size:13px}.grid{stroke:var(--line);stroke-width:1}\
ul{list-style:none;padding:0}li{display:inline-block;margin-right:1.4rem}li::before{content:'●';margin-right:.4rem;color:var(--key)}\
table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid var(--line);text-align:right}\
td:first-child{text-align:left}.fails{color:#dc2626;font-weight:600}";

/// A page with this title and body.
pub(in crate::cli) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>hedgecore: {title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n{body}</html>\n",
        title = escaped(title),
    )
}

/// Lengths one after the other on one line a row, to the scale of the longest row.
pub(in crate::cli) fn waterfall(title: &str, unit: &str, rows: &[(String, Vec<(&str, f64)>)]) -> String {
    const ROW: f64 = 34.0;
    const LEFT: f64 = 170.0;
    let total = |parts: &[(&str, f64)]| parts.iter().map(|(_, length)| length).sum::<f64>();
    let longest = rows.iter().map(|(_, parts)| total(parts)).fold(0.0, f64::max);
    if longest <= 0.0 {
        return String::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|(_, parts)| parts) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let colour = |name: &str| COLOURS[names.iter().position(|of| *of == name).unwrap_or(0) % COLOURS.len()];
    let mut svg = format!("<h2>{}</h2>\n<ul>", escaped(title));
    for name in &names {
        svg += &format!("<li style=\"--key:{}\">{}</li>", colour(name), escaped(name));
    }
    let height = ROW * rows.len() as f64;
    svg += &format!("</ul>\n<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n", escaped(title));
    for (at, (name, parts)) in rows.iter().enumerate() {
        let (y, mut x) = (ROW * at as f64, LEFT);
        svg += &format!("<text x=\"0\" y=\"{:.1}\">{}</text>\n", y + 20.0, escaped(name));
        for (part, length) in parts {
            let width = length / longest * (WIDTH - LEFT - 90.0);
            svg += &format!(
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"22\" fill=\"{}\">\
                 <title>{}: {} {unit}</title></rect>\n",
                y + 4.0,
                colour(part),
                escaped(part),
                figure(*length)
            );
            x += width;
        }
        svg += &format!("<text x=\"{:.1}\" y=\"{:.1}\">{} {unit}</text>\n", x + 8.0, y + 20.0, figure(total(parts)));
    }
    svg + "</svg>\n"
}

/// A number to four significant digits, whole from a thousand.
pub(in crate::cli) fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 1_000.0 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 10.0 => format!("{value:.2}"),
        v if v >= 1.0 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// Text as a page may hold it.
pub(in crate::cli) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A chart as SVG with its heading and its key; nothing if there is nothing to draw.
pub(in crate::cli) fn chart(chart: &Chart) -> String {
    let visible = |dot: &&Dot| dot.x > 0.0 && dot.y > 0.0;
    let dots = || chart.series.iter().flat_map(|series| &series.points).filter(visible);
    if dots().next().is_none() {
        return String::new();
    }
    let axis = |of: fn(&Dot) -> f64, from: f64, to: f64| {
        let (low, high) =
            dots().fold((f64::INFINITY, 0.0f64), |(low, high), dot| (low.min(of(dot)), high.max(of(dot))));
        Axis::new(low, high, from, to)
    };
    let [top, right, bottom, left] = MARGIN;
    let (x, y) = (axis(|dot| dot.x, left, WIDTH - right), axis(|dot| dot.y, HEIGHT - bottom, top));
    let mut svg = format!("<h2>{}</h2>\n<ul>", escaped(&chart.title));
    for (series, colour) in chart.series.iter().zip(COLOURS.iter().cycle()) {
        svg += &format!("<li style=\"--key:{colour}\">{}</li>", escaped(&series.name));
    }
    svg += &format!(
        "</ul>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escaped(&chart.title)
    );
    for (value, at) in x.ticks() {
        let base = HEIGHT - bottom;
        svg += &format!(
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{base}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value}</text>\n",
            base + 16.0
        );
    }
    for (value, at) in y.ticks() {
        svg += &format!(
            "<line class=\"grid\" x1=\"{left}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>\n",
            WIDTH - right,
            left - 6.0,
            at + 4.0
        );
    }
    svg += &format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
         <text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
        0.5 * (left + WIDTH - right),
        HEIGHT - 8.0,
        escaped(chart.axes[0]),
        0.5 * (top + HEIGHT - bottom),
        escaped(chart.axes[1])
    );
    for (series, colour) in chart.series.iter().zip(COLOURS.iter().cycle()) {
        let line: Vec<String> =
            series.points.iter().filter(visible).map(|dot| format!("{:.1},{:.1}", x.at(dot.x), y.at(dot.y))).collect();
        svg += &format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n",
            line.join(" ")
        );
        for dot in series.points.iter().filter(visible) {
            svg += &format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{}, {}: {} and {}</title></circle>\n",
                x.at(dot.x),
                y.at(dot.y),
                escaped(&series.name),
                escaped(&dot.label),
                figure(dot.x),
                figure(dot.y)
            );
        }
    }
    svg + "</svg>\n"
}

/// A logarithmic axis.
struct Axis {
    /// Logarithms of the ends, and where they lie.
    ends: [f64; 2],
    places: [f64; 2],
}

impl Axis {
    /// That holds `low` to `high` between two places, a little room at either end.
    fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        let room = 0.04 * (high / low).log10() + 0.01;
        Self { ends: [low.log10() - room, high.log10() + room], places: [from, to] }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - self.ends[0]) / (self.ends[1] - self.ends[0]);
        self.places[0] + share * (self.places[1] - self.places[0])
    }

    /// Round numbers and where they lie: 1, 2 and 5 of each decade; over less than a decade, every digit.
    fn ticks(&self) -> Vec<(String, f64)> {
        let within = |value: &f64| (self.ends[0]..=self.ends[1]).contains(&value.log10());
        let digits: &[f64] = match self.ends[1] - self.ends[0] {
            span if span > 3.0 => &[1.0],
            span if span > 1.0 => &[1.0, 2.0, 5.0],
            span if span > 0.3 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            _ => &[
                1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.2, 3.6, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0,
            ],
        };
        let decades = self.ends[0].floor() as i32..=self.ends[1].ceil() as i32;
        let values = decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10f64.powi(decade)));
        let plain = |value: f64| format!("{value:.8}").trim_end_matches('0').trim_end_matches('.').to_owned();
        let text = |value: f64| match value {
            value if value >= 1e9 => format!("{}G", plain(value / 1e9)),
            value if value >= 1e6 => format!("{}M", plain(value / 1e6)),
            value if value >= 1e4 => format!("{}k", plain(value / 1e3)),
            value => plain(value),
        };
        values.filter(within).map(|value| (text(value), self.at(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waterfall_has_a_bar_a_part_and_its_sum() {
        let rows = [("one & two".to_owned(), vec![("first", 100.0), ("second", 300.0)])];
        let drawn = waterfall("hops", "ns", &rows);
        assert_eq!(drawn.matches("<rect").count(), 2);
        assert!(drawn.contains("one &amp; two") && drawn.contains("400.0 ns"), "{drawn}");
        assert_eq!(waterfall("hops", "ns", &[]), "");
    }

    #[test]
    fn an_axis_has_ticks_within_its_ends_over_any_range() {
        for (low, high) in [(1e-4, 1e3), (0.9, 1.4), (38.0, 55.0), (5.0, 5.0)] {
            let axis = Axis::new(low, high, 0.0, 100.0);
            let ticks = axis.ticks();
            assert!(ticks.iter().all(|(_, at)| (0.0..=100.0).contains(at)), "{low} to {high}: {ticks:?}");
            assert!(ticks.len() >= 2 || low == high, "{low} to {high}: {ticks:?}");
        }
        let named: Vec<String> = Axis::new(1e3, 1e9, 0.0, 1.0).ticks().into_iter().map(|(text, _)| text).collect();
        assert_eq!(named, ["1000", "10k", "100k", "1M", "10M", "100M", "1G"], "short enough for the margin");
    }
}
