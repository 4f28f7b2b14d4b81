//! The ports of this machine: free, ours, or somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::check::Check;
use super::settings::{Edge, Settings};
use super::sockets::{self, Holder};
use crate::failure::{Obstacle, who_listens};

/// Front ports that the edge leaves alone anyway: other programs are known by them.
const RESERVED: [u16; 7] = [2181, 2375, 2376, 2377, 2378, 2379, 2380];
/// So many ports are named; more of them are counted.
const NAMED: usize = 8;

/// Which parts of the platform run, and have their ports rightly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours {
    pub(super) services: bool,
    pub(super) edge: bool,
}

/// Who listens on the ports that the platform needs.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// By port; somebody of whom this user may see nothing has no name.
    taken: BTreeMap<u16, Option<Holder>>,
}

impl Listening {
    /// As it is now.
    pub(super) fn of_machine(settings: &Settings) -> Self {
        let taken = taken(settings, &sockets::listeners());
        let mut holders = sockets::holders(&taken);
        Listening { taken: taken.into_iter().map(|port| (port, holders.remove(&port))).collect() }
    }

    /// Of these ports, those that somebody has.
    fn among(&self, ports: &BTreeSet<u16>) -> Vec<u16> {
        ports.iter().filter(|port| self.taken.contains_key(port)).copied().collect()
    }

    /// `another program`, or its name where all have the same.
    fn holder(&self, ports: &[u16]) -> String {
        let mut holders = ports.iter().filter_map(|port| self.taken.get(port));
        let first = holders.next().and_then(Option::as_ref);
        match first.filter(|first| holders.all(|other| other.as_ref() == Some(first))) {
            Some(holder) => holder.to_string(),
            None if ports.len() > 1 => "other programs".to_owned(),
            None => "another program".to_owned(),
        }
    }
}

pub(super) fn services(settings: &Settings, listening: &Listening, ours: Ours) -> Check {
    let name = "ports";
    let services = settings.services.iter().filter(|_| !ours.services).map(SocketAddr::port);
    let of_edge = [Some(settings.edge.host_names), settings.edge.tls].into_iter().flatten();
    let of_edge = of_edge.filter(|_| !ours.edge);
    let ports = listening.among(&services.chain(of_edge).collect());
    let Some(first) = ports.first() else {
        let sentence = match (ours.services, ours.edge) {
            (true, true) => "the platform listens on its ports",
            (true, false) | (false, true) => "a part of the platform listens, other ports are free",
            (false, false) => "the platform's ports are free",
        };
        return Check::fine(name, sentence);
    };
    let holder = listening.holder(&ports);
    let sentence = match ports.len() {
        1 => format!("port {first} of this machine is taken by {holder}"),
        _ => format!("ports {} of this machine are taken by {holder}", listed(&ports)),
    };
    Check::failing(name, Obstacle::PortInUse.failure(sentence, who_listens(*first)))
}

/// An edge that runs has its port for host names: it is looked for, not believed. Nothing is said where it does.
pub(super) fn edge(settings: &Settings, listening: &Listening) -> Option<Check> {
    let port = settings.edge.host_names;
    if listening.taken.contains_key(&port) {
        return None;
    }
    let sentence = format!("the edge runs, and nobody listens on its port {port}");
    let advice = "see `docker logs avishkar-edge`; `avishkar up` starts it again where it ended";
    Some(Check::failing("edge", Obstacle::NotReady.failure(sentence, advice)))
}

/// The edge leaves front ports alone that others have: only without any there is no URL.
pub(super) fn front(settings: &Settings, listening: &Listening, ours: Ours) -> Check {
    let name = "front ports";
    let (first, last) = (settings.edge.front.start(), settings.edge.front.end());
    if ours.edge {
        return Check::fine(name, format!("the edge has its ports of {first} to {last}"));
    }
    let wanted = offered(&settings.edge);
    let ports = listening.among(&wanted);
    let Some(lowest) = ports.first() else {
        return Check::fine(name, format!("nobody else listens on {first} to {last}"));
    };
    let holder = listening.holder(&ports);
    if ports.len() == wanted.len() {
        let sentence = format!("every front port, {first} to {last}, is taken by {holder}");
        return Check::failing(name, Obstacle::PortInUse.failure(sentence, who_listens(*lowest)));
    }
    let sentence = match ports.len() {
        1 => format!("front port {lowest} is taken by {holder}, and no app gets it"),
        _ => format!("front ports {} are taken by {holder}, and no app gets them", listed(&ports)),
    };
    Check::warning(name, sentence, who_listens(*lowest))
}

/// The front ports that the edge gives to apps.
fn offered(edge: &Edge) -> BTreeSet<u16> {
    edge.front.clone().filter(|port| !RESERVED.contains(port)).collect()
}

/// The ports that the platform needs and cannot listen on.
fn taken(settings: &Settings, listeners: &[SocketAddr]) -> BTreeSet<u16> {
    let edge = &settings.edge;
    let edge_ports = offered(edge).into_iter().chain([edge.host_names]);
    let edge_addresses = edge_ports.map(|port| SocketAddr::new(edge.address, port));
    let needed: BTreeMap<u16, Vec<IpAddr>> =
        settings.services.iter().copied().chain(edge_addresses).fold(
            BTreeMap::new(),
            |mut needed, address| {
                let addresses: &mut Vec<IpAddr> = needed.entry(address.port()).or_default();
                addresses.push(address.ip());
                needed
            },
        );
    let blocks = |listener: &&SocketAddr| {
        let needed = needed.get(&listener.port());
        needed.is_some_and(|wanted| wanted.iter().any(|wanted| meet(*wanted, listener.ip())))
    };
    listeners.iter().filter(blocks).map(SocketAddr::port).collect()
}

