//! Runs contenders in turns and tells how they compare.
//!
//! A round measures one window of every contender, in an order shuffled anew; a ratio is taken within a round, so that
//! what slows the machine for a while slows both of its sides.

use std::time::Instant;

/// Rounds of a contest; odd, so that the median is one of them. Windows are kept well below a scheduler's time slice, so
/// that on a busy machine most of them are not interrupted.
const ROUNDS: usize = 201;

/// What takes part.
pub struct Contender<'a> {
    name: &'static str,
    /// One window; nanoseconds per operation.
    window: Box<dyn FnMut() -> f64 + 'a>,
    /// What it is asked to be judged by besides time.
    remark: String,
}

impl<'a> Contender<'a> {
    /// One whose window measures itself.
    pub fn measuring(name: &'static str, window: impl FnMut() -> f64 + 'a) -> Self {
        Self { name, window: Box::new(window), remark: String::new() }
    }

    /// One whose window is `passes` calls of `pass`, each worth `operations`.
    pub fn new(name: &'static str, passes: u32, operations: usize, mut pass: impl FnMut() + 'a) -> Self {
        let count = f64::from(passes) * operations as f64;
        Self::measuring(name, move || {
            let start = Instant::now();
            (0..passes).for_each(|_| pass());
            start.elapsed().as_nanos() as f64 / count
        })
    }

    /// Adds a remark to its line.
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }
}

/// Lets contenders run in turns and prints a line for each. Ratios are to the first.
pub fn contest(title: &str, unit: &str, mut contenders: Vec<Contender<'_>>) {
    let mut windows = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    let mut order: Vec<_> = (0..contenders.len()).collect();
    let mut random = Shuffle(0x9e37_79b9_7f4a_7c15);
    contenders.iter_mut().for_each(|contender| {
        (contender.window)();
    });
    for _ in 0..ROUNDS {
        random.shuffle(&mut order);
        for &at in &order {
            windows[at].push((contenders[at].window)());
        }
    }
    println!("\n{title}: ns {unit}, {ROUNDS} rounds");
    println!("{:<34} {:>27}   {:>25}", "", "quartile  median  quartile", "times the first, quartiles");
    for (contender, own) in contenders.iter().zip(&windows) {
        let ratios: Vec<_> = own.iter().zip(&windows[0]).map(|(own, first)| own / first).collect();
        let [low, median, high] = quartiles(own.clone());
        let [ratio_low, ratio, ratio_high] = quartiles(ratios);
        println!(
            "{:<34} {low:>9.1} {median:>7.1} {high:>9.1}   {ratio_low:>7.2} {ratio:>7.2} {ratio_high:>7.2}   {}",
            contender.name, contender.remark
        );
    }
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|at| values[((values.len() - 1) as f64 * at).round() as usize])
}

/// Xorshift: orders that differ from round to round and are the same in every run.
struct Shuffle(u64);

impl Shuffle {
    fn shuffle(&mut self, order: &mut [usize]) {
        for i in (1..order.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            order.swap(i, (self.0 % (i as u64 + 1)) as usize);
        }
    }
}
