//! `/api/v1/verdicts` and `/api/v1/incidents`: what was said, and what came of it.

use std::cmp::Reverse;

use actix_web::web::{Data, Json, Query};
use chassis::http::Refusal;
use common::id::RequestId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusals::of_records;
use crate::domain::verdict::Verdict;
use crate::records::{Incident, TargetRecord};
use crate::shared::Shared;

/// What holds for one target.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    /// `service`, `node`, `app`; `fleet` of all of a kind together.
    kind: &'static str,
    name: String,
    /// Which instance of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    verdict: Verdict,
    why: String,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<RequestId>,
    /// How many restarts were asked for since it was last calm.
    restarts: u32,
}

impl From<TargetRecord> for Said {
    fn from(record: TargetRecord) -> Self {
        let TargetRecord { target, verdict, why, since, incident, restarts, .. } = record;
        Said {
            kind: target.kind_name(),
            name: target.name().to_owned(),
            instance: target.instance().map(str::to_owned),
            verdict,
            why,
            since,
            incident,
            restarts,
        }
    }
}

/// Every verdict, in the order of kinds and names.
pub(super) async fn verdicts(shared: Data<Shared>) -> Result<Json<Vec<Said>>, Refusal> {
    let mut targets = shared.view.targets(&shared).await.map_err(|err| of_records(&err))?;
    targets.sort_by(|one, other| one.target.cmp(&other.target));
    Ok(Json(targets.into_iter().map(Said::from).collect()))
}

/// One incident.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    incident: RequestId,
    kind: &'static str,
    name: String,
    text: String,
    opened_at: Timestamp,
    /// None while it is open.
    closed_at: Option<Timestamp>,
    restarts: u32,
    /// How many messages and notices are still to be sent.
    owed: usize,
}

impl From<Incident> for Told {
    fn from(incident: Incident) -> Self {
        Told {
            incident: incident.id,
            kind: incident.target.kind_name(),
            name: incident.target.name().to_owned(),
            owed: incident.owed.len() + incident.notices.len(),
            text: incident.text,
            opened_at: incident.opened_at,
            closed_at: incident.closed_at,
            restarts: incident.restarts,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IncidentsQuery {
    /// Only those that are open, or only those that are over; all if it is left out.
    open: Option<bool>,
}

/// The incidents that are kept, the latest first.
pub(super) async fn incidents(
    shared: Data<Shared>,
    query: Query<IncidentsQuery>,
) -> Result<Json<Vec<Told>>, Refusal> {
    let mut incidents = shared.view.incidents(&shared).await.map_err(|err| of_records(&err))?;
    if let Some(open) = query.open {
        incidents.retain(|incident| incident.closed_at.is_none() == open);
    }
    incidents.sort_by_key(|incident| Reverse((incident.opened_at, incident.id)));
    Ok(Json(incidents.into_iter().map(Told::from).collect()))
}
