use std::collections::BTreeSet;
use std::time::Duration;

use common::port::edge::{Balance, EdgeOptions, TableRoute, Weight};
use testkit::contract::edge::table;

use super::*;

fn settings() -> FilesSettings {
    FilesSettings {
        conf_folder: "/etc/nginx/conf.d".into(),
        access_log: "/var/log/nginx/avishkar.log".into(),
        test: Vec::new(),
        reload: Vec::new(),
        listen: Ipv4Addr::UNSPECIFIED.into(),
        first_port: 2000,
        last_port: 2009,
        host_port: 8088,
        control_port: 8089,
        names_hash_bucket: Some(512),
        reload_every: Duration::ZERO,
    }
}

fn replicas() -> [SocketAddr; 2] {
    ["192.0.2.11:20000", "192.0.2.12:20001"].map(|address| address.parse().unwrap())
}

fn with(options: EdgeOptions) -> TableRoute {
    let mut table = table(1, 1, &[("shop", 2000, &replicas()[..])]);
    let mut route = table.routes.remove(0);
    route.options = options;
    route
}

fn rendered(table: &Table) -> Result<Conf, String> {
    render(table, Version::of(table), &Owned::default(), &settings())
}

#[test]
fn an_app_has_the_file_that_document_001_shows() {
    let text = app::file(&with(EdgeOptions::default()), &settings());
    let start = format!(
        "{MARK}\nupstream shop_servers {{\n  server 192.0.2.11:20000;\n  server 192.0.2.12:20001;\n}}\nserver {{\n  \
         listen 0.0.0.0:2000;\n  listen 0.0.0.0:8088;\n  server_name shop shop.*;\n  \
         access_log \"/var/log/nginx/avishkar.log\" avishkar buffer=64k flush=250ms;\n  client_max_body_size 1073741824;\n  \
         proxy_read_timeout 3600s;\n  location / {{ proxy_pass http://shop_servers; }}\n"
    );
    assert!(text.starts_with(&start), "{text}");
}

#[test]
fn what_an_app_asks_for_is_said_in_stock_directives() {
    let options = EdgeOptions {
        hosts: vec!["shop.example.org".parse().unwrap()],
        max_body_bytes: Some(1000),
        requests_per_second: Some(5),
        connections: Some(100_000),
        timeout_seconds: Some(7),
        sticky: false,
        balance: Balance::LeastConnections,
        ..EdgeOptions::default()
    };
    let mut route = with(options);
    route.upstreams[1].weight = Weight::try_from(3).unwrap();
    let text = app::file(&route, &settings());
    for line in [
        "  least_conn;\n",
        "  server 192.0.2.12:20001 weight=3;\n",
        "limit_req_zone $avishkar_counted zone=avishkar_2000_requests:32k rate=5r/s;\n",
        "limit_conn_zone $avishkar_counted zone=avishkar_2000_connections:32k;\n",
        "  server_name shop shop.* shop.example.org;\n",
        "  client_max_body_size 1000;\n",
        "  proxy_read_timeout 7s;\n",
        "  limit_req zone=avishkar_2000_requests burst=5 nodelay;\n",
        "  limit_conn avishkar_2000_connections 65535;\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_visitor_is_led_back_by_a_cookie_and_told_only_what_is_new() {
    let text =
        app::file(&with(EdgeOptions { sticky: true, ..EdgeOptions::default() }), &settings());
    let maps = r#"upstream shop_servers_1 {
  server 192.0.2.11:20000;
  server 192.0.2.12:20001 backup;
}
upstream shop_servers_2 {
  server 192.0.2.12:20001;
  server 192.0.2.11:20000 backup;
}
map $http_cookie $avishkar_2000_at {
  default shop_servers;
  "~(?:^|; *)avishkar-shop=1(?:;|$)" shop_servers_1;
  "~(?:^|; *)avishkar-shop=2(?:;|$)" shop_servers_2;
}
map "$avishkar_2000_at $upstream_addr" $avishkar_2000_met {
  default "";
  "~^shop_servers_1 (?:.*, )?192\.0\.2\.11:20000$" "";
  "~[ ]192\.0\.2\.11:20000$" "avishkar-shop=1; Path=/; HttpOnly; SameSite=Lax";
  "~^shop_servers_2 (?:.*, )?192\.0\.2\.12:20001$" "";
  "~[ ]192\.0\.2\.12:20001$" "avishkar-shop=2; Path=/; HttpOnly; SameSite=Lax";
}
"#;
    assert!(text.contains(maps), "{text}");
}

#[test]
fn an_app_without_replicas_says_so_itself() {
    let text = app::file(&table(1, 1, &[("shop", 2000, &[])]).routes[0], &settings());
    assert!(!text.contains("upstream") && text.contains("APP_STARTING"), "{text}");
}

#[test]
fn the_file_of_all_is_read_as_it_was_written() {
    let conf =
        rendered(&table(3, 4, &[("shop", 2000, &replicas()[..]), ("blog", 2003, &[])])).unwrap();
    let names: Vec<&str> = conf.files.keys().map(String::as_str).collect();
    assert_eq!(names, [COMMON_FILE, "blog.conf", "shop.conf"]);
    let manifest = Manifest::read(&conf.files[COMMON_FILE]).unwrap();
    assert_eq!(manifest.version, conf.version);
    assert_eq!(manifest.ports, BTreeSet::from([2000, 2003]));
    assert_eq!(manifest.replicas, BTreeSet::from(replicas()));
    assert_eq!(manifest.files["shop.conf"], digest(conf.files["shop.conf"].as_bytes()));
    assert_eq!(Manifest::read("# of somebody else\n"), None);
    assert_eq!(Manifest::read(&format!("{MARK}\n# tab")), None);
}

#[test]
fn no_line_is_longer_than_nginx_takes() {
    let many: Vec<SocketAddr> =
        (1..=500).map(|port| SocketAddr::from(([192, 0, 2, 11], port))).collect();
    let name = "s".repeat(80);
    let conf = rendered(&table(3, 4, &[(&name, 2000, &many)])).unwrap();
    assert!(conf.files.values().flat_map(|text| text.lines()).all(|line| line.len() < 4096));
}

#[test]
fn two_ways_to_one_port_or_name_and_other_ports_are_refused() {
    for (rows, wanted) in [
        ([("shop", 2000), ("blog", 2000)], "port 2000 is in it twice"),
        ([("shop", 2000), ("Shop", 2001)], "the label shop is in it twice"),
        ([("shop", 2000), ("shop", 2001)], "the instance shop is in it twice"),
        ([("shop", 2000), ("blog", 2010)], "blog has port 2010, which is no front port"),
    ] {
        let rows = rows.map(|(name, port)| (name, port, &[][..]));
        assert_eq!(rendered(&table(1, 1, &rows)).unwrap_err(), wanted);
    }
}
