//! How a route changes.

use std::net::{IpAddr, SocketAddr};

use common::id::Generation;
use common::port::edge::{OptionError, Upstream};
use common::port::routes::WantedRoute;
use common::record::deployment::{Deployment, Goal, Slot, SlotState, State};
use common::record::release::Release;
use common::record::route::{Route, RouteGoal};

/// A route may have this many replicas.
pub(crate) const MAX_UPSTREAMS: usize = 1000;

/// Why a route is not taken as it was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("the address {0} is listed twice")]
    Twice(SocketAddr),
    /// The edge is told addresses, never names, and of the fourth version.
    #[error("{0} is no IPv4 address and port that a replica can have")]
    NotAnAddress(SocketAddr),
    #[error("more than {MAX_UPSTREAMS} replicas are too many")]
    TooMany,
    /// Document 001's callers name the machine; it must be one of ours.
    #[error("{0} is the address of no node")]
    NotANode(IpAddr),
    #[error("the path to ask for begins with / and is printable ASCII")]
    Path,
    #[error("the edge cannot be asked for that: {0}")]
    Options(OptionError),
}

/// Checks what needs no look at anything else.
pub(crate) fn check(wanted: &WantedRoute) -> Result<(), Invalid> {
    if wanted.upstreams.len() > MAX_UPSTREAMS || wanted.container_ids.len() > MAX_UPSTREAMS {
        return Err(Invalid::TooMany);
    }
    wanted.edge.check().map_err(Invalid::Options)?;
    let mut addresses: Vec<_> = wanted.upstreams.iter().map(Upstream::address).collect();
    if let Some(address) = addresses.iter().find(|address| !is_reachable(address)) {
        return Err(Invalid::NotAnAddress(*address));
    }
    addresses.sort_unstable();
    let twice = addresses.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(*one),
        _ => None,
    });
    twice.map_or(Ok(()), |address| Err(Invalid::Twice(address)))
}

fn is_reachable(address: &SocketAddr) -> bool {
    match address {
        SocketAddr::V4(address) => {
            let ip = address.ip();
            address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast()
        }
        SocketAddr::V6(_) => false,
    }
}

/// Whether what stands is newer than a wish: of a higher generation, or of a later state of the same deployment.
pub(crate) fn is_newer(standing: &Route, wanted: &WantedRoute) -> bool {
    (standing.generation, standing.revision) > (wanted.generation, wanted.revision)
}

/// Whether a wish for a route is of the past: a newer generation was asked for since, this one was given up, or
/// a replica was taken out of service since. A call may arrive after what took its place, when the route that it
/// would clash with is gone already. Generation 0 is nobody's deployment.
pub(crate) fn is_past(wanted: &WantedRoute, deployment: Option<&Deployment>) -> bool {
    let Some(deployment) = deployment.filter(|_| wanted.generation > Generation(0)) else {
        return false;
    };
    let is_given_up = matches!(deployment.state, State::Undoing | State::Failed);
    let in_service = |upstream: &Upstream| {
        deployment
            .slots
            .iter()
            .any(|slot| slot.number == upstream.slot && may_serve(slot, upstream))
    };
    deployment.generation > wanted.generation
        || (deployment.generation == wanted.generation
            && is_given_up
            && deployment.serving.is_none())
        || !wanted.upstreams.iter().all(in_service)
}

/// Whether a deployment should have a route, whatever is on its way.
pub(crate) fn is_to_be_served(deployment: &Deployment) -> bool {
    deployment.goal == Goal::Running && deployment.serving.is_some()
}

/// Whether it is deployed for the first time, and may still become something.
pub(crate) fn is_on_its_way(deployment: &Deployment) -> bool {
    deployment.goal == Goal::Running
        && deployment.state < State::Running
        && deployment.serving.is_none()
}

fn may_serve(slot: &Slot, upstream: &Upstream) -> bool {
    let is_there =
        slot.place.as_ref().is_some_and(|at| (at.ip, at.host_port) == (upstream.ip, upstream.port));
    is_there && matches!(slot.state, SlotState::Ready | SlotState::Routed | SlotState::Leaving)
}

