//! The ports of this machine: free, ours, or somebody else's.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::check::Check;
use super::settings::Settings;
use crate::failure::{Obstacle, who_listens};

/// Front ports that the edge leaves alone anyway: other programs are known by them.
const RESERVED: [u16; 7] = [2181, 2375, 2376, 2377, 2378, 2379, 2380];
/// So many ports are named; more of them are counted.
const NAMED: usize = 5;

/// Which parts of the platform run, and have their ports rightly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours {
    pub(super) services: bool,
    pub(super) edge: bool,
}

pub(super) fn services(settings: &Settings, listeners: &[SocketAddr], ours: Ours) -> Check {
    let name = "ports";
    let taken = taken(listeners, settings.address);
    let services = settings.services.iter().filter(|_| !ours.services);
    let host_names = Some(&settings.host_names).filter(|_| !ours.edge);
    let wanted: BTreeSet<u16> = services.chain(host_names).copied().collect();
    let ports: Vec<u16> = wanted.intersection(&taken).copied().collect();
    let Some(first) = ports.first() else {
        let sentence = match (ours.services, ours.edge) {
            (true, true) => "the platform listens on its ports",
            (true, false) | (false, true) => "a part of the platform listens, other ports are free",
            (false, false) => "the platform's ports are free",
        };
        return Check::fine(name, sentence);
    };
    let sentence = match ports.len() {
        1 => format!("port {first} of this machine is taken by another program"),
        _ => format!("ports {} of this machine are taken by other programs", listed(&ports)),
    };
    Check::failing(name, Obstacle::PortInUse.failure(sentence, who_listens(*first)))
}

/// The edge leaves front ports alone that others have: only without any there is no URL.
pub(super) fn front(settings: &Settings, listeners: &[SocketAddr], ours: Ours) -> Check {
    let name = "front ports";
    let (first, last) = (settings.front.start(), settings.front.end());
    if ours.edge {
        return Check::fine(name, format!("the edge has its ports of {first} to {last}"));
    }
    let taken = taken(listeners, settings.address);
    let wanted: BTreeSet<u16> =
        settings.front.clone().filter(|port| !RESERVED.contains(port)).collect();
    let ports: Vec<u16> = wanted.intersection(&taken).copied().collect();
    let Some(lowest) = ports.first() else {
        return Check::fine(name, format!("nobody else listens on {first} to {last}"));
    };
    if ports.len() == wanted.len() {
        let sentence = format!("every front port, {first} to {last}, is taken by another program");
        return Check::failing(name, Obstacle::PortInUse.failure(sentence, who_listens(*lowest)));
    }
    let sentence = match ports.len() {
        1 => format!("front port {lowest} is taken by another program, and no app gets it"),
        _ => format!(
            "front ports {} are taken by other programs, and no app gets them",
            listed(&ports)
        ),
    };
    Check::warning(name, sentence, who_listens(*lowest))
}

/// The ports on which nobody can listen at `address` any more.
fn taken(listeners: &[SocketAddr], address: IpAddr) -> BTreeSet<u16> {
    let blocks = |listener: &&SocketAddr| {
        let ip = listener.ip().to_canonical();
        // Whoever listens on all addresses of the newer protocol mostly has those of the older one too.
        ip == address || ip.is_unspecified()
    };
    listeners.iter().filter(blocks).map(SocketAddr::port).collect()
}

fn listed(ports: &[u16]) -> String {
    let named: Vec<String> = ports.iter().take(NAMED).map(ToString::to_string).collect();
    let more = ports.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::check::Verdict;
    use super::*;

    const NOTHING_RUNS: Ours = Ours { services: false, edge: false };

    fn settings() -> Settings {
        Settings::new("/run/docker.sock".into(), Path::new("state"))
    }

    fn listeners(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_port_is_taken_by_who_listens_where_the_platform_would() {
        let taken = Verdict::Failure(Obstacle::PortInUse);
        let cases: [(&[&str], Verdict); 8] = [
            (&[], Verdict::Fine),
            (&["127.0.0.1:8010"], taken),
            (&["0.0.0.0:8088"], taken),
            (&["[::]:8050"], taken),
            (&["[::ffff:127.0.0.1]:8030"], taken),
            (&["[::1]:8010"], Verdict::Fine),
            (&["192.0.2.7:8010"], Verdict::Fine),
            (&["127.0.0.1:22", "0.0.0.0:9010"], Verdict::Fine),
        ];
        for (texts, verdict) in cases {
            let check = services(&settings(), &listeners(texts), NOTHING_RUNS);
            assert_eq!(check.verdict, verdict, "{texts:?}");
        }
        let two =
            services(&settings(), &listeners(&["127.0.0.1:8050", "127.0.0.1:8010"]), NOTHING_RUNS);
        assert_eq!(two.sentence, "ports 8010, 8050 of this machine are taken by other programs");
        assert!(two.advice.unwrap().contains(":8010"));
    }

    #[test]
    fn what_the_platform_listens_on_is_its_own() {
        let all = listeners(&["127.0.0.1:8010", "127.0.0.1:8088", "127.0.0.1:2000"]);
        let verdict = |services_run, edge_runs| {
            let ours = Ours { services: services_run, edge: edge_runs };
            services(&settings(), &all, ours).verdict
        };
        let taken = Verdict::Failure(Obstacle::PortInUse);
        assert_eq!(verdict(true, true), Verdict::Fine);
        assert_eq!([verdict(true, false), verdict(false, true)], [taken, taken]);
        let edge = Ours { services: false, edge: true };
        assert_eq!(front(&settings(), &all, edge).verdict, Verdict::Fine);
    }

    #[test]
    fn front_ports_of_others_are_named_and_only_without_any_it_fails() {
        let checked = |ports: &[u16]| {
            let found: Vec<SocketAddr> =
                ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
            front(&settings(), &found, NOTHING_RUNS)
        };
        assert_eq!(checked(&[1999, 2181, 3000]).verdict, Verdict::Fine);
        let some = checked(&[2222, 2049]);
        assert_eq!(some.verdict, Verdict::Warning);
        assert!(some.sentence.contains("2049, 2222"), "{}", some.sentence);
        assert!(checked(&[2001, 2002, 2003, 2004, 2005, 2006, 2007]).sentence.contains("2 more"));
        let every: Vec<u16> = (2000..=2999).collect();
        assert_eq!(checked(&every).verdict, Verdict::Failure(Obstacle::PortInUse));
    }
}
