//! Members of an ensemble on three machines that hang, and what their agents let one another do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use common::agent::{Consent, Consented};
use common::port::Cause;
use common::port::nodes::Agent;

use super::silence::{AFTER, Process, until};
use super::*;

/// The agents of all machines, as each of them reaches the others.
#[derive(Debug, Default)]
struct Network {
    agents: Mutex<BTreeMap<NodeName, Weak<Parts>>>,
    /// Whom nobody reaches.
    away: Mutex<BTreeSet<NodeName>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Neighbours for Arc<Network> {
    async fn consent(&self, agent: &Agent, asked: &Consent) -> Result<Consented, Cause> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let is_away = |node: &NodeName| self.away.lock().unwrap().contains(node);
        if is_away(&agent.node) || is_away(&asked.node) {
            return Err("no way".into());
        }
        let found = self.agents.lock().unwrap().get(&agent.node).and_then(Weak::upgrade);
        Ok(found.ok_or("no agent")?.consent_to(asked).await?)
    }
}

/// A machine with its member, and the agent.
struct Member {
    machine: Machine,
    process: Process,
    spec: PartSpec,
    parts: Arc<Parts>,
}

impl Member {
    fn starts(&self) -> u32 {
        self.machine.engine.starts(&self.spec.name)
    }

    fn is_steady(&self) -> bool {
        self.parts.standing.is_steady(&self.spec.name)
    }
}

/// Three `ZooKeeper`s, all of the same turn: what keeps them apart is nothing but the word of their agents.
async fn three(network: &Arc<Network>) -> Vec<Member> {
    let nodes: Vec<NodeName> =
        ["node-1", "node-2", "node-3"].map(|node| node.parse().unwrap()).into();
    let address = "192.0.2.1:7443".parse().unwrap();
    let agent = |node: &NodeName| Agent { node: node.clone(), address };
    let ensemble: Vec<Agent> = nodes.iter().map(agent).collect();
    let mut members = Vec::new();
    for node in nodes {
        let neighbours = Arc::new(Arc::clone(network));
        let times = Machine { restart_after: AFTER, steady_for: AFTER, ..Machine::new() };
        let machine = Machine { node, neighbours, ..times };
        let process = Process::start(b"imok").await;
        let health = PartHealth { ensemble: ensemble.clone(), ..process.health() };
        let spec = PartSpec { health: Some(health), ..machine.spec() };
        let parts = machine.parts();
        let known = (machine.node.clone(), Arc::downgrade(&parts));
        network.agents.lock().unwrap().insert(known.0, known.1);
        members.push(Member { machine, process, spec, parts });
    }
    members
}

/// Runs the three agents while `test` lasts.
async fn with_three(test: impl AsyncFnOnce(&Network, &[Member])) {
    let network = Arc::new(Network::default());
    let members = three(&network).await;
    let [one, two, three] = members.as_slice() else { panic!("there are three") };
    let forever = async |_: &Parts| std::future::pending::<()>().await;
    let testing = async {
        for member in &members {
            member.parts.ensure(ISSUER, &member.spec).await.unwrap();
        }
        for member in &members {
            until("it is back", async || member.is_steady()).await;
        }
        test(&network, &members).await;
    };
    tokio::select! {
        biased;
        () = one.machine.run(&one.parts, forever) => {}
        () = two.machine.run(&two.parts, forever) => {}
        () = three.machine.run(&three.parts, forever) => {}
        () = testing => {}
    }
}

fn restarted(members: &[Member]) -> Vec<usize> {
    (0..members.len()).filter(|at| members[*at].starts() > 1).collect()
}

/// Waits until the others have asked so often in vain.
async fn until_asked(network: &Network, times: usize) {
    let before = network.asked.load(Ordering::SeqCst);
    let asked = async || network.asked.load(Ordering::SeqCst) >= before + times;
    until("they ask", asked).await;
}

#[tokio::test]
async fn of_an_ensemble_that_hangs_one_at_a_time_is_ended_and_the_next_when_it_is_back() {
    with_three(async |_, members| {
        for member in members {
            member.process.hangs();
        }
        let mut back = BTreeSet::new();
        for ended in 1..=3 {
            until("one is ended", async || restarted(members).len() == ended).await;
            // Longer than it takes until each of the others has tried it.
            let hangs = |member: &&Member| member.starts() == 1;
            if let Some(other) = members.iter().find(hangs) {
                other.process.until_asked_in_vain(4).await;
            }
            assert_eq!(restarted(members).len(), ended, "the others wait for it");
            let now: BTreeSet<usize> = restarted(members).into_iter().collect();
            let new: Vec<usize> = now.difference(&back).copied().collect();
            let [at] = new.as_slice() else { panic!("{new:?} at once") };
            members[*at].process.wakes();
            until("it is back", async || members[*at].is_steady()).await;
            back.insert(*at);
        }
        assert!(members.iter().all(|member| member.starts() == 2));
    })
    .await;
}

