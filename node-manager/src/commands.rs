//! What the topic `NodeManager` asks for: one file a command.

mod give_best_node;

use async_trait::async_trait;
use chassis::consumer::{self, Disposition, Incoming};
use chassis::service;
use common::message::NodeCommand;

use crate::shared::Shared;

pub(crate) use give_best_node::KIND;

/// The commands of this service.
#[derive(Debug)]
pub(crate) struct Commands<'a>(pub(crate) &'a Shared);

#[async_trait]
impl consumer::Commands for Commands<'_> {
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error> {
        match NodeCommand::decode(&message.envelope.msg) {
            Err(err) => Ok(Disposition::Refused(err.into())),
            Ok(command @ NodeCommand::GiveBestNode { .. }) => {
                Ok(give_best_node::accept(self.0, &message.envelope, command).await?)
            }
        }
    }
}
