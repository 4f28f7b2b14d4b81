//! Choices that can be made again: a test that fails says its seed.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// A stream of choices (`SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct Choices(u64);

impl Choices {
    pub(super) fn new(seed: u64) -> Self {
        Choices(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An index below `end`, which is not 0.
    pub(super) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
}

/// The seed of this run: what `AVISHKAR_TEST_SEED` says, or any.
#[expect(clippy::disallowed_methods, reason = "a seed that failed is tried again")]
pub(super) fn of_run() -> u64 {
    let any = || RandomState::new().build_hasher().finish();
    std::env::var("AVISHKAR_TEST_SEED").map_or_else(|_| any(), |seed| seed.parse().unwrap())
}
