//! The end of old incidents: so many days after they are over, or when there are too many.

use std::time::Duration;

use chassis::leading::Error;
use chassis::lifecycle::Lifecycle;
use chassis::records::Stored;
use common::port::store::Op;
use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use crate::records::{Incident, all, incident_path, incidents};
use crate::shared::Shared;

const BEAT: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_mins(10);
/// Each is a write of its own.
const COLLECT_WITHIN: Duration = Duration::from_mins(10);
/// More of them are not kept, however young.
const AT_MOST: usize = 1000;

/// Never ends.
pub(crate) async fn keep_house(shared: &Shared, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("housekeeping");
    let mut due = Instant::now() + EVERY;
    loop {
        sleep(BEAT).await;
        beat.now();
        if Instant::now() < due {
            continue;
        }
        due = Instant::now() + EVERY;
        beat.busy_for(COLLECT_WITHIN);
        match collect(shared).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old incidents were removed"),
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "old incidents were not removed"
                );
            }
        }
    }
}

/// Removes what is old; returns how many.
async fn collect(shared: &Shared) -> Result<usize, Error> {
    let mut kept = all::<Incident>(shared, &incidents()).await?;
    kept.sort_by_key(|stored| stored.record.opened_at);
    shared.owes_notices(kept.iter().map(|stored| stored.record.notices.len()).sum());
    let now = shared.ports.clock.now();
    let keep = SignedDuration::from_hours(24 * i64::from(shared.config.keep_days));
    let mut surplus = kept.len().saturating_sub(AT_MOST);
    let mut removed = 0;
    for Stored { record, version } in kept {
        let Some(closed_at) = record.closed_at.filter(|_| record.is_told()) else { continue };
        if now.duration_since(closed_at) <= keep && surplus == 0 {
            continue;
        }
        surplus = surplus.saturating_sub(1);
        let gone = vec![Op::Delete { path: incident_path(record.id), version }];
        match shared.seat.commit(gone).await {
            Ok(_) => removed += 1,
            Err(err) if err.is_changed() => {}
            Err(err) => return Err(err),
        }
    }
    Ok(removed)
}
