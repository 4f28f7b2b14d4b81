//! Another file than the platform was made from.

use bootstrapper::Trouble;
use bootstrapper::description::Description;
use bootstrapper::state::{Book as _, Phase};
use bootstrapper::{Novelty, plan};
use common::port::machines::Shape;
use common::port::{Machines as _, share};
use rollout::platform::{Acme, Component};
use testkit::hosts::machine_programs as engine;

use crate::applying::WHOLE;
use crate::files::described;
use crate::power::Cut;
use crate::world::{Computer, FILE, World};

const NEW_MACHINE: &str = r#"
[[machines]]
name = "node-5"
kind = "local"
memory = "4g"
cpus = 1
address = "192.0.2.15"
"#;

/// Nothing is made there: the section is only written.
const AZURE: &str = r#"
[azure]
subscription = "00000000-0000-0000-0000-000000000000"
resource_group = "rehearsal"
location = "westeurope"
network = "rehearsal"
network_range = "192.0.2.0/24"
subnet = "machines"
subnet_range = "192.0.2.0/24"
user = "ops"
operators = ["198.51.100.0/24"]
tags = { owner = "ops" }
"#;
const SHARES: &str = r#"
[shares.code]
kind = "folder"
path = "/mnt/code"
"#;

fn with_more() -> Description {
    described(&format!("{FILE}{AZURE}{SHARES}")).unwrap()
}

/// The same machines, made in Azure.
fn in_azure() -> Description {
    let local = "kind = \"local\"\nmemory = \"4g\"\ncpus = 1\n";
    let file = FILE.replace(local, "kind = \"azure\"\nsize = \"Standard_D2s_v5\"\n");
    described(&format!("{file}{AZURE}")).unwrap()
}

fn with_a_fifth() -> Description {
    described(&FILE.replacen("\n[placement]", &format!("{NEW_MACHINE}\n[placement]"), 1)).unwrap()
}

