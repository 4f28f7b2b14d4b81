use common::id::{Epoch, Generation, SlotNumber};
use common::name::HostName;
use common::port::edge::{EdgeOptions, Table, Weight};
use common::port::routes::WantedRoute;
use expect_test::expect;

use super::*;
use crate::domain::route;

const PORTS: (u16, u16) = (2000, 2999);

fn route_to(instance: &str, front_port: u16, upstreams: &[u16]) -> Route {
    let wanted = WantedRoute {
        instance: instance.parse().unwrap(),
        generation: Generation(1),
        revision: 0,
        upstreams: upstreams
            .iter()
            .zip(1..)
            .map(|(port, slot)| Upstream {
                ip: [192, 0, 2, 1].into(),
                port: *port,
                slot: SlotNumber(slot),
                weight: Weight::ONE,
            })
            .collect(),
        image: "registry.example.org/apps/shop".to_owned(),
        container_port: 8080,
        container_ids: Vec::new(),
        edge: EdgeOptions::default(),
    };
    route::serve(None, &wanted, front_port)
}

fn rendered(routes: &[Route], closed: &[u16]) -> Rendered {
    let ports = FrontPorts { first: PORTS.0, last: PORTS.1, closed: closed.to_vec() };
    render(routes, &ports)
}

fn refusals(rendered: &Rendered) -> Vec<String> {
    rendered.refused.iter().map(|(name, refused)| format!("{name}: {}", refused.why)).collect()
}

