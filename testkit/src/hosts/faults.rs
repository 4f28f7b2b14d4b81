//! What may go wrong with a machine on demand.

/// How a machine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    #[default]
    Answers,
    /// Nobody listens.
    Off,
    /// It takes connections and says nothing.
    Silent,
    /// It opens no further session.
    Exhausted,
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is lost before anything is done.
    CutBefore,
    /// It is done, and the connection is lost before the answer.
    CutAfter,
    /// Nothing is done, and the caller waits until its deadline.
    StuckBefore,
    /// It is done, and the caller waits until its deadline.
    StuckAfter,
}
