//! What holds of making a machine, and of removing it.

use common::port::machines::{Error, MachineSpec, Shape};

use super::{
    HostKeys, World, create, delete, host_key, is_root, listed, look, sign_in, spec, within,
};

pub(super) async fn needs_no_machine_to_say_that_there_is_none(world: &dyn World) {
    let name = world.fresh_name();
    assert_eq!(look(world, &name).await, None, "nobody made it");
    assert!(!listed(world).await.contains(&name), "nobody made it");
    delete(world, &name).await;
}

pub(super) async fn gives_a_machine_that_runs_and_is_known(world: &dyn World) {
    let spec = spec(world);
    let made = create(world, &spec).await;
    let is_known = made.host_key.is_some() || world.host_keys() == HostKeys::FromMachine;
    assert!(made.address.is_some() && is_known, "it can be reached: {made:?}");
    assert_eq!(look(world, &spec.name).await, Some(made), "it is found");
    assert!(listed(world).await.contains(&spec.name), "it is listed");
    delete(world, &spec.name).await;
}

pub(super) async fn twice_gives_one_machine(world: &dyn World) {
    let spec = spec(world);
    let first = create(world, &spec).await;
    let boot = world.boot(&spec.name).await;
    assert_eq!(create(world, &spec).await, first, "the same machine");
    assert_eq!(world.boot(&spec.name).await, boot, "it went on running");
    let count = listed(world).await.iter().filter(|name| **name == spec.name).count();
    assert_eq!(count, 1, "one machine");
    delete(world, &spec.name).await;
}

pub(super) async fn side_by_side_gives_one_machine(world: &dyn World) {
    let (one, other) = (spec(world), spec(world));
    let made = futures::future::join_all(
        [&one, &other, &one].map(|spec| within(world.machines().create(spec))),
    );
    let made: Vec<_> =
        made.await.into_iter().map(|made| made.expect("the machine can be made")).collect();
    assert_eq!(made[0], made[2], "one machine for both");
    assert_ne!(made[0].address, made[1].address, "another machine, another address");
    for name in [&one.name, &other.name] {
        delete(world, name).await;
    }
}

pub(super) async fn lets_in_who_was_authorized(world: &dyn World) {
    let spec = spec(world);
    let machine = create(world, &spec).await;
    let host = sign_in(world, &machine).await;
    assert!(is_root(host.as_ref()).await.expect("commands run"), "its user may become root");
    delete(world, &spec.name).await;
}

pub(super) async fn gives_each_its_own_key_and_address(world: &dyn World) {
    let (one, other) = (spec(world), spec(world));
    let (first, second) = (create(world, &one).await, create(world, &other).await);
    let keys = (host_key(world, &first).await, host_key(world, &second).await);
    assert_ne!(keys.0, keys.1, "a key for each");
    assert_ne!(first.address, second.address, "an address for each");
    for name in [&one.name, &other.name] {
        delete(world, name).await;
    }
}

pub(super) async fn refuses_another_specification_of_the_same_name(world: &dyn World) {
    let spec = spec(world);
    let made = create(world, &spec).await;
    let other = MachineSpec { shape: world.other_shape(), ..spec.clone() };
    let refused = within(world.machines().create(&other)).await;
    assert!(matches!(refused, Err(Error::InUse { .. })), "another machine: {refused:?}");
    assert_eq!(look(world, &spec.name).await, Some(made), "it is as it was");
    let given = MachineSpec { shape: Shape::Given, name: world.fresh_name(), ..spec.clone() };
    let refused = within(world.machines().create(&given)).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "of another backend: {refused:?}");
    delete(world, &spec.name).await;
}

pub(super) async fn gives_the_wanted_address_to_one_only(world: &dyn World) {
    let first = spec(world);
    let address = create(world, &first).await.address;
    delete(world, &first.name).await;
    let Some(std::net::IpAddr::V4(free)) = address else { panic!("no address: {address:?}") };
    let wanting = |spec: MachineSpec| MachineSpec { shape: world.shape(Some(free)), ..spec };
    let (second, third) = (wanting(spec(world)), wanting(spec(world)));
    assert_eq!(create(world, &second).await.address, address, "the wanted one");
    let refused = within(world.machines().create(&third)).await;
    assert!(matches!(refused, Err(Error::InUse { .. })), "it is taken: {refused:?}");
    assert_eq!(look(world, &third.name).await, None, "nothing half made is left");
    delete(world, &second.name).await;
}

pub(super) async fn leaves_alone_what_is_not_the_platforms(world: &dyn World) {
    let spec = spec(world);
    world.occupy_name(&spec.name).await;
    let refused = within(world.machines().create(&spec)).await;
    assert!(matches!(refused, Err(Error::InUse { .. })), "somebody else's: {refused:?}");
    assert_eq!(look(world, &spec.name).await, None, "it is none of the platform's");
    assert!(!listed(world).await.contains(&spec.name), "it is none of the platform's");
    let started = within(world.machines().restart(&spec.name)).await;
    assert!(matches!(started, Err(Error::NotFound(_))), "it is not restarted: {started:?}");
    delete(world, &spec.name).await;
    assert!(world.is_occupied(&spec.name).await, "it is still there");
}

pub(super) async fn is_undone_by_deleting(world: &dyn World) {
    let spec = spec(world);
    let first = create(world, &spec).await;
    let before = host_key(world, &first).await;
    for _ in 0..2 {
        delete(world, &spec.name).await;
        assert_eq!(look(world, &spec.name).await, None, "it is gone");
        assert!(!listed(world).await.contains(&spec.name), "it is gone");
    }
    let after = create(world, &spec).await;
    assert_ne!(before, host_key(world, &after).await, "it is another machine");
    assert!(first.id.is_some() && after.id.is_some(), "they have names of their own: {after:?}");
    assert_ne!(first.id, after.id, "nobody takes it for the former");
    delete(world, &spec.name).await;
}
