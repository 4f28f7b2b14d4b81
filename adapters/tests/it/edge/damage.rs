//! Files of the edge that are damaged, or written, while it is down.

use std::time::Duration;

use bollard::query_parameters::KillContainerOptions;
use common::port::Edge as _;
use common::port::edge::{Error, Table};
use testkit::contract::edge::{Apps as _, table};
use tokio::time::{Instant, sleep, timeout};

use super::{PATIENCE, World, ask_with, with_edge};

impl World {
    pub(super) fn damage(&self, name: &str) {
        self.rewrite(name, |text| text.get(..text.len() / 2).unwrap().to_owned());
    }

    fn rewrite(&self, name: &str, change: impl FnOnce(&str) -> String) {
        let path = self.folder.path().join("table").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        // It is the edge's own file: another takes its place.
        let beside = path.with_extension("damaged");
        std::fs::write(&beside, change(&text)).unwrap();
        std::fs::rename(beside, path).unwrap();
    }

    async fn serves(&self, wanted: &Table) {
        let serves = async || {
            let status = self.edge.status().await.unwrap();
            (status.epoch, status.generation) == (wanted.epoch, wanted.generation)
        };
        // A worker that has just started may not have taken it over yet.
        let until = Instant::now() + PATIENCE;
        while !serves().await {
            assert!(
                Instant::now() < until,
                "table {}.{} is not served",
                wanted.epoch,
                wanted.generation
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_damaged_tables_the_newest_whole_one_is_served_and_the_damage_is_told() {
    with_edge(async |world| {
        let (one, other) = (world.apps.start(201).await, world.apps.start(202).await);
        let former = table(1, 1, &[("shop", world.first, &[one])]);
        let newest = table(1, 2, &[("shop", world.first, &[other])]);
        world.edge.load(&former).await.unwrap();
        world.edge.load(&newest).await.unwrap();
        assert!(world.edge.status().await.unwrap().damage.is_empty());

        world.damage("accepted.json");
        world.restart().await;
        world.serves(&newest).await;
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(202));
        let damage = world.edge.status().await.unwrap().damage;
        assert!(damage.len() == 1 && damage[0].starts_with("accepted.json "), "{damage:?}");

        world.damage("table.json");
        world.restart().await;
        world.serves(&former).await;
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(201));
        let damage = world.edge.status().await.unwrap().damage;
        assert!(damage.len() == 1 && damage[0].starts_with("table.json "), "{damage:?}");

        let repaired = table(1, 3, &[("shop", world.first, &[other])]);
        world.edge.load(&repaired).await.unwrap();
        assert!(world.edge.status().await.unwrap().damage.is_empty());
        world.restart().await;
        world.serves(&repaired).await;
        assert!(world.edge.status().await.unwrap().damage.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_whole_but_does_not_fit_leaves_its_place_to_the_one_before() {
    with_edge(async |world| {
        let (one, other) = (world.apps.start(201).await, world.apps.start(202).await);
        let former = table(1, 1, &[("shop", world.first, &[one])]);
        let newest = table(1, 2, &[("shop", world.first, &[other])]);
        world.edge.load(&former).await.unwrap();
        world.edge.load(&newest).await.unwrap();

        // More than the whole memory for tables.
        let room = " ".repeat(17 * 1024 * 1024);
        world.rewrite("accepted.json", |text| format!("{text}{room}"));
        world.rewrite("table.json", |text| format!("{text}{room}"));
        world.restart().await;
        world.serves(&former).await;
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(201));
        let damage = world.edge.status().await.unwrap().damage;
        assert_eq!(damage.len(), 2, "{damage:?}");
        assert!(damage.iter().all(|words| words.contains(" cannot be served: ")), "{damage:?}");

        world.edge.load(&newest).await.unwrap();
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(202));
        assert!(world.edge.status().await.unwrap().damage.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_are_null_are_none() {
    with_edge(async |world| {
        let app = world.apps.start(201).await;
        let shop = table(1, 1, &[("shop", world.first, &[app])]);
        world.edge.load(&shop).await.unwrap();
        world.rewrite("accepted.json", |text| {
            let text = text.replacen(r#""instance""#, r#""options":null,"instance""#, 1);
            assert!(text.contains("null"), "{text}");
            text
        });
        world.restart().await;
        world.serves(&shop).await;
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(201));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_without_a_table_is_no_place_for_an_address_and_one_that_nobody_leads_is() {
    let check = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/address/check.sh");
    with_edge(async |world| {
        let passes = async || {
            #[expect(clippy::disallowed_methods, reason = "keepalived runs it as this does")]
            let mut command = tokio::process::Command::new("bash");
            command.args([check, &world.host_port.to_string()]).status().await.unwrap().success()
        };
        assert!(!passes().await, "nobody has told it a table");
        world.edge.load(&table(1, 1, &[])).await.unwrap();
        assert!(passes().await, "a table without apps is one");
        world.restart().await;
        assert!(passes().await, "it serves what it was told before");
        let other = "GET /.well-known/avishkar HTTP/1.1\r\nHost: _\r\n";
        let other = ask_with(world.host_port, other, "").await;
        assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_has_ended_starts_with_the_table_that_it_was_given_since() {
    with_edge(async |world| {
        let (one, other) = (world.apps.start(201).await, world.apps.start(202).await);
        world.edge.load(&table(1, 1, &[("shop", world.first, &[one])])).await.unwrap();
        let kill = None::<KillContainerOptions>;
        world.docker.kill_container(&world.container, kill).await.unwrap();
        let ended = async {
            while !matches!(world.edge.status().await, Err(Error::Ended)) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, ended).await.unwrap();
        let newest = table(1, 2, &[("shop", world.first, &[other])]);
        let given = world.edge.load(&newest).await;
        assert!(matches!(given, Err(Error::Ended)), "{given:?}");
        world.restart().await;
        world.serves(&newest).await;
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(202));
    })
    .await;
}
