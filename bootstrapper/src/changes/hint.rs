//! What to do where a change cannot be carried out.

use rollout::platform::Component;

use super::{Change, listed};
use crate::base::Keeper;

impl Change {
    /// What to do instead.
    pub(crate) fn hint(&self, keeper: Keeper) -> String {
        let otherwise = match keeper {
            Keeper::LifecycleManager => "or make the platform anew: destroy, then apply",
            Keeper::Bootstrapper => "or begin anew: destroy with the former file, then apply",
        };
        match self {
            Change::Added { machine, is_made: true } => format!(
                "have a lifecycle manager add a machine of its own choice, by POST /api/v1/machines with {{\"name\": \"{machine}\", \"reason\": ...}}, as far as max_machines allows it, and take it out of the file; {otherwise}"
            ),
            Change::Added { machine, is_made: false } => format!(
                "take {machine} out of the file: no given machine is added to a platform that runs; {otherwise}"
            ),
            Change::Gone(machine) => format!("put {machine} back into the file, {otherwise}"),
            Change::Reshaped { machine, .. } => {
                format!("write {machine} as it was into the file, {otherwise}")
            }
            Change::Placed { part, before, .. } => {
                format!("write {part} = {} into the file, {otherwise}", listed(before))
            }
            Change::Paired { before, .. } => format!(
                "write edge = {} into the file, without edge.address: what a pair of edges stands on is brought to machines only before a lifecycle manager leads; {otherwise}",
                listed(before)
            ),
            Change::Set { key, before, .. } => {
                format!("write {key} as it was into the file ({before}), {otherwise}")
            }
            Change::Moved { key, before, .. } => format!(
                "write {key} as it was into the file ({before}), or begin anew: destroy with the former file, then apply"
            ),
            Change::Share { share, .. } => {
                format!("write [shares.{share}] as it was into the file, {otherwise}")
            }
            Change::Image(component) => {
                format!(
                    "name the image that it was made from: {}; {otherwise}",
                    instead(*component)
                )
            }
            Change::Configured | Change::Unknown => {
                format!("apply the file that the platform was made from, {otherwise}")
            }
        }
    }
}

/// Why an image of a platform that runs stays, and what can be done.
fn instead(component: Component) -> &'static str {
    match component {
        Component::Platform => {
            "lifecycle managers and platform initializers change by images.base, services that are placed by `avishkar platform upgrade`, one instance after another, and all else of the program stays"
        }
        // The first is no part of what is described, and may always change.
        Component::Base
        | Component::KafkaZookeeper
        | Component::Registry
        | Component::Edge
        | Component::Address => {
            "agents take the base from lifecycle managers only, and those know no other image of this than they began with"
        }
        Component::BuilderPython
        | Component::RuntimePython
        | Component::BuilderNode
        | Component::RuntimeNode
        | Component::RuntimeStatic => {
            "apps are built on what was in the registry from the beginning"
        }
    }
}
