use common::id::{Epoch, Generation, SlotNumber};
use common::port::edge::{AppTraffic, EdgeOptions, TableRoute, Upstream, Weight};

use super::*;

fn at(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

fn row(instance: &str, front_port: u16, replicas: &[u16], hosts: &[&str]) -> TableRoute {
    let instance: LegacyName = instance.parse().unwrap();
    let upstream = |port: &u16| Upstream {
        ip: at(*port).ip(),
        port: *port,
        slot: SlotNumber(1),
        weight: Weight::ONE,
    };
    let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    TableRoute {
        host: instance.host_label(),
        instance,
        front_port,
        upstreams: replicas.iter().map(upstream).collect(),
        options: EdgeOptions { hosts, ..EdgeOptions::default() },
    }
}

fn table(routes: Vec<TableRoute>) -> Table {
    Table { epoch: Epoch(1), generation: Generation(1), routes }
}

fn begun() -> Tally {
    let mut tally = Tally { is_begun: true, ..Tally::default() };
    let hosts = ["www.example.org", "example.org"];
    let routes = vec![row("shop", 2000, &[20001], &hosts), row("blog", 2001, &[20002], &[])];
    tally.serves(&table(routes), Instant::now());
    tally.has_front_ports(Some((2000, 2999)));
    tally
}

fn add(tally: &mut Tally, lines: &[&str]) {
    for line in lines {
        tally.add(format!("{line}\n").as_bytes());
    }
}

fn of(tally: &Tally, instance: &str) -> AppTraffic {
    tally.traffic.apps.get(&instance.parse().unwrap()).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_line_is_its_apps_by_port_or_by_host() {
    let mut tally = begun();
    for (way, shop, blog) in [
        ("2000 anything.example.org", 1, 0),
        ("2001 shop.example.org", 0, 1),
        ("8088 shop.example.net", 1, 0),
        ("8088 www.example.org", 1, 0),
        ("8443 example.org", 1, 0),
        ("8088 blog", 0, 1),
        ("8088 nobody.example.org", 0, 0),
        ("8088 ", 0, 0),
        // A front port that nobody has: its visitor met no app, whatever the host.
        ("2002 shop.example.org", 0, 0),
    ] {
        let before = [of(&tally, "shop").requests(), of(&tally, "blog").requests()];
        add(&mut tally, &[&format!("1795236000.123 {way} 404 0.004 80 512 -")]);
        let after = [of(&tally, "shop").requests(), of(&tally, "blog").requests()];
        assert_eq!([after[0] - before[0], after[1] - before[1]], [shop, blog], "{way}");
    }
}

#[tokio::test]
async fn the_same_words_mean_another_app_once_the_table_is_another() {
    let mut tally = begun();
    let line = "1795236000.123 2000 x 200 0.004 80 512 192.0.2.1:20001";
    add(&mut tally, &[line, line]);
    tally.serves(&table(vec![row("blog", 2000, &[20001], &[])]), Instant::now());
    add(&mut tally, &[line]);
    assert_eq!((of(&tally, "shop").requests(), of(&tally, "blog").requests()), (0, 1));
    tally.serves(&table(vec![row("blog", 2001, &[20001], &[])]), Instant::now());
    add(&mut tally, &[line]);
    assert_eq!((of(&tally, "blog").requests(), tally.ends[&at(20001)]), (1, 4));
}

#[tokio::test]
async fn hosts_that_visitors_make_up_are_not_remembered_for_ever() {
    let mut tally = begun();
    for number in 0..=MOST_MEANINGS {
        let line = format!("1795236000.123 8088 shop.{number} 200 0.004 80 512 192.0.2.1:20001");
        add(&mut tally, &[&line]);
        assert!(tally.meanings.known.len() <= MOST_MEANINGS);
        assert_eq!(tally.meanings.places.len(), tally.meanings.known.len());
    }
    assert_eq!(of(&tally, "shop").requests(), MOST_MEANINGS as u64 + 1);
}

#[tokio::test]
async fn what_a_line_says_is_added_up() {
    let mut tally = begun();
    add(
        &mut tally,
        &[
            "1795236000.123 2000 x 200 0.004 80 512 192.0.2.1:20001",
            "1795236000.123 2000 x 503 1.250 20 100 192.0.2.1:20001, 192.0.2.1:20001",
            "1795236000.123 2000 x 101 3600.000 7 9 192.0.2.1:20001",
            // Refused by the edge, and one that found no replica to go to.
            "1795236000.123 2000 x 429 0.000 5 6 -",
            "1795236000.123 2000 x 503 60.000 5 6 asked_replicas",
        ],
    );
    let shop = of(&tally, "shop");
    assert_eq!(shop.answers, [1, 1, 0, 1, 2]);
    assert_eq!((shop.received_bytes, shop.sent_bytes), (117, 633));
    assert_eq!((shop.latency.count(), shop.latency.sum().as_millis()), (4, 61254));
    let latency = &shop.passed_on_latency;
    assert_eq!((shop.passed_on, latency.count(), latency.sum().as_millis()), (3, 2, 1254));
    let replica = &tally.traffic.replicas[&at(20001)];
    assert_eq!((replica.requests, replica.errors), (4, 2));
    assert_eq!(tally.ends[&at(20001)], 4);
}

#[tokio::test]
async fn what_is_no_whole_line_is_nobodys_traffic_and_an_end_all_the_same() {
    let mut tally = begun();
    add(
        &mut tally,
        &[
            // An edge of before: no bytes received.
            "1795236000.123 2000 x 200 0.004 512 192.0.2.1:20001",
            "1795236000.123 2000 x abc 0.004 80 512 192.0.2.1:20001",
            "1795236000.123 2000 x 200 4 80 512 192.0.2.1:20001",
            "1795236000.123 2000 x 200 0.4 80 512 192.0.2.1:20001",
            "1795236000.123 2000 x 200 0.004 -1 512 192.0.2.1:20001",
            "1795236000.123 nonsense",
            "",
        ],
    );
    assert_eq!(of(&tally, "shop"), AppTraffic::default());
    assert_eq!(tally.ends[&at(20001)], 5);
}

#[tokio::test]
async fn what_was_there_before_anybody_counted_is_no_traffic() {
    let mut tally = begun();
    tally.is_begun = false;
    add(&mut tally, &["1795236000.123 2000 x 200 0.004 80 512 192.0.2.1:20001"]);
    assert_eq!((of(&tally, "shop").requests(), tally.ends[&at(20001)]), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_left_is_known_until_its_last_requests_have_ended() {
    let mut tally = begun();
    let picks = [(at(20001), 1), (at(20002), 1)].into();
    let without = table(vec![row("shop", 2000, &[], &[]), row("blog", 2001, &[20002], &[])]);
    tally.serves(&without, Instant::now());
    tokio::time::advance(KEPT_AFTER_LEAVING / 2).await;
    tally.serves(&without, Instant::now());
    tally.forget(&picks, Instant::now());
    assert!(tally.traffic.replicas.contains_key(&at(20001)));
    tokio::time::advance(KEPT_AFTER_LEAVING / 2).await;
    tally.forget(&picks, Instant::now());
    assert_eq!(tally.traffic.replicas.keys().collect::<Vec<_>>(), [&at(20002)]);
    assert!(tally.left_at.is_empty());
}

#[tokio::test]
async fn a_host_of_any_length_is_its_apps_and_is_not_remembered() {
    let mut tally = begun();
    for number in 0..3 {
        let host = format!("shop.{number}{}", "x".repeat(16_000));
        add(&mut tally, &[&format!("1795236000.123 8088 {host} 200 0.004 80 512 192.0.2.1:20001")]);
    }
    assert_eq!((of(&tally, "shop").requests(), tally.ends[&at(20001)]), (3, 3));
    assert!(tally.meanings.places.is_empty());
    add(&mut tally, &["1795236000.123 8088 shop.example.net 200 0.004 80 512 192.0.2.1:20001"]);
    assert_eq!((of(&tally, "shop").requests(), tally.meanings.places.len()), (4, 1));
}
