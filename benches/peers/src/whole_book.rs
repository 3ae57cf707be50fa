//! A tick of the whole book: every expiry's greeks after the forward has moved.
//!
//! Anchors cost the same however many options there are; what computes each option anew does not.

use std::hint::black_box;

use black_scholes::compute_all;
use hedgecore::instrument::OptionKind::Call;
use hedgecore::pricing::Strip;
use hedgecore::pricing::anchor::{Anchor8, evaluate_book};
use nautilus_model::data::greeks::black_scholes_greeks_exact;

use crate::contest::{Contender, contest};
use crate::greeks::{Struck, smile, strip_of, walk};

const FORWARD: f64 = 64_000.0;
const EXPIRIES: usize = 12;
/// Years to the expiries: an hour, a day, two days, weeks, months, a year.
const YEARS: [f64; EXPIRIES] = [1.2e-4, 2.8e-3, 5.5e-3, 8.2e-3, 1.9e-2, 3.8e-2, 5.8e-2, 7.7e-2, 0.16, 0.25, 0.5, 1.0];

/// A desk's book by anchors and by every exact way; then anchors alone, by the number of options.
pub fn compare() {
    let book = Book::new(46);
    let (mut next, mut next_exact) = (walk(FORWARD), walk(FORWARD));
    contest(
        &format!("a tick of {EXPIRIES} expiries, {} strikes", EXPIRIES * 46),
        "a tick; largest error of delta over gross",
        vec![
            Contender::new("hedgecore anchors", 1_000, 1, || book.tick(next())).remark(book.accuracy()),
            Contender::new("hedgecore strips, exact", 50, 1, || {
                let forward = next_exact();
                book.strips.iter().for_each(|strip| {
                    black_box(strip.exposure(forward));
                });
            }),
            each("black_scholes, each option", &book, |f, k, sigma, years| compute_all(f, k, 0.0, sigma, years)),
            each("nautilus-model exact, each option", &book, |f, k, sigma, years| {
                black_scholes_greeks_exact(f, 0.0, 0.0, sigma, true, k, years)
            }),
        ],
    );
    let books = [42, 417, 4_167].map(Book::new);
    let mut names = ["504 strikes", "5,004 strikes", "50,004 strikes"].into_iter();
    let sizes = books.iter().filter_map(|book| {
        let mut next = walk(FORWARD);
        names.next().map(|name| Contender::new(name, 1_000, 1, move || book.tick(next())))
    });
    contest("a tick of 12 expiries by anchors, by the strikes held", "a tick", sizes.collect());
}

struct Book {
    struck: Vec<(Vec<Struck>, f64)>,
    strips: Vec<Strip>,
    anchors: Vec<Anchor8>,
}

impl Book {
    /// Long one coin of each call.
    fn new(strikes: usize) -> Self {
        let struck: Vec<_> =
            YEARS.iter().map(|&years| (smile(FORWARD, strikes, years).collect::<Vec<_>>(), years)).collect();
        let strips: Vec<_> = struck.iter().map(|(struck, years)| strip_of(struck, *years)).collect();
        let anchor_of = |strip: &Strip| {
            let mut anchor = Anchor8::with_capacity(strips[0].len(), 1.0);
            anchor.rebuild(strip, FORWARD).expect("fits");
            (0..strip.len()).for_each(|slot| anchor.add_fill(slot, Call, 1).expect("room"));
            anchor
        };
        let anchors = strips.iter().map(anchor_of).collect();
        Self { struck, strips, anchors }
    }

    fn tick(&self, forward: f64) {
        let (exposure, missed) = evaluate_book(&self.anchors, &[forward; EXPIRIES]);
        assert_eq!(missed, 0, "every anchor inside its window");
        black_box(exposure);
    }

    /// Largest difference of delta from the exact sum over the ticks, and the certified bound, over gross.
    fn accuracy(&self) -> String {
        let gross: f64 = self.strips.iter().map(|strip| strip.len() as f64).sum();
        let mut next = walk(FORWARD);
        let worst = (0..16).map(|_| next()).fold(0.0_f64, |worst, forward| {
            let (exposure, _) = evaluate_book(&self.anchors, &[forward; EXPIRIES]);
            let exact: f64 = self.strips.iter().map(|strip| strip.exposure(forward).delta).sum();
            worst.max((exposure.delta - exact).abs() / gross)
        });
        let bound: f64 = self.anchors.iter().map(|anchor| anchor.bounds().delta).sum();
        format!("{worst:.0e}, certified {:.0e}", bound / gross)
    }
}

fn each<'a, T>(name: &'static str, book: &'a Book, greeks: impl Fn(f64, f64, f64, f64) -> T + 'a) -> Contender<'a> {
    let mut next = walk(FORWARD);
    Contender::new(name, 4, 1, move || {
        let forward = next();
        for (struck, years) in &book.struck {
            for &(strike, sigma) in struck {
                black_box(greeks(forward, strike, sigma, *years));
            }
        }
    })
}
