//! What a file says of edges: a pair of them, the address that moves between both, and the ports of host names.

use bootstrapper::description::Description;
use common::name::NodeName;
use rollout::platform::Component;

use crate::files::{MANUAL, described};
use crate::world::World;

type Change = fn(&mut Description);

const ONE: &str = include_str!("world.toml");

/// A platform with two edges on local machines, and this section `[edge]`.
fn pair(section: &str) -> String {
    let two = ONE.replace("edge = \"node-4\"", "edge = [\"node-3\", \"node-2\"]");
    let image = "edge = \"avishkar/edge:dev\"\naddress = \"avishkar/address:dev\"";
    two.replace("edge = \"avishkar/edge:dev\"", image)
        .replace("[images]", &format!("[edge]\n{section}\n\n[images]"))
}

fn told(text: &str) -> Vec<String> {
    let problems = described(text).map(|found| found.platform.edge).unwrap_err();
    problems.into_iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
}

#[test]
fn two_edges_have_an_address_that_moves_and_the_image_that_moves_it() {
    let found = described(&pair("address = \"192.0.2.20\"\ntls_port = 9443")).unwrap();
    let platform = &found.platform;
    let edges: Vec<&str> = platform.placement.edge.iter().map(NodeName::as_str).collect();
    assert_eq!(edges, ["node-3", "node-2"]);
    assert_eq!(platform.edge.address, Some([192, 0, 2, 20].into()));
    assert_eq!((platform.edge.tls_port, platform.edge.host_port), (Some(9443), None));
    assert_eq!(found.images.names[&Component::Address], "avishkar/address:dev");
}

#[test]
fn one_edge_needs_neither_address_nor_image_and_is_written_as_ever() {
    let found = described(ONE).unwrap();
    assert!(!found.images.names.contains_key(&Component::Address));
    let written = serde_json::to_value(&found.platform).unwrap();
    assert_eq!(written["placement"]["edge"], "node-4");
    assert!(written.get("edge").is_none(), "{written}");
    let read: rollout::platform::Platform = serde_json::from_value(written).unwrap();
    assert_eq!(read, found.platform);
    let pair = described(&pair("address = \"192.0.2.20\"")).unwrap().platform;
    let read = serde_json::from_value(serde_json::to_value(&pair).unwrap());
    assert_eq!(read.ok(), Some(pair));
}

#[test]
fn two_edges_that_something_else_finds_need_no_address() {
    let advertised = "edge = \"0.0.0.0\"\nedge_advertised = \"192.0.2.250\"";
    let text = pair("host_port = 8100").replacen("edge = \"0.0.0.0\"", advertised, 1);
    assert!(described(&text).unwrap().platform.edge.address.is_none());
}

#[test]
fn an_address_that_cannot_move_is_refused() {
    for (address, message) in [
        ("\"192.0.2.12\"", "it is the address of node-2"),
        ("\"192.0.3.20\"", "node-3 has no address of that kind: 192.0.2.0/24 is local.range"),
        ("\"192.0.2.1\"", "node-3 has no address of that kind: 192.0.2.0/24 is local.range"),
        ("\"192.0.2.255\"", "node-3 has no address of that kind: 192.0.2.0/24 is local.range"),
        (
            "\"127.0.0.1\"",
            "no other machine reaches this one at 127.0.0.1: it means the computer itself",
        ),
        ("\"::1\"", "\"::1\" does not fit: invalid IPv4 address syntax"),
        ("20", "it is a whole number"),
    ] {
        let expected = [format!("edge.address: {message}")];
        assert_eq!(told(&pair(&format!("address = {address}"))), expected);
    }
}

#[test]
fn an_address_must_have_two_edges_between_which_it_moves() {
    let one = pair("address = \"192.0.2.20\"").replace("[\"node-3\", \"node-2\"]", "[\"node-3\"]");
    assert_eq!(told(&one), ["edge.address: there is no other edge for it to move to"]);
    let nowhere = pair("tls_port = 9443");
    assert_eq!(told(&nowhere), ["placement.edge: nobody could find the second of two edges"]);
    let bound =
        pair("address = \"192.0.2.20\"").replacen("edge = \"0.0.0.0\"", "edge = \"192.0.2.13\"", 1);
    assert_eq!(told(&bound), ["edge.address: the edge listens on 192.0.2.13 only"]);
    let edges = |list: &str| {
        told(&pair("address = \"192.0.2.20\"").replace("[\"node-3\", \"node-2\"]", list))
    };
    assert_eq!(
        edges("[\"node-3\", \"node-3\"]"),
        ["placement.edge[1]: node-3 is placement.edge[0] already"]
    );
    assert_eq!(edges("[]"), ["placement.edge: nobody is named"]);
    assert_eq!(edges("[\"node-1\", \"node-2\", \"node-3\"]"), ["placement.edge: there are 3"]);
    assert_eq!(
        edges("[\"node-3\", \"nod-2\"]"),
        ["placement.edge[1]: there is no machine \"nod-2\""]
    );
}

