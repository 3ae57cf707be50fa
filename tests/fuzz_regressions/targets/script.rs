//! Bytes as a script: each choice takes some, and when they are used up the story is over.

use arbitrary::Unstructured;

/// A script.
pub struct Script<'a>(Unstructured<'a>);

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// Whether nothing is left to choose by.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// A number below `n`; zero once the script is over.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0.int_in_range(0..=n.saturating_sub(1)).unwrap_or(0)
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        !self.is_over() && self.below(n) == 0
    }

    /// Any eight bytes.
    pub fn word(&mut self) -> u64 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// Up to so many bytes of the script itself.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = (self.below(most as u64 + 1) as usize).min(self.0.len());
        self.0.bytes(length).unwrap_or(&[])
    }

    /// One of these.
    pub fn pick<'b, T>(&mut self, of: &'b [T]) -> Option<&'b T> {
        if of.is_empty() { None } else { of.get(self.below(of.len() as u64) as usize) }
    }
}

/// Scripts of chance, for seeds: long enough for a story each.
pub fn chances(count: u64, length: usize) -> Vec<Vec<u8>> {
    let script = |seed: u64| {
        let mut random = hedgecore::sim::random::Random::new(seed);
        (0..length).map(|_| random.bits() as u8).collect()
    };
    (1..=count).map(script).collect()
}
