use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::readiness::watch_store;
use testkit::MemoryStore;
use tokio::time::sleep;

/// Longer than between two looks.
const SOON: Duration = Duration::from_secs(11);

#[tokio::test(start_paused = true)]
async fn a_store_that_is_lost_is_told_and_so_is_its_return() {
    let (store, lifecycle) = (MemoryStore::new(), Lifecycle::new());
    let condition = lifecycle.condition("store");
    let story = async {
        sleep(SOON).await;
        assert!(lifecycle.is_ready());
        store.go_down();
        sleep(SOON).await;
        let why = lifecycle.readiness().remove("store").unwrap();
        assert_eq!(why, Err("the store is unavailable".to_owned()));
        store.come_back();
        sleep(SOON).await;
        assert!(lifecycle.is_ready());
        lifecycle.stop();
    };
    futures::join!(watch_store(&store, &condition, &lifecycle), story);
}
