//! The one source of chance: everything that a seed decides is drawn here.

use std::time::Duration;

/// A generator whose draws follow from its seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    /// Another generator; what is drawn from one says nothing of the other.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Dice::new(self.draw())
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `bound`, which must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// From `first` to `last`, both included.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// Whether something happens that happens so often in ten thousand times.
    pub fn happens(&mut self, in_ten_thousand: u64) -> bool {
        in_ten_thousand > 0 && self.below(10_000) < in_ten_thousand
    }

    pub fn millis(&mut self, first: u64, last: u64) -> Duration {
        Duration::from_millis(self.between(first, last))
    }

    /// One of these; there must be one.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(self.below(count)).unwrap_or_default();
        all.get(index).expect("something to choose from")
    }

    /// One of these, each as often as its weight says.
    pub fn weighted<'a, T>(&mut self, all: &'a [(u64, T)]) -> &'a T {
        let total: u64 = all.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.below(total);
        for (weight, one) in all {
            if drawn < *weight {
                return one;
            }
            drawn -= weight;
        }
        &all.last().expect("something to choose from").1
    }
}