/// Whether only one of two can listen on one port: at the same address, or where one has them all.
fn meet(one: IpAddr, other: IpAddr) -> bool {
    // Whoever has all addresses of the newer protocol mostly has those of the older one too.
    let (one, other) = (one.to_canonical(), other.to_canonical());
    one == other || one.is_unspecified() || other.is_unspecified()
}

fn listed(ports: &[u16]) -> String {
    let named: Vec<String> = ports.iter().take(NAMED).map(ToString::to_string).collect();
    let more = ports.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::check::Verdict;
    use super::*;

    const NOTHING_RUNS: Ours = Ours { services: false, edge: false };

    fn settings() -> Settings {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Settings {
            socket: "/run/docker.sock".into(),
            folder: "state".into(),
            services: [8010, 8030, 8040, 8050].map(|port| SocketAddr::new(loopback, port)).into(),
            edge: Edge::at(loopback),
        }
    }

    /// Somebody without a name has these ports.
    fn listening(ports: &[u16]) -> Listening {
        Listening { taken: ports.iter().map(|port| (*port, None)).collect() }
    }

    #[test]
    fn a_port_is_taken_by_who_listens_where_the_platform_would() {
        let cases: [(&[&str], &[u16]); 7] = [
            (&[], &[]),
            (&["127.0.0.1:8010"], &[8010]),
            (&["0.0.0.0:8088", "[::]:8050"], &[8050, 8088]),
            (&["[::ffff:127.0.0.1]:2000"], &[2000]),
            (&["[::1]:8010"], &[]),
            (&["192.0.2.7:8010"], &[]),
            (&["127.0.0.1:22", "0.0.0.0:9010", "127.0.0.1:2375"], &[]),
        ];
        for (texts, ports) in cases {
            let found: Vec<SocketAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let expected: BTreeSet<u16> = ports.iter().copied().collect();
            assert_eq!(taken(&settings(), &found), expected, "{texts:?}");
        }
        let elsewhere = ["192.0.2.7:2000".parse().unwrap()];
        let open = Settings { edge: Edge::at("0.0.0.0".parse().unwrap()), ..settings() };
        assert_eq!(taken(&open, &elsewhere), BTreeSet::from([2000]));
    }

    #[test]
    fn a_port_of_the_platform_that_somebody_has_is_named_with_who_has_it() {
        let sentence = |listening: &Listening| {
            let check = services(&settings(), listening, NOTHING_RUNS);
            assert_eq!(check.verdict, Verdict::Failure(Obstacle::PortInUse));
            check.sentence
        };
        let unknown = listening(&[8010]);
        assert_eq!(sentence(&unknown), "port 8010 of this machine is taken by another program");
        let two = listening(&[8050, 8010]);
        let told = "ports 8010, 8050 of this machine are taken by other programs";
        assert_eq!(sentence(&two), told);
        let nginx = || Some(Holder { name: "nginx".to_owned(), id: 7 });
        let one_holder = Listening { taken: [(8010, nginx()), (8050, nginx())].into() };
        let told = "ports 8010, 8050 of this machine are taken by nginx (process 7)";
        assert_eq!(sentence(&one_holder), told);
        let half = Listening { taken: [(8010, nginx()), (8050, None)].into() };
        assert!(sentence(&half).ends_with("other programs"));
        assert_eq!(
            services(&settings(), &listening(&[22, 2000]), NOTHING_RUNS).verdict,
            Verdict::Fine
        );
    }

    #[test]
    fn what_the_platform_listens_on_is_its_own() {
        let all = listening(&[8010, 8088, 2000]);
        let verdict = |services_run, edge_runs| {
            let ours = Ours { services: services_run, edge: edge_runs };
            services(&settings(), &all, ours).verdict
        };
        let taken = Verdict::Failure(Obstacle::PortInUse);
        assert_eq!(verdict(true, true), Verdict::Fine);
        assert_eq!([verdict(true, false), verdict(false, true)], [taken, taken]);
        let edge = Ours { services: false, edge: true };
        assert_eq!(front(&settings(), &all, edge).verdict, Verdict::Fine);
        assert_eq!(super::edge(&settings(), &all), None);
        let deaf = super::edge(&settings(), &listening(&[8010, 2000])).unwrap();
        assert_eq!(deaf.verdict, Verdict::Failure(Obstacle::NotReady));
    }

    #[test]
    fn front_ports_of_others_are_named_and_only_without_any_it_fails() {
        let checked = |ports: &[u16]| front(&settings(), &listening(ports), NOTHING_RUNS);
        assert_eq!(checked(&[1999, 2181, 3000]).verdict, Verdict::Fine);
        let some = checked(&[2222, 2049]);
        assert_eq!(some.verdict, Verdict::Warning);
        assert!(some.sentence.contains("2049, 2222"), "{}", some.sentence);
        let ten: Vec<u16> = (2001..=2010).collect();
        assert!(checked(&ten).sentence.contains("2 more"));
        let every: Vec<u16> = (2000..=2999).collect();
        assert_eq!(checked(&every).verdict, Verdict::Failure(Obstacle::PortInUse));
    }
}
