//! `GET /api/v1/nodes`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use chassis::records;
use common::name::NodeName;
use common::record::node::{Alive, Node};
use common::record::path;
use serde_json::{Value, json};

use super::problems::ApiError;
use crate::context::Context;

pub(super) async fn list(context: Data<Context>) -> Result<HttpResponse, ApiError> {
    let store = context.ports.store.as_ref();
    let mut nodes = Vec::new();
    for name in store.children(&path::folder("nodes")).await? {
        let Ok(name) = name.parse::<NodeName>() else { continue };
        let Some(node) = records::load::<Node>(store, &path::node(&name)).await? else { continue };
        let alive = records::load::<Alive>(store, &path::alive(&name)).await?;
        nodes.push(view(&node.record, alive.map(|stored| stored.record).as_ref()));
    }
    Ok(HttpResponse::Ok().json(nodes))
}

fn view(node: &Node, alive: Option<&Alive>) -> Value {
    json!({
        "name": node.name,
        "ip": node.ip,
        "os": node.os,
        "verdict": alive.map_or_else(|| json!("unknown"), |alive| json!(alive.verdict)),
        "reason": alive.map_or("the node manager has not looked at it yet", |alive| &alive.reason),
        "since": alive.map(|alive| alive.since),
    })
}
