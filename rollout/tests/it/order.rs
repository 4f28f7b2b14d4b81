//! The base of a platform comes up, from wherever it is.

use std::sync::Arc;

use common::digest::Digest;
use common::id::{Epoch, Generation};
use common::name::NodeName;
use common::port::Parts as _;
use common::port::nodes::Issuer;
use common::port::part::{PartFolders, PartImage, PartRemoval};
use common::port::share::{Access, Description, FolderPlace};
use common::service::ServiceName;
use rollout::order::{Base, Pushed, apply_part, observe_parts, plan_parts};
use rollout::parts::Secrets;
use rollout::platform::{Component, Platform};
use rollout::{Code, Failure};
use testkit::nodes::Reach;
use testkit::{ManualClock, MemoryParts};

use crate::parts::{platform, secrets};
use crate::world::FixedAuthority;

const FIRST: Generation = Generation(1);
const BEGINNER: Issuer = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(0) };

struct World {
    platform: Platform,
    nodes: MemoryParts,
    secrets: Secrets,
}

impl World {
    /// Nodes with what was copied to them, and nothing in the registry.
    fn new() -> Self {
        let mut platform = platform(3);
        let nodes = MemoryParts::new(Arc::new(ManualClock::default()));
        for machine in &platform.machines {
            nodes.add_at(machine.name.as_str(), machine.reached_at().unwrap());
            for (_, image) in platform.carried(&machine.name) {
                nodes.place_image(&machine.name, &PartImage::Id(image.id.clone()));
            }
        }
        for image in platform.images.values_mut() {
            image.named = None;
        }
        World { platform, nodes, secrets: secrets() }
    }

    async fn left(&self) -> Vec<String> {
        let seen = observe_parts(&self.platform, &self.nodes).await.unwrap();
        plan_parts(&self.platform, FIRST, &seen).iter().map(ToString::to_string).collect()
    }

    /// Does at most so many steps of one plan; keeps what is to be kept.
    async fn go(&mut self, most: usize) -> Result<usize, Failure> {
        let seen = observe_parts(&self.platform, &self.nodes).await?;
        let steps = plan_parts(&self.platform, FIRST, &seen);
        for step in steps.iter().take(most) {
            let base = Base {
                platform: &self.platform,
                generation: FIRST,
                issuer: BEGINNER,
                parts: &self.nodes,
                authority: &FixedAuthority("ca"),
                secrets: &self.secrets,
            };
            let pushed = apply_part(&base, step).await?;
            if let Some(Pushed { component, image }) = pushed {
                self.platform.images.get_mut(&component).unwrap().named = Some(image);
            }
        }
        Ok(steps.len())
    }

