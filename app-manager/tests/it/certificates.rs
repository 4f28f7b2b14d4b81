//! Certificates of host names: an admin's to give, the load balancer's to keep.

use serde_json::json;

use crate::world::{World, admin, dev};

const ALL: &str = "/api/v1/certificates";
const SHOP: &str = "/api/v1/certificates/shop.example.org";

fn papers() -> serde_json::Value {
    json!({
        "certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    })
}

#[tokio::test]
async fn an_admin_gives_lists_and_removes_certificates_and_no_answer_has_a_key() {
    let world = World::new();
    world
        .during(async |api| {
            let given = api.put(SHOP, &admin(), papers()).await.ok();
            assert_eq!(given["host"], "shop.example.org");
            assert!(given.get("key").is_none(), "{given}");
            let listed = api.get(ALL, &admin()).await.ok();
            assert_eq!(listed, json!({ "certificates": [given], "orders": [] }));
            assert_eq!(api.delete(SHOP, &admin()).await.status, 204);
            let listed = api.get(ALL, &admin()).await.ok();
            assert_eq!(listed, json!({ "certificates": [], "orders": [] }));
        })
        .await;
}

#[tokio::test]
async fn what_the_load_balancer_refuses_is_told_in_its_words() {
    let world = World::new();
    world
        .during(async |api| {
            let wrong = json!({ "certificate": "it", "key": "its" });
            let refused = api.put(SHOP, &admin(), wrong).await;
            assert_eq!(refused.told(), (422, "CERTIFICATE_MALFORMED"));
            assert_eq!(api.delete(SHOP, &admin()).await.told(), (404, "CERTIFICATE_UNKNOWN"));
            assert_eq!(api.put(SHOP, &dev(), papers()).await.told(), (403, "FORBIDDEN"));
            let no_host = "/api/v1/certificates/shop";
            assert_eq!(api.put(no_host, &admin(), papers()).await.status, 422);
            world.certificates.set_away(true);
            assert_eq!(api.put(SHOP, &admin(), papers()).await.told(), (503, "ROUTE_FAILED"));
        })
        .await;
}
