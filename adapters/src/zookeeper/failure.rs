//! What the client's errors mean to a caller: whether something may have been done.

use common::port::store::Error;
use zookeeper_client as zk;

/// Whether asking again may help: the answer was lost with the connection, or with the session.
pub(super) fn is_passing(err: &zk::Error) -> bool {
    !is_refusal(err)
}

/// The server understood and will never do it.
fn is_refusal(err: &zk::Error) -> bool {
    matches!(
        err,
        zk::Error::BadArguments(_)
            | zk::Error::InvalidAcl
            | zk::Error::MarshallingError
            | zk::Error::NoAuth
            | zk::Error::NoChildrenForEphemerals
            | zk::Error::QuotaExceeded
            | zk::Error::Unimplemented
    )
}

/// The server said that it did nothing, or the request was never sent.
fn is_undone(err: &zk::Error) -> bool {
    matches!(
        err,
        zk::Error::AuthFailed
            | zk::Error::ClientClosed
            | zk::Error::NoHosts
            | zk::Error::NotReadOnly
            | zk::Error::SessionExpired
            | zk::Error::SessionMoved
            | zk::Error::Throttled
    )
}

pub(super) fn of_read(err: zk::Error) -> Error {
    if is_refusal(&err) { Error::Refused(err.to_string()) } else { Error::Unavailable(err.into()) }
}

/// An error of a request that changes something: what is not known to be undone may be done.
pub(super) fn of_write(err: zk::Error) -> Error {
    if is_refusal(&err) {
        Error::Refused(err.to_string())
    } else if is_undone(&err) {
        Error::Unavailable(err.into())
    } else {
        Error::OutcomeUnknown(err.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_leaves_the_outcome_open_and_an_expired_session_does_not() {
        assert!(matches!(of_write(zk::Error::ConnectionLoss), Error::OutcomeUnknown(_)));
        assert!(matches!(of_write(zk::Error::Timeout), Error::OutcomeUnknown(_)));
        assert!(matches!(of_write(zk::Error::SessionExpired), Error::Unavailable(_)));
        assert!(matches!(of_write(zk::Error::QuotaExceeded), Error::Refused(_)));
        assert!(matches!(of_read(zk::Error::ConnectionLoss), Error::Unavailable(_)));
    }
}
