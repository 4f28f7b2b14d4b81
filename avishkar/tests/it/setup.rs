//! `avishkar setup`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::{avishkar, said};

/// Makes what is missing in `home`, and says what it made.
fn set_up(home: &tempfile::TempDir, node: &str) -> String {
    let folder = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let owner = fs::metadata(home.path()).unwrap().uid().to_string();
    let (pki, secrets) = (folder("pki"), folder("secrets"));
    let arguments =
        ["setup", "--pki", &pki, "--secrets", &secrets, "--owner", &owner, "--node", node];
    let output = avishkar(&arguments, home).output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    said(&output.stdout)
}

fn certificate(home: &Path) -> Vec<u8> {
    fs::read(home.join("pki/node-1/node-agent.pem")).unwrap()
}

#[test]
fn what_is_right_is_kept_and_a_node_that_moved_gets_a_new_certificate() {
    let home = tempfile::tempdir().unwrap();
    let made = set_up(&home, "node-1=192.0.2.11");
    assert!(made.contains("app-manager") && made.contains("node-1"), "{made}");
    let first = certificate(home.path());
    assert_eq!(set_up(&home, "node-1=192.0.2.11"), "everything is there\n");
    assert_eq!(certificate(home.path()), first);
    assert_eq!(set_up(&home, "node-1=198.51.100.11"), "made: node-1\n");
    assert_ne!(certificate(home.path()), first);
}

#[test]
fn a_set_that_was_cut_off_half_way_is_made_anew() {
    let home = tempfile::tempdir().unwrap();
    set_up(&home, "node-1=192.0.2.11");
    fs::remove_file(home.path().join("pki/node-1/node-agent.names")).unwrap();
    assert_eq!(set_up(&home, "node-1=192.0.2.11"), "made: node-1\n");
}
