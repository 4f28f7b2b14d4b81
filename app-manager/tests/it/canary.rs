//! A release beside the one that is served: asking for it, showing it, promoting it, and taking it away.

use common::id::{Generation, ReleaseNumber};
use common::record::course::{Canary, Decision, DecisionKind, Share};
use common::record::deployment::{Deployment, State as Phase};
use common::record::instance::State;
use common::record::kept::Way;
use common::record::path;
use serde_json::json;

use crate::logs::deployment;
use crate::rollback::{RELEASES, ROLLBACK, deployed_2, image, kept, write_kept};
use crate::world::{World, dev, other_dev, until, user};

const DEPLOY: &str = "/api/v1/apps/shop/deployments";
const PROMOTE: &str = "/api/v1/instances/shop/promote";

/// As if release 3 got a tenth beside release 2.
fn write_canary(world: &World) {
    let at = path::deployment(&"shop".parse().unwrap());
    let mut record = kept(&[1, 2]);
    record.release = ReleaseNumber(3);
    record.generation = Generation(3);
    record.image = Some(image(3));
    let since = record.updated_at;
    let share = 10.try_into().unwrap();
    record.canary = Some(Canary { share, since, before: None, told: true, promoted: false });
    let reason = "release 3 gets 10 %".to_owned();
    record.decided(Decision { at: since, kind: DecisionKind::Canary, reason });
    world.write(&at, &record);
}

#[tokio::test]
async fn a_canary_is_asked_for_with_its_share_where_something_is_served() {
    let world = World::new();
    world
        .during(async |api| {
            deployed_2(&api).await;
            let canary = |share: serde_json::Value| json!({ "release": 3, "canary": share });
            let none = api.post(DEPLOY, &dev(), canary(json!(10))).await;
            assert_eq!(none.told(), (409, "NOT_DEPLOYED"), "nothing is served yet");
            world.write(&path::deployment(&"shop".parse().unwrap()), &deployment(vec![], None));
            let none = api.post(DEPLOY, &dev(), canary(json!(10))).await;
            assert_eq!(none.told(), (409, "NOT_DEPLOYED"));
            write_kept(&world, &[1, 2]);
            for share in [0, 100, -1, 256, 1000] {
                let refused = api.post(DEPLOY, &dev(), canary(json!(share))).await;
                assert_eq!(refused.told(), (422, "CANARY_INVALID"), "{share}");
                assert_eq!(refused.body["field"], "canary");
            }
            for share in [json!(1.5), json!("10%"), json!([])] {
                let refused = api.post(DEPLOY, &dev(), canary(share.clone())).await;
                assert_eq!(refused.told(), (422, "FIELD_INVALID"), "{share}");
            }
            assert_eq!(world.instance("shop").way, Way::Deployed);
            assert_eq!(api.post(DEPLOY, &dev(), canary(json!(10))).await.status, 202);
            let instance = world.instance("shop");
            assert_eq!(
                (instance.release.0, instance.way, instance.state),
                (3, Way::Canary, State::Deploying)
            );
            assert_eq!(instance.canary.map(Share::percent), Some(10));
            // A deploy without it is one of all requests.
            assert_eq!(api.post(DEPLOY, &dev(), json!({ "release": 3 })).await.status, 202);
            let instance = world.instance("shop");
            assert_eq!((instance.way, instance.canary), (Way::Deployed, None));
        })
        .await;
}

#[tokio::test]
async fn a_canary_is_shown_and_promoted_or_taken_away() {
    let world = World::new();
    world
        .during(async |api| {
            deployed_2(&api).await;
            write_kept(&world, &[1, 2]);
            assert_eq!(api.post(PROMOTE, &dev(), json!({})).await.told(), (409, "NO_CANARY"));
            write_canary(&world);
            let releases = api.get(RELEASES, &dev()).await.ok();
            let shown: Vec<_> =
                releases.as_array().unwrap().iter().map(|one| &one["state"]).collect();
            assert_eq!(shown, ["canary", "serving", "former"]);
            assert_eq!((&releases[0]["number"], &releases[0]["share"]), (&json!(3), &json!(10)));
            let status = api.get("/api/v1/instances/shop", &dev()).await.ok();
            assert_eq!(status["canary"], json!({ "release": 3, "share": 10, "promoted": false }));
            let why = api.get("/api/v1/instances/shop/decisions", &dev()).await.ok();
            assert_eq!(why["course"][0]["kind"], "canary");
            for other in [other_dev(), user()] {
                let refused = api.post(PROMOTE, &other, json!({})).await;
                assert_eq!(refused.told(), (404, "UNKNOWN_INSTANCE"));
            }
            assert_eq!(api.post(PROMOTE, &dev(), json!({})).await.status, 202);
            let instance = world.instance("shop");
            assert_eq!((instance.release.0, instance.way), (3, Way::Promoted));
            until(async || world.instance("shop").owed.is_empty()).await;
            // Going back, without a name or to what is served, takes it away.
            for body in [json!({}), json!({ "release": 2 })] {
                assert_eq!(api.post(ROLLBACK, &dev(), body).await.status, 202);
                let instance = world.instance("shop");
                assert_eq!((instance.release.0, instance.way), (2, Way::RolledBack));
            }
            assert_eq!(api.post(ROLLBACK, &dev(), json!({ "release": 1 })).await.status, 202);
            assert_eq!(world.instance("shop").release.0, 1);
        })
        .await;
}

#[tokio::test]
async fn a_canary_on_its_way_or_promoted_already_is_not_promoted_and_nothing_is_written() {
    let world = World::new();
    world
        .during(async |api| {
            deployed_2(&api).await;
            let at = path::deployment(&"shop".parse().unwrap());
            for (phase, promoted) in
                [(Phase::Starting, false), (Phase::Routing, true), (Phase::Running, true)]
            {
                write_canary(&world);
                let mut record: Deployment = world.read(&at).unwrap();
                record.state = phase;
                record.canary.as_mut().unwrap().promoted = promoted;
                world.write(&at, &record);
                let refused = api.post(PROMOTE, &dev(), json!({})).await;
                assert_eq!(refused.told(), (409, "NO_CANARY"), "{phase:?} {promoted}");
                assert_eq!(world.instance("shop").way, Way::Deployed);
            }
        })
        .await;
}

#[tokio::test]
async fn a_canary_whose_other_share_is_under_way_is_promoted() {
    let world = World::new();
    world
        .during(async |api| {
            deployed_2(&api).await;
            write_canary(&world);
            let at = path::deployment(&"shop".parse().unwrap());
            let mut record: Deployment = world.read(&at).unwrap();
            record.state = Phase::Routing;
            record.adopted = Some(record.generation);
            record.generation = record.generation.next();
            world.write(&at, &record);
            assert_eq!(api.post(PROMOTE, &dev(), json!({})).await.status, 202);
            let instance = world.instance("shop");
            assert_eq!((instance.release.0, instance.way), (3, Way::Promoted));
        })
        .await;
}
