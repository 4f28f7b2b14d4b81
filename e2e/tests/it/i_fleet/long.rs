//! Trials that take minutes: `make chaos` runs them, `make test` does not.

use e2e::fleet::Fleet;
use jiff::SignedDuration;

use super::hung::freeze;
use super::{WHOLE_WITHIN, whole_fleet};

/// Two of a kind are never started again at once: whoever does it waits for the first.
const APART: SignedDuration = SignedDuration::from_secs(10);

#[tokio::test]
async fn most_zookeepers_may_hang_and_no_person_is_needed() {
    let fleet: Fleet = whole_fleet().await;
    let ensemble = fleet.machines_with("zookeeper").await.unwrap();
    assert!(ensemble.len() >= 3, "{ensemble:?}");
    let again = freeze("zookeeper", &ensemble[..ensemble.len().div_ceil(2)]).await;
    let mut gaps = again.iter().zip(again.iter().skip(1));
    assert!(gaps.all(|(one, next)| next.duration_since(*one) >= APART), "{again:?}");
    fleet.ready(WHOLE_WITHIN).await.unwrap();
}
