//! How the number of an app's replicas follows its load.
//!
//! Owns what is kept of measurements ([`window`], [`demand`]), what is known of an app ([`known`]), and what is decided from both
//! ([`course`]); [`words`] say why. Time is passed in: `now` is how long the load balancer has been up.

mod busiest;
pub(crate) mod course;
pub(crate) mod demand;
pub(crate) mod hours;
pub(crate) mod known;
pub(crate) mod rest;
pub(crate) mod roster;
pub(crate) mod window;
pub(crate) mod words;

use std::time::Duration;

/// How the numbers of all apps are decided, besides what each app says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Over how many samples of each replica load is averaged.
    pub(crate) samples: usize,
    /// How many additions in a row may fail to lower the load.
    pub(crate) brake_after: u32,
    /// The platform's own most.
    pub(crate) most: u32,
    /// After this long, replicas that could not be placed are not wanted any more where they are not needed.
    pub(crate) place_within: Duration,
}
