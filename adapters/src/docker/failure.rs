//! What the engine's refusals mean.

use std::future::Future;
use std::time::Duration;

use bollard::errors::Error as Refusal;
use common::port::containers::Error;

/// A call with a deadline. Without an answer in time the outcome is unknown.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Error> {
    attempt(limit, call).await?.map_err(classify)
}

/// A call with a deadline whose refusal the caller looks at.
pub(super) async fn attempt<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Refusal>>,
) -> Result<Result<T, Refusal>, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer),
        Err(_) => Err(Error::Unavailable(format!("no answer within {limit:?}").into())),
    }
}

/// The engine's status code and message, where it answered at all.
pub(super) fn said(err: &Refusal) -> Option<(u16, &str)> {
    if let Refusal::DockerResponseServerError { status_code, message } = err {
        return Some((*status_code, message));
    }
    if let Refusal::DockerStreamError { error } = err {
        return Some((500, error));
    }
    None
}

pub(super) fn is_missing(err: &Refusal) -> bool {
    matches!(said(err), Some((404, _)))
}

/// Somebody else started or stopped it just now.
pub(super) fn is_so_already(err: &Refusal) -> bool {
    matches!(said(err), Some((304, _)))
}

/// Its network, not its image or itself, is what the engine does not find. An image may be called anything.
pub(super) fn lacks_network(err: &Refusal) -> bool {
    let about_network =
        |message: &str| message.contains("network") && !message.contains("No such image");
    matches!(said(err), Some((404, message)) if about_network(message))
}

pub(super) fn lacks_port(err: &Refusal) -> bool {
    said(err).is_some_and(|(_, message)| {
        message.contains("port is already allocated") || message.contains("address already in use")
    })
}

pub(super) fn classify(err: Refusal) -> Error {
    let Some((status, message)) = said(&err) else { return Error::Unavailable(Box::new(err)) };
    if message.contains("no space left on device") {
        return Error::Full(Box::new(err));
    }
    // The runtime's refusals come as 500 too, but say what is wrong with the container.
    let about_the_container = status < 500 || message.contains("OCI runtime");
    if about_the_container {
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        return Error::Refused(message.chars().take(500).collect());
    }
    Error::Unavailable(Box::new(err))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status_code: u16, message: &str) -> Refusal {
        Refusal::DockerResponseServerError { status_code, message: message.to_owned() }
    }

    #[test]
    fn refusals_are_told_from_outages() {
        let full = "write /var/lib/docker/tmp/x: no space left on device";
        assert!(matches!(classify(answer(500, full)), Error::Full(_)));
        let command = "OCI runtime create failed: exec: \"serve\": not found in $PATH";
        assert!(matches!(classify(answer(400, command)), Error::Refused(_)));
        assert!(matches!(classify(answer(500, "panic")), Error::Unavailable(_)));
    }

    #[test]
    fn a_missing_network_is_told_from_a_missing_image_of_any_name() {
        let image = "No such image: registry:5000/apps/social-network@sha256:00";
        assert!(is_missing(&answer(404, image)) && !lacks_network(&answer(404, image)));
        assert!(lacks_network(&answer(404, "network avishkar_net_1 not found")));
    }

    #[test]
    fn a_taken_port_is_known_by_both_of_its_spellings() {
        let by_docker = "driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated";
        let by_kernel =
            "Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use";
        assert!(lacks_port(&answer(500, by_docker)) && lacks_port(&answer(500, by_kernel)));
        assert!(!lacks_port(&answer(404, "network avishkar_net_1 not found")));
    }
}
