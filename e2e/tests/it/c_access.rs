//! Who is not signed in gets nothing.

use crate::cluster_is_ready;

#[tokio::test]
async fn who_is_not_signed_in_gets_nothing() {
    cluster_is_ready().await;
    let client = reqwest::Client::new();
    for path in
        ["/api/v1/instances", "/api/v1/apps", "/api/v1/nodes", "/api/deployedApps/getDeployedApps/"]
    {
        let answer = client.get(format!("{}{path}", e2e::platform::SERVER)).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        let forged = client
            .get(format!("{}{path}", e2e::platform::SERVER))
            .bearer_auth("a.b.c")
            .send()
            .await
            .unwrap();
        assert_eq!(forged.status(), 401, "{path}");
    }
}
