//! What holds of starting and stopping.

use common::port::machines::{Error, Power};

use super::{World, create, delete, look, sign_in, spec, within};

pub(super) async fn is_needed_of_a_machine_that_exists_only(world: &dyn World) {
    let name = world.fresh_name();
    let machines = world.machines();
    let started = within(machines.start(&name)).await.map(drop);
    let stopped = within(machines.stop(&name)).await;
    let restarted = within(machines.restart(&name)).await.map(drop);
    for asked in [started, stopped, restarted] {
        let told = matches!(&asked, Err(Error::NotFound(told)) if *told == name);
        assert!(told, "there is no such machine: {asked:?}");
    }
}

pub(super) async fn ends_and_begins_as_asked(world: &dyn World) {
    let spec = spec(world);
    let made = create(world, &spec).await;
    for _ in 0..2 {
        within(world.machines().stop(&spec.name)).await.expect("it can be stopped");
        let power = look(world, &spec.name).await.map(|machine| machine.power);
        assert_eq!(power, Some(Power::Stopped), "it stands still");
    }
    for _ in 0..2 {
        let started = within(world.machines().start(&spec.name)).await;
        assert_eq!(started.expect("it can be started"), made, "the same machine");
    }
    sign_in(world, &made).await;
    delete(world, &spec.name).await;
}

pub(super) async fn begins_when_it_is_made_again(world: &dyn World) {
    let spec = spec(world);
    let made = create(world, &spec).await;
    within(world.machines().stop(&spec.name)).await.expect("it can be stopped");
    assert_eq!(create(world, &spec).await, made, "the same machine, and it runs");
    sign_in(world, &made).await;
    delete(world, &spec.name).await;
}

pub(super) async fn begins_anew_when_restarted(world: &dyn World) {
    let spec = spec(world);
    let made = create(world, &spec).await;
    for stops_before in [false, true] {
        let boot = world.boot(&spec.name).await;
        if stops_before {
            within(world.machines().stop(&spec.name)).await.expect("it can be stopped");
        }
        let restarted = within(world.machines().restart(&spec.name)).await;
        assert_eq!(restarted.expect("it can be restarted"), made, "the same machine");
        assert_ne!(world.boot(&spec.name).await, boot, "it booted");
        sign_in(world, &made).await;
    }
    delete(world, &spec.name).await;
}

pub(super) async fn begins_again_after_a_loss_of_power(world: &dyn World) {
    let spec = spec(world);
    let made = create(world, &spec).await;
    world.power_off(&spec.name).await;
    let power = look(world, &spec.name).await.map(|machine| machine.power);
    assert_eq!(power, Some(Power::Stopped), "it has no power");
    let started = within(world.machines().start(&spec.name)).await;
    assert_eq!(started.expect("it can be started"), made, "the same machine");
    sign_in(world, &made).await;
    delete(world, &spec.name).await;
}
