//! A machine's programs as far as rollout uses them: its container engine, its packages, its files.
//!
//! What they do stands in files of the machine, so that it survives whatever happens to who asked.

use bytes::Bytes;
use common::port::host::Output;

use super::{Call, File, MemoryHosts, System, failed, said};

/// The engine's version, where there is one; nothing where it stands still.
pub const ENGINE: &str = "/var/lib/docker/engine";
const AGENT: &str = "/var/lib/docker/agent";
const IMAGES: &str = "/var/lib/docker/images/";
/// Why the engine takes no images.
pub const REFUSES_IMAGES: &str = "/var/lib/docker/refuses-images";
/// The ids of containers of the platform that run, one a line.
pub const RUNNING: &str = "/var/lib/docker/running";
/// What cannot be done twice without being noticed, one a line.
pub const EFFECTS: &str = "/var/log/effects";
/// The bytes that are free where the engine keeps images.
pub const FREE_DISK: &str = "/proc/free";

/// All machines have these programs from now on.
pub fn install(hosts: &MemoryHosts) {
    hosts.install("env", |system, call| run(system, call, &call.words()));
    hosts.install("uname", |_, _| said("6.12.0 x86_64\n"));
    hosts.install("date", |system, _| said(text(system, "/proc/clock")));
    hosts.install("ln", |system, call| match call.words()[..] {
        ["-T", from, to] => {
            if system.files.contains_key(to) {
                return failed(1, "ln: File exists");
            }
            let file = system.files[from].clone();
            system.files.insert(to.to_owned(), file);
            said("")
        }
        _ => failed(1, "ln: what?"),
    });
}

/// What stands in a file; nothing where there is none.
pub fn text(system: &System, path: &str) -> String {
    let file = system.files.get(path).map(|file| file.bytes.clone()).unwrap_or_default();
    String::from_utf8_lossy(&file).into_owned()
}

/// Writes a file of root.
pub fn put(system: &mut System, path: &str, content: &str) {
    let bytes = Bytes::copy_from_slice(content.as_bytes());
    let file = File { bytes, mode: 0o644, owner: "root".to_owned() };
    system.files.insert(path.to_owned(), file);
}

fn note(system: &mut System, effect: &str) {
    let before = text(system, EFFECTS);
    put(system, EFFECTS, &format!("{before}{effect}\n"));
}

/// A new machine of Debian, without an engine.
pub fn bare(system: &mut System, now: i64) {
    put(system, "/etc/os-release", "NAME=\"Debian\"\nID=debian\n");
    put(system, "/proc/clock", &now.to_string());
    put(system, "/proc/net/tcp", "  sl  local_address rem_address st\n");
    put(system, "/proc/net/tcp6", "  sl  local_address rem_address st\n");
    put(system, FREE_DISK, &(40_u64 << 30).to_string());
    system.folders.extend(["/var/lib", "/var/log"].map(str::to_owned));
}

/// The hash of the agent that runs.
pub fn running_agent(system: &System) -> Option<String> {
    text(system, AGENT).strip_prefix("true ").map(str::to_owned)
}

/// The engine has none of the images any more.
pub fn lose_images(system: &mut System) {
    system.files.retain(|path, _| !path.starts_with(IMAGES));
}

/// The agent's container as the engine shows it: `true <hash>` for one that runs.
pub fn place_agent(system: &mut System, state: &str) {
    put(system, AGENT, state);
}

