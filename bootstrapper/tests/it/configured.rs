//! What a file says of services themselves: settings of their own files, and who is told of alerts.

use bootstrapper::description::{Description, KnownReceiver};
use bootstrapper::file::{Kind, settable};
use bootstrapper::state::Phase;
use bootstrapper::{Novelty, plan};
use common::service::ServiceName;
use rollout::parts::{Credentials, Setting};
use testkit::hosts::machine_programs as engine;

use crate::agents::{GIVEN, LEDGER};
use crate::files::{LOCAL, MANUAL, described};
use crate::given::make_folders;
use crate::world::{Computer, FILE, World};

const PAGER: &str = "name = \"pager\"\nsecret_file = \"pager.secret\"";

fn with(text: &str, more: &str) -> String {
    format!("{text}\n{more}\n")
}

fn value(text: &str) -> Setting {
    Setting::Value(text.to_owned())
}

#[test]
fn what_is_said_of_services_is_read_and_nothing_is_where_nothing_is_said() {
    let manual = described(MANUAL).unwrap();
    let [KnownReceiver { name, url, secret_file, internal }] = manual.receivers.as_slice() else {
        panic!("{:?}", manual.receivers)
    };
    assert_eq!((name.as_str(), url.as_str()), ("pager", "https://hooks.example.org/avishkar"));
    assert_eq!((secret_file.to_str(), *internal), (Some("/ops/pager.secret"), false));
    assert!(!format!("{manual:?}").contains("hooks.example.org"), "it is never shown");
    let said = |service, key: &str| manual.settings[&service][key].clone();
    assert_eq!(said(ServiceName::PlatformInitializer, "platform.instances"), value("2"));
    let services = Setting::File("[{\"service_name\": \"monitoring\"}]".to_owned());
    assert_eq!(said(ServiceName::PlatformInitializer, "platform.services_file"), services);
    assert_eq!(said(ServiceName::Monitoring, "probes.apps_every_ms"), value("10000"));
    assert_eq!(said(ServiceName::DeploymentManager, "deployment.keep_releases"), value("5"));
    let plain = described(LOCAL).unwrap();
    assert!(plain.receivers.is_empty() && plain.settings.is_empty());
}

#[test]
fn a_receiver_is_at_a_public_host_over_tls_or_where_its_owner_says() {
    let receiver = |url: &str, internal: bool| {
        let alerts = format!("[[alerts]]\n{PAGER}\nurl = \"{url}\"\ninternal = {internal}");
        described(&with(LOCAL, &alerts)).map(|found| found.receivers)
    };
    for url in [
        "https://hooks.example.org",
        "https://Hooks.example.org:8443/a/b?c=d#e",
        "https://hooks/",
        "https://hooks.example.org/a%20b",
    ] {
        assert_eq!(receiver(url, false).unwrap()[0].url, url);
    }
    for url in ["http://hooks.lan/", "https://192.0.2.9:8080/", "http://[2001:db8::1]:80/"] {
        assert!(receiver(url, true).is_ok(), "{url}");
        let problems = receiver(url, false).unwrap_err();
        assert_eq!(problems[0].key, "alerts[0].url", "{problems:?}");
        assert!(problems[0].hint.contains("internal = true"), "{problems:?}");
    }
    for url in [
        "hooks.example.org",
        "ftp://hooks.example.org/",
        "https:///a",
        "https://ops:secret@hooks.example.org/",
        "https://hooks.example.org:port/",
        "https://hooks.example.org:65536/",
        "https://hooks_example.org/",
        "https://-a.example.org/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://192.0.2.9.nip.1/",
        "https://hooks.example.org/a b",
        "https://hooks.example.org/ä",
        "https://hooks.example.org/{a}",
        "https://[::1/",
    ] {
        for internal in [false, true] {
            assert_eq!(receiver(url, internal).unwrap_err()[0].key, "alerts[0].url", "{url}");
        }
    }
    let one = |number| {
        format!(
            "[[alerts]]\nname = \"n-{number}\"\nurl = \"https://a.b/\"\nsecret_file = \"pager.secret\"\n"
        )
    };
    let many = (0..17).map(one).collect::<Vec<_>>().concat();
    assert_eq!(described(&with(LOCAL, &many)).unwrap_err()[0].message, "they are more than 16");
}

#[test]
fn each_setting_has_its_bounds_and_every_service_has_some() {
    let mut services: Vec<ServiceName> = settable().map(|(service, ..)| service).collect();
    services.dedup();
    assert_eq!(services.len(), 7, "all but the agent, which is no part: {services:?}");
    for (service, key, kind) in settable() {
        let (section, short) = key.split_once('.').unwrap();
        let read = |written: &str| {
            let more = format!("[settings.{service}.{section}]\n{short} = {written}");
            described(&with(LOCAL, &more))
        };
        let (right, wrong) = match kind {
            // Some are held between others as well: here only their own bounds are tried.
            Kind::Whole(least, most) => {
                (vec![], vec![(least - 1).to_string(), (most + 1).to_string(), "1.5".to_owned()])
            }
            Kind::Number(least, most) => (
                vec![],
                vec![(least / 2.0).to_string(), (most * 2.0).to_string(), "nan".to_owned()],
            ),
            Kind::Words(words) => {
                let quoted = words.iter().map(|word| format!("{word:?}"));
                (quoted.collect(), vec!["\"never heard\"".to_owned(), "1".to_owned()])
            }
            Kind::File => {
                (vec!["\"services.json\"".to_owned()], vec!["\"authority.pem\"".to_owned()])
            }
        };
        for written in right {
            assert!(read(&written).is_ok(), "{service} {key} = {written}");
        }
        for written in wrong {
            let problems = read(&written).unwrap_err();
            let whole = format!("settings.{service}.{key}");
            assert!(problems.iter().any(|one| one.key == whole), "{key} = {written}: {problems:?}");
        }
    }
}

