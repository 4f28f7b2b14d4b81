//! `need node$<reason>`: a machine more is wanted.

use chassis::operations::{self, Acceptance, Request};
use chassis::records::{self, Stored};

use super::{Error, decided, offer};
use crate::records::{MOST_WANTED, Provision, Wanted, load, provision_path};
use crate::shared::{Duty, Shared};

pub(crate) async fn accept(
    shared: &Shared,
    request: &Request,
    wanted: Wanted,
) -> Result<Acceptance, Error> {
    let accepted = decided(shared, || once(shared, request, &wanted)).await?;
    shared.duties.wake(Duty::Provision);
    Ok(accepted)
}

async fn once(shared: &Shared, request: &Request, wanted: &Wanted) -> Result<Acceptance, Error> {
    let (mut provision, version) = match load::<Provision>(shared, &provision_path()).await? {
        Some(Stored { record, version }) => (record, Some(version)),
        None => (Provision { schema: 1, ..Provision::default() }, None),
    };
    if provision.waiting.len() >= MOST_WANTED {
        let known = operations::look_up(shared.ports.store.as_ref(), request).await?;
        return known.ok_or(Error::Crowded);
    }
    provision.waiting.push(wanted.clone());
    let change = records::put(provision_path(), &provision, version);
    offer(shared, request, wanted.by, vec![change]).await
}
