//! One lifecycle manager after another is given something: each begins anew with it, and another one leads meanwhile. What
//! one does not come back with is taken back from it, and reaches no other; another image of the base is taken back from all.

use std::time::Duration;

use common::name::NodeName;
use common::port::Parts as _;
use common::port::container::ContainerState;
use common::port::nodes;
use common::port::part::Part;
use futures::future::join_all;
use rollout::Code;
use rollout::machine::give_credentials;
use rollout::parts::{BasePart, Configured, Credentials, FormerBase};
use tokio::time::{Instant, sleep, timeout};

use super::Managers;
use crate::trouble::{Trouble, whole};

/// How long a lifecycle manager may take to see what it was given, to end, and to be ready again.
const ANEW_WITHIN: Duration = Duration::from_mins(3);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const TAKEN_BACK: &str = "see its log for what is wrong with what it was given; it is given the old again, and no other one is given the new";
const KEPT: &str = "see its log: it was not ready before either, and keeps what it was given, which another one is ready by";
const GONE_BACK: &str =
    "see its log; it has what it had before, and the others are given that all the same";

/// What one of them is given, by its machine, and what it had.
pub(super) struct Turn {
    pub(super) name: NodeName,
    pub(super) had: Credentials,
    pub(super) wanted: Credentials,
}

impl Turn {
    fn is_idle(&self) -> bool {
        self.had.is_as(&self.wanted)
    }
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    troubles: Vec<Trouble>,
    given: Vec<NodeName>,
    /// Those that did not come back with it, where that may be to blame.
    failed: Vec<NodeName>,
    /// One is ready by it: it is not to blame where one that was ill before stays ill.
    is_proven: bool,
}

impl Outcome {
    /// Of another image of the base none may be left that would bring it to others, not one either that had it already.
    fn takes_back(&self, one: &Turn, former: Option<&FormerBase>) -> bool {
        let goes_by = if self.given.contains(&one.name) { &one.wanted } else { &one.had };
        let is_other = former.is_some_and(|former| former.image != goes_by.configured.base);
        !self.troubles.is_empty() && (is_other || self.failed.contains(&one.name))
    }
}

