//! Document 001's path of its fault manager.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json};
use chassis::http::Refusal;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::refusals::of_records;
use crate::discover::Entry;
use crate::domain::target::Target;
use crate::domain::verdict::Verdict;
use crate::records::TargetRecord;
use crate::shared::Shared;

/// Document 001's way to write a time, in UTC.
const TIME: &str = "%Y-%m-%d %H:%M:%S";

/// One entry of the registry with how it is.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    #[serde(flatten)]
    whose: Whose,
    ip: String,
    port: Option<u16>,
    /// `Ok` or `Down`; `Unknown` before enough was seen of it, which document 001's programs take for not `Ok`.
    status: &'static str,
    timestamp: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Whose {
    Service(String),
    App(String),
}

/// Every entry of the registry: services as they were looked at, replicas as their app is.
pub(super) async fn check_health(shared: Data<Shared>) -> Result<Json<Vec<Checked>>, Refusal> {
    let view = &shared.view;
    let targets = view.targets(&shared).await.map_err(|err| of_records(&err))?;
    let services = view.services(&shared).await.map_err(|err| of_records(&err))?;
    let apps = view.apps(&shared).await.map_err(|err| of_records(&err))?;
    let verdict = |record: TargetRecord| (record.target, record.verdict);
    let verdicts: BTreeMap<Target, Verdict> = targets.into_iter().map(verdict).collect();
    let now = shared.ports.clock.now();
    let service = |entry: Entry| {
        let target = Target::Service { name: entry.name.clone(), instance: entry.instance.clone() };
        checked(Whose::Service(entry.name.to_string()), &entry, verdicts.get(&target), now)
    };
    let app = |entry: Entry| {
        let (app, model) =
            (Target::App { name: entry.name.clone() }, Target::Model { name: entry.name.clone() });
        let verdict = verdicts.get(&app).or_else(|| verdicts.get(&model));
        checked(Whose::App(entry.name.to_string()), &entry, verdict, now)
    };
    Ok(Json(services.into_iter().map(service).chain(apps.into_iter().map(app)).collect()))
}

fn checked(whose: Whose, entry: &Entry, verdict: Option<&Verdict>, now: Timestamp) -> Checked {
    let address = entry.address.as_str();
    let (ip, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let status = match verdict {
        Some(Verdict::Up) => "Ok",
        Some(Verdict::Down) => "Down",
        Some(Verdict::Unknown) | None => "Unknown",
    };
    let timestamp = now.to_zoned(TimeZone::UTC).strftime(TIME).to_string();
    Checked { whose, ip: ip.to_owned(), port: port.parse().ok(), status, timestamp }
}
