//! [`SeededEntropy`]: the same random values in every run.

use std::sync::{Mutex, PoisonError};

use common::port::Entropy;
use uuid::{Builder, Uuid};

/// 2026-01-01T00:00:00Z in milliseconds; each UUID is a millisecond younger than the one before.
const FIRST_MILLISECOND: u64 = 1_767_225_600_000;

/// Draws values that follow from a seed. UUIDs are version 7 and grow. Nothing here is secret.
#[derive(Debug)]
pub struct SeededEntropy {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: u64,
    millisecond: u64,
}

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        SeededEntropy { state: Mutex::new(State { random: seed, millisecond: FIRST_MILLISECOND }) }
    }

    fn draw(&self) -> (u64, [u64; 4]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.millisecond += 1;
        (state.millisecond, std::array::from_fn(|_| state.next()))
    }
}

impl State {
    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn bytes(words: [u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(words.into_iter().flat_map(u64::to_le_bytes)) {
        *to = from;
    }
    bytes
}

impl Entropy for SeededEntropy {
    fn uuid(&self) -> Uuid {
        let (millisecond, words) = self.draw();
        let mut tail = [0; 10];
        tail.iter_mut().zip(bytes(words)).for_each(|(to, from)| *to = from);
        Builder::from_unix_timestamp_millis(millisecond, &tail).into_uuid()
    }

    fn secret(&self) -> [u8; 32] {
        bytes(self.draw().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_sequence() {
        let (one, same, other) =
            (SeededEntropy::new(7), SeededEntropy::new(7), SeededEntropy::new(8));
        assert_eq!(one.uuid(), same.uuid());
        assert_eq!(one.secret(), same.secret());
        assert_ne!(one.uuid(), other.uuid());
        assert_ne!(one.secret(), other.secret());
    }

    #[test]
    fn uuids_are_version_7_and_grow() {
        let entropy = SeededEntropy::new(1);
        let drawn: Vec<Uuid> = (0..100).map(|_| entropy.uuid()).collect();
        assert!(drawn.iter().all(|uuid| uuid.get_version_num() == 7));
        assert!(drawn.is_sorted_by(|a, b| a < b));
    }
}