/// The route as it should stand: replicas that `existing` serves and `wanted` does not, leave.
pub(crate) fn serve(existing: Option<&Route>, wanted: &WantedRoute, front_port: u16) -> Route {
    let mut upstreams = wanted.upstreams.clone();
    upstreams.sort_unstable_by_key(|upstream| (upstream.slot, upstream.address()));
    let stays = |old: &Upstream| upstreams.iter().any(|new| new.address() == old.address());
    let mut leaving: Vec<Upstream> = existing
        .into_iter()
        .flat_map(|route| route.leaving.iter().chain(&route.upstreams))
        .filter(|old| !stays(old))
        .cloned()
        .collect();
    leaving.sort_unstable_by_key(Upstream::address);
    leaving.dedup_by_key(|upstream| upstream.address());
    let mut ill = existing.map(|route| route.ill.clone()).unwrap_or_default();
    let (out, served): (Vec<&Upstream>, Vec<&Upstream>) =
        upstreams.iter().partition(|upstream| ill.contains(&upstream.address()));
    // Never all of a weight: those that others stood in for may leave with this very change.
    let has_stand_in = |one: &Upstream| served.iter().any(|other| other.weight == one.weight);
    let still =
        |address: &SocketAddr| out.iter().any(|one| one.address() == *address && has_stand_in(one));
    ill.retain(still);
    Route {
        schema: 1,
        instance: wanted.instance.clone(),
        front_port,
        host: wanted.instance.host_label(),
        upstreams,
        leaving,
        ill,
        goal: RouteGoal::Served,
        generation: wanted.generation,
        revision: wanted.revision,
        image: wanted.image.clone(),
        container_port: wanted.container_port,
        container_ids: wanted.container_ids.clone(),
        edge: wanted.edge.clone(),
        decisions: existing.map(|route| route.decisions.clone()).unwrap_or_default(),
        restarts: existing.map(|route| route.restarts.clone()).unwrap_or_default(),
        owed: existing.map(|route| route.owed.clone()).unwrap_or_default(),
    }
}

/// Whether a route claims nothing that the one in its place does not have: then nobody else has it, as every route is
/// compared with all others when it claims something.
pub(crate) fn claims_no_more(new: &Route, standing: &Route) -> bool {
    standing.goal != RouteGoal::Removed
        && new.front_port == standing.front_port
        && new.host == standing.host
        && new.edge.hosts.iter().all(|name| standing.edge.hosts.contains(name))
}

/// The route of an app that is on its way: it has all but replicas.
pub(crate) fn announce(deployment: &Deployment, release: &Release, front_port: u16) -> Route {
    Route {
        schema: 1,
        instance: deployment.instance.clone(),
        front_port,
        host: deployment.instance.host_label(),
        upstreams: Vec::new(),
        leaving: Vec::new(),
        ill: Vec::new(),
        goal: RouteGoal::Announced,
        generation: deployment.generation,
        revision: 0,
        image: String::new(),
        container_port: release.port,
        container_ids: Vec::new(),
        edge: release.edge_options(),
        decisions: Vec::new(),
        restarts: Vec::new(),
        owed: Vec::new(),
    }
}

/// The route on its way out: all its replicas leave.
pub(crate) fn remove(existing: &Route, generation: Generation) -> Route {
    let mut route = existing.clone();
    route.goal = RouteGoal::Removed;
    route.generation = generation.max(existing.generation);
    route.ill.clear();
    route.leaving.append(&mut route.upstreams);
    route.leaving.sort_unstable_by_key(Upstream::address);
    route.leaving.dedup_by_key(|upstream| upstream.address());
    route
}

#[cfg(test)]
mod tests {
    use common::id::SlotNumber;
    use common::port::edge::{EdgeOptions, Weight};

    use super::*;

    fn upstream(port: u16) -> Upstream {
        let slot = SlotNumber(u32::from(port) % 10);
        Upstream { ip: [192, 0, 2, 1].into(), port, slot, weight: Weight::ONE }
    }

    fn wanted(ports: &[u16]) -> WantedRoute {
        WantedRoute {
            instance: "shop".parse().unwrap(),
            generation: Generation(1),
            revision: 1,
            upstreams: ports.iter().copied().map(upstream).collect(),
            image: "shop".to_owned(),
            container_port: 8080,
            container_ids: Vec::new(),
            edge: EdgeOptions::default(),
        }
    }

    fn ports(upstreams: &[Upstream]) -> Vec<u16> {
        upstreams.iter().map(|upstream| upstream.port).collect()
    }

