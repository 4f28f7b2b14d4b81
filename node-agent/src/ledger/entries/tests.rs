use common::digest::{Digest, ImageRef};
use common::id::SlotNumber;
use common::port::container::Limits;
use common::port::part::{PartFile, PartImage};

use super::*;

fn spec(generation: u64) -> ContainerSpec {
    ContainerSpec {
        instance: "shop".parse().unwrap(),
        slot: SlotNumber(1),
        generation: Generation(generation),
        image: ImageRef::new("apps/shop", Digest::of(b"")).unwrap(),
        container_port: 8080,
        host_port: 20000,
        environment: [].into(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    }
}

fn issuer(epoch: u64) -> Issuer {
    Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(epoch) }
}

fn removal(generation: u64) -> Removal {
    Removal { name: spec(1).name(), generation: Generation(generation) }
}

#[test]
fn a_leader_that_was_followed_by_another_is_refused() {
    let mut entries = Entries::default();
    entries.hear(issuer(2)).unwrap();
    let seen = Epoch(2);
    assert_eq!(entries.hear(issuer(1)), Err(Conflict::StaleEpoch { issuer: issuer(1), seen }));
    assert_eq!(
        entries.note(issuer(1), &spec(9)),
        Err(Conflict::StaleEpoch { issuer: issuer(1), seen })
    );
    assert_eq!(
        entries.forget(issuer(1), &removal(9)),
        Err(Conflict::StaleEpoch { issuer: issuer(1), seen })
    );
    let other = Issuer { service: ServiceName::NodeManager, epoch: Epoch(1) };
    assert_eq!(entries.hear(other), Ok(Change::Made), "epochs are of one service each");
}

#[test]
fn the_same_word_twice_changes_nothing() {
    let mut entries = Entries::default();
    let new = Noted::New { before: None };
    assert_eq!(entries.note(issuer(1), &spec(1)), Ok((new, Change::Made)));
    assert_eq!(entries.note(issuer(1), &spec(1)), Ok((Noted::Same, Change::None)));
    // Another leader says the same: it is noted who, and nothing else happens.
    assert_eq!(entries.note(issuer(2), &spec(1)), Ok((Noted::Same, Change::Made)));
}

#[test]
fn another_content_under_the_same_epoch_and_generation_is_refused() {
    let mut entries = Entries::default();
    entries.note(issuer(1), &spec(1)).unwrap();
    let other = ContainerSpec { host_port: 20001, ..spec(1) };
    assert_eq!(entries.note(issuer(1), &other), Err(Conflict::OtherContent));
    let (noted, _) = entries.note(issuer(2), &other).unwrap();
    assert!(matches!(noted, Noted::New { before: Some(_) }), "a new leader may decide anew");
}

#[test]
fn an_older_generation_is_refused() {
    let mut entries = Entries::default();
    entries.note(issuer(1), &spec(3)).unwrap();
    let told = Generation(3);
    assert_eq!(entries.note(issuer(2), &spec(2)), Err(Conflict::NewerGeneration { told }));
}

#[test]
fn generations_of_a_store_that_was_replaced_count_no_more() {
    let mut entries = Entries::default();
    entries.note(issuer(4), &spec(3)).unwrap();
    assert_eq!(entries.accept_restore(Epoch(4)), Change::Made);
    assert_eq!(entries.accept_restore(Epoch(4)), Change::None);
    let seen = Epoch(4);
    assert_eq!(
        entries.note(issuer(1), &spec(1)),
        Err(Conflict::StaleEpoch { issuer: issuer(1), seen })
    );
    let (noted, _) = entries.note(issuer(5), &spec(1)).unwrap();
    assert!(matches!(noted, Noted::New { before: Some(_) }));
    entries.note(issuer(5), &spec(2)).unwrap();
    let told = Generation(2);
    assert_eq!(entries.note(issuer(6), &spec(1)), Err(Conflict::NewerGeneration { told }));
}

#[test]
fn a_removal_leaves_a_newer_container_alone() {
    let mut entries = Entries::default();
    entries.note(issuer(1), &spec(3)).unwrap();
    entries.forget(issuer(1), &removal(2)).unwrap();
    assert!(entries.containers().get(&spec(3).name()).is_some());
    entries.forget(issuer(1), &removal(3)).unwrap();
    assert!(entries.containers().get(&spec(3).name()).is_none());
}

#[test]
fn what_could_not_be_made_gives_way_to_what_was_before() {
    let mut entries = Entries::default();
    entries.note(issuer(1), &spec(1)).unwrap();
    let (noted, _) = entries.note(issuer(1), &spec(2)).unwrap();
    let Noted::New { before } = noted else { panic!("{noted:?}") };
    assert_eq!(entries.take_back(&spec(2), before.clone()), Change::Made);
    assert_eq!(
        entries.containers().get(&spec(1).name()).map(|entry| entry.spec.generation),
        Some(Generation(1))
    );
    assert_eq!(entries.take_back(&spec(2), before), Change::None, "it was taken back before");
}

