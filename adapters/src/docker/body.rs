//! A specification as the engine's request, and the platform's labels: text in, text out.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, PortBinding,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use common::id::Epoch;
use common::port::container::{ContainerFile, ContainerSpec, label};

/// The value of [`label::PLATFORM`] on apps' containers, and on their networks.
pub(super) const APP: &str = "app";
pub(super) const NETWORK: &str = "network";
/// Its value on images that the platform built.
pub(super) const IMAGE: &str = "image";

/// Whom an app's process runs as. It owns nothing on the machine.
const USER: &str = "10001:10001";
const STOP_SECONDS: i64 = 10;
const OPEN_FILES: i64 = 4096;

/// Where a container lives: what the specification leaves to the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    /// As [`label::HOME`].
    pub(super) home: Option<&'a str>,
    pub(super) host_ip: IpAddr,
    pub(super) network: &'a str,
    /// The image as this engine knows it.
    pub(super) image: &'a str,
}

pub(super) fn labels(
    spec: &ContainerSpec,
    epoch: Epoch,
    home: Option<&str>,
) -> HashMap<String, String> {
    let home = home.map(|home| (label::HOME, home.to_owned()));
    let labels = [
        (label::PLATFORM, APP.to_owned()),
        (label::INSTANCE, spec.instance.to_string()),
        (label::SLOT, spec.slot.to_string()),
        (label::GENERATION, spec.generation.to_string()),
        (label::DIGEST, spec.image.digest().to_string()),
        (label::IMAGE, spec.image.to_string()),
        (label::HOST_PORT, spec.host_port.to_string()),
        (label::EPOCH, epoch.to_string()),
        (label::SPEC, spec.hash()),
    ];
    labels.into_iter().chain(home).map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn create(spec: &ContainerSpec, epoch: Epoch, site: Site<'_>) -> ContainerCreateBody {
    let port = format!("{}/tcp", spec.container_port);
    ContainerCreateBody {
        image: Some(site.image.to_owned()),
        user: Some(USER.to_owned()),
        env: Some(environment(spec)),
        labels: Some(labels(spec, epoch, site.home)),
        exposed_ports: Some(vec![port.clone()]),
        stop_timeout: Some(STOP_SECONDS),
        host_config: Some(host_config(spec, &port, site)),
        ..ContainerCreateBody::default()
    }
}

fn environment(spec: &ContainerSpec) -> Vec<String> {
    let mut environment: BTreeMap<&str, String> =
        spec.environment.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    environment.insert("PORT", spec.container_port.to_string());
    environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn host_config(spec: &ContainerSpec, port: &str, site: Site<'_>) -> HostConfig {
    let published = PortBinding {
        host_ip: Some(site.host_ip.to_string()),
        host_port: Some(spec.host_port.to_string()),
    };
    let memory = i64::try_from(spec.limits.memory_bytes).unwrap_or(i64::MAX);
    let no_restart =
        RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None };
    HostConfig {
        network_mode: Some(site.network.to_owned()),
        port_bindings: Some(HashMap::from([(port.to_owned(), Some(vec![published]))])),
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(i64::from(spec.limits.cpu_millis) * 1_000_000),
        pids_limit: Some(i64::from(spec.limits.processes)),
        ulimits: Some(vec![ResourcesUlimits {
            name: Some("nofile".to_owned()),
            soft: Some(OPEN_FILES),
            hard: Some(OPEN_FILES),
        }]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(spec.read_only),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), tmpfs_options())])),
        mounts: file_volumes(spec),
        init: Some(true),
        restart_policy: Some(no_restart),
        log_config: Some(log_config()),
        ..HostConfig::default()
    }
}

pub(super) fn tmpfs_options() -> String {
    "rw,nosuid,nodev,size=64m,mode=1777".to_owned()
}

pub(super) fn log_config() -> HostConfigLogConfig {
    let options = [("max-size", "10m"), ("max-file", "3")];
    let options = options.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(options.collect()) }
}

/// The engine copies no files into a read-only root file system, but does so into a volume: each
/// folder that gets a file is one there, and goes with its container.
fn file_volumes(spec: &ContainerSpec) -> Option<Vec<Mount>> {
    if !spec.read_only || spec.files.is_empty() {
        return None;
    }
    let volume = |folder: &str| Mount {
        target: Some(folder.to_owned()),
        typ: Some(MountType::VOLUME),
        ..Mount::default()
    };
    Some(by_folder(spec).into_keys().map(volume).collect())
}

fn by_folder(spec: &ContainerSpec) -> BTreeMap<&str, Vec<(&str, &ContainerFile)>> {
    let mut folders: BTreeMap<&str, Vec<(&str, &ContainerFile)>> = BTreeMap::new();
    for file in &spec.files {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        folders.entry(folder).or_default().push((name, file));
    }
    folders
}

