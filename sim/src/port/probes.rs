//! What monitoring sees, and whom it tells.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use common::port::probes::{Ill, Seen};
use common::port::webhooks::{Error, Notice};
use common::port::{Probes, Webhooks};
use testkit::nodes::Reach;

use crate::call::CallKind;
use crate::fleet::{self, Look};
use crate::gate::{Call, Gate};

#[derive(Debug)]
pub(crate) struct SimProbes {
    gate: Gate,
}

impl SimProbes {
    pub(crate) fn new(gate: Gate) -> Self {
        SimProbes { gate }
    }

    async fn glance(&self, address: SocketAddr, within: Duration) -> Seen {
        let world = &self.gate.world;
        let (fleet, now) = (&world.truth.fleet, world.stage.now());
        let Some(spot) = fleet::at(&world.truth.agents, address) else { return Seen::Unknown };
        let is_away = matches!(fleet.reach(&spot.node), Reach::Dead | Reach::Partitioned);
        match fleet.look(&spot, now).filter(|_| !is_away && !fleet.is_blind()) {
            None => Seen::Ill(Ill::Silent),
            Some(Look::Ready | Look::Answers) => Seen::Well,
            Some(Look::Hangs) => {
                world.stage.sleep(within).await;
                Seen::Ill(Ill::Late)
            }
        }
    }
}

#[async_trait]
impl Probes for SimProbes {
    async fn look(&self, address: &str, within: Duration) -> Seen {
        match address.parse() {
            Ok(address) => self.look_inside(address, within).await,
            Err(_) => Seen::Unknown,
        }
    }

    async fn look_inside(&self, address: SocketAddr, within: Duration) -> Seen {
        let what = self.gate.world.essence(format_args!("look at {address}"));
        let glance = async { Ok(self.glance(address, within).await) };
        let unanswered = |_| Seen::Ill(Ill::Silent);
        self.gate
            .ask(CallKind::ProbesLook, what, unanswered, glance)
            .await
            .unwrap_or_else(|ill| ill)
    }
}

#[derive(Debug)]
pub(crate) struct SimWebhooks {
    gate: Gate,
}

impl SimWebhooks {
    pub(crate) fn new(gate: Gate) -> Self {
        SimWebhooks { gate }
    }
}

#[async_trait]
impl Webhooks for SimWebhooks {
    async fn tell(&self, receiver: &str, notice: &Notice) -> Result<(), Error> {
        let what = self.gate.world.essence(format_args!("tell {receiver} of {}", notice.id));
        let call = Call { kind: CallKind::WebhooksTell, what, step: &|| None };
        let (gate, receiver, notice) = (self.gate.clone(), receiver.to_owned(), notice.clone());
        let body =
            move |_| async move { gate.world.truth.fleet.webhooks.tell(&receiver, &notice).await };
        let lost = |_| Error::Unavailable("simulated".into());
        self.gate.order(call, lost, body).await
    }
}
