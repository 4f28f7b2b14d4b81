//! `/api/v1/nodes/{node}/disk`: what the platform has on a node's disk, and the removal of what nobody refers to. Both are
//! the node's own doing: it is asked here, and answers for it.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use chassis::records;
use common::name::NodeName;
use common::port::disk::{Collection, Disk, Outcome};
use common::port::nodes::{Agent, Error as NodeError};
use common::problem::Problem;
use common::record::node::Node;
use common::record::path;
use serde_json::json;
use tokio::time::timeout;

use super::problems::ApiError;
use crate::context::Context;

/// The engine sums up what its images take.
const LOOK_WITHIN: Duration = Duration::from_secs(25);
/// Images are removed one after the other.
const COLLECT_WITHIN: Duration = Duration::from_mins(5);

pub(super) async fn show(
    context: Data<Context>,
    node: Path<NodeName>,
) -> Result<HttpResponse, ApiError> {
    let agent = agent(&context, &node).await?;
    let asked = timeout(LOOK_WITHIN, context.ports.nodes.disk(&agent)).await;
    let disk = asked.map_err(|_| silent(&node))?.map_err(|err| failed(&err))?;
    Ok(HttpResponse::Ok().json(view(&node, &disk)))
}

pub(super) async fn collect(
    context: Data<Context>,
    node: Path<NodeName>,
    collection: Json<Collection>,
) -> Result<HttpResponse, ApiError> {
    let agent = agent(&context, &node).await?;
    let asked = timeout(COLLECT_WITHIN, context.ports.nodes.collect(&agent, &collection)).await;
    let collected = asked.map_err(|_| silent(&node))?.map_err(|err| failed(&err))?;
    let item = |item: &Outcome| {
        json!({
            "kind": item.kind,
            "digest": item.digest,
            "names": item.names,
            "own_bytes": item.own_bytes,
            "stays": item.stays,
        })
    };
    Ok(HttpResponse::Ok().json(json!({
        "node": &*node,
        "mode": collected.mode,
        "before": collected.before,
        "after": collected.after,
        "freed_bytes": collected.freed_bytes(),
        "items": collected.items.iter().map(item).collect::<Vec<_>>(),
    })))
}

async fn agent(context: &Context, node: &NodeName) -> Result<Agent, ApiError> {
    let store = context.ports.store.as_ref();
    let stored = records::load::<Node>(store, &path::node(node)).await?;
    let unknown = || {
        let detail = format!("no node is called {node}");
        let problem = Problem::new(404, "NODE_UNKNOWN", "There is no such node", detail);
        ApiError::new(problem.hint("see what there is with GET /api/v1/nodes"))
    };
    let node = stored.ok_or_else(unknown)?.record;
    Ok(Agent { node: node.name, address: node.agent })
}

fn view(node: &NodeName, disk: &Disk) -> serde_json::Value {
    let bundles = disk.bundles.iter().map(|bundle| {
        json!({
            "digest": bundle.digest,
            "bytes": bundle.bytes,
            "references": bundle.references.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    let images = disk.images.iter().map(|item| {
        json!({
            "kind": item.kind,
            "digest": item.digest,
            "names": item.names,
            "bytes": item.bytes,
            "own_bytes": item.own_bytes,
            "created": item.created,
            "references": item.references.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    let mut view = json!({
        "node": node,
        "at": disk.at,
        "space": disk.space,
        "collectable_bytes": disk.collectable_bytes(),
        "images": images.collect::<Vec<_>>(),
        "bundles": bundles.collect::<Vec<_>>(),
    });
    if let (Some(space), Some(members)) = (disk.bundle_space, view.as_object_mut()) {
        members.insert("bundle_space".to_owned(), json!(space));
    }
    view
}

fn failed(err: &NodeError) -> ApiError {
    tracing::warn!(error = err as &dyn std::error::Error, "a node's disk cannot be asked about");
    unavailable(err.to_string())
}

fn silent(node: &NodeName) -> ApiError {
    unavailable(format!("node {node} does not answer"))
}

fn unavailable(detail: String) -> ApiError {
    let title = "The node does not say what is on its disk";
    let problem = Problem::new(503, "NODE_UNAVAILABLE", title, detail);
    ApiError::new(problem.hint("see how it is with GET /api/v1/nodes"))
}
