//! Blobs over the interface: who keeps them, what is taken, what is refused.

use common::digest::Digest;
use common::service::ServiceName::{self, AppManager, DeploymentManager};
use reqwest::Method;

use crate::world::{BLOB_BYTES, with_agent};

fn path(digest: &Digest) -> String {
    format!("/v1/blobs/{digest}")
}

#[tokio::test]
async fn who_stores_and_who_builds_bundles_may_keep_them_on_nodes_and_nobody_else() {
    with_agent(async |world| {
        let digest = Digest::of(b"bundle");
        for caller in ServiceName::ALL {
            let may = [AppManager, DeploymentManager].contains(&caller);
            let put = world.send(caller, Method::PUT, &path(&digest), b"bundle".to_vec()).await;
            let list = world.get(caller, "/v1/blobs").await;
            let get = world.get(caller, &path(&digest)).await;
            let delete = world.send(caller, Method::DELETE, &path(&digest), Vec::new()).await;
            for answer in [put, list, get, delete] {
                assert_eq!(answer.status < 300, may, "{caller}: {answer:?}");
                assert_eq!(answer.code() == "CALLER_FORBIDDEN", !may, "{caller}: {answer:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_blob_is_taken_whole_and_as_it_is_called_or_not_at_all() {
    with_agent(async |world| {
        let put = async |digest: &Digest, bytes: Vec<u8>| {
            world.send(AppManager, Method::PUT, &path(digest), bytes).await
        };
        let largest = vec![1; BLOB_BYTES];
        assert_eq!(put(&Digest::of(&largest), largest.clone()).await.status, 204);
        let larger = vec![1; BLOB_BYTES + 1];
        let refused = put(&Digest::of(&larger), larger).await;
        assert_eq!((refused.status, refused.code()), (413, "BODY_TOO_LARGE"));
        let refused = put(&Digest::of(b"right"), b"wrong".to_vec()).await;
        assert_eq!((refused.status, refused.code()), (422, "BLOB_MISMATCH"));
        assert_eq!(refused.body["detail"], Digest::of(b"wrong").as_str());
        let absent = world.get(AppManager, &path(&Digest::of(b"right"))).await;
        assert_eq!((absent.status, absent.code()), (404, "BLOB_ABSENT"));
        let hostile = world.get(AppManager, "/v1/blobs/..%2F..%2Fetc").await;
        assert!((400..500).contains(&hostile.status), "{hostile:?}");
        let listed = world.get(AppManager, "/v1/blobs").await;
        assert_eq!(listed.body, serde_json::json!([Digest::of(&largest)]));
        let listed = world.get(AppManager, "/v1/blobs?free=true").await;
        let held = serde_json::json!({ "held": [Digest::of(&largest)], "free": [] });
        assert_eq!(listed.body, held, "it was put a moment ago");
        assert_eq!(world.received(), 0, "nothing is left of what was received");
    })
    .await;
}
