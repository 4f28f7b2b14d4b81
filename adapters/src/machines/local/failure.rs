//! What the engine's refusals mean for a machine.

use std::future::Future;
use std::time::Duration;

use bollard::errors::Error as Refusal;
use common::name::NodeName;
use common::port::machines::{Ability, Error};
use tokio::time::timeout;

/// What is being done with which machine, and for how long at most.
pub(super) struct Doing<'a> {
    pub(super) name: &'a NodeName,
    pub(super) what: Ability,
    pub(super) limit: Duration,
}

impl Doing<'_> {
    /// A call whose refusal the caller looks at.
    pub(super) async fn attempt<T>(
        &self,
        call: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<Result<T, Refusal>, Error> {
        timeout(self.limit, call).await.map_err(|_| Error::DeadlineExceeded {
            name: self.name.clone(),
            what: self.what,
            after: self.limit,
        })
    }

    pub(super) async fn done<T>(
        &self,
        call: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Error> {
        self.attempt(call).await?.map_err(|err| self.refused(err))
    }

    pub(super) fn refused(&self, err: Refusal) -> Error {
        let Some((status, message)) = said(&err) else { return unavailable(err) };
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        if message.contains("of CPUs is from") || message.contains("no space left on device") {
            return Error::Quota { name: self.name.clone(), what: message };
        }
        match status {
            404 if message.contains("No such container") => Error::NotFound(self.name.clone()),
            500.. if !message.contains("OCI runtime") => unavailable(err),
            _ => Error::Refused(message.chars().take(500).collect()),
        }
    }
}

pub(super) fn unavailable(err: Refusal) -> Error {
    Error::Unavailable(Box::new(err))
}

/// The engine's status and message, where it answered at all.
pub(super) fn said(err: &Refusal) -> Option<(u16, &str)> {
    if let Refusal::DockerResponseServerError { status_code, message } = err {
        return Some((*status_code, message));
    }
    None
}

pub(super) fn is_missing(err: &Refusal) -> bool {
    matches!(said(err), Some((404, _)))
}

/// The network is not there, or was made anew since.
pub(super) fn is_about_the_network(err: &Refusal) -> bool {
    said(err).is_some_and(|(_, message)| {
        message.starts_with("network ") && message.ends_with("not found")
            || message.contains("could not find a network matching")
    })
}

pub(super) fn is_about_the_address(err: &Refusal) -> bool {
    said(err).is_some_and(|(_, message)| message.contains("Address already in use"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status_code: u16, message: &str) -> Error {
        let name = "node-1".parse().unwrap();
        let doing = Doing { name: &name, what: Ability::Create, limit: Duration::ZERO };
        doing.refused(Refusal::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        })
    }

    #[test]
    fn what_the_computer_has_not_is_told_from_what_it_does_not_take() {
        let processors = "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available";
        assert!(matches!(refused(400, processors), Error::Quota { .. }));
        let disk = "mkdir /var/lib/docker/x: no space left on device";
        assert!(matches!(refused(500, disk), Error::Quota { .. }));
        assert!(matches!(refused(400, "Minimum memory limit"), Error::Refused(_)));
        assert!(matches!(refused(404, "No such image: x"), Error::Refused(_)));
        assert!(matches!(refused(404, "No such container: x"), Error::NotFound(_)));
        assert!(matches!(refused(500, "panic"), Error::Unavailable(_)));
    }
}
