//! How long things may take.

use jiff::SignedDuration;

/// The deadlines of the plan. All are counted from a time that stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the acceptance of a deploy to its end.
    pub deploy: SignedDuration,
    /// From the acceptance of a stop to its end.
    pub stop: SignedDuration,
    /// From a failure to its notice, while what was made is unmade.
    pub undo: SignedDuration,
    /// From a question to its repetition; doubles with each new placement of a replica that is no
    /// part of a deploy.
    pub ask: SignedDuration,
    /// How long the first answer waits for the others, so that replicas start together.
    pub gather: SignedDuration,
    /// How long a node may be unreachable before a replica is placed anew, or left to the sweep.
    pub node: SignedDuration,
    /// How long an image may be unavailable.
    pub image: SignedDuration,
    /// From the start of a container to its first healthy answer.
    pub health: SignedDuration,
    /// How long the edge may refuse a route, or not answer through it.
    pub front: SignedDuration,
    /// How long what has taken over is watched before what was served before is let go.
    pub watch: SignedDuration,
    /// How long a new replica may take that another one moves for.
    pub moving: SignedDuration,
    /// The interval in which one replica of all apps may begin to move.
    pub rebalance: SignedDuration,
    /// How long the record of a removed deployment is kept.
    pub tombstone: SignedDuration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = SignedDuration::from_secs;
        Patience {
            deploy: seconds(600),
            stop: seconds(120),
            undo: seconds(60),
            ask: seconds(5),
            gather: SignedDuration::from_millis(100),
            node: seconds(10),
            image: seconds(30),
            health: seconds(60),
            front: seconds(30),
            watch: SignedDuration::ZERO,
            moving: seconds(120),
            rebalance: seconds(60),
            tombstone: seconds(3600),
        }
    }
}

impl Patience {
    /// When a question that was asked at its `attempt`th placement is asked again.
    pub(crate) fn ask_again(&self, attempt: u32) -> SignedDuration {
        self.ask * 2_i32.pow(attempt.min(6))
    }
}
