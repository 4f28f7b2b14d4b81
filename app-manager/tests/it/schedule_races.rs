//! What becomes of a schedule between two reads of who keeps it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::port::Store;
use common::port::store::{Change, Done, Entry, Error, Op, Path};
use common::record::instance::{Instance, State};
use common::record::{encode, path};
use futures::stream::BoxStream;
use serde_json::{Value, json};
use testkit::MemoryStore;
use tokio::time::timeout;

use crate::schedule_restarts::world;

/// A store in which something is written just after a record was read for the first time.
#[derive(Debug)]
struct Between {
    store: MemoryStore,
    read: Path,
    writes: Mutex<Vec<(Path, Bytes)>>,
}

#[async_trait]
impl Store for Between {
    async fn get(&self, path: &Path) -> Result<Option<Entry>, Error> {
        let found = self.store.get(path).await;
        if *path == self.read {
            for (path, value) in std::mem::take(&mut *self.writes.lock().unwrap()) {
                self.store.seed(&path, value);
            }
        }
        found
    }

    async fn children(&self, path: &Path) -> Result<Vec<String>, Error> {
        self.store.children(path).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        self.store.commit(ops).await
    }

    async fn sync(&self) -> Result<(), Error> {
        self.store.sync().await
    }

    async fn watch(&self, path: &Path) -> Result<BoxStream<'static, Change>, Error> {
        self.store.watch(path).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_waits_for_its_time_and_not_where_its_schedule_is_taken_away_just_then() {
    for (taken_away, state) in [(false, State::Scheduled), (true, State::Stopped)] {
        let world = world();
        let instance = Instance { state: State::Stopped, ..world.instance("shop") };
        let (at, of_instance) = (path::schedule(&instance.name), path::instance(&instance.name));
        let mut scheduled: Value = world.read(&at).unwrap();
        // Half an hour from now.
        scheduled["wish"]["schedule"]["when"]["expression"] = json!("30 * * * *");
        world.write(&at, &scheduled);
        world.write(&of_instance, &instance);
        // As they are left by who takes it away.
        scheduled["wish"] = Value::Null;
        scheduled["generation"] = json!(2);
        let writes = vec![(at.clone(), encode(&scheduled)), (of_instance, encode(&instance))];
        let writes = Mutex::new(if taken_away { writes } else { Vec::new() });
        let service = world.service_on(Arc::new(Between {
            store: world.store.session(),
            read: at.clone(),
            writes,
        }));
        drop(timeout(Duration::from_mins(5), service.run(Lifecycle::new())).await);
        let kept: Value = world.read(&at).unwrap();
        assert_eq!((kept["wish"].is_null(), world.instance("shop").state), (taken_away, state));
    }
}