#[tokio::test]
async fn one_that_is_on_its_way_back_holds_up_the_others_whoever_ended_it() {
    with_three(async |network, members| {
        let [first, second, _] = members else { panic!("there are three") };
        // It ends by itself, and its next run says nothing yet.
        second.process.hangs();
        second.machine.engine.exit(&second.spec.name, 1);
        until("it is started again", async || second.starts() == 2).await;
        first.process.hangs();
        until_asked(network, 2).await;
        assert_eq!(first.starts(), 1);
        second.process.wakes();
        until("the first is ended", async || first.starts() == 2).await;
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_is_away_holds_up_nobody_and_one_that_is_cut_off_ends_nothing() {
    with_three(async |network, members| {
        let [first, second, third] = members else { panic!("there are three") };
        let away =
            |member: &Member| network.away.lock().unwrap().insert(member.machine.node.clone());
        away(third);
        third.process.hangs();
        until_asked(network, 2).await;
        assert_eq!(third.starts(), 1, "it cannot know what the others do");
        first.process.hangs();
        until("the first is ended", async || first.starts() == 2).await;
        first.process.wakes();
        until("it is back", async || first.is_steady()).await;
        assert_eq!([second.starts(), third.starts()], [1, 1]);
    })
    .await;
}

#[tokio::test]
async fn nobody_is_asked_while_another_works_at_the_part_and_a_consent_ages() {
    with_three(async |network, members| {
        let [first, ..] = members else { panic!("there are three") };
        let held = first.parts.locks.lock(&first.spec.name).await;
        first.process.hangs();
        // Longer than it may be silent.
        first.process.until_asked_in_vain(4).await;
        assert_eq!((network.asked.load(Ordering::SeqCst), first.starts()), (0, 1));
        drop(held);
        until("it is ended", async || first.starts() == 2).await;
    })
    .await;
}

#[tokio::test]
async fn one_at_which_somebody_works_is_on_its_way_back() {
    with_three(async |network, members| {
        let [first, second, _] = members else { panic!("there are three") };
        let held = second.parts.locks.lock(&second.spec.name).await;
        first.process.hangs();
        // One refuses and two are told that the others need not wait; then it asks again.
        until_asked(network, 4).await;
        assert_eq!(first.starts(), 1);
        drop(held);
        until("the first is ended", async || first.starts() == 2).await;
    })
    .await;
}

#[tokio::test]
async fn who_cannot_end_its_own_gives_the_consent_back() {
    with_three(async |network, members| {
        let [first, second, _] = members else { panic!("there are three") };
        first.machine.engine.fail_to_end_once(&first.spec.name);
        first.process.hangs();
        // Both others, twice: for the consent, and to give it back.
        until_asked(network, 4).await;
        let asked = Consent {
            part: second.spec.name.clone(),
            node: second.machine.node.clone(),
            seconds: 60,
        };
        let third = &members[2].parts;
        let given = async || third.consent_to(&asked).await.unwrap().refused.is_none();
        until("another has it", given).await;
        assert_eq!(first.starts(), 1, "it was not ended meanwhile");
    })
    .await;
}

#[tokio::test]
async fn only_who_has_such_a_part_is_given_a_consent() {
    with_three(async |_, members| {
        let [first, ..] = members else { panic!("there are three") };
        let asked = |part: &str, node: &str| {
            let (part, node) = (part.parse().unwrap(), node.parse().unwrap());
            Consent { part, node, seconds: 60 }
        };
        let name = first.spec.name.as_str();
        let own = first.parts.consent_to(&asked(name, "node-1")).await;
        assert!(matches!(own, Err(Error::Specification { .. })), "{own:?}");
        let unknown = first.parts.consent_to(&asked("registry", "node-2")).await;
        assert!(matches!(unknown, Err(Error::UnknownPart(_))), "{unknown:?}");
        let stranger = first.parts.consent_to(&asked(name, "node-4")).await.unwrap();
        assert!(stranger.refused.is_some());
        let member = first.parts.consent_to(&asked(name, "node-2")).await.unwrap();
        assert_eq!(member.refused, None);
    })
    .await;
}

#[tokio::test]
async fn one_that_was_specified_before_there_were_ensembles_waits_for_who_was_let() {
    with_three(async |_, members| {
        let [first, ..] = members else { panic!("there are three") };
        let mut older = first.spec.clone();
        older.health.as_mut().unwrap().ensemble.clear();
        assert!(first.parts.may_end(&older).await);
        let (part, node) = (first.spec.name.clone(), members[1].machine.node.clone());
        let asked = Consent { part, node, seconds: 60 };
        assert_eq!(first.parts.consent_to(&asked).await.unwrap().refused, None);
        assert!(!first.parts.may_end(&older).await);
    })
    .await;
}
