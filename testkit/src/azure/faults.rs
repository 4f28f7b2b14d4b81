//! What goes wrong on demand.

/// How one request ends instead of well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Too many requests: this one may be repeated after so many seconds.
    Throttled(u32),
    /// Something else is done to it at the moment.
    Busy,
    /// The service is out of order for a moment.
    Broken,
    /// It is refused with this status, code and message.
    Refused(u16, &'static str, &'static str),
    /// It never arrives.
    NotReceived,
    /// It has its effect, and the answer is lost.
    AnswerLost,
    /// The operation that it begins ends as failed, with this code and message.
    EndsFailed(&'static str, &'static str),
    /// The operation that it begins is told by `Location` only.
    LocationOnly,
    /// What it begins is told by the resource itself only.
    NoLink,
    /// The operation that it begins would have to be looked at elsewhere.
    LinkElsewhere,
}
