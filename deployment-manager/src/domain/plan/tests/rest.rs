//! Apps at rest: no replicas, and a route that names nobody.

use super::*;

#[test]
fn an_app_at_rest_keeps_its_route_and_is_woken() {
    let mut world = running(2, 2);
    world.seen.replicas = 0;
    world.expect_steps(&expect![[r"
        route to nobody
        remove replicas 1 on node-2 and 2 on node-1
    "]]);
    world.assert_settled();
    assert_eq!(world.state(), State::Running);
    world.seen.replicas = 1;
    world.expect_steps(&expect![[r"
        ask for a node for a replica of generation 1
        start replica 1 on node-2
        look whether replica 1 on node-2 can be reached
        route to replica 1 on node-2
    "]]);
    world.assert_settled();
}

#[test]
fn a_release_of_an_app_at_rest_shows_that_it_serves_and_rests() {
    let mut world = running(1, 1);
    world.seen.replicas = 0;
    world.run();
    world.done.clear();
    world.deploy();
    world.expect_steps(&expect![[r"
        build the image on node-1
        start replica 1 on node-1
        look whether replica 1 on node-1 can be reached
        route to replica 1 on node-1
        ask through the front door, then say that it runs
        route to nobody
        remove replica 1 on node-1
    "]]);
    world.assert_settled();
    world.deploy();
    world.luck = Luck::Probe(FailureCode::AppExited);
    world.run();
    assert_eq!(world.state(), State::Failed);
    world.assert_settled();
}
