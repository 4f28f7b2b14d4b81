//! `upgrade service$`, `move service$` and `scale service$`: the wish is changed, and it is written down who waits for it; the reconciler sees
//! how it ends.

use chassis::operations::{self, Acceptance, Request};
use chassis::records::{self, Stored};
use common::failure::{Failure, FailureCode};
use common::id::RequestId;
use common::message::BootstrapperCommand;
use common::name::LegacyName;
use common::port::Store;
use common::port::store::Op;
use common::record::change::ServiceChange;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::record::platform::PlacedService;

use super::{ATTEMPTS, request, seen};
use crate::domain::change::{Asked, Begun, Scene, begin};
use crate::domain::order::{PLACEABLE, by_name};
use crate::observe::machines;
use crate::outcome::{change_operation, change_owed};
use crate::records::{Error, platform};
use crate::shared::Shared;

/// A change of one service, as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// By any of its names.
    pub(crate) service: LegacyName,
    pub(crate) asked: Asked,
}

impl Wanted {
    pub(crate) fn command(&self) -> BootstrapperCommand {
        let service = self.service.clone();
        match self.asked.clone() {
            Asked::Upgrade { image } => BootstrapperCommand::UpgradeService { service, image },
            Asked::Move { from, to } => BootstrapperCommand::MoveService { service, from, to },
            Asked::Scale { instances } => BootstrapperCommand::ScaleService { service, instances },
        }
    }
}

/// Accepts a request once. One that cannot be done is accepted too, and has failed.
pub(crate) async fn accept(
    shared: &Shared,
    id: RequestId,
    wanted: &Wanted,
) -> Result<Acceptance, Error> {
    let request = request(id, &wanted.command());
    for _ in 0..ATTEMPTS {
        match try_accept(shared, &request, wanted).await {
            Err(err) if err.is_changed() => shared.ports.store.sync().await?,
            done => return seen(shared, done),
        }
    }
    Err(records::Error::Changed.into())
}

async fn try_accept(
    shared: &Shared,
    request: &Request,
    wanted: &Wanted,
) -> Result<Acceptance, Error> {
    let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
    if let Some(known) = operations::look_up(store, request).await? {
        return Ok(known);
    }
    if shared.config.single_process {
        let message =
            "the services of this platform are one process: it is upgraded and moved as one";
        return refused(shared, request, Failure::new(FailureCode::SingleProcess, message)).await;
    }
    let Some(service) = by_name(wanted.service.as_str()) else {
        return refused(shared, request, unknown(&wanted.service)).await;
    };
    let placed_at = path::placed_service(service);
    let placed: Option<Stored<PlacedService>> = records::load(store, &placed_at).await?;
    let change_at = path::service_change(service);
    let before: Option<Stored<ServiceChange>> = records::load(store, &change_at).await?;
    let platform = platform(shared).await?;
    let now = clock.now();
    let machines = machines(store, &shared.config, now).await?;
    let services = all_placed(store).await?;
    let scene = Scene {
        platform: platform.as_ref().map(|stored| &stored.record),
        placed: placed.as_ref().map(|stored| &stored.record),
        services: &services,
        machines: &machines,
        before: before.as_ref().map(|stored| &stored.record),
        rules: &shared.config.rules,
        request: request.id,
        now,
    };
    let Begun { placed: wish, mut change, ended } =
        match begin(service, wanted.asked.clone(), &scene) {
            Ok(begun) => begun,
            Err(failure) => return refused(shared, request, failure).await,
        };
    let mut changes: Vec<Op> = Vec::new();
    change.owed = before.as_ref().map(|stored| stored.record.owed.clone()).unwrap_or_default();
    if let Some(ended) = ended {
        let outcome = Outcome::Superseded;
        change.owed.push(change_owed(&ended, &outcome));
        changes.extend(operations::conclude(store, &change_operation(&ended), outcome).await?);
    }
    // What was decided from has to stand when it is written: a start or a stop that begins meanwhile comes first.
    changes.extend(
        platform.map(|stored| Op::Check { path: path::platform(), version: stored.version }),
    );
    changes.push(records::put(placed_at, &wish, placed.map(|stored| stored.version)));
    changes.push(records::put(change_at, &change, before.map(|stored| stored.version)));
    Ok(operations::accept(store, clock, request, changes).await?)
}

async fn all_placed(store: &dyn Store) -> Result<Vec<PlacedService>, records::Error> {
    let mut services = Vec::new();
    for service in PLACEABLE {
        let placed: Option<Stored<PlacedService>> =
            records::load(store, &path::placed_service(service)).await?;
        services.extend(placed.map(|stored| stored.record));
    }
    Ok(services)
}

/// Services that nobody starts here are of the base, and come with the platform's description.
fn unknown(service: &LegacyName) -> Failure {
    let message = format!("{service} is none of the services that are started and stopped here");
    Failure::new(FailureCode::ServiceUnknown, message)
}

/// It ends as it is accepted.
async fn refused(
    shared: &Shared,
    request: &Request,
    failure: Failure,
) -> Result<Acceptance, Error> {
    let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
    let mut operation = Operation::accepted(request.fingerprint.clone(), clock.now());
    operation.outcome = Some(Outcome::Failed { failure, details: None });
    records::save(store, &request.path(), &operation, None).await?;
    Ok(Acceptance::Repeat(operation))
}