#[test]
fn machines_that_are_given_say_their_network_by_what_apps_may_not_reach() {
    let given = |address: &str| {
        MANUAL.replace("address = \"192.0.2.10\"", &format!("address = \"{address}\""))
    };
    assert!(described(&given("192.0.2.9")).is_ok());
    let message = "no network of network.denied has it and 192.0.2.11, which node-1 has";
    assert_eq!(told(&given("192.0.3.9")), [format!("edge.address: {message}")]);
    let azure =
        MANUAL.replace("edge = [\"node-1\", \"node-2\"]", "edge = [\"node-1\", \"node-5\"]");
    let message = "node-5 is in Azure, where no address moves by itself";
    assert_eq!(told(&azure), [format!("edge.address: {message}")]);
}

#[test]
fn ports_of_host_names_that_the_edge_cannot_have_are_refused() {
    let address = "address = \"192.0.2.20\"";
    for (line, message) in [
        ("tls_port = 443", "edge.tls_port: the edge may not listen on 443"),
        ("host_port = 80", "edge.host_port: the edge may not listen on 80"),
        ("host_port = 2100", "edge.host_port: 2100 is a front port, which apps are given"),
        ("tls_port = 20000", "edge.tls_port: 20000 is a port that replicas are given"),
        ("host_port = 29999", "edge.host_port: 29999 is a port that replicas are given"),
        ("tls_port = 9092", "edge.tls_port: a part of the platform listens on 9092"),
        ("tls_port = 70000", "edge.tls_port: 70000 is out of bounds"),
        ("tls_port = \"9443\"", "edge.tls_port: it is a text"),
        ("tls_port = 8088", "edge.tls_port: host names would have one port with and without TLS"),
        ("tls = 9443", "edge.tls: there is no such key"),
        ("requests_per_address = -1", "edge.requests_per_address: -1 is out of bounds"),
    ] {
        assert_eq!(told(&pair(&format!("{address}\n{line}"))), [message]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_keeps_itself_gets_no_second_edge_and_no_other_base_and_is_told_why() {
    let world = World::new();
    let owner = world.computer(1);
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    let refused = async |change: fn(&mut Description)| {
        let mut again = world.computer(2);
        change(&mut again.description);
        let told = again.apply().await.unwrap_err();
        let [trouble] = told.try_into().unwrap();
        trouble
    };
    let pair = refused(|file| {
        file.platform.placement.edge.push("node-1".parse().unwrap());
        file.platform.edge.address = Some([192, 0, 2, 20].into());
    });
    let pair = pair.await;
    assert_eq!(
        pair.cause,
        "the only edge is on [\"node-4\"], and is to be one of two, on [\"node-4\", \"node-1\"]"
    );
    assert!(
        pair.hint.starts_with("write edge = [\"node-4\"] into the file, without edge.address"),
        "{pair}"
    );
    let others: [(Change, &str); 3] = [
        (|file| name(file, Component::Platform), "`avishkar platform upgrade`"),
        (
            |file| name(file, Component::KafkaZookeeper),
            "agents take the base from lifecycle managers",
        ),
        (|file| name(file, Component::RuntimePython), "apps are built on what was in the registry"),
    ];
    for (change, words) in others {
        let trouble = refused(change).await;
        assert!(trouble.hint.contains(words), "{trouble}");
    }
    // Before a lifecycle manager leads it becomes a pair.
    let world = World::new();
    let owner = world.computer(1);
    owner.apply().await.unwrap();
    let mut again = world.computer(2);
    again.description.platform.placement.edge.push("node-1".parse().unwrap());
    again.description.platform.edge_advertised = Some([192, 0, 2, 250].into());
    again.apply().await.unwrap();
    assert!(world.shown()[0].contains(" edge x1"), "{:?}", world.shown());
}

fn name(file: &mut Description, component: Component) {
    file.images.names.insert(component, "another:dev".to_owned());
}
