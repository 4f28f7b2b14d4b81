//! A restart is wanted: it is written down that somebody waits for it, and the reconciler decides the rest.

use chassis::operations::{self, Acceptance, Request};
use chassis::records::{self, Stored};

use super::{Error, decided, offer};
use crate::domain::target::Target;
use crate::records::{Asked, By, MOST_WAITING, Restart, load, restart_path};
use crate::shared::{Duty, Shared};

pub(crate) async fn accept(
    shared: &Shared,
    request: &Request,
    target: &Target,
    asked: Asked,
) -> Result<Acceptance, Error> {
    let accepted = decided(shared, || once(shared, request, target, &asked)).await?;
    shared.restarts.wake(target.clone());
    // What is asked for at once may be an alarm.
    if let Some(kind) = target.brake() {
        shared.duties.wake(Duty::Alarm(kind.into()));
    }
    Ok(accepted)
}

async fn once(
    shared: &Shared,
    request: &Request,
    target: &Target,
    asked: &Asked,
) -> Result<Acceptance, Error> {
    let (mut restart, version) = match load::<Restart>(shared, &restart_path(target)).await? {
        Some(Stored { record, version }) => (record, Some(version)),
        None => (Restart::new(target.clone()), None),
    };
    if restart.waiting.len() >= MOST_WAITING {
        let store = shared.ports.store.as_ref();
        let known = operations::look_up(store, request).await?;
        return known.ok_or(Error::Crowded);
    }
    match asked.by {
        By::Message | By::Probe => restart.asked = Some(asked.at),
        By::Operator => {}
    }
    restart.waiting.push(asked.clone());
    let change = records::put(restart_path(target), &restart, version);
    offer(shared, request, asked.by, vec![change]).await
}