    #[test]
    fn what_stands_is_newer_by_its_generation_or_by_the_state_that_it_follows_from() {
        let standing = serve(None, &wanted(&[21]), 2000);
        let of = |generation, revision| {
            let generation = Generation(generation);
            is_newer(&standing, &WantedRoute { generation, revision, ..wanted(&[22]) })
        };
        assert!(!of(1, 1) && !of(1, 2) && !of(2, 0));
        assert!(of(1, 0) && of(0, 9));
    }

    #[test]
    fn replicas_that_are_no_longer_wanted_leave_until_they_are_drained() {
        let first = serve(None, &wanted(&[21, 22]), 2000);
        let second = serve(Some(&first), &wanted(&[23, 22]), 2000);
        assert_eq!((ports(&second.upstreams), ports(&second.leaving)), (vec![22, 23], vec![21]));
        let third = serve(Some(&second), &wanted(&[21]), 2000);
        assert_eq!((ports(&third.upstreams), ports(&third.leaving)), (vec![21], vec![22, 23]));
    }

    #[test]
    fn what_is_ill_stays_so_while_it_is_of_the_route() {
        let mut first = serve(None, &wanted(&[21, 22]), 2000);
        first.ill = vec![first.upstreams[0].address(), first.upstreams[1].address()];
        let second = serve(Some(&first), &wanted(&[22, 23]), 2000);
        assert_eq!(second.ill, [upstream(22).address()]);
        assert!(remove(&second, Generation(4)).ill.is_empty());
    }

    #[test]
    fn a_change_that_leaves_only_ill_ones_serves_them() {
        let mut first = serve(None, &wanted(&[21, 22, 23]), 2000);
        first.ill = vec![upstream(21).address(), upstream(22).address()];
        assert_eq!(serve(Some(&first), &wanted(&[21, 22]), 2000).ill, []);
        assert_eq!(serve(Some(&first), &wanted(&[22, 23]), 2000).ill, [upstream(22).address()]);
        let mut canary = wanted(&[22, 24]);
        canary.upstreams[1].weight = Weight::try_from(2).unwrap();
        assert_eq!(serve(Some(&first), &canary, 2000).ill, [], "a canary stands in for nobody");
    }

    #[test]
    fn a_removed_route_serves_nothing_and_drains_all() {
        let route = serve(None, &wanted(&[21, 22]), 2000);
        let removed = remove(&route, Generation(4));
        assert_eq!((removed.goal, removed.generation), (RouteGoal::Removed, Generation(4)));
        assert_eq!((ports(&removed.upstreams), ports(&removed.leaving)), (vec![], vec![21, 22]));
        let back = serve(Some(&removed), &wanted(&[22]), 2000);
        assert_eq!((back.goal, ports(&back.leaving)), (RouteGoal::Served, vec![21]));
    }

    #[test]
    fn other_routes_are_looked_at_only_for_what_is_claimed_anew() {
        let hosts = |names: &[&str]| EdgeOptions {
            hosts: names.iter().map(|name| name.parse().unwrap()).collect(),
            ..EdgeOptions::default()
        };
        let with = |names| WantedRoute { edge: hosts(names), ..wanted(&[21]) };
        let standing = serve(None, &with(&["a.example.org", "b.example.org"]), 2000);
        let claims = |names, port| serve(Some(&standing), &with(names), port);
        assert!(claims_no_more(&claims(&["b.example.org"], 2000), &standing));
        assert!(!claims_no_more(&claims(&["b.example.org"], 2001), &standing));
        assert!(!claims_no_more(&claims(&["c.example.org"], 2000), &standing));
        let removed = remove(&standing, Generation(4));
        assert!(!claims_no_more(&claims(&["b.example.org"], 2000), &removed));
        let host = "other".parse::<common::name::LegacyName>().unwrap().host_label();
        let other = Route { host, ..standing.clone() };
        assert!(!claims_no_more(&claims(&["b.example.org"], 2000), &other));
    }

    #[test]
    fn an_address_twice_is_refused() {
        assert_eq!(check(&wanted(&[21, 22])), Ok(()));
        assert!(matches!(check(&wanted(&[21, 22, 21])), Err(Invalid::Twice(_))));
    }

    #[test]
    fn what_no_replica_can_have_as_its_address_is_refused() {
        assert!(matches!(check(&wanted(&[0])), Err(Invalid::NotAnAddress(_))));
        for ip in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "2001:db8::1"] {
            let mut wanted = wanted(&[21]);
            wanted.upstreams[0].ip = ip.parse().unwrap();
            assert!(matches!(check(&wanted), Err(Invalid::NotAnAddress(_))), "{ip}");
        }
    }
}
