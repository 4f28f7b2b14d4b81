//! Images that a node cannot have.

use common::digest::{Digest, ImageRef};
use common::port::nodes;
use jiff::SignedDuration;

use super::*;
use crate::domain::verdict::{self, Verdict as Start};

/// A deploy whose first start found no image, and whose next ones fail so often for a taken port.
fn with_ports_taken(times: usize) -> World {
    let mut world = World::new(2, 1);
    world.deploy();
    world.meet([Luck::Missing].into_iter().chain(ports::taken(times)));
    world.run();
    world
}

#[test]
fn an_image_that_was_missing_takes_nothing_from_what_a_taken_port_is_given() {
    let world = with_ports_taken(8);
    assert_eq!(world.state(), State::Running);
    let slot = &world.deployment.as_ref().unwrap().slots[0];
    assert_eq!((slot.attempt, slot.images_missing), (9, 1));
    world.assert_settled();
}

#[test]
fn an_image_that_was_missing_adds_nothing_to_it_either() {
    let world = with_ports_taken(9);
    world.assert_settled();
    assert!(!world.done.iter().any(|step| step.starts_with("route")), "{:#?}", world.done);
}

#[test]
fn an_image_that_was_built_anew_is_waited_for_where_the_one_before_was_missing() {
    let mut world = World::new(2, 1);
    world.deploy();
    world.luck = Luck::Missing;
    let slot = |world: &World| world.deployment.as_ref().unwrap().slots[0].clone();
    while slot(&world).images_missing == 0 || slot(&world).state != SlotState::Placed {
        world.answer();
        assert!(world.step(), "{:#?}", world.done);
        world.answer();
    }
    let before = slot(&world);
    let started = |slot: &Slot, world: &World| {
        let failure = failure(FailureCode::ImageUnavailable);
        let err = nodes::Error::Failed { node: node(1), failure };
        verdict::of_start(&err, slot, &world.patience, world.now)
    };
    assert!(matches!(started(&before, &world), Start::Bad(_)), "the registry had its time");

    let mut deployment = world.deployment.clone().unwrap();
    let lost = Change::Lost { image: deployment.image.clone().unwrap() };
    world.now += SignedDuration::from_mins(1);
    let image = ImageRef::new("apps/shop", Digest::of(b"another build")).unwrap();
    let changes = [lost, Change::Built { image: image.clone() }];
    note(&mut deployment, &changes, &world.patience, world.now);
    assert_eq!(deployment.image, Some(image));
    let after = deployment.slots[0].clone();
    assert!(matches!(started(&after, &world), Start::Wait(_)), "another one may come yet");
    assert_eq!(after.placement_request, before.placement_request);
    assert_eq!((after.place, after.state), (before.place, SlotState::Placed));
    // A port that is taken is given as much as ever.
    assert_eq!((after.attempt, after.images_missing), (0, 0));
    world.deployment = Some(deployment);
    world.run();
    assert_eq!(world.state(), State::Running);
}
