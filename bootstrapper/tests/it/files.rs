//! Descriptions of platforms that are right, and the computer they are read on.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bootstrapper::description::{COMPONENTS, Description, key_of};
use bootstrapper::file::{Here, Problem, Seen, read};
use common::port::host::Credential;
use common::port::machines::Shape;
use common::service::ServiceName;
use rollout::platform::Component;

/// The folder that files are read from.
pub(crate) const FOLDER: &str = "/ops";

/// A computer with the keys, sockets and archives that files speak of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Computer;

impl Here for Computer {
    fn home(&self) -> Option<PathBuf> {
        Some("/home/ops".into())
    }

    fn look(&self, path: &Path) -> Seen {
        let shown = path.to_string_lossy();
        match shown.as_ref() {
            "/home/ops/.ssh/id_ed25519"
            | "/ops/node-3.password"
            | "/ops/azure.json"
            | "/ops/code.secret"
            | "/ops/mirror.secret"
            | "/ops/pager.secret"
            | "/ops/services.json"
            | "/ops/edge.tar"
            | "/ops/authority.pem"
            | "/ops/both.pem"
            | "/ops/build-env.tar" => Seen::File { mode: 0o600 },
            "/ops/open.key" => Seen::File { mode: 0o644 },
            "/var/run/docker.sock" | "/run/user/1000/ssh-agent.sock" => Seen::Socket,
            "/ops/keys" => Seen::Folder,
            "/dev/null" => Seen::Other("it is neither a file nor a socket".to_owned()),
            _ => Seen::Nothing,
        }
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        let text = match path.to_string_lossy().as_ref() {
            "/ops/authority.pem" => TRUSTED.to_owned(),
            "/ops/both.pem" => format!("{TRUSTED}-----BEGIN PRIVATE KEY-----\n"),
            "/ops/services.json" => "[{\"service_name\": \"monitoring\"}]".to_owned(),
            "/ops/build-env.tar" => return Err(io::Error::other("it is no text")),
            _ => String::new(),
        };
        Ok(text)
    }

    /// A service that knows how many are too many, and which file it takes.
    fn refuses(
        &self,
        service: ServiceName,
        settings: &BTreeMap<String, String>,
    ) -> Vec<(String, String)> {
        let has = |key: &str, value: &str| settings.get(key).is_some_and(|said| said == value);
        let mut refused = Vec::new();
        if service == ServiceName::Monitoring && has("probes.at_once", "1024") {
            refused.push(("probes.at_once".to_owned(), "must be fewer today".to_owned()));
        }
        if has("machines.file", "/ops/services.json") && has("platform.instances", "8") {
            refused.push(("machines.file[0].vm_name".to_owned(), "is missing".to_owned()));
        }
        refused
    }
}

/// By what an authority of one's own is trusted.
pub(crate) const TRUSTED: &str = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n";

pub(crate) fn described(text: &str) -> Result<Description, Vec<Problem>> {
    read(text, Path::new(FOLDER), &Computer)
}

pub(crate) const MANUAL: &str = include_str!("../../../config/platform.toml");
pub(crate) const LOCAL: &str = include_str!("../../../config/fleet-local.toml");

