//! Says once that this leader is ready, for those who may not begin before: `settled/lifecycle-manager`. It is taken back by
//! nobody: the next leader's epoch makes it void.

use chassis::reconcile::Outcome;
use common::record::epoch::SettledRecord;
use common::record::path;
use common::service::ServiceName;

use super::Duties;
use crate::records::{Error, load, save};

impl Duties<'_> {
    pub(super) async fn say_settled(&self) -> Result<Outcome, Error> {
        let shared = self.0;
        let at = path::settled(ServiceName::LifecycleManager);
        let said = load::<SettledRecord>(shared, &at).await?;
        let epoch = shared.seat.epoch().ok_or(Error::NotLeading)?;
        if said.as_ref().is_none_or(|said| said.record.epoch != epoch) {
            let record = SettledRecord { schema: 1, epoch };
            save(shared, &at, &record, said.map(|said| said.version)).await?;
        }
        Ok(Outcome::Settled)
    }
}