    /// How often each part was started, on all nodes.
    fn starts(&self) -> u32 {
        let mut starts = 0;
        for machine in &self.platform.machines {
            let engine = self.nodes.engine(&machine.name);
            starts += engine.parts().iter().map(|part| engine.starts(&part.name)).sum::<u32>();
        }
        starts
    }
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_base_comes_up_in_the_order_in_which_its_parts_need_one_another() {
    let mut world = World::new();
    let steps = world.left().await;
    let of = |what: &str| {
        steps.iter().position(|step| step == what).unwrap_or_else(|| panic!("{what} in {steps:#?}"))
    };
    let order = [
        "run registry on node-1",
        "wait until registry on node-1 is ready",
        "tell node-4 where the registry is",
        "put the image avishkar/kafka-zookeeper into the registry from node-1",
        "run zookeeper on node-1",
        "run kafka on node-3",
        "run edge on node-4",
        "wait until kafka on node-1 is ready",
        "run lifecycle-manager on node-1",
        "wait until lifecycle-manager on node-2 is ready",
        "run platform-initializer on node-1",
        "wait until platform-initializer on node-2 is ready",
    ];
    let places = order.map(of);
    assert!(places.is_sorted(), "{steps:#?}");
    world.go(usize::MAX).await.unwrap();
    assert_eq!(world.left().await, [""; 0]);
    let told = |node_name: &str| world.nodes.told_registry(&node(node_name)).unwrap().to_string();
    assert_eq!(told("node-4"), "192.0.2.1:5000");
    assert_eq!(world.starts(), 12);
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_on_after_any_step_does_the_rest_and_starts_nothing_twice() {
    let whole = World::new().left().await.len();
    for done in 0..whole {
        let mut world = World::new();
        world.go(done).await.unwrap();
        world.go(usize::MAX).await.unwrap();
        assert_eq!(world.left().await, [""; 0], "after {done} steps");
        assert_eq!(world.starts(), 12, "after {done} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_costs_nothing_but_asking_again() {
    let mut world = World::new();
    world.nodes.lose_answers(&node("node-2"), 1);
    let failure = world.go(usize::MAX).await.unwrap_err();
    assert!(failure.code == Code::AgentSilent && failure.is_retryable(), "{failure:?}");
    world.go(usize::MAX).await.unwrap();
    assert_eq!((world.left().await.len(), world.starts()), (0, 12));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_asked_is_planned_for_all_the_same() {
    let mut world = World::new();
    world.go(usize::MAX).await.unwrap();
    world.nodes.set_reach(&node("node-4"), Reach::Partitioned).await;
    let steps = world.left().await;
    assert!(steps.contains(&"run edge on node-4, where it is missing".to_owned()), "{steps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_part_that_does_not_become_ready_is_told_with_its_last_words() {
    let mut world = World::new();
    let kafka = "kafka".parse().unwrap();
    world.nodes.set_healthy(&node("node-2"), &kafka, false);
    let failure = world.go(usize::MAX).await.unwrap_err();
    assert_eq!(failure.code, Code::PartNotReady);
    assert_eq!(failure.step, "wait until kafka on node-2 is ready");
    world.nodes.set_healthy(&node("node-2"), &kafka, true);
    world.go(usize::MAX).await.unwrap();
    assert_eq!((world.left().await.len(), world.starts()), (0, 12));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_made_again_is_filled_again() {
    let mut world = World::new();
    world.go(usize::MAX).await.unwrap();
    let removal = PartRemoval {
        name: "registry".parse().unwrap(),
        generation: FIRST,
        data: PartFolders::Discard,
    };
    let agent = world.platform.agent(&node("node-1")).unwrap();
    world.nodes.remove_part(&agent, BEGINNER, &removal).await.unwrap();
    let steps = world.left().await;
    assert!(
        steps.contains(&"put the image avishkar/edge into the registry from node-1".to_owned())
    );
    assert!(!steps.iter().any(|step| step.contains("run zookeeper")), "{steps:#?}");
    world.go(usize::MAX).await.unwrap();
    assert_eq!(world.left().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn where_a_lifecycle_manager_leads_nobody_begins_again() {
    let mut world = World::new();
    let leader = Issuer { epoch: Epoch(1), ..BEGINNER };
    let agent = world.platform.agent(&node("node-1")).unwrap();
    let registry = agent.address;
    world.nodes.registry_at(&agent, leader, registry).await.unwrap();
    let failure = world.go(usize::MAX).await.unwrap_err();
    assert!(failure.is_superseded() && failure.code == Code::Superseded, "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_is_told_of_a_share_when_it_needs_it_and_not_again() {
    let mut world = World::new();
    let text = format!("share://code/keepers@{}", Digest::of(b"code"));
    for service in [ServiceName::LifecycleManager, ServiceName::PlatformInitializer] {
        world.platform.code.insert(service, text.parse().unwrap());
    }
    let failure = world.go(usize::MAX).await.unwrap_err();
    assert!(failure.to_string().contains("knows of no share code"), "{failure}");
    let share = Description::Folder(FolderPlace { path: "/mnt/code".into() });
    let access = Access { share, secret: None };
    world.secrets.shares.insert("code".parse().unwrap(), access);
    world.go(usize::MAX).await.unwrap();
    assert_eq!(world.left().await, [""; 0]);
    let calls: Vec<String> = world.nodes.calls().iter().map(ToString::to_string).collect();
    let told: Vec<&String> = calls.iter().filter(|call| call.contains("of the share")).collect();
    assert_eq!(told, ["tell node-1 of the share code", "tell node-2 of the share code"]);
}

#[test]
fn the_registrys_image_is_carried_to_wherever_the_registry_may_be_made_again() {
    let platform = platform(3);
    let carried = |node: &str| -> Vec<Component> {
        let carried = platform.carried(&node.parse().unwrap());
        carried.into_iter().map(|(component, _)| component).collect()
    };
    assert_eq!(carried("node-1"), platform.images.keys().copied().collect::<Vec<_>>());
    assert_eq!(carried("node-2"), [Component::Platform, Component::Registry]);
    assert_eq!(carried("node-3"), [Component::Platform]);
}