#[test]
fn the_manual_is_a_platform_with_machines_of_every_kind() {
    let found = described(MANUAL).unwrap();
    let platform = &found.platform;
    let kinds: Vec<&str> = platform.machines.iter().map(|machine| machine.shape.kind()).collect();
    assert_eq!(kinds, ["given", "given", "given", "local", "azure"]);
    let [first, second, third, local, azure] = platform.machines.as_slice() else {
        panic!("there are five")
    };
    assert_eq!(first.credential, Credential::KeyFile("/home/ops/.ssh/id_ed25519".into()));
    assert_eq!(first.gate.as_ref().unwrap().to_string(), "192.0.2.11:22");
    assert!(first.host_key.is_some() && first.address.is_none());
    assert_eq!(second.address, Some("192.0.2.12".parse().unwrap()));
    assert_eq!(second.credential, Credential::Agent("/run/user/1000/ssh-agent.sock".into()));
    assert_eq!(third.credential, Credential::PasswordFile("/ops/node-3.password".into()));
    let Shape::Local(shape) = &local.shape else { panic!("{:?}", local.shape) };
    assert_eq!((shape.memory_bytes, shape.cpu_millis), (4 << 30, 1500));
    assert!(shape.machines_socket && shape.address.is_some());
    assert_eq!(local.credential, Credential::KeyFile("/ops/avishkar.key".into()));
    assert_eq!(azure.user, "ops");
    assert_eq!((platform.placement.kafka.len(), platform.max_machines), (3, Some(8)));
    assert_eq!(platform.idle_seconds, Some(1800));
    assert_eq!(found.state_file, Path::new("/ops/avishkar.state.json"));
    assert!(found.local.is_some() && found.azure.is_some());
    let shares: Vec<String> = found.shares.keys().map(ToString::to_string).collect();
    assert_eq!(shares, ["code", "mirror", "mounted"]);
    let code = found.shares.values().map(|share| share.secret_file.as_deref());
    assert_eq!(
        code.flatten().collect::<Vec<_>>(),
        ["/ops/code.secret", "/ops/mirror.secret"].map(Path::new)
    );
    let built: Vec<String> = platform
        .code
        .iter()
        .map(|(service, code)| format!("{service} of {}", code.share))
        .collect();
    assert_eq!(built, ["monitoring of code"]);
}

#[test]
fn there_may_be_as_many_machines_as_there_are_from_the_beginning_or_more() {
    let said = |most: &str| {
        let text = MANUAL.replace("max_machines = 8", &format!("max_machines = {most}"));
        described(&text).map(|found| found.platform.max_machines)
    };
    assert_eq!(said("5").unwrap(), Some(5));
    for wrong in ["4", "0", "1001", "\"many\""] {
        let problems = said(wrong).unwrap_err();
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(problem.key, "max_machines", "{problem:?}");
    }
    assert_eq!(described(LOCAL).unwrap().platform.max_machines, None);
}

#[test]
fn an_added_machine_is_kept_for_a_minute_at_least_or_for_good() {
    let said = |idle: &str| {
        let text = MANUAL.replace("idle_seconds = 1800", &format!("idle_seconds = {idle}"));
        described(&text).map(|found| found.platform.idle_seconds)
    };
    for right in [0, 60, 86_400] {
        assert_eq!(said(&right.to_string()).unwrap(), Some(right));
    }
    for wrong in ["1", "59", "86401", "-1", "\"never\""] {
        let problems = said(wrong).unwrap_err();
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(problem.key, "idle_seconds", "{problem:?}");
    }
    assert_eq!(described(LOCAL).unwrap().platform.idle_seconds, None);
}

#[test]
fn the_rehearsal_is_a_platform_of_four_local_machines() {
    let found = described(LOCAL).unwrap();
    assert_eq!(found.platform.machines.len(), 4);
    assert_eq!(found.kinds().into_iter().collect::<Vec<_>>(), ["local"]);
    assert_eq!(found.key_file, Path::new("/ops/fleet.key"));
    assert_eq!(found.platform.placement.edge.len(), 2);
    assert!(found.platform.edge.address.is_some());
}

#[test]
fn images_may_be_files_and_where_all_are_no_engine_is_needed() {
    let one = LOCAL.replace("\"avishkar/edge:dev\"", "{ archive = \"edge.tar\" }");
    let found = described(&one).unwrap().images;
    assert_eq!(found.names[&Component::Edge], "/ops/edge.tar");
    assert_eq!(found.names[&Component::Platform], "avishkar/platform:dev");
    assert!(found.socket.is_some());
    let (before, after) = LOCAL.split_once("[images]").unwrap();
    let (_, after) = after.split_once("[local]").unwrap();
    let components = [COMPONENTS.as_slice(), &[Component::Address]].concat();
    let files: Vec<String> = components
        .iter()
        .map(|component| format!("{} = {{ archive = \"/ops/edge.tar\" }}", key_of(*component)))
        .collect();
    let all = format!("{before}[images]\n{}\n\n[local]{after}", files.join("\n"));
    let found = described(&all).unwrap().images;
    assert_eq!((found.names.len(), found.socket), (components.len(), None));
}