/// A change, and what is said of it.
type Case = (fn(&mut Description), &'static str);

/// What is said of a description that was changed so, by a computer that knows the platform and by one that does not.
async fn refused(
    world: &World,
    owner: &Computer,
    change: impl Fn(&mut Description),
) -> Vec<Trouble> {
    let knowing = world.computer_with(1, Cut::Never, owner.book.clone());
    let mut told = Vec::new();
    for mut computer in [knowing, world.computer(2)] {
        change(&mut computer.description);
        let troubles = Box::pin(computer.apply()).await.unwrap_err();
        assert!(
            troubles.iter().all(|trouble| trouble.code == "DESCRIPTION_CHANGED"),
            "{troubles:?}"
        );
        assert!(troubles.iter().all(|trouble| !trouble.hint.is_empty()));
        told.push(troubles);
    }
    assert_eq!(told[0], told[1]);
    told.remove(0)
}

fn ask_an_authority(file: &mut Description) {
    let directory = "https://ca.example.org/d".to_owned();
    file.platform.acme = Some(Acme { directory, contacts: Vec::new(), trusted: None });
}

#[tokio::test(start_paused = true)]
async fn what_a_platform_that_keeps_itself_would_have_to_become_is_told_and_not_passed_over() {
    let world = World::new();
    let owner = world.computer(1);
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    let cases: [Case; 14] = [
        (|file| file.platform.max_machines = Some(9), "max_machines is nothing, and is to be 9"),
        (|file| file.platform.idle_seconds = Some(0), "idle_seconds is nothing, and is to be 0"),
        (
            |file| file.platform.denied_networks.clear(),
            "network.denied is 192.0.2.0/24, and is to be ",
        ),
        (
            |file| file.platform.door = "0.0.0.0".parse().unwrap(),
            "network.door is 127.0.0.1, and is to be 0.0.0.0",
        ),
        (
            |file| file.platform.placement.edge = vec!["node-1".parse().unwrap()],
            "edge is on [\"node-4\"], and is to be on [\"node-1\"]",
        ),
        (
            |file| file.platform.edge.address = Some([192, 0, 2, 20].into()),
            "edge.address is nothing, and is to be 192.0.2.20",
        ),
        (
            |file| file.platform.edge.tls_port = Some(9443),
            "edge.tls_port is nothing, and is to be 9443",
        ),
        (ask_an_authority, "acme.directory is nothing, and is to be https://ca.example.org/d"),
        (
            |file| file.platform.placement.kafka.truncate(1),
            "kafka is on [\"node-1\", \"node-2\", \"node-3\"], and is to be on [\"node-1\"]",
        ),
        (
            |file| {
                let local = file.platform.local.as_mut().unwrap();
                local.resolvers = vec!["192.0.2.53".parse().unwrap()];
                local.are_resolvers_named = true;
            },
            "local.resolvers is nothing, and is to be 192.0.2.53",
        ),
        (|file| drop(file.platform.machines.remove(2)), "node-3 is in the file no more"),
        (|file| *file = with_a_fifth(), "node-5 is new in the file"),
        (|file| file.platform.machines[1].shape = Shape::Given, "it was local, and is to be given"),
        (
            |file| drop(file.images.names.insert(Component::Edge, "avishkar/edge:new".to_owned())),
            "images.edge is another image than it was",
        ),
    ];
    for (change, cause) in cases {
        let troubles = refused(&world, &owner, change).await;
        let causes: Vec<&str> = troubles.iter().map(|trouble| trouble.cause.as_str()).collect();
        assert_eq!(causes, [cause]);
        assert_eq!(world.shown(), WHOLE);
        assert_eq!(owner.book.load().unwrap().unwrap().phase, Phase::Applied);
    }
    // How one signs in is not the platform.
    let mut same = world.computer_with(1, Cut::Never, owner.book.clone());
    same.description.platform.machines[3].host_key =
        Some(world.hosts.with(crate::world::GIVEN, |system| system.host_key().clone()));
    same.apply().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_machines_come_from_and_what_shares_are_is_told_field_by_field() {
    let world = World::new();
    let mut owner = world.computer(1);
    owner.description = with_more();
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    let cases: [Case; 7] = [
        (
            |file| file.platform.azure.as_mut().unwrap().resource_group = "other".to_owned(),
            "azure.resource_group is rehearsal, and is to be other",
        ),
        (
            |file| file.platform.azure.as_mut().unwrap().operators.clear(),
            "azure.operators is 198.51.100.0/24, and is to be nothing",
        ),
        (
            |file| file.platform.azure.as_mut().unwrap().tags.clear(),
            "azure.tags is owner = ops, and is to be nothing",
        ),
        (
            |file| file.platform.azure.as_mut().unwrap().user = "root2".to_owned(),
            "azure.user is ops, and is to be root2",
        ),
        (|file| file.shares.clear(), "shares.code is in the file no more"),
        (
            |file| {
                let known = file.shares.values().next().unwrap().clone();
                file.shares.insert("more".parse().unwrap(), known);
            },
            "shares.more is new in the file",
        ),
        (
            |file| {
                let mounted = share::FolderPlace { path: "/mnt/other".into() };
                file.shares.values_mut().next().unwrap().share =
                    share::Description::Folder(mounted);
            },
            "shares.code is another one than it was",
        ),
    ];
    for (change, cause) in cases {
        let changed = |file: &mut Description| {
            *file = with_more();
            change(file);
        };
        let troubles = refused(&world, &owner, changed).await;
        let causes: Vec<&str> = troubles.iter().map(|trouble| trouble.cause.as_str()).collect();
        assert_eq!(causes, [cause]);
    }
}

#[tokio::test(start_paused = true)]
async fn before_anybody_keeps_the_platform_shares_may_change_and_what_was_made_is_not_made_elsewhere()
 {
    let world = World::new();
    let mut owner = world.computer(1);
    owner.description = with_more();
    owner.apply().await.unwrap();
    let range = |file: &mut Description| {
        *file = with_more();
        file.platform.local.as_mut().unwrap().range = "192.0.2.0/25".to_owned();
    };
    let troubles = refused(&world, &owner, range).await;
    assert_eq!(troubles[0].cause, "local.range is 192.0.2.0/24, and is to be 192.0.2.0/25");
    // What nothing was made of may change; whoever keeps the platform is told of it by a part that is run anew.
    let mut again = world.computer_with(1, Cut::Never, owner.book);
    again.description = with_more();
    again.description.shares.clear();
    again.description.platform.azure.as_mut().unwrap().location = "northeurope".to_owned();
    let state = again.apply().await.unwrap();
    assert_eq!(state.generation.0, 2);
}

#[tokio::test(start_paused = true)]
async fn no_machine_is_looked_for_or_made_in_another_place_than_its_own() {
    let world = World::new();
    let mut owner = world.computer(1);
    let azure = |computer: &mut Computer| {
        let backend = computer.ports.backends.remove("local").unwrap();
        computer.ports.backends.insert("azure", backend);
        computer.description = in_azure();
    };
    azure(&mut owner);
    owner.apply().await.unwrap();
    let before = owner.book.load().unwrap();
    let mut again = world.computer_with(1, Cut::Never, owner.book);
    azure(&mut again);
    again.description.platform.azure.as_mut().unwrap().resource_group = "other".to_owned();
    // Whatever is asked of another group, nothing is there.
    for name in ["node-1", "node-2", "node-3"] {
        world.machines.delete(&name.parse().unwrap()).await.unwrap();
    }
    let planned =
        plan(&again.ports, &again.description, again.book.as_ref(), Novelty::Unsaid).await;
    for troubles in [again.apply().await.unwrap_err(), planned.unwrap_err()] {
        let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
        assert_eq!(trouble.cause, "azure.resource_group is rehearsal, and is to be other");
        assert!(trouble.hint.contains("begin anew"), "{trouble}");
    }
    assert_eq!((world.machines.specs().len(), again.book.load().unwrap()), (0, before));
}

#[tokio::test(start_paused = true)]
async fn a_plan_tells_it_as_well() {
    let world = World::new();
    let mut owner = world.computer(1);
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    owner.description = with_a_fifth();
    let planned =
        plan(&owner.ports, &owner.description, owner.book.as_ref(), Novelty::Unsaid).await.unwrap();
    assert!(planned.kept_by_lifecycle_manager && !planned.is_done());
    let [trouble] = planned.refused.as_slice() else { panic!("{planned:?}") };
    assert_eq!(trouble.machine.as_ref().unwrap().as_str(), "node-5");
    assert!(trouble.hint.contains("POST /api/v1/machines"), "{trouble}");
}

#[tokio::test(start_paused = true)]
async fn before_anybody_keeps_the_platform_a_machine_may_come_and_none_may_go() {
    let world = World::new();
    world.parts.add_at("node-5", "192.0.2.15".parse().unwrap());
    let owner = world.computer(1);
    owner.apply().await.unwrap();
    let gone = refused(&world, &owner, |file| drop(file.platform.machines.remove(2))).await;
    assert_eq!(gone[0].machine.as_ref().unwrap().as_str(), "node-3");
    let mut more = world.computer(2);
    more.description = with_a_fifth();
    let state = more.apply().await.unwrap();
    assert_eq!(state.generation.0, 2);
    let runs = world.hosts.with("192.0.2.15", |system| engine::running_agent(system).is_some());
    assert!(runs && state.machines.len() == 5);
    // From now on it belongs to the platform, whoever comes.
    let former = refused(&world, &owner, |_| {}).await;
    assert_eq!(former[0].cause, "node-5 is in the file no more");
}

#[tokio::test(start_paused = true)]
async fn how_packages_are_reached_may_always_change() {
    let world = World::new();
    let mut owner = world.computer(1);
    owner.description.build_env = Some("/ops/packages.tar".into());
    owner.apply().await.unwrap();
    world.lead(&[1, 2, 3, 4]).await;
    let mut again = world.computer_with(1, Cut::Never, owner.book);
    again.description.build_env = Some("/ops/other-packages.tar".into());
    again.apply().await.unwrap();
    for number in 1..=4 {
        let told = world.hosts.with(&format!("192.0.2.1{number}"), |system| {
            engine::text(system, "/etc/avishkar/build-env/content")
        });
        assert_eq!(told, "content of /ops/other-packages.tar");
    }
    assert_eq!(world.shown(), WHOLE);
    let said = again.heard.sentences();
    assert!(!said.iter().any(|said| said.starts_with("run ")), "{said:?}");
}
