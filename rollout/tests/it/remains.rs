//! What a machine still holds of a platform.

use rollout::machine::{Goal, remains};
use testkit::hosts::machine_programs as engine;
use testkit::hosts::{Health, System};

use crate::world::{ADDRESS, Notes, World, ensure};

const LEDGER: &str = "/var/lib/avishkar/agent/ledger.json";

/// As an agent keeps what a lifecycle manager is told.
fn place_ledger(system: &mut System, authority: &str) {
    let file = |path: &str, content: &str| serde_json::json!({"path": path, "content": content});
    let papers = serde_json::json!({"certificate": authority, "key": "its key"}).to_string();
    let files = [
        file("/etc/avishkar/pki/ca.pem", authority),
        file("/etc/avishkar/platform.json", "{}"),
        file("/etc/avishkar/authority.json", &papers),
        file("/etc/avishkar/ssh/key", "ssh"),
        file("/etc/avishkar/secrets/jwt", "jwt"),
    ];
    let spec = serde_json::json!({"name": "lifecycle-manager", "files": files});
    let parts = serde_json::json!({"lifecycle-manager": {"epoch": 1, "spec": spec}});
    let ledger = serde_json::json!({"schema": 2, "epochs": {}, "containers": {}, "parts": parts});
    engine::put(system, LEDGER, &ledger.to_string());
}

async fn node(world: &World) -> Goal {
    let goal = world.given();
    let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    Goal { machine, ..goal }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_never_was_a_node_has_nothing() {
    let world = World::new();
    let mut goal = world.given();
    // Of one whose host key nobody knows nobody can say it; it is not even asked.
    let failure = remains(&world.ports, &goal).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "DESCRIPTION_INCOMPLETE");
    assert!(world.hosts.told(ADDRESS).is_empty());
    goal.machine.host_key = Some(world.hosts.with(ADDRESS, |system| system.host_key().clone()));
    assert!(remains(&world.ports, &goal).await.unwrap().is_none());
    assert!(remains(&world.ports, &World::local()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_node_knows_its_authority_and_a_lifecycle_managers_machine_has_it() {
    let world = World::new();
    let goal = node(&world).await;
    let found = remains(&world.ports, &goal).await.unwrap().unwrap();
    assert_eq!((found.trusts.as_str(), found.secrets), ("ca", None));
    world.hosts.with(ADDRESS, |system| place_ledger(system, "ca"));
    let found = remains(&world.ports, &goal).await.unwrap().unwrap();
    let secrets = found.secrets.unwrap();
    assert_eq!((secrets.authority.key.as_str(), secrets.jwt.as_str()), ("its key", "jwt"));
    // Of another platform, and nothing at all.
    world.hosts.with(ADDRESS, |system| place_ledger(system, "another"));
    assert!(remains(&world.ports, &goal).await.unwrap().unwrap().secrets.is_none());
    world.hosts.with(ADDRESS, |system| engine::put(system, LEDGER, "{"));
    assert!(remains(&world.ports, &goal).await.unwrap().unwrap().secrets.is_none());
}

#[tokio::test(start_paused = true)]
async fn whose_node_it_is_a_lifecycle_managers_description_says_and_nothing_else() {
    let world = World::new();
    let goal = node(&world).await;
    let named = async |description: &str| {
        world.hosts.with(ADDRESS, |system| {
            place_ledger(system, "ca");
            let text = engine::text(system, LEDGER).replace("\"{}\"", description);
            engine::put(system, LEDGER, &text);
        });
        remains(&world.ports, &goal).await.unwrap().unwrap().platform()
    };
    assert_eq!(named(r#""{}""#).await, None);
    assert_eq!(named(r#""not a description""#).await, None);
    let shop = named(r#""{\"schema\": 99, \"name\": \"shop\", \"what\": []}""#).await;
    assert_eq!(shop, Some("shop".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_made_machine_is_looked_at_by_the_key_it_shows_and_one_that_is_off_is_told() {
    let (world, goal) = (World::new(), World::local());
    world.machines.vouch_for_no_key();
    ensure(&world.ports, &goal, &Notes::ending_at(2)).await.unwrap_err();
    world.furnish();
    world.hosts.with(ADDRESS, |system| engine::put(system, "/etc/avishkar/pki/ca.pem", "ca"));
    let found = remains(&world.ports, &goal).await.unwrap().unwrap();
    assert_eq!(found.trusts, "ca");
    world.machines.power_off(&goal.machine.name);
    let failure = remains(&world.ports, &goal).await.unwrap_err();
    assert_eq!(failure.message, "it does not run");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_cannot_be_reached_is_told() {
    let world = World::new();
    let goal = node(&world).await;
    world.hosts.with(ADDRESS, |system| system.health = Health::Off);
    let failure = remains(&world.ports, &goal).await.unwrap_err();
    assert_eq!(failure.step, "look for an authority on node-1");
}
