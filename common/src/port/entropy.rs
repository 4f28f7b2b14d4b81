//! Randomness.

use std::fmt::Debug;

use uuid::Uuid;

/// Draws random values. Nothing else in the platform does.
pub trait Entropy: Debug + Send + Sync {
    /// A new UUID, version 7.
    fn uuid(&self) -> Uuid;

    /// 32 bytes nobody can guess.
    fn secret(&self) -> [u8; 32];
}
