//! A local machine as the engine's request.
//!
//! It needs most capabilities to be a machine, but it is not privileged: what it lacks is what an engine in a
//! container does not need, and what an engine that is itself in a container may not give.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig,
    NetworkingConfig, RestartPolicy, RestartPolicyNameEnum,
};
use common::port::container::label;
use common::port::host::PublicKey;
use common::port::machines::{LocalShape, MachineSpec};

use super::LocalSettings;

/// What kind of thing of the platform's it is.
pub(super) const MACHINE: &str = "machine";
pub(super) const MACHINES: &str = "machines";
/// Which platform's.
pub(super) const OF: &str = "avishkar.machine.of";
pub(super) const NAME: &str = "avishkar.machine.name";
pub(super) const SPEC: &str = "avishkar.machine.spec";
pub(super) const ADDRESS: &str = "avishkar.machine.address";

/// What runs on it is asked to end for so long.
pub(super) const STOP_SECONDS: i32 = 40;
/// Where a machine finds the engine it is made in, if it is to make others.
pub(super) const MACHINES_SOCKET: &str = "/run/avishkar/machines.sock";
/// Whose public half is read from outside.
pub(super) const HOST_KEY: &str = "/var/lib/avishkar/ssh/ssh_host_ed25519_key.pub";

pub(super) fn create(
    spec: &MachineSpec,
    shape: LocalShape,
    address: Ipv4Addr,
    socket: &str,
    settings: &LocalSettings,
) -> ContainerCreateBody {
    let labels = [
        (label::PLATFORM, MACHINE.to_owned()),
        (OF, settings.platform.clone()),
        (NAME, spec.name.to_string()),
        (SPEC, spec.hash()),
        (ADDRESS, address.to_string()),
    ];
    let endpoint = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    };
    let network = settings.network();
    ContainerCreateBody {
        image: Some(settings.image.clone()),
        hostname: Some(spec.name.to_string()),
        env: Some(environment(settings)),
        labels: Some(labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        stop_timeout: Some(i64::from(STOP_SECONDS)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.clone(), endpoint)])),
        }),
        host_config: Some(host_config(shape, network, socket)),
        ..ContainerCreateBody::default()
    }
}

/// Its own engine cannot reach the resolver that the outer one would give it.
fn environment(settings: &LocalSettings) -> Vec<String> {
    let resolvers: Vec<String> = settings.resolvers.iter().map(ToString::to_string).collect();
    vec![format!("NODE_DNS={}", resolvers.join(","))]
}

fn host_config(shape: LocalShape, network: String, socket: &str) -> HostConfig {
    let memory = i64::try_from(shape.memory_bytes).unwrap_or(i64::MAX);
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let log = [("max-size", "10m"), ("max-file", "3")];
    let log = log.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let socket = format!("{socket}:{MACHINES_SOCKET}");
    HostConfig {
        network_mode: Some(network),
        cap_add: words(&["ALL"]),
        cap_drop: words(&["SYS_RESOURCE"]),
        security_opt: words(&["seccomp=unconfined", "apparmor=unconfined"]),
        device_cgroup_rules: words(&["a *:* rwm"]),
        tmpfs: Some(HashMap::from([("/run".to_owned(), "exec,mode=755".to_owned())])),
        binds: shape.machines_socket.then(|| vec![socket]),
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(i64::from(shape.cpu_millis) * 1_000_000),
        // As a machine comes back when the power does, unless it was switched off.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(log.collect()),
        }),
        ..HostConfig::default()
    }
}

/// Who may sign in, as an archive of the machine's root folder.
pub(super) fn authorized_keys(key: &PublicKey) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut folder = of_root(0o700, 0);
    folder.set_entry_type(tar::EntryType::Directory);
    archive.append_data(&mut folder, ".ssh/", io::empty())?;
    let line = format!("{key}\n");
    let mut file = of_root(0o600, line.len());
    archive.append_data(&mut file, ".ssh/authorized_keys", line.as_bytes())?;
    archive.into_inner()
}

fn of_root(mode: u32, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use common::port::machines::Shape;

    use super::*;

    #[test]
    fn a_machine_has_its_limits_its_address_and_is_not_privileged() {
        let settings = LocalSettings {
            socket: "/var/run/docker.sock".into(),
            image: "avishkar/machine:dev".to_owned(),
            platform: "avishkar".to_owned(),
            range: "192.0.2.0/24".parse().unwrap(),
            kept: None,
            resolvers: vec!["192.0.2.53".parse().unwrap(), "192.0.2.54".parse().unwrap()],
        };
        let shape = LocalShape {
            memory_bytes: 1 << 30,
            cpu_millis: 1500,
            address: None,
            machines_socket: true,
        };
        let key = format!("ssh-ed25519 {} ops", "A".repeat(68)).parse().unwrap();
        let name = "node-1".parse().unwrap();
        let spec = MachineSpec { name, authorized_key: key, shape: Shape::Local(shape) };
        let body =
            create(&spec, shape, Ipv4Addr::new(192, 0, 2, 7), "/var/run/docker.sock", &settings);
        assert_eq!(body.env.unwrap(), ["NODE_DNS=192.0.2.53,192.0.2.54"]);
        assert_eq!(body.labels.unwrap()[SPEC], spec.hash());
        let endpoints = body.networking_config.unwrap().endpoints_config.unwrap();
        let endpoint = endpoints["avishkar_machines"].ipam_config.clone().unwrap();
        assert_eq!(endpoint.ipv4_address.as_deref(), Some("192.0.2.7"));
        let host = body.host_config.unwrap();
        assert_eq!((host.memory, host.memory_swap), (Some(1 << 30), Some(1 << 30)));
        assert_eq!((host.nano_cpus, host.privileged), (Some(1_500_000_000), None));
        assert_eq!(host.network_mode.as_deref(), Some("avishkar_machines"));
        let socket = "/var/run/docker.sock:/run/avishkar/machines.sock".to_owned();
        assert_eq!(host.binds, Some(vec![socket]));
    }

    #[test]
    fn only_root_reads_who_may_sign_in() {
        let key = format!("ssh-ed25519 {} ops", "A".repeat(68)).parse().unwrap();
        let bytes = authorized_keys(&key).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let modes = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            (path, entry.header().mode().unwrap(), entry.header().uid().unwrap())
        });
        let expected =
            [(".ssh/".to_owned(), 0o700, 0), (".ssh/authorized_keys".to_owned(), 0o600, 0)];
        assert_eq!(modes.collect::<Vec<_>>(), expected);
    }
}
