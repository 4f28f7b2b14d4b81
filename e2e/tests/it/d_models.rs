//! A model is deployed as its file and its contract, and predicts through the front door; one that cannot be loaded
//! says why, and what was served goes on.

use std::fs;

use e2e::platform::{User, sample};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::cluster_is_ready;

const APP: &str = "rents";
/// Its file has no weights.
const BROKEN: &str = r#"
import json

def load(path):
    return json.load(open(path))["weights"]

def predict(model, input):
    return input
"#;

async fn predicted(url: &str, input: Value) -> (StatusCode, Value) {
    let request = Client::new().post(format!("{url}/predict")).json(&json!({ "input": input }));
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_model_predicts_and_one_that_cannot_be_loaded_says_why() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("model"), APP, 2).await.unwrap();
    let flat = json!({ "square_meters": 60, "rooms": 2, "minutes_to_center": 15 });
    let rent = (StatusCode::OK, json!({ "output": { "rent": 760.0 } }));
    assert_eq!(predicted(&url, flat.clone()).await, rent);
    let (status, refused) = predicted(&url, json!("a castle")).await;
    assert_eq!((status.as_u16(), &refused["code"]), (422, &json!("INPUT_REFUSED")));
    let about: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!((&about["kind"], &about["app"]), (&json!("model"), &json!(APP)));

    let folder = tempfile::tempdir().unwrap();
    for name in ["avishkar.toml", "model.py"] {
        fs::copy(sample("model").join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let missing = user.run(&["deploy", path, "--name", APP]).await.unwrap();
    assert!(missing.code != 0 && missing.stderr.contains("MODEL_FILE_MISSING"), "{missing:?}");
    fs::write(folder.path().join("weights.json"), "{}").unwrap();
    fs::write(folder.path().join("model.py"), BROKEN).unwrap();
    let broken = user.run(&["deploy", path, "--name", APP]).await.unwrap();
    assert!(broken.code != 0 && broken.stderr.contains("APP_EXITED"), "{broken:?}");
    assert!(broken.stderr.contains("it cannot be served: load("), "{broken:?}");
    assert_eq!(predicted(&url, flat).await, rent, "what was served is served");
    user.does(&["stop", APP]).await.unwrap();
}
