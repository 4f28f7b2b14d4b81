//! What all drains must do.

use common::name::NodeName;
use common::port::Drains;
use common::port::drains::Error;

/// Runs the whole contract on a platform that has exactly these two nodes, which live.
pub async fn holds(drains: &dyn Drains, nodes: [&str; 2]) {
    let [one, other] = nodes.map(named);
    a_drain_begins_and_ends_again_and_again(drains, &one).await;
    the_last_node_that_takes_apps_is_not_drained(drains, &one, &other).await;
    what_nobody_is_called_is_refused(drains).await;
}

fn named(name: &str) -> NodeName {
    name.parse().expect("it is a name")
}

/// Status and code of a refusal.
fn told(answer: Result<(), Error>) -> (u16, String) {
    match answer {
        Err(Error::Refused(problem)) => (problem.status, problem.code),
        Err(Error::Unavailable(source)) => panic!("it is away: {source}"),
        Ok(()) => panic!("it is done"),
    }
}

async fn a_drain_begins_and_ends_again_and_again(drains: &dyn Drains, node: &NodeName) {
    for _ in 0..2 {
        for _ in 0..2 {
            drains.begin(node).await.expect("it is drained");
        }
        for _ in 0..2 {
            drains.end(node).await.expect("it is returned");
        }
    }
}

async fn the_last_node_that_takes_apps_is_not_drained(
    drains: &dyn Drains,
    one: &NodeName,
    other: &NodeName,
) {
    drains.begin(one).await.expect("it is drained");
    assert_eq!(told(drains.begin(other).await), (409, "LAST_NODE".to_owned()));
    drains.begin(one).await.expect("it is a repeat");
    drains.end(one).await.expect("it is returned");
}

async fn what_nobody_is_called_is_refused(drains: &dyn Drains) {
    let (nobody, unknown) = (named("nobody"), (404, "NODE_UNKNOWN".to_owned()));
    assert_eq!(told(drains.begin(&nobody).await), unknown);
    assert_eq!(told(drains.end(&nobody).await), unknown);
}
