//! Which services there are to start, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use common::service::ServiceName;

/// The services that the platform initializer starts and stops. All others are the base.
pub(crate) const PLACEABLE: [ServiceName; 5] = [
    ServiceName::AppManager,
    ServiceName::DeploymentManager,
    ServiceName::NodeManager,
    ServiceName::LoadBalancer,
    ServiceName::Monitoring,
];

/// What each service needs before it is started.
pub(crate) type Dependencies = BTreeMap<ServiceName, BTreeSet<ServiceName>>;

/// Services that wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} wait for each other", names(.0))]
pub(crate) struct Cycle(pub(crate) BTreeSet<ServiceName>);

fn names(services: &BTreeSet<ServiceName>) -> String {
    services.iter().map(|service| service.as_str()).collect::<Vec<_>>().join(", ")
}

/// The service of that name: ours, document 001's of the registry, or its `fault_manager`.
pub(crate) fn by_name(text: &str) -> Option<ServiceName> {
    let found = |service: &ServiceName| {
        text == service.as_str()
            || text == service.registry_name()
            || (*service == ServiceName::Monitoring && text == "fault_manager")
    };
    PLACEABLE.into_iter().find(found)
}

/// Every service after those it needs, and else in the order of their names. Monitoring is the last, whatever is
/// declared: what it finds missing it has restarted.
pub(crate) fn start_order(
    services: &BTreeSet<ServiceName>,
    needs: &Dependencies,
) -> Result<Vec<ServiceName>, Cycle> {
    let mut left = services.clone();
    let mut order = Vec::with_capacity(services.len());
    while !left.is_empty() {
        let waits_for_none = |service: &&ServiceName| {
            let needed = needs.get(*service).into_iter().flatten();
            let others = left.len() > 1 && **service == ServiceName::Monitoring;
            !others && needed.filter(|other| left.contains(*other)).count() == 0
        };
        let Some(next) = left.iter().find(waits_for_none).copied() else {
            return Err(Cycle(left));
        };
        left.remove(&next);
        order.push(next);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all() -> BTreeSet<ServiceName> {
        PLACEABLE.into_iter().collect()
    }

    fn needs(pairs: &[(ServiceName, ServiceName)]) -> Dependencies {
        let mut needs = Dependencies::new();
        for (service, needed) in pairs {
            needs.entry(*service).or_default().insert(*needed);
        }
        needs
    }

    #[test]
    fn a_service_comes_after_what_it_needs_and_monitoring_last() {
        use ServiceName::{AppManager, DeploymentManager, LoadBalancer, Monitoring, NodeManager};
        let declared = needs(&[
            (AppManager, DeploymentManager),
            (DeploymentManager, NodeManager),
            (DeploymentManager, LoadBalancer),
        ]);
        let order = start_order(&all(), &declared).unwrap();
        assert_eq!(order, [NodeManager, LoadBalancer, DeploymentManager, AppManager, Monitoring]);
    }

    #[test]
    fn services_that_wait_for_each_other_are_named() {
        use ServiceName::{AppManager, DeploymentManager, Monitoring};
        let declared = needs(&[(AppManager, DeploymentManager), (DeploymentManager, AppManager)]);
        let cycle = start_order(&all(), &declared).unwrap_err();
        assert_eq!(cycle.0, [AppManager, DeploymentManager, Monitoring].into_iter().collect());
        let declared = needs(&[(AppManager, Monitoring)]);
        assert!(start_order(&all(), &declared).is_err(), "nothing comes after monitoring");
    }

    #[test]
    fn a_service_is_known_by_all_of_its_names() {
        for (text, service) in [
            ("app-manager", ServiceName::AppManager),
            ("application_manager", ServiceName::AppManager),
            ("fault_manager", ServiceName::Monitoring),
        ] {
            assert_eq!(by_name(text), Some(service));
        }
        for text in
            ["lifecycle-manager", "platform_initializer", "node-agent", "", "sensor_manager"]
        {
            assert_eq!(by_name(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_declared_every_service_comes_once_and_after_what_it_needs(
            pairs in proptest::collection::vec((0..5_usize, 0..5_usize), 0..8),
        ) {
            let pairs: Vec<_> =
                pairs.into_iter().map(|(one, other)| (PLACEABLE[one], PLACEABLE[other])).collect();
            let declared = needs(&pairs);
            if let Ok(order) = start_order(&all(), &declared) {
                prop_assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), all());
                prop_assert_eq!(order.len(), PLACEABLE.len());
                let at = |service| order.iter().position(|other| *other == service);
                for (service, needed) in pairs {
                    prop_assert!(at(needed) < at(service));
                }
            }
        }
    }
}
