//! Nodes that are emptied, and returned.

use super::*;

/// How often the node manager is asked in vain.
const TIMES: usize = 20;

#[test]
fn what_has_nowhere_to_go_serves_where_it_is_says_why_and_forgets_it_when_the_node_is_returned() {
    let mut world = running(1, 2);
    let (served, before) = (world.edge.clone(), world.deployment.clone().unwrap());
    world.set_verdict(1, Verdict::Draining);
    for _ in 0..TIMES {
        world.seen.upstreams = Some(world.upstreams.clone());
        world.answer();
        world.step();
        world.wait(1);
        assert_eq!(world.edge, served);
    }
    let deployment = world.deployment.as_ref().unwrap();
    let code = deployment.failure.as_ref().map(|failure| failure.code);
    assert_eq!((code, deployment.state), (Some(FailureCode::NoNodeFits), State::Running));
    assert!(deployment.slots.len() > 2, "it goes on asking");

    world.seen.upstreams = None;
    world.set_verdict(1, Verdict::Live);
    world.run();
    let after = world.deployment.as_ref().unwrap();
    assert_eq!((&after.slots, &after.failure), (&before.slots, &None));
    assert_eq!(world.edge, served);
    world.assert_settled();
}
