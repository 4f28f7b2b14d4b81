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

pub(crate) use container::FIREWALL;
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

/// Makes exactly these rules hold, whatever held before. Where they hold already, it only looks: that
/// is one short process, where setting them makes the kernel wait several times as long.
pub async fn apply(rules: &Rules) -> Result<(), Error> {
    let wanted = render(rules);
    if run("iptables-save", &["-t", "filter"], "").await.is_ok_and(|saved| holds(&wanted, &saved)) {
        return Ok(());
    }
    run("iptables-restore", &["--noflush", "--wait", LOCK_SECONDS], &wanted).await?;
    for jump in JUMPS {
        if run("iptables", &with_verb("-C", &jump), "").await.is_err() {
            run("iptables", &with_verb("-I", &jump), "").await?;
        }
    }
    Ok(())
}

/// Takes down what [`apply`] put up; may be repeated.
pub async fn remove() -> Result<(), Error> {
    for jump in JUMPS {
        while run("iptables", &with_verb("-C", &jump), "").await.is_ok() {
            run("iptables", &with_verb("-D", &jump), "").await?;
        }
    }
    // Whether they are there or not.
    let named = [FORWARD, INPUT].map(|chain| format!(":{chain} - [0:0]\n")).concat();
    let removed = [FORWARD, INPUT].map(|chain| format!("-X {chain}\n")).concat();
    let gone = format!("*filter\n{named}{removed}COMMIT\n");
    run("iptables-restore", &["--noflush", "--wait", LOCK_SECONDS], &gone).await.map(drop)
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

/// Whether a table, as `iptables-save` writes it, has both chains exactly so and the jumps to them. A
/// range that iptables writes in another way than its owner never does, and is set every time.
fn holds(wanted: &str, saved: &str) -> bool {
    let rules = |text, chain| rules_of(text, chain).collect::<Vec<_>>();
    [FORWARD, INPUT].iter().all(|chain| rules(wanted, chain) == rules(saved, chain))
        && JUMPS.iter().all(|[from, rest @ ..]| {
            let jump = rest.join(" ");
            rules_of(saved, from).any(|rule| rule == jump)
        })
}

fn rules_of<'a>(table: &'a str, chain: &str) -> impl Iterator<Item = &'a str> {
    let appended = format!("-A {chain} ");
    table.lines().filter_map(move |line| line.strip_prefix(&appended)).map(str::trim_end)
}

/// Apps' networks have no addresses of the newer protocol.
fn as_v4(address: &IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }
}

/// What it wrote.
#[expect(clippy::disallowed_methods, reason = "an adapter starts programs")]
async fn run(program: &'static str, arguments: &[&str], input: &str) -> Result<String, Error> {
    let failed = |source| Error::Run { program, source };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
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
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
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

    /// As iptables 1.8 writes it, beside what others have there.
    fn saved(rules: &Rules) -> String {
        let rendered = render(rules).replace("*filter\n", "").replace("COMMIT\n", "");
        let (chains, rules): (Vec<_>, Vec<_>) =
            rendered.lines().partition(|line| line.starts_with(':'));
        format!(
            "# Generated\n*filter\n:INPUT ACCEPT [7:420]\n:DOCKER-USER - [0:0]\n{}\n\
             -A INPUT -i avk+ -j AVISHKAR-INPUT\n-A DOCKER-USER -i avk+ -j AVISHKAR\n\
             -A DOCKER-USER -j RETURN\n{}\nCOMMIT\n# Completed\n",
            chains.join("\n"),
            rules.join("\n"),
        )
    }

    #[test]
    fn rules_hold_only_when_all_are_there_in_their_order_and_reached() {
        let rules = Rules {
            deny: vec!["169.254.0.0/16".to_owned()],
            resolvers: vec!["192.0.2.53".parse().unwrap()],
        };
        let (wanted, saved) = (render(&rules), saved(&rules));
        assert!(holds(&wanted, &saved), "{saved}");
        for line in saved.lines().filter(|line| line.contains("AVISHKAR") && !line.starts_with(':'))
        {
            let line = format!("{line}\n");
            assert!(!holds(&wanted, &saved.replace(&line, "")), "without {line}");
        }
        let first = "-A AVISHKAR -d 192.0.2.1/32 -j RETURN\n-A AVISHKAR -m conntrack";
        assert!(!holds(&wanted, &saved.replacen("-A AVISHKAR -m conntrack", first, 1)));
        let none = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n";
        assert!(!holds(&wanted, none));
        assert!(!holds(&render(&Rules::default()), &saved), "others");
    }

    #[test]
    fn a_jump_is_looked_for_before_it_is_made() {
        let jump = jump("INPUT", INPUT);
        let expected = ["-w", "5", "-C", "INPUT", "-i", "avk+", "-j", "AVISHKAR-INPUT"];
        assert_eq!(with_verb("-C", &jump), expected);
    }
}