/// The files as archives, each with the folder of the container it belongs into. Theirs is root, so
/// the app only reads them.
pub(super) fn archives(spec: &ContainerSpec) -> io::Result<Vec<(String, Vec<u8>)>> {
    let into_volumes = spec.read_only;
    let mut archives = Vec::new();
    for (folder, files) in by_folder(spec) {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, file) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(file.content.len() as u64);
            header.set_mode(0o444);
            // Below the root, so that the engine makes the folder.
            let path = if into_volumes { name } else { file.path.trim_start_matches('/') };
            archive.append_data(&mut header, path, file.content.as_bytes())?;
        }
        let at = if into_volumes { folder } else { "/" };
        archives.push((at.to_owned(), archive.into_inner()?));
    }
    Ok(archives)
}

#[cfg(test)]
mod tests {
    use common::digest::{Digest, ImageRef};
    use common::id::{Generation, SlotNumber};
    use common::port::container::Limits;

    use super::*;

    fn spec() -> ContainerSpec {
        ContainerSpec {
            instance: "shop".parse().unwrap(),
            slot: SlotNumber(2),
            generation: Generation(7),
            image: ImageRef::new("apps/shop", Digest::of(b"shop")).unwrap(),
            container_port: 8080,
            host_port: 20001,
            environment: [("GREETING", "hello"), ("PORT", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            limits: Limits::default(),
            read_only: true,
            files: vec![ContainerFile {
                path: "/etc/avishkar/app.json".to_owned(),
                content: "{}".to_owned(),
            }],
            health_path: None,
        }
    }

    fn site() -> Site<'static> {
        Site {
            home: None,
            host_ip: "192.0.2.7".parse().unwrap(),
            network: "avishkar_net_3",
            image: "sha256:00",
        }
    }

    #[test]
    fn an_app_gets_no_privilege_and_every_limit() {
        let body = create(&spec(), Epoch(4), site());
        assert_eq!(body.user.as_deref(), Some("10001:10001"));
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
        assert_eq!(host.memory, host.memory_swap);
        assert_eq!(host.memory, Some(256 * 1024 * 1024));
        assert_eq!(host.nano_cpus, Some(500_000_000));
        assert_eq!(host.pids_limit, Some(256));
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.log_config, Some(log_config()));
        assert_eq!((host.privileged, host.cap_add, host.binds), (None, None, None));
        let published = host.port_bindings.unwrap()["8080/tcp"].clone().unwrap();
        assert_eq!(published[0].host_ip.as_deref(), Some("192.0.2.7"));
        assert_eq!(published[0].host_port.as_deref(), Some("20001"));
    }

    #[test]
    fn what_a_container_writes_fills_30_mib_at_most() {
        let log = create(&spec(), Epoch(4), site()).host_config.unwrap().log_config.unwrap();
        let options = log.config.unwrap();
        assert_eq!(log.typ.as_deref(), Some("json-file"));
        assert_eq!((&*options["max-size"], &*options["max-file"]), ("10m", "3"));
    }

    #[test]
    fn a_container_says_whose_it_is_where_there_may_be_several_platforms() {
        let of = |home| create(&spec(), Epoch(4), Site { home, ..site() }).labels.unwrap();
        assert_eq!(of(None).get(label::HOME), None);
        assert_eq!(of(Some("/state/up")).get(label::HOME).map(String::as_str), Some("/state/up"));
    }

    #[test]
    fn the_platform_says_which_port_to_listen_on() {
        let body = create(&spec(), Epoch(4), site());
        assert_eq!(body.env.unwrap(), ["GREETING=hello", "PORT=8080"]);
    }

    #[test]
    fn files_of_a_read_only_container_are_in_a_volume() {
        let mounts = create(&spec(), Epoch(4), site()).host_config.unwrap().mounts.unwrap();
        assert_eq!(mounts[0].target.as_deref(), Some("/etc/avishkar"));
        let writable = ContainerSpec { read_only: false, ..spec() };
        assert_eq!(create(&writable, Epoch(4), site()).host_config.unwrap().mounts, None);
    }

    #[test]
    fn files_are_archived_for_reading_only() {
        let places = [(false, "/", "etc/avishkar/app.json"), (true, "/etc/avishkar", "app.json")];
        for (read_only, folder, path) in places {
            let archives = archives(&ContainerSpec { read_only, ..spec() }).unwrap();
            let (at, bytes) = archives.first().unwrap();
            let mut archive = tar::Archive::new(bytes.as_slice());
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!((at.as_str(), entry.path().unwrap().to_str()), (folder, Some(path)));
            assert_eq!(entry.header().mode().unwrap(), 0o444);
        }
    }
}
