use chassis::config::{Sources, read};
use chassis::{http, telemetry};

use super::*;

#[derive(Debug, Deserialize)]
struct File {
    #[serde(rename = "http")]
    _http: http::Raw,
    #[serde(rename = "telemetry")]
    _telemetry: telemetry::Config,
    node: RawNode,
    docker: RawDocker,
    registry: RawRegistry,
    apps: RawApps,
    parts: RawParts,
    shares: RawShares,
    blobs: RawBlobs,
    firewall: RawFirewall,
    meter: RawMeter,
    images: RawImages,
}

fn resolve(sources: &Sources) -> Result<Config, Vec<Problem>> {
    let File {
        node, docker, registry, apps, parts, shares, blobs, firewall, meter, images, ..
    } = read(DEFAULTS, sources).unwrap();
    Raw { node, docker, registry, apps, parts, shares, blobs, firewall, meter, images }.resolve()
}

const DEFAULTS: &str = include_str!("../../../config/node-agent.toml");

#[test]
fn the_shipped_file_is_right() {
    let config = resolve(&Sources::default()).unwrap();
    assert_eq!(config.node.as_str(), "node-1");
    assert_eq!(config.firewall.unwrap().deny.len(), 1);
    assert_eq!((config.registry, config.relay), (None, None));
}

#[test]
fn all_problems_are_told_at_once() {
    let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let overrides = vec![
        set("node.name", "Node 1"),
        set("node.ip", "here"),
        set("firewall.deny", "169.254.0.0/16, 10.0.0.0/40"),
        set("images.clean_above_percent", "0"),
        set("registry.relay", "5000"),
        set("shares.root", ""),
        set("blobs.keep_unused_minutes", "59"),
        set("parts.restart_after_seconds", "9"),
        set("apps.restart_after_seconds", "9"),
    ];
    let sources = Sources { overrides, ..Sources::default() };
    let problems = resolve(&sources).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "node.name",
            "node.ip",
            "firewall.deny",
            "registry.relay",
            "apps.restart_after_seconds",
            "parts.restart_after_seconds",
            "shares.root",
            "blobs.keep_unused_minutes",
            "images.clean_above_percent",
            "images.clean_until_percent"
        ]
    );
}
