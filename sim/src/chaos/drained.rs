//! Nodes that an administrator drains, and returns after a while.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::name::NodeName;
use common::port::Drains;
use common::port::drains::Error;
use common::service::ServiceName;

use crate::world::World;

/// An administrator waits so long for an answer, and then for the next try.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(400);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Drain,
    Return,
}

/// Drained for a while; not where it is the last one that takes apps.
pub(super) async fn for_a_while(world: &Arc<World>, node: &NodeName, lasts: Duration) {
    if !world.faults().drained.insert(node.clone()) {
        return;
    }
    let is_wanted = || world.faults().drained.contains(node);
    if asked(world, node, Wish::Drain, &is_wanted).await {
        world.checker().struck(node, world.stage.now());
        if is_wanted() {
            // Long enough for most of what is there to be made elsewhere.
            world.stage.sleep(lasts * 2).await;
        }
        asked(world, node, Wish::Return, &|| true).await;
        world.checker().struck(node, world.stage.now());
    }
    world.faults().drained.remove(node);
}

/// All are returned. Who is about to drain one, as nobody has answered yet, does not any more.
pub(super) async fn heal(world: &Arc<World>, drained: BTreeSet<NodeName>) {
    for node in drained {
        asked(world, &node, Wish::Return, &|| true).await;
    }
}

/// Asks whoever leads until there is an answer, or nobody wants it; says whether it was done.
async fn asked(
    world: &Arc<World>,
    node: &NodeName,
    wish: Wish,
    is_wanted: &(dyn Fn() -> bool + Sync),
) -> bool {
    while is_wanted() {
        let living = {
            let lives = world.lives();
            let life = lives.current.get(&ServiceName::NodeManager);
            life.and_then(|life| Some((life.number, life.entrances().drains.clone()?)))
        };
        if let Some((owner, drains)) = living {
            let answer = world.stage.call(owner, ask(drains, node.clone(), wish));
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Some(Ok(()))) => {
                    world.tell(format_args!("{node}: {wish:?} is done"));
                    return true;
                }
                Ok(Some(Err(Error::Refused(problem)))) if problem.status < 500 => {
                    world.tell(format_args!("{node}: {wish:?} is refused: {}", problem.code));
                    return false;
                }
                Ok(Some(Err(_)) | None) | Err(_) => {}
            }
        }
        world.stage.sleep(AGAIN).await;
    }
    false
}

async fn ask(drains: Arc<dyn Drains>, node: NodeName, wish: Wish) -> Result<(), Error> {
    match wish {
        Wish::Drain => drains.begin(&node).await,
        Wish::Return => drains.end(&node).await,
    }
}
