//! `/api/v1/nodes/{node}/drain`: a node is drained, and returned.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chassis::http::Refusal;
use common::name::NodeName;

use super::refusals::{last_node, node_unknown, of_leading};
use crate::drains::{self, Answer, Wish};
use crate::shared::Shared;

pub(super) async fn begin(
    shared: Data<Shared>,
    node: Path<NodeName>,
) -> Result<HttpResponse, Refusal> {
    drained(&shared, &node).await?;
    Ok(HttpResponse::Accepted().finish())
}

pub(super) async fn end(
    shared: Data<Shared>,
    node: Path<NodeName>,
) -> Result<HttpResponse, Refusal> {
    returned(&shared, &node).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Somebody wants a node to serve nothing of apps.
pub(crate) async fn drained(shared: &Shared, node: &NodeName) -> Result<(), Refusal> {
    change(shared, node, Wish::Drain).await?;
    tracing::warn!(node.id = %node, "drained: it gets nothing of apps until it is returned");
    Ok(())
}

/// Somebody wants it to be used again.
pub(crate) async fn returned(shared: &Shared, node: &NodeName) -> Result<(), Refusal> {
    change(shared, node, Wish::Return).await?;
    tracing::warn!(node.id = %node, "returned: it may get something of apps again");
    Ok(())
}

async fn change(shared: &Shared, node: &NodeName, wish: Wish) -> Result<(), Refusal> {
    match drains::change(shared, node, wish).await.map_err(|err| of_leading(&err))? {
        Answer::Done => Ok(()),
        Answer::Unknown => Err(node_unknown(node)),
        Answer::LastNode => Err(last_node(node)),
    }
}
