//! The machine's firewall: the bridges of apps and of builds are kept from the control plane, from the
//! machine's own ports and from one another, by iptables.
//!
//! Rules stand in two chains of ours, which are replaced whole and at once; of the chains of others
//! only one rule each is ours, the jump. No shell is involved: argument vectors and standard input.
//! Who is not root has [`ContainerFirewall`].

mod container;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub use container::{ContainerError, ContainerFirewall};

/// The bridges of apps and of builds, as [`crate::docker`] calls them.
const BRIDGES: &str = "avk+";
/// What goes through this machine, and what is for it.
const FORWARD: &str = "AVISHKAR";
const INPUT: &str = "AVISHKAR-INPUT";
/// How long one call may take; it waits for others who change rules.
const DEADLINE: Duration = Duration::from_secs(10);
const LOCK_SECONDS: &str = "5";
/// From which chains of others what comes from our bridges goes to ours.
const JUMPS: [[&str; 5]; 2] = [jump("DOCKER-USER", FORWARD), jump("INPUT", INPUT)];

/// Why the rules do not hold.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{program} cannot be run")]
    Run {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{program} refused: {message}")]
    Refused { program: &'static str, message: String },
    #[error("{program} did not end in time")]
    TimedOut { program: &'static str },
}

/// What apps may not reach. Everything else outwards is open to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Ranges, as `192.0.2.0/24`.
    pub deny: Vec<String>,
    /// Resolvers that apps may ask even where [`Rules::deny`] covers them.
    pub resolvers: Vec<IpAddr>,
}

/// Makes exactly these rules hold, whatever held before.
pub async fn apply(rules: &Rules) -> Result<(), Error> {
    run("iptables-restore", &["--noflush", "--wait", LOCK_SECONDS], &render(rules)).await?;
    for jump in JUMPS {
        if run("iptables", &with_verb("-C", &jump), "").await.is_err() {
            run("iptables", &with_verb("-I", &jump), "").await?;
        }
    }
    Ok(())
}

/// Takes down what [`apply`] put up.
pub async fn remove() -> Result<(), Error> {
    for jump in JUMPS {
        while run("iptables", &with_verb("-C", &jump), "").await.is_ok() {
            run("iptables", &with_verb("-D", &jump), "").await?;
        }
    }
    for chain in [FORWARD, INPUT] {
        for verb in ["-F", "-X"] {
            run("iptables", &["-w", LOCK_SECONDS, verb, chain], "").await?;
        }
    }
    Ok(())
}

const fn jump(from: &'static str, to: &'static str) -> [&'static str; 5] {
    [from, "-i", BRIDGES, "-j", to]
}

fn with_verb<'a>(verb: &'a str, rule: &[&'a str]) -> Vec<&'a str> {
    [&["-w", LOCK_SECONDS, verb], rule].concat()
}

/// The two chains, in the form of `iptables-restore`: naming a chain empties it, and nothing else.
fn render(rules: &Rules) -> String {
    let known = "-m conntrack --ctstate RELATED,ESTABLISHED";
    let mut text = format!("*filter\n:{FORWARD} - [0:0]\n:{INPUT} - [0:0]\n");
    text.push_str(&format!("-A {FORWARD} {known} -j RETURN\n"));
    text.push_str(&format!("-A {INPUT} {known} -j ACCEPT\n"));
    for resolver in rules.resolvers.iter().filter_map(as_v4) {
        for protocol in ["udp", "tcp"] {
            let asked = format!("-d {resolver}/32 -p {protocol} -m {protocol} --dport 53");
            text.push_str(&format!("-A {FORWARD} {asked} -j RETURN\n"));
            text.push_str(&format!("-A {INPUT} {asked} -j ACCEPT\n"));
        }
    }
    text.push_str(&format!("-A {FORWARD} -o {BRIDGES} -j DROP\n"));
    for range in &rules.deny {
        text.push_str(&format!("-A {FORWARD} -d {range} -j DROP\n"));
    }
    text.push_str(&format!("-A {FORWARD} -j RETURN\n-A {INPUT} -j DROP\nCOMMIT\n"));
    text
}

/// Apps' networks have no addresses of the newer protocol.
fn as_v4(address: &IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }
}

#[expect(clippy::disallowed_methods, reason = "an adapter starts programs")]
async fn run(program: &'static str, arguments: &[&str], input: &str) -> Result<(), Error> {
    let failed = |source| Error::Run { program, source };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let told = async {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let ended = tokio::time::timeout(DEADLINE, told).await;
    let output = ended.map_err(|_| Error::TimedOut { program })?.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Error::Refused { program, message: message.chars().take(300).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_two_chains() {
        let rules = Rules {
            deny: vec!["169.254.0.0/16".to_owned(), "192.0.2.0/24".to_owned()],
            resolvers: vec!["192.0.2.53".parse().unwrap(), "2001:db8::53".parse().unwrap()],
        };
        let expected = "\
*filter
:AVISHKAR - [0:0]
:AVISHKAR-INPUT - [0:0]
-A AVISHKAR -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A AVISHKAR-INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A AVISHKAR -d 192.0.2.53/32 -p udp -m udp --dport 53 -j RETURN
-A AVISHKAR-INPUT -d 192.0.2.53/32 -p udp -m udp --dport 53 -j ACCEPT
-A AVISHKAR -d 192.0.2.53/32 -p tcp -m tcp --dport 53 -j RETURN
-A AVISHKAR-INPUT -d 192.0.2.53/32 -p tcp -m tcp --dport 53 -j ACCEPT
-A AVISHKAR -o avk+ -j DROP
-A AVISHKAR -d 169.254.0.0/16 -j DROP
-A AVISHKAR -d 192.0.2.0/24 -j DROP
-A AVISHKAR -j RETURN
-A AVISHKAR-INPUT -j DROP
COMMIT
";
        assert_eq!(render(&rules), expected);
    }

    #[test]
    fn a_jump_is_looked_for_before_it_is_made() {
        let jump = jump("INPUT", INPUT);
        let expected = ["-w", "5", "-C", "INPUT", "-i", "avk+", "-j", "AVISHKAR-INPUT"];
        assert_eq!(with_verb("-C", &jump), expected);
    }
}