fn run(system: &mut System, call: &Call<'_>, words: &[&str]) -> Output {
    if call.user != "root" {
        return failed(1, "permission denied");
    }
    match words {
        ["id", "-u"] => said("0\n"),
        ["stat", "-c", "%n", folders @ ..] => {
            let there = folders.iter().all(|folder| system.folders.contains(*folder));
            if there { said("") } else { failed(1, "stat: No such file or directory") }
        }
        ["test", "-e" | "-d", path] => {
            let there = system.files.contains_key(*path) || system.folders.contains(*path);
            if there { said("") } else { failed(1, "") }
        }
        ["mkdir", "-p", "-m", "0700", folder] => {
            system.folders.insert((*folder).to_owned());
            said("")
        }
        ["chown", owner, "--", path] => give(system, path, owner),
        ["mv", "-f", "-T", "--", from, to] => move_file(system, from, to),
        ["rm", "-f" | "-rf", paths @ ..] => {
            let gone = |path: &String| {
                paths.iter().any(|gone| path == gone || path.starts_with(&format!("{gone}/")))
            };
            system.files.retain(|path, _| !gone(path));
            system.folders.retain(|path| !gone(path));
            said("")
        }
        ["tar", "-x", "-C", folder, "--no-same-owner", "-f", archive] => {
            let content = text(system, archive);
            put(system, &format!("{folder}/content"), &content);
            note(system, "unpack");
            said("")
        }
        ["df", "-B1", "--output=avail", "/var/lib"] => {
            said(format!("Avail\n{}\n", text(system, FREE_DISK)))
        }
        ["df", ..] => failed(1, "df: No such file or directory"),
        ["dpkg", "--configure", "-a"] | ["apt-get", .., "update"] => said(""),
        ["apt-get", .., "install", "-y", "--no-install-recommends", "docker.io"] => {
            put(system, ENGINE, "26.1.5");
            note(system, "install");
            said("")
        }
        ["systemctl", "enable", "--now", "docker.service"] => {
            put(system, ENGINE, "26.1.5");
            note(system, "start");
            said("")
        }
        ["docker", rest @ ..] => docker(system, rest),
        _ => failed(127, &format!("env: {words:?}: No such file or directory")),
    }
}

fn give(system: &mut System, path: &str, owner: &str) -> Output {
    let Some(file) = system.files.get_mut(path) else {
        return failed(1, "chown: No such file or directory");
    };
    owner.clone_into(&mut file.owner);
    said("")
}

fn move_file(system: &mut System, from: &str, to: &str) -> Output {
    let Some(file) = system.files.remove(from) else {
        return failed(1, "mv: No such file or directory");
    };
    system.files.insert(to.to_owned(), file);
    said("")
}

fn docker(system: &mut System, words: &[&str]) -> Output {
    if !system.files.contains_key(ENGINE) {
        return failed(127, "env: 'docker': No such file or directory");
    }
    let version = text(system, ENGINE);
    if version.is_empty() {
        return failed(1, "Cannot connect to the Docker daemon");
    }
    match words {
        ["version", ..] => said(version),
        ["image", "inspect", "--format", "{{.Id}}", id] => {
            let there = system.files.contains_key(&format!("{IMAGES}{id}"));
            if there { said((*id).to_owned()) } else { failed(1, "No such image") }
        }
        ["load", "--quiet", ..] if system.files.contains_key(REFUSES_IMAGES) => {
            failed(1, &text(system, REFUSES_IMAGES))
        }
        ["load", "--quiet", "--input", archive] => {
            for id in text(system, archive).split_whitespace() {
                put(system, &format!("{IMAGES}{id}"), "");
            }
            note(system, "load");
            said("")
        }
        ["container", "inspect", "--format", format, "avishkar-agent"] => agent(system, format),
        ["stop", "--time", "10", "avishkar-agent"] => said(""),
        ["rm", "--force", "avishkar-agent"] => {
            system.files.remove(AGENT);
            said("")
        }
        ["run", "--detach", "--name", "avishkar-agent", "--label", label, ..] => {
            if system.files.contains_key(AGENT) {
                return failed(125, "Conflict. The container name is already in use");
            }
            let hash = label.strip_prefix("avishkar.spec=").unwrap_or_default();
            put(system, AGENT, &format!("true {hash}"));
            note(system, "run");
            said("")
        }
        ["logs", ..] => failed(0, "the agent's last words"),
        ["ps", "--quiet", "--filter", "label=avishkar.platform"] => said(text(system, RUNNING)),
        ["ps" | "network" | "volume", .., "label=avishkar.platform"] => {
            note(system, &format!("list {}", words[0]));
            said(if words[0] == "ps" { "one\ntwo\n" } else { "" })
        }
        ["ps", "--quiet", "--filter", "label=avishkar.part=address"] => said("two\n"),
        ["stop", "--time", "5", "two"] => {
            note(system, "stop the address");
            said("")
        }
        ["rm", "--force", "--volumes", "one", "two"] => {
            note(system, "remove containers");
            said("")
        }
        _ => failed(1, &format!("docker: {words:?}?")),
    }
}

fn agent(system: &System, format: &str) -> Output {
    if !system.files.contains_key(AGENT) {
        return failed(1, "No such container");
    }
    let is_state = format.contains("avishkar.spec");
    said(if is_state { text(system, AGENT) } else { "id".to_owned() })
}
