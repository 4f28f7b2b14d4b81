//! What is decided, and nothing that is done: pure functions of records and observations.
//!
//! Never waits, never reads a clock, never draws a random number. Reading order: [`observed`] is what
//! is known, [`replicas`] is which replicas there should be, [`plan`] is the next [`step`],
//! [`change`] is what a step did to the record.

pub(crate) mod accept;
pub(crate) mod change;
pub(crate) mod context;
pub(crate) mod course;
pub(crate) mod dockerfile;
mod images;
pub(crate) mod moving;
pub(crate) mod need;
pub(crate) mod observed;
pub(crate) mod patience;
pub(crate) mod placement;
pub(crate) mod plan;
pub(crate) mod rebalance;
pub(crate) mod releases;
pub(crate) mod replicas;
pub(crate) mod share;
pub(crate) mod spec;
pub(crate) mod step;
pub(crate) mod verdict;
pub(crate) mod words;

#[cfg(test)]
mod simulation;
