//! A deployment manager that is careless with canaries and moves.

use common::port::store::Op;
use common::record;
use serde_json::Value;

use crate::gate::Gate;
use crate::plant::Plant;

/// With records of deployments as it writes them.
pub(super) fn edited(gate: &Gate, ops: Vec<Op>) -> Vec<Op> {
    let accepts =
        ops.iter().any(|op| op.path().as_str().ends_with(".deployment-manager.deploy-app"));
    let change = |mut op| {
        let standing = gate.world.truth.store.records(Op::path(&op)).into_iter().next();
        let standing = standing.and_then(|(_, value)| record::decode::<Value>(&value).ok());
        if let Op::Put { path, value, .. } = &mut op
            && path.as_str().starts_with("/avishkar/deployments/")
            && let (Some(standing), Ok(mut record)) = (standing, record::decode::<Value>(value))
        {
            let stays = accepts && gate.world.has(Plant::CanariesStay);
            let hurries = gate.world.has(Plant::MovesStopFirst);
            let hides = gate.world.has(Plant::BackOutsSayNothing);
            let edited = (stays && stay(&standing, &mut record).is_some())
                || (hurries && stop_first(&standing, &mut record).is_some())
                || (hides && say_nothing(&mut record).is_some());
            if edited {
                *value = record::encode(&record);
            }
        }
        op
    };
    ops.into_iter().map(change).collect()
}

/// What should be taken away goes on.
fn stay(standing: &Value, record: &mut Value) -> Option<()> {
    if record.pointer("/origin/way")? != "rolled_back" {
        return None;
    }
    let canary = standing.get("canary")?.clone();
    let rising = standing.get("adopted").or_else(|| standing.get("generation"))?.clone();
    let record = record.as_object_mut()?;
    record.insert("canary".to_owned(), canary);
    record.insert("adopted".to_owned(), rising);
    for field in ["image", "release"] {
        record.insert(field.to_owned(), standing.get(field)?.clone());
    }
    Some(())
}

/// The replica that moves goes before there is another one.
fn stop_first(standing: &Value, record: &mut Value) -> Option<()> {
    if standing.get("moving").is_some() {
        return None;
    }
    let old = record.pointer("/moving/old")?.clone();
    let mut slots = record.get_mut("slots")?.as_array_mut()?.iter_mut();
    let slot = slots.find(|slot| slot.get("placement_request") == Some(&old))?;
    slot["state"] = "leaving".into();
    Some(())
}

/// Why a canary was taken away is not kept.
fn say_nothing(record: &mut Value) -> Option<()> {
    let last = record.get("decisions")?.as_array()?.last()?;
    let has_gone_back = last["kind"] == "backed_out" && record["state"] == "running";
    has_gone_back.then_some(())?;
    record.as_object_mut()?.remove("failure").map(drop)
}
