//! `start platform`: what operators of a fleet say when it stands, is said here by the process itself, at each start. So
//! every service is placed on this machine, registered, and in document 001's `platform_status.json`.

use chassis::owed;
use common::id::{MessageId, RequestId};
use common::message::{BootstrapperCommand, Envelope};
use common::port::{Bus, Entropy};
use common::record::owed::Owed;
use common::topic::Topic;

const KEY: &str = "platform";

/// Asks the platform initializer. The services run in any case: that nobody could be asked is logged.
pub(super) async fn start(bus: &dyn Bus, entropy: &dyn Entropy) {
    let request = RequestId(entropy.uuid());
    let envelope = Envelope {
        to_topic: Topic::Bootstrapper,
        from_topic: Topic::FirstTopic,
        request_id: request,
        msg: BootstrapperCommand::Start.encode(),
    };
    let message_id = MessageId(request.derive("message").0);
    let message = Owed { message_id, key: KEY.to_owned(), envelope, details: None };
    if let Err(err) = owed::publish(bus, &[message]).await {
        tracing::warn!(
            error = &err as &dyn std::error::Error,
            "the platform initializer was not asked to start the platform"
        );
    }
}
