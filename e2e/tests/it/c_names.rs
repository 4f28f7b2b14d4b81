//! Hostile names in every place where HTTP takes one: refused by the rule, whatever they try.

use std::time::Duration;

use e2e::bystander::Bystander;
use e2e::corpus::names::{RESERVED, escaped, never, not_of_apps};
use e2e::platform::User;
use e2e::raw_http::ask;
use e2e::refusal::{Refusal, Wrongs};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::c_archives::upload;
use crate::cluster_is_ready;

const AT_ONCE: Duration = Duration::from_secs(2);
const JSON: &str = "application/json";
const IMAGE: &str = r#"{"image":"registry:5000/x@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#;
const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"a.zip\"\r\n\r\nx\r\n--b--\r\n";

/// A route that takes a name in its path, `@`, with a body that is right.
struct Place {
    method: &'static str,
    path: &'static str,
    body: Option<(&'static str, &'static str)>,
}

const fn place(
    method: &'static str,
    path: &'static str,
    body: Option<(&'static str, &'static str)>,
) -> Place {
    Place { method, path, body }
}

const OF_APPS: [Place; 5] = [
    place("POST", "/api/v1/apps/@/releases", Some(("multipart/form-data; boundary=b", FORM))),
    place("POST", "/api/v1/apps/@/releases", Some((JSON, IMAGE))),
    place("GET", "/api/v1/apps/@", None),
    place("GET", "/api/v1/apps/@/releases", None),
    place("POST", "/api/v1/apps/@/deployments", Some((JSON, "{}"))),
];
const OF_INSTANCES: [Place; 4] = [
    place("GET", "/api/v1/instances/@", None),
    place("GET", "/api/v1/instances/@/logs", None),
    place("POST", "/api/v1/instances/@/scale", Some((JSON, r#"{"replicas":2}"#))),
    place("DELETE", "/api/v1/instances/@", None),
];

impl Place {
    async fn ask(&self, user: &User, part: &str) -> Refusal {
        let body = self.body.map(|(kind, text)| (kind, text.as_bytes()));
        ask(user, self.method, &self.path.replace('@', part), body).await.unwrap()
    }

    fn told(&self, row: &str, name: &str) -> String {
        format!("{row} {} {}: {:.40}", self.method, self.path, name.escape_debug().to_string())
    }
}

#[tokio::test]
async fn a_hostile_name_in_a_path_is_refused_by_the_rule() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let mut wrongs = Wrongs::default();
    for place in OF_APPS.iter().chain(&OF_INSTANCES) {
        for name in never() {
            let found = place.ask(&user, &escaped(&name.text)).await;
            let what = place.told(name.row, &name.text);
            wrongs.check(&what, &found, (422, "NAME_INVALID"), AT_ONCE);
        }
        // As they stand: a client that does not tidy paths up.
        for part in ["..", ".", "%2e%2e", "%252e%252e", "a;rm", "$host", "$(id)", "%00", "%ff"] {
            let found = place.ask(&user, part).await;
            let what = place.told("unescaped", part);
            wrongs.check(&what, &found, (422, "NAME_INVALID"), AT_ONCE);
        }
        // A line longer than any server reads.
        let found = place.ask(&user, &"a".repeat(1 << 20)).await;
        wrongs.check(&place.told("B-N5", "1 MiB"), &found, (431, ""), AT_ONCE);
    }
    for name in not_of_apps() {
        for place in &OF_APPS {
            let found = place.ask(&user, &escaped(&name.text)).await;
            let what = place.told(name.row, &name.text);
            wrongs.check(&what, &found, (422, "NAME_INVALID"), AT_ONCE);
        }
        for place in &OF_INSTANCES {
            let found = place.ask(&user, &escaped(&name.text)).await;
            let what = place.told(name.row, &name.text);
            wrongs.check(&what, &found, (404, "UNKNOWN_INSTANCE"), AT_ONCE);
        }
    }
    wrongs.none().unwrap();
    bystander.unharmed(0..=0).await.unwrap();
}

/// Every place where a body carries a name; document 001's answers are 400 where ours are 422.
async fn in_bodies(user: &User, name: &str) -> Vec<(&'static str, Refusal)> {
    let post = |path: &str, body| Refusal::of(user.request(Method::POST, path).json(&body));
    let wish = json!({
        "baseAppId": 1, "baseAppName": name, "developer": "admin", "location": "{}", "userEmail": "",
    });
    vec![
        ("deployApp", post("/api/deployedApps/deployApp/", wish).await.unwrap()),
        ("upload", in_file_name(user, "/api/baseApp/upload/", name).await),
        ("checkfilename", in_file_name(user, "/api/baseApp/checkfilename/", name).await),
    ]
}

async fn in_file_name(user: &User, path: &str, name: &str) -> Refusal {
    let file_name = name.replace('\\', "\\\\").replace('"', "\\\"");
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"inpFile\"; filename=\"{file_name}.zip\"\r\n\r\nx\r\n--b--\r\n"
    );
    ask(user, "POST", path, Some(("multipart/form-data; boundary=b", body.as_bytes())))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_hostile_name_in_a_body_is_refused_by_the_rule() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let mut wrongs = Wrongs::default();
    let post = |path: &str, body| Refusal::of(user.request(Method::POST, path).json(&body));
    for name in never().into_iter().chain(not_of_apps()) {
        let text = &name.text;
        let told =
            |place: &str| format!("{} {place}: {:.40}", name.row, text.escape_debug().to_string());
        let instance = post("/api/v1/apps/bystander/deployments", json!({ "instance": text }));
        let found = instance.await.unwrap();
        wrongs.check(&told("instance"), &found, (422, "NAME_INVALID"), AT_ONCE);
        for (place, found) in in_bodies(&user, text).await {
            // What cannot stand in a header at all is no form.
            let breaks = text.contains(['\n', '\0']) && place != "deployApp";
            let code = if breaks { "FORM_INVALID" } else { "NAME_INVALID" };
            wrongs.check(&told(place), &found, (400, code), AT_ONCE);
        }
    }
    for name in never() {
        let wish =
            json!({ "username": name.text, "password": "correct horse battery", "role": "user" });
        let user = post("/api/v1/users", wish).await.unwrap();
        let what = format!("{} user: {:.40}", name.row, name.text.escape_debug().to_string());
        wrongs.check(&what, &user, (422, "NAME_INVALID"), AT_ONCE);
        let stop = post("/api/deployedApps/stopApp/", json!({ "appId": name.text }));
        let what = format!("{} appId: {:.40}", name.row, name.text.escape_debug().to_string());
        wrongs.check(&what, &stop.await.unwrap(), (400, "NAME_INVALID"), AT_ONCE);
    }
    let large = "a".repeat(1 << 20);
    let instance = post("/api/v1/apps/bystander/deployments", json!({ "instance": large }));
    wrongs.check("1 MiB", &instance.await.unwrap(), (413, "BODY_TOO_LARGE"), AT_ONCE);
    let stop = post("/api/deployedApps/stopApp/", json!({ "appId": large }));
    wrongs.check("1 MiB", &stop.await.unwrap(), (400, "BODY_TOO_LARGE"), AT_ONCE);
    wrongs.none().unwrap();
    bystander.unharmed(0..=0).await.unwrap();
}

#[tokio::test]
async fn a_hostile_name_is_refused_by_the_other_services_too() {
    cluster_is_ready().await;
    let client = reqwest::Client::new();
    let mut wrongs = Wrongs::default();
    for name in never() {
        let text = name.text.as_str();
        let told =
            |place: &str| format!("{} {place}: {:.40}", name.row, text.escape_debug().to_string());
        let register = client.get("http://127.0.0.1:8050/registerApp").query(&[
            ("appName", text),
            ("vmIp", "192.0.2.1"),
            ("containerId", "x"),
            ("imageName", "x"),
            ("containerPort", "80"),
            ("hostPort", "20000"),
        ]);
        let deregister =
            client.get("http://127.0.0.1:8050/deregisterApp").query(&[("appName", text)]);
        for (place, request) in [("registerApp", register), ("deregisterApp", deregister)] {
            let found = Refusal::of(request).await.unwrap();
            wrongs.check(&told(place), &found, (422, "QUERY_INVALID"), AT_ONCE);
        }
        // A client library tidies such parts away.
        if !matches!(text, "." | "..") {
            let url = format!("http://127.0.0.1:8040/api/v1/nodes/{}/samples", escaped(text));
            let found = Refusal::of(client.get(url)).await.unwrap();
            wrongs.check(&told("samples"), &found, (422, "NAME_INVALID"), AT_ONCE);
        }
    }
    wrongs.none().unwrap();
}

#[tokio::test]
async fn a_name_that_is_reserved_or_taken_makes_nothing() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let mut wrongs = Wrongs::default();
    for name in RESERVED {
        for place in &OF_APPS {
            let found = place.ask(&user, name).await;
            let what = place.told("B-N6", name);
            wrongs.check(&what, &found, (422, "NAME_RESERVED"), AT_ONCE);
        }
        let path = "/api/v1/apps/bystander/deployments";
        let instance = user.request(Method::POST, path).json(&json!({ "instance": name }));
        let found = Refusal::of(instance).await.unwrap();
        wrongs.check(&format!("instance {name}"), &found, (422, "NAME_RESERVED"), AT_ONCE);
        for (place, found) in in_bodies(&user, name).await {
            wrongs.check(&format!("{place} {name}"), &found, (400, "NAME_RESERVED"), AT_ONCE);
        }
    }
    // Taken: by an app of this very name where only new ones are made, or of one that differs in case.
    let new = upload(&user, "bystander", b"x".to_vec()).header("if-none-match", "*");
    wrongs.check("new", &Refusal::of(new).await.unwrap(), (409, "NAME_TAKEN"), AT_ONCE);
    for twin in ["Bystander", "BYSTANDER"] {
        let found = Refusal::of(upload(&user, twin, b"x".to_vec())).await.unwrap();
        wrongs.check(twin, &found, (409, "NAME_TAKEN"), AT_ONCE);
    }
    for twin in ["bystander", "ByStander"] {
        let part = Part::bytes(b"x".to_vec()).file_name(format!("{twin}.zip"));
        let form = Form::new().part("inpFile", part);
        let request = user.request(Method::POST, "/api/baseApp/upload/").multipart(form);
        wrongs.check(twin, &Refusal::of(request).await.unwrap(), (409, "NAME_TAKEN"), AT_ONCE);
    }
    wrongs.none().unwrap();
    for name in ["nul", "kafka", "deployment-manager"] {
        let found = user.request(Method::GET, "/api/v1/apps").send().await.unwrap();
        assert!(!found.text().await.unwrap().contains(&format!("\"{name}\"")), "{name}");
    }
    bystander.unharmed(0..=0).await.unwrap();
}
