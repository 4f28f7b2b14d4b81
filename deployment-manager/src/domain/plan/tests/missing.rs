//! Images that a node cannot have.

use super::*;

/// A deploy whose first start found no image, and whose next ones fail so often for a taken port.
fn with_ports_taken(times: u32) -> World {
    let mut world = World::new(2, 1);
    world.deploy();
    let ports = (0..times).map(|_| Luck::Start(FailureCode::PortTaken));
    for luck in [Luck::Missing].into_iter().chain(ports) {
        world.luck = luck;
        while world.luck != Luck::Good {
            world.answer();
            assert!(world.step(), "nothing is started any more: {:#?}", world.done);
        }
    }
    world.run();
    world
}

#[test]
fn an_image_that_was_missing_takes_nothing_from_what_a_taken_port_is_given() {
    let world = with_ports_taken(1);
    assert_eq!(world.state(), State::Running);
    let slot = &world.deployment.as_ref().unwrap().slots[0];
    assert_eq!((slot.attempt, slot.images_missing), (2, 1));
    world.assert_settled();
}

#[test]
fn an_image_that_was_missing_adds_nothing_to_it_either() {
    let world = with_ports_taken(2);
    world.assert_settled();
    assert!(!world.done.iter().any(|step| step.starts_with("route")), "{:#?}", world.done);
}
