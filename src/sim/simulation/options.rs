//! What a run is made of: which faults, how often, how long. A seed expands to it, a person may edit it.
//!
//! The text form is one line, `faulty_s=8 strikes=2 feed=starbase lines=2 orders=fix loss=0.01`: what is not named is off. Swarm
//! selection (Groce et al., "Swarm Testing", 2012): each seed enables its own subset of the faults, because a run that
//! suffers everything at once never gets deep into anything.

use std::fmt;
use std::str::FromStr;

use super::faults::{Fault, Rate};
use crate::feed::Protocol;
use crate::journal::Durability;
use crate::sim::OrderProtocol;
use crate::sim::random::{Random, splitmix64};

/// What the market data is called in options.
const FEEDS: [(Protocol, &str); 2] = [(Protocol::Classic, "classic"), (Protocol::Starbase, "starbase")];

/// What the journal's ways of keeping are called in options.
const DURABILITIES: [(Durability, &str); 3] =
    [(Durability::Batched, "batched"), (Durability::BeforeSend, "before-send"), (Durability::None, "none")];

/// What a run is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where every random choice comes from.
    pub seed: u64,
    /// Seconds under faults.
    pub faulty_s: u32,
    /// Seconds that the pipeline then has to recover in.
    pub heal_s: u32,
    /// Strikes an expiry, at the venue.
    pub strikes: u32,
    /// Whether the program decides, instead of the band.
    pub program: bool,
    /// What the market data is.
    pub feed: Protocol,
    /// Lines that carry it, one or two.
    pub lines: u32,
    /// What the order session speaks.
    pub orders: OrderProtocol,
    /// What a crash may take from the journal.
    pub durability: Durability,
    rates: [f64; Fault::ALL.len()],
}

impl Options {
    /// No faults at all.
    pub fn calm(seed: u64) -> Self {
        Self {
            seed,
            faulty_s: 6,
            heal_s: 12,
            strikes: 1,
            program: false,
            feed: Protocol::default(),
            lines: 1,
            orders: OrderProtocol::default(),
            durability: Durability::default(),
            rates: [0.0; Fault::ALL.len()],
        }
    }

    /// What a seed stands for: between none and all of the faults, each at a rate of its own.
    pub fn of_seed(seed: u64) -> Self {
        let mut mix = seed ^ 0x6f70_7469_6f6e_7321;
        let mut random = Random::new(splitmix64(&mut mix));
        let mut options = Self::calm(seed);
        options.faulty_s = 3 + random.below(6) as u32;
        options.strikes = 1 + random.below(2) as u32;
        let share = random.uniform() * 0.5;
        for fault in Fault::ALL {
            let (chosen, part) = (random.chance(share), random.uniform());
            if chosen {
                options.rates[fault.index()] = match fault.rate() {
                    Rate::Each(most) => most * part * part,
                    Rate::PerSecond(most) => most * part.max(0.1),
                    Rate::Switch => 1.0,
                };
            }
        }
        options.orders = OrderProtocol::ALL[random.below(2) as usize];
        options.program = random.chance(0.05);
        options.feed = FEEDS[random.below(2) as usize].0;
        options.lines = 1 + random.below(2) as u32;
        options.durability = DURABILITIES[random.below(3) as usize].0;
        options
    }

    /// The rate of a fault; zero when it is off.
    pub fn rate(&self, fault: Fault) -> f64 {
        self.rates[fault.index()]
    }

    /// The same for another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same with one fault at another rate.
    #[must_use]
    pub fn with(mut self, fault: Fault, rate: f64) -> Self {
        self.rates[fault.index()] = rate;
        self
    }

    /// Faults that are on.
    pub fn faults(&self) -> impl Iterator<Item = Fault> + use<'_> {
        Fault::ALL.into_iter().filter(|&fault| self.rate(fault) > 0.0)
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty_s={} heal_s={} strikes={}", self.faulty_s, self.heal_s, self.strikes)?;
        write!(f, " feed={} lines={}", name_in(&FEEDS, self.feed), self.lines)?;
        write!(f, " policy={} orders={}", if self.program { "program" } else { "band" }, self.orders.name())?;
        write!(f, " durability={}", name_in(&DURABILITIES, self.durability))?;
        self.faults().try_for_each(|fault| write!(f, " {}={}", fault.name(), self.rate(fault)))
    }
}

/// Why a line is no set of options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// No `=`.
    #[error("`{0}` is not of the form name=value")]
    Form(String),
    /// A name that is neither a setting nor a fault.
    #[error(
        "`{0}` is not known; settings are faulty_s, heal_s, strikes, feed, lines, policy, orders, durability and the faults"
    )]
    Name(String),
    /// A value that does not suit its name.
    #[error("`{value}` is no value for {name}")]
    Value {
        /// Whose.
        name: String,
        /// What was given.
        value: String,
    },
}

impl FromStr for Options {
    type Err = OptionsError;

    /// Reads the text form; the seed is 0 and has to be set.
    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let mut options = Self::calm(0);
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or_else(|| OptionsError::Form(word.to_owned()))?;
            let wrong = || OptionsError::Value { name: name.to_owned(), value: value.to_owned() };
            let count = |most: u32| value.parse::<u32>().ok().filter(|n| (1..=most).contains(n)).ok_or_else(wrong);
            match name {
                "faulty_s" => options.faulty_s = count(3_600)?,
                "heal_s" => options.heal_s = count(3_600)?,
                "strikes" => options.strikes = count(13)?,
                "lines" => options.lines = count(2)?,
                "feed" => options.feed = named_in(&FEEDS, value).ok_or_else(wrong)?,
                "durability" => options.durability = named_in(&DURABILITIES, value).ok_or_else(wrong)?,
                "policy" if value == "band" => options.program = false,
                "policy" if value == "program" => options.program = true,
                "policy" => return Err(wrong()),
                "orders" => {
                    let named = OrderProtocol::ALL.into_iter().find(|protocol| protocol.name() == value);
                    options.orders = named.ok_or_else(wrong)?;
                }
                _ => {
                    let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name);
                    let fault = fault.ok_or_else(|| OptionsError::Name(name.to_owned()))?;
                    let rate = value.parse::<f64>().ok().filter(|rate| (0.0..=100.0).contains(rate));
                    options.rates[fault.index()] = rate.ok_or_else(wrong)?;
                }
            }
        }
        Ok(options)
    }
}

fn name_in<T: Copy + PartialEq>(table: &[(T, &'static str)], choice: T) -> &'static str {
    table.iter().find(|(value, _)| *value == choice).map_or("", |(_, name)| name)
}

fn named_in<T: Copy>(table: &[(T, &str)], name: &str) -> Option<T> {
    table.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back_as_it_was() {
        for seed in 0..200 {
            let options = Options::of_seed(seed);
            let read = Options { seed, ..options.to_string().parse().expect("its own form") };
            assert_eq!(read, options);
        }
    }

    #[test]
    fn two_hundred_seeds_use_every_fault_and_spare_every_fault() {
        for fault in Fault::ALL {
            let with = (0..200).filter(|&seed| Options::of_seed(seed).rate(fault) > 0.0).count();
            assert!((1..200).contains(&with), "{} in {with}", fault.name());
        }
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        assert_eq!("loss".parse::<Options>(), Err(OptionsError::Form("loss".to_owned())));
        assert_eq!("lose=1".parse::<Options>(), Err(OptionsError::Name("lose".to_owned())));
        let error = "loss=often".parse::<Options>().expect_err("not a number");
        assert_eq!(error.to_string(), "`often` is no value for loss");
        assert!("heal_s=0".parse::<Options>().is_err());
    }
}
