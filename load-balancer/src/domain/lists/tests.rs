use common::id::{Generation, SlotNumber};
use common::port::edge::{EdgeOptions, Weight};
use common::port::nodes::NodeUse;
use common::port::routes::WantedRoute;
use expect_test::expect;
use jiff::Timestamp;

use super::*;
use crate::domain::route;

fn machine(name: &str, host: u8) -> Machine {
    let ip = IpAddr::from([192, 0, 2, host]);
    let name = name.parse().unwrap();
    let agent = SocketAddr::new(ip, 7443);
    let node = Node { schema: 1, name, ip, agent, os: "linux".to_owned(), leaves: false };
    Machine { node, next_port: 20002 }
}

fn shop() -> Route {
    let upstream = |host: u8, port, slot| Upstream {
        ip: [192, 0, 2, host].into(),
        port,
        slot: SlotNumber(slot),
        weight: Weight::ONE,
    };
    let wanted = WantedRoute {
        instance: "shop".parse().unwrap(),
        generation: Generation(1),
        revision: 0,
        upstreams: vec![upstream(1, 20000, 1), upstream(1, 20001, 2)],
        image: "shop_img".to_owned(),
        container_port: 8080,
        container_ids: vec!["abc".to_owned(), "def".to_owned()],
        edge: EdgeOptions::default(),
    };
    route::serve(None, &wanted, 2000)
}

fn container(port: u16, cpu: f64, ram: f64, healthy: Option<bool>) -> ContainerUse {
    ContainerUse {
        name: "shop_instance_1".parse().unwrap(),
        id: format!("id{port}"),
        generation: Generation(1),
        host_port: port,
        running: true,
        healthy,
        failed_looks: 0,
        cpu_percent: cpu,
        memory_percent: ram,
        restarts: 0,
        ended_ill: None,
        measured: None,
    }
}

fn json<T: Serialize>(rows: &T) -> String {
    crate::lists::file_text(rows)
}

#[test]
fn the_machines_are_listed_as_document_001_lists_them() {
    expect![[r#"
        [
            {
                "vm_name": "node-1",
                "vm_ip": "192.0.2.1",
                "vm_username": "",
                "vm_key_path": "",
                "vm_service_path": "",
                "latestAvailablePort": 20002,
                "hosted_apps": [
                    "shop"
                ]
            },
            {
                "vm_name": "node-2",
                "vm_ip": "192.0.2.2",
                "vm_username": "",
                "vm_key_path": "",
                "vm_service_path": "",
                "latestAvailablePort": 20002,
                "hosted_apps": []
            }
        ]"#]]
    .assert_eq(&json(&vm_rows(&[machine("node-1", 1), machine("node-2", 2)], &[shop()])));
}

#[test]
fn the_apps_are_listed_as_document_001_lists_them() {
    expect![[r#"
        [
            {
                "appName": "shop",
                "imageName": "shop_img",
                "hostVm": "node-1",
                "instances": 2,
                "containerPort": 8080,
                "hostPorts": [
                    20000,
                    20001
                ],
                "nginxPort": 2000,
                "containerIds": [
                    "abc",
                    "def"
                ],
                "endpoint": "http://192.0.2.10:2000"
            }
        ]"#]]
    .assert_eq(&json(&app_rows(&[machine("node-1", 1)], &[shop()], [192, 0, 2, 10].into())));
    assert_eq!(
        json(&port_row(Some(2001))).split_whitespace().collect::<String>(),
        r#"[{"id":"default","latestAvailablePort":2001}]"#
    );
}

#[test]
fn a_container_is_unhealthy_above_the_limits_and_not_at_them() {
    let line = |cpu, ram, healthy| {
        health_line(&"shop".parse().unwrap(), &container(20000, cpu, ram, healthy))
    };
    assert_eq!(
        line(80.0, 75.0, None),
        "shop, container - id20000 is healthy; RAM utilization = 75.00% ; CPU utilization = 80.00%"
    );
    assert!(line(80.1, 0.0, None).contains("is unhealthy;"));
    assert!(line(0.0, 75.1, None).contains("is unhealthy;"));
    assert!(line(0.0, 0.0, Some(false)).contains("is unhealthy;"));
}

#[test]
fn health_is_found_by_node_and_host_port() {
    let node = NodeUse {
        cpu_percent: 0.0,
        memory_percent: 0.0,
        disk_percent: 0.0,
        memory_total_bytes: 0,
        cpu_millis_total: 0,
        memory_promised_bytes: 0,
        cpu_millis_promised: 0,
    };
    let containers = vec![container(20001, 1.0, 2.0, None), container(30000, 9.0, 9.0, None)];
    let sample = Sample { at: Timestamp::UNIX_EPOCH, node, containers };
    let samples = [("node-1".parse().unwrap(), sample)].into();
    let rows = health_rows(&[machine("node-1", 1)], &[shop()], &samples);
    let stats: Vec<_> = rows.iter().flat_map(|row| &row.stats).collect();
    assert_eq!(
        stats,
        ["shop, container - id20001 is healthy; RAM utilization = 2.00% ; CPU utilization = 1.00%"]
    );
}
