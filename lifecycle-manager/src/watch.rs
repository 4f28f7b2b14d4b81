//! Looking: every agent is asked for its parts, once in a while, and who sees something new is woken.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::nodes::{self, Agent};
use common::port::part::Part;
use futures::future::join_all;
use tokio::time::{Instant, sleep_until, timeout};

use crate::domain::brake::Kind;
use crate::fleet;
use crate::shared::{Duty, Shared};
use crate::sight::News;

/// How often the records of the machines are read, in rounds.
const REFRESH_EVERY: u32 = 5;
/// How long a round may take, each of whose looks has a deadline.
const ROUND_WITHIN: Duration = Duration::from_mins(1);

/// Never ends.
pub(crate) async fn watch(shared: &Shared, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("looks");
    let mut rounds: u32 = 0;
    loop {
        let began = Instant::now();
        beat.busy_for(shared.config.look_every + ROUND_WITHIN);
        if rounds.is_multiple_of(REFRESH_EVERY)
            && let Err(err) = fleet::refresh(shared).await
        {
            tracing::warn!(error = &err as &dyn std::error::Error, "the machines cannot be read");
        }
        rounds = rounds.wrapping_add(1);
        round(shared).await;
        sleep_until(began + shared.config.look_every).await;
    }
}

/// Looks at everything once.
pub(crate) async fn round(shared: &Shared) {
    let agents = shared.sight.agents();
    let looks = join_all(agents.iter().map(|agent| look(shared, agent))).await;
    let news = looks.contains(&News::Changed);
    if shared.is_settled() {
        count(shared);
    }
    if news {
        shared.services.wake_all();
        shared.restarts.wake_all();
        shared.duties.wake(Duty::Registry);
    }
}

fn count(shared: &Shared) {
    let (window, silent_after) = (shared.config.window, shared.config.machine.silent_after);
    let machines = shared.sight.count(window, silent_after);
    for (kind, count) in [(Kind::Machines, machines), (Kind::Services, shared.counted())] {
        if shared.note_count(kind, count) {
            shared.duties.wake(Duty::Alarm(kind.into()));
        }
    }
}

/// Asks one agent.
pub(crate) async fn look(shared: &Shared, agent: &Agent) -> News {
    let turn = shared.sight.turn();
    let asked = timeout(shared.config.answer_within, ask(shared, agent)).await;
    let news = match asked {
        Ok(Ok(parts)) => shared.sight.answered(&agent.node, turn, parts),
        Ok(Err(nodes::Error::StaleEpoch { seen, .. })) => {
            shared.refused(&agent.node, seen).await;
            shared.sight.did_not_answer(&agent.node)
        }
        Ok(Err(err)) => {
            tracing::debug!(error = &err as &dyn std::error::Error, node.id = %agent.node, "an agent did not answer");
            shared.sight.did_not_answer(&agent.node)
        }
        Err(_) => shared.sight.did_not_answer(&agent.node),
    };
    if news == News::Changed {
        shared.machines.wake(agent.node.clone());
        shared.bases.wake(agent.node.clone());
        if !shared.sight.of(&agent.node, Duration::ZERO).answers() {
            shared.forget_registry(&agent.node);
        }
    }
    news
}

/// Who asks says first that it leads.
async fn ask(shared: &Shared, agent: &Agent) -> Result<Vec<Part>, nodes::Error> {
    if !shared.sight.is_announced(&agent.node) {
        shared.ports.nodes.announce(agent, shared.issuer()).await?;
        shared.sight.note_announced(&agent.node);
    }
    shared.ports.parts.parts(agent).await
}
