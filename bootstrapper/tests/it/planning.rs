//! What `apply` would do, without doing it.

use bootstrapper::{Novelty, plan};
use expect_test::{expect, expect_file};

use crate::world::{Computer, GIVEN, World};

pub(crate) async fn planned(computer: &Computer) -> String {
    let plan =
        plan(&computer.ports, &computer.description, computer.book.as_ref(), Novelty::Unsaid)
            .await
            .unwrap();
    let mut text = String::new();
    for machine in plan.machines {
        text.push_str(&format!("{} ({})\n", machine.machine, machine.kind));
        for step in machine.steps {
            text.push_str(&format!("  {step}\n"));
        }
        for note in machine.notes {
            text.push_str(&format!("  note: {note}\n"));
        }
        if let Some(trouble) = machine.trouble {
            text.push_str(&format!("  trouble: {trouble}\n"));
        }
    }
    text
}

#[tokio::test(start_paused = true)]
async fn from_nothing_everything_is_a_sentence_and_nothing_is_touched() {
    let world = World::new();
    let text = planned(&world.computer(1)).await;
    expect_file!["from-nothing.txt"].assert_eq(&text);
    assert!(world.machines.specs().is_empty());
    assert!(world.hosts.told(GIVEN).is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_a_platform_that_stands_nothing_is_left() {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    let plan =
        plan(&computer.ports, &computer.description, computer.book.as_ref(), Novelty::Unsaid)
            .await
            .unwrap();
    assert!(plan.is_done(), "{plan:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_half_made_platform_is_what_is_missing() {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    world.machines.power_off(&"node-3".parse().unwrap());
    let text = planned(&computer).await;
    expect![[r"
        node-1 (local)
          tell node-1 where the registry is
        node-2 (local)
          tell node-2 where the registry is
        node-3 (local)
          start node-3
          install Docker on node-3, where it is missing
          make the platform's folders on node-3, where it is missing
          give the agent of node-3 its certificate, where it is missing
          bring 2 images to node-3, where it is missing
          run the agent on node-3, where it is missing
          wait until the agent of node-3 answers, where it is missing
          tell node-3 where the registry is
          run zookeeper on node-3, where it is missing
          run kafka on node-3, where it is missing
          wait until zookeeper on node-3 is ready, where it is missing
          wait until kafka on node-3 is ready, where it is missing
          run lifecycle-manager on node-3, where it is missing
          wait until lifecycle-manager on node-3 is ready, where it is missing
          run platform-initializer on node-3, where it is missing
          wait until platform-initializer on node-3 is ready, where it is missing
        node-4 (given)
          tell node-4 where the registry is
    "]]
    .assert_eq(&text);
}
