//! Every metric of the lifecycle manager. No label is the name of an app: anybody makes those.

use std::collections::BTreeMap;

use chassis::metrics::register;
use common::failure::Failure;
use common::record::machine::MachineState;
use common::service::ServiceName;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::domain::brake::Kind;
use crate::domain::machine::Remedy;
use crate::domain::target::Family;
use crate::reconcile::machines::state_name;

/// What the lifecycle manager counts.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    /// By `state`.
    machines: IntGaugeVec,
    /// By `what`.
    repairs: IntCounterVec,
    /// By `family`.
    pub(crate) restarts: IntCounterVec,
    /// By `family` and `outcome`.
    restarts_ended: IntCounterVec,
    /// By `service`.
    backed_out: IntCounterVec,
    /// By `kind`.
    brakes: IntGaugeVec,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let counters = |name, help, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauges = |name, help, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        Metrics {
            machines: gauges("lifecycle_machines", "Machines by their state.", &["state"]),
            repairs: counters(
                "lifecycle_repairs_total",
                "What was done about machines whose agents did not answer.",
                &["what"],
            ),
            restarts: counters(
                "lifecycle_restarts_total",
                "Restarts that were asked for and begun.",
                &["family"],
            ),
            restarts_ended: counters(
                "lifecycle_restarts_ended_total",
                "Restarts that were asked for, by how they ended.",
                &["family", "outcome"],
            ),
            backed_out: counters(
                "lifecycle_versions_backed_out_total",
                "Versions of services that did not become ready in time.",
                &["service"],
            ),
            brakes: gauges(
                "lifecycle_brake",
                "1 while so many of a kind look dead at once that nothing is restarted.",
                &["kind"],
            ),
            registry,
        }
    }

    pub(crate) fn machines_are(&self, states: impl Iterator<Item = MachineState>) {
        let mut counts: BTreeMap<&'static str, i64> =
            STATES.map(|state| (state_name(state), 0)).into();
        for state in states {
            *counts.entry(state_name(state)).or_default() += 1;
        }
        for (state, count) in counts {
            self.machines.with_label_values(&[state]).set(count);
        }
    }

    pub(crate) fn repaired(&self, remedy: Remedy) {
        let what = match remedy {
            Remedy::Wait => return,
            Remedy::Enrol => "enrol",
            Remedy::Restart => "restart",
        };
        self.repairs.with_label_values(&[what]).inc();
    }

    pub(crate) fn restart_ended(&self, family: Family, result: &Result<(), Failure>) {
        let outcome = match result {
            Ok(()) => "done",
            Err(failure) => failure.code.as_str(),
        };
        self.restarts_ended.with_label_values(&[family.as_str(), outcome]).inc();
    }

    pub(crate) fn backed_out(&self, service: ServiceName) {
        self.backed_out.with_label_values(&[service.as_str()]).inc();
    }

    pub(crate) fn brake_is(&self, kind: Kind, holds: bool) {
        self.brakes.with_label_values(&[kind.as_str()]).set(i64::from(holds));
    }
}

const STATES: [MachineState; 6] = [
    MachineState::Preparing,
    MachineState::Ready,
    MachineState::Silent,
    MachineState::Quarantined,
    MachineState::Leaving,
    MachineState::Failed,
];