#[test]
fn the_table_is_sorted_and_holds_what_the_edge_needs() {
    let routes = [
        route_to("shop", 2001, &[20002, 20001]),
        route_to("blog_6ba7b810-9dad-11d1-80b4-00c04fd430c8", 2000, &[20003]),
    ];
    let table = Table {
        epoch: Epoch(3),
        generation: Generation(7),
        routes: rendered(&routes, &[2181]).routes,
    };
    expect![[r#"
        {
          "epoch": 3,
          "generation": 7,
          "routes": [
            {
              "instance": "blog_6ba7b810-9dad-11d1-80b4-00c04fd430c8",
              "front_port": 2000,
              "host": "blog-6ba7b810-9dad-11d1-80b4-00c04fd430c8",
              "upstreams": [
                {
                  "ip": "192.0.2.1",
                  "port": 20003,
                  "slot": 1
                }
              ]
            },
            {
              "instance": "shop",
              "front_port": 2001,
              "host": "shop",
              "upstreams": [
                {
                  "ip": "192.0.2.1",
                  "port": 20002,
                  "slot": 1
                },
                {
                  "ip": "192.0.2.1",
                  "port": 20001,
                  "slot": 2
                }
              ]
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&table).unwrap());
}

#[test]
fn the_same_routes_in_another_order_are_the_same_table() {
    let mut routes = vec![route_to("a", 2000, &[1]), route_to("b", 2001, &[2])];
    let one = rendered(&routes, &[]);
    routes.reverse();
    assert_eq!(rendered(&routes, &[]), one);
}

#[test]
fn a_collision_costs_the_later_route_and_no_other() {
    let routes = [
        route_to("a", 2000, &[20001]),
        route_to("b", 2000, &[20002]),
        route_to("c", 2001, &[20001]),
        route_to("d-1", 2002, &[20003]),
        route_to("d_1", 2003, &[20004]),
        route_to("e", 2181, &[20005]),
        route_to("f", 2004, &[20006]),
    ];
    let rendered = rendered(&routes, &[2181]);
    let kept: Vec<_> = rendered.routes.iter().map(|route| route.instance.as_str()).collect();
    assert_eq!(kept, ["a", "d-1", "f"]);
    expect![[r#"
        [
            "b: front port 2000 belongs to a",
            "c: the replica 192.0.2.1:20001 belongs to a",
            "d_1: the host name d-1 belongs to d-1",
            "e: the edge could not open front port 2181",
        ]
    "#]]
    .assert_debug_eq(&refusals(&rendered));
}

#[test]
fn a_route_on_its_way_out_is_not_in_the_table_and_keeps_its_port() {
    let leaving = route::remove(&route_to("a", 2000, &[20001]), Generation(2));
    assert_eq!(rendered(std::slice::from_ref(&leaving), &[]), Rendered::default());
    let clash = clash(&route_to("b", 2000, &[20002]), [&leaving]);
    assert_eq!(clash, Some(Why::PortTaken { port: 2000, owner: "a".parse().unwrap() }));
}

fn named(mut route: Route, names: &[&str]) -> Route {
    route.edge.hosts = names.iter().map(|name| name.parse().unwrap()).collect();
    route
}

fn taken(name: &str, owner: &str) -> Why {
    let name: HostName = name.parse().unwrap();
    Why::NameTaken { name, owner: owner.parse().unwrap() }
}

#[test]
fn of_two_apps_that_name_one_host_the_second_is_refused_by_its_own_code() {
    let shop = named(route_to("shop", 2000, &[20001]), &["www.example.org"]);
    let bakery = named(route_to("bakery", 2001, &[20002]), &["www.example.org"]);
    let why = clash(&bakery, [&shop]).unwrap();
    assert_eq!(why, taken("www.example.org", "shop"));
    assert_eq!(why.code(), FailureCode::HostTaken);
    assert_eq!(clash(&shop, [&shop]), None);
    let other = named(bakery.clone(), &["example.org"]);
    assert_eq!(clash(&other, [&shop]), None);
    assert_eq!(
        refusals(&rendered(&[shop, bakery], &[])),
        ["shop: the host name www.example.org belongs to bakery"]
    );
}

#[test]
fn a_name_that_another_apps_label_answers_for_cannot_be_claimed_and_stays_where_it_was_first() {
    let shop = route_to("shop", 2000, &[20001]);
    let bakery = named(route_to("bakery", 2001, &[20002]), &["shop.example.org"]);
    assert_eq!(clash(&bakery, [&shop]), Some(taken("shop.example.org", "shop")));
    // It had the name before there was an app of that label.
    assert_eq!(clash(&shop, [&bakery]), None);
    assert_eq!(clash(&bakery, [&shop, &bakery]), None);
    assert!(rendered(&[shop, bakery], &[]).refused.is_empty());
}

#[test]
fn an_ill_replica_is_left_out_and_nobody_else_gets_it_meanwhile() {
    let mut shop = route_to("shop", 2001, &[20001, 20002]);
    shop.ill = vec![([192, 0, 2, 1], 20002).into()];
    let thief = route_to("thief", 2002, &[20002]);
    let rendered = rendered(&[shop.clone(), thief], &[]);
    let ports = |upstreams: &[Upstream]| -> Vec<u16> {
        upstreams.iter().map(|upstream| upstream.port).collect()
    };
    assert_eq!(ports(&rendered.routes[0].upstreams), [20001]);
    assert_eq!(ports(&rendered.left_out[&shop.instance]), [20002]);
    assert_eq!(refusals(&rendered), ["thief: the replica 192.0.2.1:20002 belongs to shop"]);
}

#[test]
fn a_route_all_of_whose_replicas_are_ill_keeps_them() {
    let mut shop = route_to("shop", 2001, &[20001, 20002]);
    shop.ill = shop.upstreams.iter().map(Upstream::address).collect();
    let rendered = rendered(&[shop], &[]);
    assert_eq!((rendered.routes[0].upstreams.len(), rendered.left_out.len()), (2, 0));
}

#[test]
fn a_weight_all_of_whose_replicas_are_ill_keeps_them() {
    let mut shop = route_to("shop", 2001, &[20001, 20002, 20003]);
    shop.upstreams[2].weight = Weight::try_from(9).unwrap();
    shop.ill = vec![shop.upstreams[0].address(), shop.upstreams[2].address()];
    let rendered = rendered(&[shop.clone()], &[]);
    assert_eq!(rendered.left_out[&shop.instance], [shop.upstreams[0].clone()]);
    assert_eq!(rendered.routes[0].upstreams, shop.upstreams[1..]);
}
