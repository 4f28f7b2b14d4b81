//! What happens where nginx, its files or its ports are in a bad way: the last good table is served, and why is told.

use std::fs;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use adapters::{FilesEdge, FilesSettings};
use bollard::query_parameters::StopContainerOptions;
use common::name::LegacyName;
use common::port::Edge as _;
use common::port::edge::{EdgeOptions, Error, Status};
use testkit::contract::edge::{Apps as _, table};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::with_nginx;
use crate::edge::{LocalApps, PATIENCE, free_ports, start_app};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_somebody_else_that_nginx_refuses_stops_changes_and_is_told_apart_from_ours() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        fs::write(world.file("broken.conf"), "serv er {\n").unwrap();
        let next = table(1, 2, &[("shop", world.first, &[app]), ("blog", world.first + 1, &[app])]);
        world.refuses(&next, "LB_CONF_FOREIGN").await;
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(204));
        fs::remove_file(world.file("broken.conf")).unwrap();
        world.edge.load(&next).await.unwrap();
        assert_eq!(world.serves().await, (1, 2));
    })
    .await;
}

/// What a load says that served a table without these apps' routes.
fn is_without(loaded: &Result<(), Error>, apps: &[&str]) -> bool {
    let Err(Error::Without { code, instances }) = loaded else { return false };
    code == "LB_CONF_REJECTED" && instances.iter().map(LegacyName::as_str).eq(apps.iter().copied())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_file_nginx_refuses_stays_as_it_was_and_all_others_are_served() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        // Whole by itself, and at odds with two apps' files.
        let theirs = "upstream blog_servers { server 192.0.2.1; }\n\
                      upstream shop_servers_1 { server 192.0.2.1; }\n";
        fs::write(world.file("theirs.conf"), theirs).unwrap();
        let ports = [0, 1, 2, 3].map(|place| world.first + place);
        let other = LocalApps.start(200).await;
        let rows = |generation| {
            let rows = [
                ("cafe", ports[2], &[app][..]),
                ("shop", ports[0], &[other]),
                ("blog", ports[1], &[app]),
                ("zoo", ports[3], &[app]),
            ];
            let mut table = table(1, generation, &rows);
            table.routes[1].options = EdgeOptions { sticky: true, ..EdgeOptions::default() };
            table
        };
        let loaded = world.edge.load(&rows(2)).await;
        assert!(is_without(&loaded, &["blog", "shop"]), "{loaded:?}");
        assert_eq!(world.serves().await, (1, 2));
        assert!(!world.file("blog.conf").exists());
        for (port, status) in ports.into_iter().zip([Some(204), None, Some(204), Some(204)]) {
            assert_eq!(world.edge.probe(port, "/").await.unwrap(), status);
        }
        assert!(world.edge.status().await.unwrap().damage.is_empty());
        let again = world.edge.load(&rows(3)).await;
        assert!(is_without(&again, &["blog", "shop"]), "{again:?}");
        fs::remove_file(world.file("theirs.conf")).unwrap();
        world.edge.load(&rows(3)).await.unwrap();
        for (port, status) in ports.into_iter().zip([200, 204, 204, 204]) {
            assert_eq!(world.edge.probe(port, "/").await.unwrap(), Some(status));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_file_that_nobody_knows_any_more_nothing_is_changed() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        let theirs = "upstream shop_servers_1 { server 192.0.2.1; }\n";
        fs::write(world.file("theirs.conf"), theirs).unwrap();
        let mut next = table(1, 2, &[("shop", world.first, &[app])]);
        next.routes[0].options = EdgeOptions { sticky: true, ..EdgeOptions::default() };
        let files = world.files();
        let successor = FilesEdge::new(world.settings.clone());
        let err = successor.load(&next).await.unwrap_err();
        assert!(matches!(&err, Error::Refused { code } if code == "LB_CONF_REJECTED"), "{err:?}");
        assert_eq!(world.files(), files);
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(204));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_port_of_another_program_is_closed_and_one_it_takes_meanwhile_is_rolled_back() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        let taken = world.first + 4;
        let holder = StdListener::bind((Ipv4Addr::UNSPECIFIED, taken)).unwrap();
        assert_eq!(world.edge.status().await.unwrap().ports.closed, [taken]);
        let next = table(1, 2, &[("shop", world.first, &[app]), ("blog", taken, &[app])]);
        world.refuses(&next, "LB_PORT_TAKEN").await;
        drop(holder);
        world.edge.load(&next).await.unwrap();
        assert_eq!(world.edge.probe(taken, "/").await.unwrap(), Some(204));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nginx_was_told_and_does_not_serve_is_rolled_back() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        // Its test does not see that the port is held, and its reload ends well.
        let moved = StdListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let host_port = moved.local_addr().unwrap().port();
        let edge = FilesEdge::new(FilesSettings { host_port, ..world.settings.clone() });
        let files = world.files();
        let next = table(1, 2, &[("shop", world.first, &[app])]);
        let err = edge.load(&next).await.unwrap_err();
        assert!(
            matches!(&err, Error::Refused { code } if code == "LB_RELOAD_UNVERIFIED"),
            "{err:?}"
        );
        assert_eq!(world.files(), files);
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(204));
        drop(moved);
        edge.load(&next).await.unwrap();
        assert_eq!(world.serves().await, (1, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_or_an_nginx_that_is_dead_leaves_the_last_good_files() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        let files = world.files();
        let next = table(1, 2, &[("shop", world.first, &[app]), ("blog", world.first + 1, &[app])]);
        let mut settings = world.settings.clone();
        settings.reload = vec!["false".to_owned()];
        assert!(FilesEdge::new(settings).load(&next).await.unwrap_err().is_retryable());
        assert_eq!(world.files(), files);
        let stop = world.docker.stop_container(&world.container, None::<StopContainerOptions>);
        stop.await.unwrap();
        assert!(world.edge.status().await.unwrap_err().is_retryable());
        for table in [&next, &shop] {
            assert!(world.edge.load(table).await.is_err());
            assert_eq!(world.files(), files);
        }
        world.restart().await;
        assert_eq!(world.serves().await, (1, 1));
        world.edge.load(&next).await.unwrap();
        assert_eq!(world.edge.probe(world.first + 1, "/").await.unwrap(), Some(204));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_tested_do_not_stay() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        let files = world.files();
        let next = table(1, 2, &[("shop", world.first, &[app]), ("blog", world.first + 1, &[app])]);
        let test = vec!["/absent/nginx".to_owned()];
        let edge = FilesEdge::new(FilesSettings { test, ..world.settings.clone() });
        assert!(edge.load(&next).await.unwrap_err().is_retryable());
        assert_eq!(world.files(), files);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broken_off_load_left_untested_is_taken_back_by_the_next() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        // Whole by itself, and at odds with an app's.
        let theirs = "upstream blog_servers { server 192.0.2.1; }\n";
        fs::write(world.file("theirs.conf"), theirs).unwrap();
        let next = table(1, 2, &[("shop", world.first, &[app]), ("blog", world.first + 1, &[app])]);
        let test = vec!["sleep".to_owned(), "1000".to_owned()];
        let edge = FilesEdge::new(FilesSettings { test, ..world.settings.clone() });
        let moved = async {
            let common = fs::read(world.file("00-avishkar.conf")).unwrap();
            while fs::read(world.file("00-avishkar.conf")).unwrap() == common {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            loaded = edge.load(&next) => panic!("{loaded:?}"),
            moved = timeout(PATIENCE, moved) => moved.unwrap(),
        }
        assert!(world.file("blog.conf").exists());
        let loaded = world.edge.load(&next).await;
        assert!(is_without(&loaded, &["blog"]), "{loaded:?}");
        assert!(!world.file("blog.conf").exists());
        fs::remove_file(world.file("theirs.conf")).unwrap();
        world.edge.load(&next).await.unwrap();
        assert_eq!(world.serves().await, (1, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nginx_serves_already_stays_where_a_load_was_broken_off() {
    with_nginx(async |world| {
        let (shop, app) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        let next = table(1, 2, &[("shop", world.first, &[app]), ("blog", world.first + 1, &[app])]);
        let served = async {
            let is_new = |status: Status| status.generation.0 == 2;
            while !world.edge.status().await.is_ok_and(is_new) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            biased;
            served = timeout(PATIENCE, served) => served.unwrap(),
            loaded = world.edge.load(&next) => loaded.unwrap(),
        }
        world.edge.load(&next).await.unwrap();
        assert_eq!(world.serves().await, (1, 2));
        assert_eq!(world.edge.probe(world.first + 1, "/").await.unwrap(), Some(204));
        assert!(!world.file(".avishkar.former").exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_told_and_the_next_table_makes_the_files_whole() {
    with_nginx(async |world| {
        let (shop, _) = world.shop(1, 204).await;
        world.edge.load(&shop).await.unwrap();
        let files = world.files();
        fs::write(world.file("shop.conf"), "# Written by nobody\n").unwrap();
        assert_eq!(world.edge.status().await.unwrap().damage, ["shop.conf is gone"]);
        fs::remove_file(world.file("shop.conf")).unwrap();
        world.edge.load(&shop).await.unwrap();
        assert_eq!(world.files(), files);
        assert!(world.edge.status().await.unwrap().damage.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_folder_in_which_nothing_can_be_written_is_told() {
    let (first, host_port) = free_ports();
    let settings = FilesSettings {
        conf_folder: "/proc/self".into(),
        access_log: "/dev/null".into(),
        test: vec!["true".to_owned()],
        reload: vec!["true".to_owned()],
        listen: Ipv4Addr::LOCALHOST.into(),
        first_port: first,
        last_port: first + 9,
        host_port,
        control_port: host_port + 1,
        names_hash_bucket: None,
        reload_every: Duration::ZERO,
    };
    assert!(FilesEdge::new(settings).load(&table(1, 1, &[])).await.unwrap_err().is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_answers_nothing_is_told_from_an_nginx_that_does_not() {
    with_nginx(async |world| {
        let app = start_app(200, Arc::new(Semaphore::new(0))).await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(504));
        assert_eq!(world.edge.probe(world.first + 1, "/").await.unwrap(), None);
    })
    .await;
}