impl Managers<'_> {
    /// Gives each what it goes by otherwise, and takes back what has to be. `former` is what the base goes back to.
    pub(super) async fn give_all(
        &self,
        turns: &[Turn],
        former: Option<&FormerBase>,
    ) -> Vec<Trouble> {
        let mut outcome = Outcome::default();
        if !turns.iter().all(Turn::is_idle) {
            self.in_turn(turns, former, &mut outcome).await;
        }
        let back: Vec<&Turn> = turns.iter().filter(|one| outcome.takes_back(one, former)).collect();
        let back = self.give_back(&back, former).await;
        outcome.troubles.into_iter().chain(back).collect()
    }

    /// Those that are ready go first: what mends an ill one may need another one that goes by it and orders it anew.
    async fn in_turn(&self, turns: &[Turn], former: Option<&FormerBase>, outcome: &mut Outcome) {
        let looks = turns.iter().map(|one| async move {
            let is_ill = !self.run(&one.name).await.is_ok_and(|found| is_ready(found.as_ref()));
            let to_former = former.filter(|former| former.image == one.wanted.configured.base);
            (is_ill, self.is_backed_out_of(one, to_former).await, one)
        });
        let mut order = join_all(looks).await;
        order.sort_by_key(|(is_ill, is_backed_out_of, _)| (*is_ill, *is_backed_out_of));
        outcome.is_proven = order.iter().any(|(is_ill, _, one)| !is_ill && one.is_idle());
        for (_, _, one) in order.into_iter().filter(|(_, _, one)| !one.is_idle()) {
            let may_go_on = match self.give_one(one, outcome).await {
                Ok(before) => self.comes_back(one, before.as_ref(), former, outcome).await,
                Err(trouble) => {
                    outcome.troubles.push(trouble);
                    former.is_none()
                }
            };
            if !may_go_on {
                break;
            }
        }
    }

    /// Gives how it ran before.
    async fn give_one(&self, one: &Turn, outcome: &mut Outcome) -> Result<Option<Part>, Trouble> {
        let name = &one.name;
        let before = self.run(name).await?;
        let step = format!(
            "give the lifecycle manager of {name} its credentials, and settings of services"
        );
        outcome.given.push(name.clone());
        self.give(name, &step, &one.wanted).await?;
        Ok(before)
    }

    /// Whether others may be given it, too. One that was ill before holds up nobody once another one is ready by it: it
    /// keeps it, and with another image of the base it is waited for together with all of that.
    async fn comes_back(
        &self,
        one: &Turn,
        before: Option<&Part>,
        former: Option<&FormerBase>,
        outcome: &mut Outcome,
    ) -> bool {
        let is_excused = outcome.is_proven && !is_ready(before);
        if is_excused && former.is_some() {
            return true;
        }
        let hint = if is_excused { KEPT } else { TAKEN_BACK };
        let Err(trouble) = self.anew(&one.name, before, hint).await else {
            outcome.is_proven = true;
            return true;
        };
        outcome.troubles.push(trouble);
        if !is_excused {
            outcome.failed.push(one.name.clone());
        }
        is_excused
    }

    /// As the newest: one that runs by what failed looks for newer ones only. That the base goes back stands there until all
    /// of it is seen to run from its former image. What is backed out of ends last, once others stand by: it must not lead.
    pub(super) async fn give_back(
        &self,
        to: &[&Turn],
        former: Option<&FormerBase>,
    ) -> Vec<Trouble> {
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for &one in to {
            let is_last = self.is_backed_out_of(one, former).await;
            if is_last { last.push(one) } else { first.push(one) }
        }
        let mut troubles = Vec::new();
        for one in first {
            let given = if last.is_empty() {
                self.give_former(one, former).await
            } else {
                self.give_former_and_wait(one, former).await
            };
            troubles.extend(given.err());
        }
        for one in last {
            troubles.extend(self.give_former(one, former).await.err());
        }
        troubles
    }

    /// Whether one runs from an image that the base goes back from, as it may where it cannot be looked at.
    async fn is_backed_out_of(&self, one: &Turn, former: Option<&FormerBase>) -> bool {
        let Some(former) = former else { return false };
        !self.runs_from_former(&one.name, former).await.unwrap_or_default()
    }

    async fn give_former_and_wait(
        &self,
        one: &Turn,
        former: Option<&FormerBase>,
    ) -> Result<(), Trouble> {
        // It is given that also where nobody can say how it ran.
        let before = self.run(&one.name).await;
        self.give_former(one, former).await?;
        self.anew(&one.name, before?.as_ref(), GONE_BACK).await
    }

    async fn give_former(&self, one: &Turn, former: Option<&FormerBase>) -> Result<(), Trouble> {
        let Turn { name, had, wanted } = one;
        let mut again = Credentials { given: wanted.given + 1, ..had.clone() };
        if let Some(former) = former {
            again.configured = Configured { base: former.image.clone(), ..again.configured };
            again.upgraded_from = Some(former.clone());
        }
        let step = format!("give the lifecycle manager of {name} again what it had before");
        self.give(name, &step, &again).await
    }

    async fn give(
        &self,
        name: &NodeName,
        step: &str,
        credentials: &Credentials,
    ) -> Result<(), Trouble> {
        let (goal, ports) = (self.goal(name).await?, self.work.machine_ports(None));
        self.work.step(Some(name), step, give_credentials(&ports, &goal, credentials)).await
    }

    /// What an agent has.
    pub(crate) async fn parts(&self, name: &NodeName) -> Result<Vec<Part>, Trouble> {
        let Some(agent) = self.platform.agent(name) else { return Ok(Vec::new()) };
        let agents = self.work.agents(self.platform, &self.vault.trust);
        let asked = timeout(ANSWER_WITHIN, agents.parts(&agent)).await;
        let late = |_| nodes::Error::Unreachable { node: name.clone(), source: "no answer".into() };
        asked.map_err(late).and_then(|answer| answer).map_err(|err| {
            let hint = "see whether its agent runs, then begin again";
            not_anew(name, whole(&err), hint)
        })
    }

    /// A lifecycle manager as its agent has it.
    async fn run(&self, name: &NodeName) -> Result<Option<Part>, Trouble> {
        let manager = BasePart::LifecycleManager.name();
        Ok(self.parts(name).await?.into_iter().find(|part| part.name == manager))
    }

    /// Waits until a lifecycle manager that was given something runs by it, and is ready.
    async fn anew(
        &self,
        name: &NodeName,
        before: Option<&Part>,
        hint: &str,
    ) -> Result<(), Trouble> {
        let run_of = |part: &Part| (part.state.clone(), part.restarts);
        let before = before.map(run_of);
        let is_anew = |now: Option<&Part>| is_ready(now) && now.map(run_of) != before;
        let waiting = async {
            let until = Instant::now() + ANEW_WITHIN;
            loop {
                let now = self.run(name).await;
                if now.as_ref().is_ok_and(|now| is_anew(now.as_ref())) {
                    return Ok(());
                }
                if Instant::now() >= until {
                    let cause = format!("it is not ready again after {} s", ANEW_WITHIN.as_secs());
                    return Err(now.err().unwrap_or_else(|| not_anew(name, cause, hint)));
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        self.work.step(Some(name), &awaited(name), waiting).await
    }
}

fn is_ready(part: Option<&Part>) -> bool {
    part.is_some_and(|part| {
        matches!(part.state, ContainerState::Running { .. }) && part.healthy == Some(true)
    })
}

fn awaited(name: &NodeName) -> String {
    format!("wait until the lifecycle manager of {name} is ready by it")
}

fn not_anew(name: &NodeName, cause: String, hint: &str) -> Trouble {
    Trouble::here(&awaited(name), Code::StepFailed.as_str(), cause, hint).on(name)
}
