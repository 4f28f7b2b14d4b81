//! The configuration: what ships is right, and everything that is wrong is told at once.

use common::service::ServiceName;
use platform_initializer::config::{Documents, Raw};

use crate::world::{World, listeners};

fn problems(raw: Raw, documents: &Documents) -> Vec<String> {
    let problems = raw.resolve(&listeners(), documents).err().unwrap_or_default();
    problems.into_iter().map(|problem| problem.key).collect()
}

#[test]
fn services_are_in_the_order_of_a_start() {
    let config = World::with_nodes(0).config();
    let expected = [
        ServiceName::NodeManager,
        ServiceName::LoadBalancer,
        ServiceName::DeploymentManager,
        ServiceName::AppManager,
        ServiceName::Monitoring,
    ];
    assert_eq!(config.services, expected);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut raw = World::with_nodes(0).raw;
    raw.platform.services = "app-manager, app-manager, nothing".to_owned();
    raw.platform.front_doors = "load-balancer".to_owned();
    raw.platform.instances = 0;
    raw.platform.ready_within_seconds = 0;
    raw.platform.status_file = "status.json".to_owned();
    raw.machines.names = "node-1, No Name".to_owned();
    raw.machines.edge = "/".to_owned();
    raw.dependencies.insert("toaster".to_owned(), Vec::new());
    let found = problems(raw, &Documents::default());
    for key in [
        "platform.services",
        "platform.front_doors",
        "platform.instances",
        "platform.ready_within_seconds",
        "platform.status_file",
        "machines.names",
        "machines.edge",
        "dependencies.toaster",
    ] {
        assert!(found.iter().any(|other| other == key), "{key}: {found:?}");
    }
}

#[test]
fn services_that_wait_for_each_other_are_refused() {
    let mut raw = World::with_nodes(0).raw;
    let needed = vec!["app-manager".to_owned()];
    raw.dependencies.insert("node-manager".to_owned(), needed);
    assert_eq!(problems(raw, &Documents::default()), ["dependencies"]);
}

#[test]
fn a_list_stands_in_one_place_only() {
    let mut raw = World::with_nodes(0).raw;
    raw.platform.services = "node-manager".to_owned();
    raw.platform.front_doors = String::new();
    raw.machines.names = "node-1".to_owned();
    let documents = Documents {
        services: Some("[{\"service_name\": \"node_manager\"}]".to_owned()),
        machines: Some("[{\"vm_name\": \"VM1\", \"vm_ip\": \"192.0.2.1\"}]".to_owned()),
    };
    assert_eq!(problems(raw, &documents), ["platform.services", "machines.names"]);
}

#[test]
fn the_documents_machines_are_used_in_their_order() {
    let raw = World::with_nodes(0).raw;
    let machines = "[{\"vm_name\": \"VM2\", \"vm_ip\": \"192.0.2.2\"},
        {\"vm_name\": \"VM1\", \"vm_ip\": \"192.0.2.1\", \"vm_username\": \"azureuser\"}]";
    let documents = Documents { services: None, machines: Some(machines.to_owned()) };
    let config = raw.resolve(&listeners(), &documents).unwrap();
    let names: Vec<&str> = config.machines.iter().map(|machine| machine.name.as_str()).collect();
    assert_eq!(names, ["VM2", "VM1"]);
    assert_eq!(config.ignored.len(), 1, "{:?}", config.ignored);
}