#[test]
fn settings_that_hold_one_another_are_looked_at_together() {
    let probes = |more: &str| {
        let more = format!("[settings.monitoring.probes]\n{more}");
        described(&with(LOCAL, &more)).map(|found| found.settings)
    };
    assert!(probes("every_ms = 20000\napps_every_ms = 20000").is_ok());
    let above = probes("every_ms = 20000").unwrap_err();
    assert_eq!(above[0].key, "settings.monitoring.probes.every_ms");
    assert_eq!(above[0].message, "it is above probes.apps_every_ms, which is 10000");
    let below = probes("every_ms = 3000\napps_every_ms = 2999").unwrap_err();
    assert_eq!(below[0].key, "settings.monitoring.probes.apps_every_ms");
    assert_eq!(below[0].hint, "write 3000 or more");
}

#[test]
fn what_a_service_itself_refuses_is_told_where_it_was_said() {
    let told = |more: &str| described(&with(LOCAL, more)).unwrap_err();
    let [problem] = told("[settings.monitoring.probes]\nat_once = 1024").try_into().unwrap();
    assert_eq!(problem.key, "settings.monitoring.probes.at_once");
    assert_eq!(problem.message, "probes.at_once: must be fewer today");
    let file = "[settings.platform-initializer]\nmachines.file = \"services.json\"\nplatform.instances = 8";
    let [problem] = told(file).try_into().unwrap();
    assert_eq!(problem.key, "settings.platform-initializer.machines.file");
    assert_eq!(problem.message, "machines.file[0].vm_name: is missing");
    assert_eq!(problem.hint, "see config/platform-initializer.toml");
}

/// With a receiver whose secret stands in this file, and so many restarts.
fn file(secret_file: &str, limit: u32) -> Description {
    let mut description = described(FILE).unwrap();
    description.receivers = vec![KnownReceiver {
        name: "pager".to_owned(),
        url: "https://hooks.example.org/".to_owned(),
        secret_file: secret_file.into(),
        internal: false,
    }];
    let settings = [("restarts.limit".to_owned(), value(&limit.to_string()))].into();
    description.settings = [(ServiceName::Monitoring, settings)].into();
    description
}

fn given(world: &World, number: u8) -> Option<Credentials> {
    let file = world
        .hosts
        .with(&format!("192.0.2.1{number}"), |system| system.files.get(GIVEN).cloned())?;
    Some(serde_json::from_slice(&file.bytes).unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_services_may_always_change_and_lifecycle_managers_are_given_it() {
    let world = World::new();
    let mut owner = world.computer(1);
    owner.description = file("/ops/first.secret", 10);
    owner.apply().await.unwrap();
    let begun = |number: u8| {
        world.hosts.with(&format!("192.0.2.1{number}"), |system| engine::text(system, LEDGER))
    };
    assert!(begun(2).contains("content of /ops/first.secret"), "{}", begun(2));
    assert!(!begun(4).contains("content of /ops/first.secret"), "no lifecycle manager is there");
    world.lead(&[1, 2, 3, 4]).await;
    make_folders(&world);
    for (number, (secret, limit), times) in [
        (2, ("/ops/second.secret", 10), 2),
        (3, ("/ops/second.secret", 20), 2),
        (4, ("/ops/second.secret", 20), 0),
    ] {
        let mut again = world.computer(number);
        again.description = file(secret, limit);
        let Computer { ports, description, book, .. } = &again;
        let planned = plan(ports, description, book.as_ref(), Novelty::Unsaid).await.unwrap();
        assert_eq!((planned.to_be_given.len(), planned.is_done()), (times, times == 0));
        let state = again.apply().await.unwrap();
        assert_eq!(state.phase, Phase::Applied);
        let said = again.heard.sentences();
        assert!(!said.iter().any(|said| said.contains(".secret")), "{said:?}");
        let to = said.iter().filter(|said| said.starts_with("give the lifecycle manager of "));
        assert_eq!(to.count(), times, "{said:?}");
        for manager in [2, 3] {
            let configured = given(&world, manager).unwrap().configured;
            assert_eq!(configured.receivers[0].secret, format!("content of {secret}"));
            let settings = configured.settings_of(ServiceName::Monitoring);
            assert_eq!(settings["restarts.limit"], value(&limit.to_string()));
        }
        assert!(given(&world, 4).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_could_be_guessed_is_none() {
    let world = World::new();
    let mut owner = world.computer(1);
    owner.description = file("/s", 10);
    let troubles = owner.apply().await.unwrap_err();
    assert_eq!(troubles[0].cause, "it has fewer than 16 bytes");
    assert_eq!(troubles[0].step, "read what requests to pager are signed with");
    assert!(world.shown().iter().all(|node| !node.contains("agent=true")), "{:?}", world.shown());
}
