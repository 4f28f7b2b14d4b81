//! The story of document 001's own callers: its paths, its envelope, its files.

use std::collections::BTreeSet;

use anyhow::Context as _;
use e2e::corpus::bundles;
use e2e::platform::User;
use e2e::wait;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{BUILD_WITHIN, SOON, all_is_true_and_settled, cluster_is_ready};

const LOAD_BALANCER: &str = "http://127.0.0.1:8050";
const NODE_MANAGER: &str = "http://127.0.0.1:8040";

async fn form(user: &User, path: &str, file_name: &str) -> (u16, Value) {
    let part = Part::bytes(bundles::static_site()).file_name(file_name.to_owned());
    let request = user.request(Method::POST, path).multipart(Form::new().part("inpFile", part));
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn rows(user: &User, path: &str) -> anyhow::Result<Vec<Value>> {
    let answer: Value = user.request(Method::GET, path).send().await?.json().await?;
    anyhow::ensure!(answer["status"] == true, "{answer}");
    Ok(answer["data"].as_array().context("a list")?.clone())
}

async fn get(url: &str) -> anyhow::Result<Value> {
    Ok(reqwest::get(url).await?.error_for_status()?.json().await?)
}

/// The instance's row of one of the load balancer's lists.
async fn listed(list: &str, instance: &str) -> anyhow::Result<Value> {
    let all = get(&format!("{LOAD_BALANCER}/{list}")).await?;
    let found = all.as_array().into_iter().flatten().find(|row| row["appName"] == instance);
    found.cloned().with_context(|| format!("{list} has no row of {instance}"))
}

#[tokio::test]
async fn an_app_is_uploaded_deployed_listed_and_stopped_by_document_001s_paths() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let check = "/api/baseApp/checkfilename/";
    assert_eq!(form(&user, check, "legacy.zip").await.1["data"], true);
    let (status, made) = form(&user, "/api/baseApp/upload/", "legacy.zip").await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(form(&user, check, "legacy.zip").await.1["data"], false);
    let apps = rows(&user, "/api/baseApp/getapps/").await.unwrap();
    let app = apps.iter().find(|app| app["appName"] == "legacy").unwrap();
    assert_eq!((&app["developer"], &app["id"]), (&json!("admin"), &made["data"]["id"]));

    let wish = json!({
        "baseAppId": app["id"], "baseAppName": "legacy", "developer": "admin",
        "location": "{\"building\":\"a\"}", "userEmail": "user@example.org",
    });
    let deploy = user.request(Method::POST, "/api/deployedApps/deployApp/").json(&wish);
    let said: Value = deploy.send().await.unwrap().json().await.unwrap();
    let instance = said["data"]["deployedAppName"].as_str().unwrap().to_owned();
    assert!(instance.starts_with("legacy_"), "{said}");
    let has_url = async || {
        let all = rows(&user, "/api/deployedApps/getDeployedApps/").await?;
        let row = all.iter().find(|row| row["deployedAppName"] == instance.as_str());
        Ok(row.and_then(|row| row["url"].as_str()).context("no URL yet")?.to_owned())
    };
    let url = wait::until("the URL is shown", BUILD_WITHIN, has_url).await.unwrap();
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 200);

    let details = listed("getAppsDetails", &instance).await.unwrap();
    assert_eq!(details["endpoint"], url.as_str(), "{details}");
    let machines = get(&format!("{LOAD_BALANCER}/getVmDetails")).await.unwrap();
    let hosts = |machine: &Value| machine["hosted_apps"].to_string().contains(&instance);
    let host = machines.as_array().unwrap().iter().find(|machine| hosts(machine)).unwrap();
    assert_eq!(host["vm_name"], details["hostVm"]);
    let healthy = async || {
        let health = listed("getAppsHealth", &instance).await?;
        anyhow::ensure!(health["stats"].to_string().contains("is healthy"), "{health}");
        Ok(())
    };
    wait::until("its health is listed", SOON, healthy).await.unwrap();

    let stop = user.request(Method::POST, "/api/deployedApps/stopApp/");
    let stopped = stop.json(&json!({ "appId": instance })).send().await.unwrap();
    assert_eq!(stopped.status(), 200);
    let gone = async || {
        let found = listed("getAppsDetails", &instance).await;
        anyhow::ensure!(found.is_err(), "{found:?}");
        Ok(())
    };
    wait::until("a stopped app is in no list", SOON, gone).await.unwrap();
    all_is_true_and_settled().await;
}

#[tokio::test]
async fn the_node_managers_paths_show_both_nodes() {
    cluster_is_ready().await;
    let nodes = BTreeSet::from(["node-1", "node-2"]);
    let best = get(&format!("{NODE_MANAGER}/nodemgr/get-deploy-node")).await.unwrap();
    assert!(nodes.contains(best["node_id"].as_str().unwrap()), "{best}");
    let health = get(&format!("{NODE_MANAGER}/nodemgr/get-all-nodes-health")).await.unwrap();
    let named: BTreeSet<_> =
        health.as_array().unwrap().iter().filter_map(|node| node["name"].as_str()).collect();
    assert_eq!(named, nodes);

    let samples = format!("{NODE_MANAGER}/api/v1/nodes/node-1/samples");
    let count = async || get(&samples).await.unwrap().as_array().unwrap().len();
    let before = count().await;
    let taken = reqwest::get(format!("{NODE_MANAGER}/nodemgr/log")).await.unwrap();
    assert_eq!(taken.text().await.unwrap(), "Success");
    assert!(count().await > before, "a sample was taken");
    let delete = reqwest::Client::new().delete(format!("{NODE_MANAGER}/nodemgr/delete-old-logs"));
    assert_eq!(delete.send().await.unwrap().text().await.unwrap(), "Success");
    assert!(count().await > before, "what is younger than a week is kept");
}
