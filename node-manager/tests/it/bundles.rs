//! What nodes are told of their bundles.

use std::collections::BTreeMap;
use std::time::Duration;

use common::digest::Digest;
use common::id::ReleaseNumber;
use common::port::container::Limits;
use common::port::disk::{Bundle, Disk, Need, Reference};
use common::port::store::Path;
use common::record::path;
use common::service::ServiceName;
use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::nodes::Reach;
use tokio::time::sleep;
use uuid::Uuid;

use crate::disks::disk;
use crate::world::{World, instance, name, run, until};

/// Longer than it takes until references are read anew.
const ROUND: Duration = Duration::from_mins(6);

fn digest(bundle: &str) -> Digest {
    Digest::of(bundle.as_bytes())
}

/// A node that has these bundles, of which nobody has spoken.
fn shelf(bundles: &[&str], second: i64) -> Disk {
    let bundle = |bundle: &&str| Bundle {
        digest: digest(bundle),
        bytes: 10,
        references: vec![Reference::Unsaid],
    };
    let at = Timestamp::from_second(second).unwrap();
    Disk { at, bundles: bundles.iter().map(bundle).collect(), ..disk(100) }
}

/// What a node was told: for whom each of its bundles is.
fn told(world: &World, node: &str, bundles: &[&'static str]) -> BTreeMap<&'static str, String> {
    let Some(needs) = world.nodes.needs(&name(node)) else { return BTreeMap::new() };
    let of = |need: &Need| {
        let bundle = bundles.iter().find(|bundle| digest(bundle) == need.digest).unwrap();
        (*bundle, need.by.join(", "))
    };
    needs.bundles.iter().map(of).collect()
}

/// A release that is made of a bundle.
fn release(world: &World, app: &str, number: u32, bundle: &str) {
    let plan = json!({ "runtime": { "is": "static" }, "root": "", "command": [] });
    let record = json!({
        "schema": 1, "app": app, "number": number, "created_at": "2026-01-01T00:00:00Z",
        "source": { "kind": "bundle", "bundle": digest(bundle), "plan": plan }, "port": 8080,
        "health_path": null, "environment": {}, "limits": Limits::default(),
        "read_only": false,
    });
    let app = app.parse().unwrap();
    world.write(&path::app(&app), &json!({ "schema": 1 }));
    world.write(&path::release(&app, ReleaseNumber(number)), &record);
}

fn deployment(world: &World, app: &str, release: u32, more: &Value) {
    let mut record = json!({
        "schema": 1, "instance": app, "app": app, "release": release, "generation": 1,
        "goal": "running", "state": "building", "request": Uuid::nil(),
        "deadline": "2026-01-01T00:00:00Z", "slots": [], "updated_at": "2026-01-01T00:00:00Z",
    });
    record.as_object_mut().unwrap().append(more.as_object().cloned().as_mut().unwrap());
    world.write(&path::deployment(&instance(app)), &record);
}

#[tokio::test(start_paused = true)]
async fn a_bundle_is_free_once_no_release_instance_schedule_or_deployment_needs_it() {
    let bundles = ["r1", "r2", "r3", "r4", "r5", "r6", "r7", "built of", "lost upload"];
    let mut world = World::with_nodes(2);
    world.config.keep_releases = 2;
    for number in 1..=7 {
        release(&world, "blog", number, &format!("r{number}"));
    }
    world.instance("blog", 1);
    let wish = json!({ "schema": 1, "wish": { "release": 2, "schedule": {} } });
    world.write(&path::schedule(&instance("blog")), &wish);
    let image = "registry.example.org:5000/apps/blog@".to_owned() + digest("image").as_str();
    let kept = json!({
        "number": 4, "image": image, "bundle": digest("built of"), "generation": 1,
        "request": Uuid::nil(), "since": "2026-01-01T00:00:00Z",
    });
    deployment(&world, "blog", 3, &json!({ "releases": [kept] }));
    world.nodes.set_disk(&name("node-1"), shelf(&bundles, 1));
    world.nodes.set_disk(&name("node-2"), shelf(&["r5", "r6"], 2));
    let service = world.service();
    run(&service, async {
        until(async || world.nodes.needs(&name("node-2")).is_some()).await;
        let expected = [
            ("r1", "wanted for blog"),
            ("r2", "wanted for blog"),
            ("r3", "kept for blog"),
            ("r4", "kept for blog"),
            ("r5", ""),
            ("r6", "blog release 6"),
            ("r7", "blog release 7"),
            ("built of", "kept for blog"),
            ("lost upload", ""),
        ];
        let expected: BTreeMap<&str, String> =
            expected.into_iter().map(|(bundle, by)| (bundle, by.to_owned())).collect();
        assert_eq!(told(&world, "node-1", &bundles), expected);
        let node_2 = world.nodes.needs(&name("node-2")).unwrap();
        assert_eq!((node_2.bundles.len(), node_2.at.as_second()), (2, 2), "its own, as it looked");
        assert!(world.nodes.seen_epoch(&name("node-2"), ServiceName::NodeManager).is_some());
        // A newer release takes the place of the oldest that was kept for its number.
        release(&world, "blog", 8, "lost upload");
        sleep(ROUND).await;
        let told = told(&world, "node-1", &bundles);
        assert_eq!((&*told["lost upload"], &*told["r6"]), ("blog release 8", ""));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_makes_no_bundle_free() {
    let bundles = ["needed", "lost upload"];
    let unreadable = [
        path::release(&"shop".parse().unwrap(), ReleaseNumber(2)),
        path::instance(&instance("shop")),
        path::schedule(&instance("shop")),
        path::deployment(&instance("shop")),
    ];
    for at in unreadable {
        let world = World::with_nodes(1);
        release(&world, "shop", 2, "needed");
        world.write(&at, &json!([]));
        world.nodes.set_disk(&name("node-1"), shelf(&bundles, 1));
        let service = world.service();
        run(&service, async {
            sleep(ROUND).await;
            assert_eq!(world.nodes.needs(&name("node-1")), None, "{at}");
            // Whoever mends it has it counted soon, and not only in its turn.
            release(&world, "shop", 2, "needed");
            world.instance("shop", 2);
            deployment(&world, "shop", 2, &json!({}));
            world.write(&path::schedule(&instance("shop")), &json!({ "schema": 1, "wish": null }));
            until(async || world.nodes.needs(&name("node-1")).is_some()).await;
            let told = told(&world, "node-1", &bundles);
            assert_eq!(told["needed"], "kept for shop, shop release 2, wanted for shop");
            assert_eq!(told["lost upload"], "");
        })
        .await;
    }
}

/// Another version of the platform may take names that this one does not.
#[tokio::test(start_paused = true)]
async fn what_has_a_name_that_is_not_known_makes_no_bundle_free() {
    let below = |folder: Path, names: &[&str]| {
        names.iter().fold(folder, |path, name| path.join(name).unwrap())
    };
    let shop = path::releases(&"shop".parse().unwrap());
    let unknown = [
        (below(path::folder("apps"), &["con"]), &["releases", "1"][..]),
        (below(shop, &["one"]), &[]),
        (below(path::folder("instances"), &["00", "1st"]), &[]),
        (below(path::folder("schedules"), &["00", "1st"]), &[]),
        (below(path::folder("deployments"), &["00", "1st"]), &[]),
    ];
    for (at, records) in unknown {
        let world = World::with_nodes(1);
        world.nodes.set_disk(&name("node-1"), shelf(&["of con"], 1));
        let service = world.service();
        run(&service, async {
            let answered = || world.nodes.needs(&name("node-1")).map(|needs| needs.at.as_second());
            until(async || answered() == Some(1)).await;
            assert_eq!(told(&world, "node-1", &["of con"])["of con"], "", "a control");
            world.write(&below(at.clone(), records), &json!({ "schema": 1 }));
            world.nodes.set_disk(&name("node-1"), shelf(&["of con"], 2));
            sleep(ROUND).await;
            assert_eq!(answered(), Some(1), "{at}");
            for (below, _) in world.store.records(&at).into_iter().rev() {
                world.remove(&below).await;
            }
            until(async || answered() == Some(2)).await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_was_used_on_one_node_is_free_on_none_and_who_is_silent_is_told_nothing() {
    let bundles = ["used", "unused"];
    let world = World::with_nodes(3);
    let mut recent = shelf(&["used"], 1);
    recent.bundles[0].references = vec![Reference::Recent];
    world.nodes.set_disk(&name("node-1"), shelf(&bundles, 1));
    world.nodes.set_disk(&name("node-2"), recent);
    world.nodes.set_disk(&name("node-3"), shelf(&bundles, 1));
    world.nodes.set_reach(&name("node-3"), Reach::Partitioned).await;
    let service = world.service();
    run(&service, async {
        until(async || world.nodes.needs(&name("node-1")).is_some()).await;
        let free = |bundle| (bundle, String::new());
        assert_eq!(told(&world, "node-1", &bundles), [free("unused")].into());
        assert_eq!(world.nodes.needs(&name("node-3")), None);
        world.nodes.set_disk(&name("node-2"), shelf(&["used"], 2));
        sleep(ROUND).await;
        assert_eq!(told(&world, "node-1", &bundles), [free("unused"), free("used")].into());
    })
    .await;
}
