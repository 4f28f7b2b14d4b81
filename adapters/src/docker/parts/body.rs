//! A part's specification as the engine's request, and its labels: text in, text out.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig, RestartPolicy, RestartPolicyNameEnum,
};
use common::id::Epoch;
use common::name::PartName;
use common::port::container::label;
use common::port::part::{PartImage, PartRight, PartSpec};
use common::port::part_containers::{MountSource, PartMount, PartSite};

use super::super::body::{log_config, tmpfs_options};

/// The value of [`label::PLATFORM`] on containers of parts.
pub(super) const PART: &str = "part";
/// The same on folders in memory.
const MEMORY: &str = "memory";

/// What the engine calls a part's container.
pub(super) fn container_name(part: &PartName) -> String {
    format!("avishkar-part-{part}")
}

pub(super) fn image_text(image: &PartImage) -> String {
    match image {
        PartImage::Id(id) => id.to_string(),
        PartImage::Named(named) => named.to_string(),
        PartImage::Built(code) => code.to_string(),
    }
}

pub(super) fn labels(spec: &PartSpec, epoch: Epoch) -> HashMap<String, String> {
    let labels = [
        (label::PLATFORM, PART.to_owned()),
        (label::PART, spec.name.to_string()),
        (label::GENERATION, spec.generation.to_string()),
        (label::EPOCH, epoch.to_string()),
        (label::SPEC, spec.hash()),
        (label::IMAGE, image_text(&spec.image)),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn create(
    spec: &PartSpec,
    epoch: Epoch,
    site: &PartSite,
    image: &str,
) -> ContainerCreateBody {
    let environment = spec.environment.iter().map(|(name, value)| format!("{name}={value}"));
    ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
        user: Some(format!("{0}:{0}", spec.user)),
        env: Some(environment.collect()),
        labels: Some(labels(spec, epoch)),
        stop_timeout: Some(i64::from(spec.stop_seconds)),
        host_config: Some(host_config(spec, site)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &PartSpec, site: &PartSite) -> HostConfig {
    let memory = i64::try_from(spec.memory_bytes).unwrap_or(i64::MAX);
    // The agent starts it again, so that its back-off and its ledger hold.
    let no_restart =
        RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None };
    HostConfig {
        network_mode: Some("host".to_owned()),
        memory: Some(memory),
        memory_swap: Some(memory),
        pids_limit: Some(i64::from(spec.processes)),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: capabilities(&spec.rights),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(true),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), tmpfs_options())])),
        mounts: Some(site.mounts.iter().map(|one| mount(one, spec.user)).collect()),
        group_add: Some(site.groups.iter().map(ToString::to_string).collect()),
        init: Some(true),
        restart_policy: Some(no_restart),
        log_config: Some(log_config()),
        ..HostConfig::default()
    }
}

/// None where there is none, so that what was made before there were any is as ever.
fn capabilities(rights: &[PartRight]) -> Option<Vec<String>> {
    let name = |right: &PartRight| match right {
        PartRight::NetworkAdmin => "NET_ADMIN".to_owned(),
        PartRight::RawNetwork => "NET_RAW".to_owned(),
        PartRight::SetGroups => "SETGID".to_owned(),
    };
    (!rights.is_empty()).then(|| rights.iter().map(name).collect())
}

fn mount(wanted: &PartMount, user: u32) -> Mount {
    let mount = Mount {
        target: Some(wanted.path.clone()),
        read_only: Some(wanted.read_only),
        ..Mount::default()
    };
    match &wanted.from {
        MountSource::Path(path) => Mount {
            typ: Some(MountType::BIND),
            source: Some(path.to_string_lossy().into_owned()),
            ..mount
        },
        MountSource::Memory(name) => Mount {
            typ: Some(MountType::VOLUME),
            source: Some(format!("avishkar-memory-{name}")),
            volume_options: Some(in_memory(user)),
            ..mount
        },
    }
}

