//! What is there to be deployed, and what is ill of it; nodes that never come back.

use std::sync::Arc;

use common::port::nodes::Probe;
use testkit::nodes::Reach;

use crate::chaos;
use crate::dice::Dice;
use crate::script::{HEARD, Script, app};
use crate::user::image;
use crate::world::World;

/// Images that can be pulled.
pub(crate) fn offer(world: &World, script: &Script) {
    for app in script.apps() {
        for number in 1..=60 {
            world.truth.nodes.offer_image(&image(app, number));
        }
    }
}

/// The first replica listens at once, the next ones only after a while.
fn sluggish(dice: &mut Dice) -> Vec<Probe> {
    let waits = usize::try_from(dice.between(5, 60)).unwrap_or_default();
    let mut probes = vec![Probe::NotListening { listening: Vec::new() }; waits];
    probes.insert(0, Probe::Healthy);
    probes.push(Probe::Healthy);
    probes
}

/// Some releases are of apps that do not answer or are slow to, or of images that nobody has; the bundles of some
/// apps cannot be built.
pub(crate) fn ill(world: &World, dice: &mut Dice) {
    for number in 1..=5 {
        let app = app(number);
        if dice.happens(800) {
            let mut unbuildable = world.truth.unbuildable.lock().expect("nobody panics");
            unbuildable.insert(format!("apps/{app}"));
        }
        for release in 1..=20 {
            if !dice.happens(600) {
                continue;
            }
            let image = image(&app, release);
            match dice.below(4) {
                0 => world.truth.nodes.withdraw_image(&image),
                1 => world.truth.nodes.script_probes(&image, [Probe::Unhealthy { status: None }]),
                2 => world.truth.nodes.script_probes(&image, sluggish(dice)),
                _ => {
                    let mut crashing = world.truth.crashing.lock().expect("nobody panics");
                    crashing.insert(image);
                }
            }
        }
    }
}

/// Some releases of the app of whose visitors the edge hears answer them with errors.
pub(crate) fn err(world: &World, dice: &mut Dice) {
    let mut erring = world.truth.erring.lock().expect("nobody panics");
    let releases = (2..=20).filter(|_| dice.happens(3500));
    erring.extend(releases.map(|number| image(&app(HEARD), number)));
}

/// A node that never comes back.
pub(crate) async fn lose_a_node(world: &Arc<World>, dice: &mut Dice) {
    let index = usize::try_from(dice.below(3)).unwrap_or_default();
    let Some(node) = world.node(index).cloned() else { return };
    world.tell(format_args!("{node} is gone for ever"));
    world.truth.lost.lock().expect("nobody panics").insert(node.clone());
    chaos::set_reach(world, &node, Reach::Dead).await;
}