fn other_app() -> ContainerSpec {
    ContainerSpec { instance: "blog".parse().unwrap(), ..spec(1) }
}

#[test]
fn a_host_port_is_one_containers_until_that_should_be_gone() {
    let mut entries = Entries::default();
    entries.note(issuer(1), &spec(1)).unwrap();
    let held = Conflict::PortHeld { port: 20000, holder: spec(1).name() };
    assert_eq!(entries.note(issuer(1), &other_app()), Err(held.clone()));
    assert_eq!(entries.note(issuer(2), &other_app()), Err(held), "whoever leads");
    entries.note(issuer(2), &spec(2)).unwrap();
    entries.forget(issuer(2), &removal(2)).unwrap();
    entries.note(issuer(2), &other_app()).unwrap();
}

#[test]
fn of_two_that_an_agent_of_before_noted_at_one_port_each_may_be_told_anew() {
    let mut entries = Entries::default();
    entries.note(issuer(1), &spec(1)).unwrap();
    entries.note(issuer(1), &ContainerSpec { host_port: 20001, ..other_app() }).unwrap();
    let written = serde_json::to_string(&entries).unwrap().replace("20001", "20000");
    let mut entries: Entries = serde_json::from_str(&written).unwrap();
    entries.note(issuer(2), &spec(1)).unwrap();
    entries.note(issuer(2), &other_app()).unwrap();
    let third = ContainerSpec { instance: "wiki".parse().unwrap(), ..spec(1) };
    entries.note(issuer(2), &third).unwrap_err();
}

#[test]
fn what_was_before_does_not_come_back_to_a_port_that_is_anothers_by_now() {
    let mut entries = Entries::default();
    entries.note(issuer(1), &spec(1)).unwrap();
    let elsewhere = ContainerSpec { host_port: 20001, ..spec(2) };
    let (noted, _) = entries.note(issuer(1), &elsewhere).unwrap();
    let Noted::New { before } = noted else { panic!("{noted:?}") };
    assert!(before.is_some());
    entries.note(issuer(1), &other_app()).unwrap();
    assert_eq!(entries.take_back(&elsewhere, before), Change::Made);
    let names: Vec<_> = entries.containers().names().cloned().collect();
    assert_eq!(names, [other_app().name()]);
}

#[test]
fn it_is_read_back_as_it_was_written() {
    let mut entries = Entries::default();
    entries.note(issuer(7), &spec(1)).unwrap();
    let text = serde_json::to_string(&entries).unwrap();
    assert_eq!(serde_json::from_str::<Entries>(&text).unwrap(), entries);
}

fn part(generation: u64) -> PartSpec {
    PartSpec {
        name: "kafka".parse().unwrap(),
        generation: Generation(generation),
        image: PartImage::Id(Digest::of(b"")),
        command: Vec::new(),
        environment: [].into(),
        files: vec![PartFile { path: "/etc/kafka/key".to_owned(), content: "key".to_owned() }],
        volumes: Vec::new(),
        user: 0,
        memory_bytes: 1 << 30,
        processes: 100,
        health: None,
        stop_seconds: 30,
        rights: Vec::new(),
    }
}

fn keeper(epoch: u64) -> Issuer {
    Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(epoch) }
}

#[test]
fn parts_and_apps_keep_the_same_rules_apart_from_one_another() {
    let mut entries = Entries::default();
    entries.note(issuer(9), &spec(1)).unwrap();
    entries.note_part(keeper(1), &part(3)).unwrap();
    let told = Generation(3);
    let other = PartSpec { processes: 1, ..part(3) };
    assert_eq!(entries.note_part(keeper(1), &other), Err(Conflict::OtherContent));
    let older = entries.note_part(keeper(2), &part(2));
    assert_eq!(older, Err(Conflict::NewerGeneration { told }));
    entries.accept_restore(Epoch(9));
    let older = entries.note_part(keeper(3), &part(2));
    assert_eq!(
        older,
        Err(Conflict::NewerGeneration { told }),
        "another store says nothing of parts"
    );
    let text = serde_json::to_string(&entries).unwrap();
    assert_eq!(serde_json::from_str::<Entries>(&text).unwrap(), entries);
}

#[test]
fn a_ledger_of_before_there_were_parts_is_read_and_one_of_later_is_not() {
    let old = r#"{"schema":1,"epochs":{"deployment-manager":4},"containers":{}}"#;
    let read = serde_json::from_str::<Entries>(old).unwrap().read().unwrap();
    assert_eq!(read.heard().values().collect::<Vec<_>>(), [&Epoch(4)]);
    assert_eq!((read.schema, read.registry()), (SCHEMA, None));
    assert!(read.parts().is_empty());
    let later = serde_json::from_str::<Entries>(&old.replace(":1,", ":3,")).unwrap();
    assert_eq!(later.read(), Err(3));
}
