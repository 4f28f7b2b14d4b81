//! The simulation as a test: its own determinism, the platform under a thousand seeds, and the proof that
//! the checker sees what is wrong.

mod blast;
mod calm;
mod fleet;
mod laws;
mod matrix;
mod plants;
mod replay;
mod seeds;
mod takeover;