/// The engine keeps it in memory as long as a container uses it, and counts its users.
fn in_memory(user: u32) -> MountVolumeOptions {
    let place = format!("size=64m,mode=0750,uid={user},gid={user},nosuid,nodev");
    let options = [("type", "tmpfs"), ("device", "tmpfs"), ("o", place.as_str())];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let labels = HashMap::from([(label::PLATFORM.to_owned(), MEMORY.to_owned())]);
    MountVolumeOptions {
        no_copy: Some(true),
        labels: Some(labels),
        driver_config: Some(MountVolumeOptionsDriverConfig {
            name: Some("local".to_owned()),
            options: Some(options.into()),
        }),
        ..MountVolumeOptions::default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use common::digest::{Digest, ImageRef};
    use common::id::Generation;

    use super::*;

    pub(in super::super) fn spec() -> PartSpec {
        let image = ImageRef::new("127.0.0.1:5000/avishkar/platform", Digest::of(b"")).unwrap();
        PartSpec {
            name: "app-manager".parse().unwrap(),
            generation: Generation(3),
            image: PartImage::Named(image),
            command: vec!["app-manager".to_owned()],
            environment: [("A".to_owned(), "b".to_owned())].into(),
            files: Vec::new(),
            volumes: Vec::new(),
            user: 10_001,
            memory_bytes: 256 << 20,
            processes: 64,
            health: None,
            stop_seconds: 20,
            rights: Vec::new(),
        }
    }

    fn site() -> PartSite {
        let key = PartMount {
            from: MountSource::Path("/data/key".into()),
            path: "/etc/avishkar/key".to_owned(),
            read_only: true,
        };
        let memory = MountSource::Memory("edge-run".parse().unwrap());
        let run =
            PartMount { from: memory, path: "/run/avishkar/edge".to_owned(), read_only: false };
        PartSite { mounts: vec![key, run], groups: vec![999] }
    }

    #[test]
    fn a_part_gets_the_machines_network_and_no_privilege() {
        let body = create(&spec(), Epoch(4), &site(), "sha256:00");
        assert_eq!(body.user.as_deref(), Some("10001:10001"));
        assert_eq!(body.cmd, Some(vec!["app-manager".to_owned()]));
        assert_eq!((body.env, body.stop_timeout), (Some(vec!["A=b".to_owned()]), Some(20)));
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("host"));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!((host.memory, host.memory_swap), (Some(256 << 20), Some(256 << 20)));
        assert_eq!(host.pids_limit, Some(64));
        assert_eq!(host.restart_policy.unwrap().name, Some(RestartPolicyNameEnum::NO));
        assert_eq!((host.privileged, host.cap_add, host.binds), (None, None, None));
        assert_eq!(host.group_add, Some(vec!["999".to_owned()]));
    }

    #[test]
    fn a_part_gets_the_rights_that_it_is_given_and_no_other() {
        let rights = vec![PartRight::NetworkAdmin, PartRight::RawNetwork, PartRight::SetGroups];
        let body = create(&PartSpec { rights, user: 0, ..spec() }, Epoch(4), &site(), "sha256:00");
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.cap_add.unwrap(), ["NET_ADMIN", "NET_RAW", "SETGID"]);
        assert_eq!(host.privileged, None);
    }

    #[test]
    fn a_part_without_a_command_runs_what_its_image_says() {
        let bare = PartSpec { command: Vec::new(), ..spec() };
        assert_eq!(create(&bare, Epoch(1), &site(), "sha256:00").cmd, None);
    }

    #[test]
    fn what_is_mounted_is_of_the_machine_or_in_memory() {
        let mounts =
            create(&spec(), Epoch(4), &site(), "sha256:00").host_config.unwrap().mounts.unwrap();
        let [key, run] = mounts.as_slice() else { panic!("{mounts:?}") };
        assert_eq!((key.typ, key.read_only), (Some(MountType::BIND), Some(true)));
        assert_eq!(key.source.as_deref(), Some("/data/key"));
        assert_eq!((run.typ, run.read_only), (Some(MountType::VOLUME), Some(false)));
        assert_eq!(run.source.as_deref(), Some("avishkar-memory-edge-run"));
        let driver = run.volume_options.clone().unwrap().driver_config.unwrap();
        let place = "size=64m,mode=0750,uid=10001,gid=10001,nosuid,nodev";
        assert_eq!(driver.options.unwrap()["o"], place);
    }
}
