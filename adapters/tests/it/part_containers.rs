//! The contract of parts' containers on a real engine, and what only a real engine can show.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptions, ListImagesOptions,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, RemoveVolumeOptions,
};
use common::digest::Digest;
use common::id::{Epoch, Generation};
use common::name::PartName;
use common::port::container::ContainerState;
use common::port::part::{PartImage, PartSpec};
use common::port::part_containers::{MountSource, PartMount, PartSite};
use common::port::{Containers as _, PartContainers};
use futures::FutureExt as _;
use testkit::contract::part_containers::{World, holds};

use crate::engine::{BASE, Engine, PATIENCE, with_engine};

pub(crate) const READY: &str = "echo ready; trap 'exit 0' TERM; sleep 600 & wait";
const USER: u32 = 10_001;
/// The label of images that a test built of code: the part that they were built for.
pub(crate) const TEST: &str = "avishkar.test";

/// The parts that a test makes on a real engine.
pub(crate) struct Parts<'a> {
    pub(crate) engine: &'a Engine,
    /// The engine's id of it.
    image: Digest,
    names: Mutex<Vec<PartName>>,
}

fn container(name: &PartName) -> String {
    format!("avishkar-part-{name}")
}

/// Runs a test with an engine whose image runs this command, and removes its parts whatever happens.
pub(crate) async fn with_parts(command: &str, test: impl AsyncFnOnce(&Parts<'_>)) {
    with_engine(command, async |engine| {
        let found = engine.docker.inspect_image(&engine.image.to_string()).await;
        let by_id = engine.docker.inspect_image(engine.image.digest().as_str());
        let found = match found {
            Ok(found) => found,
            Err(_) => by_id.await.unwrap(),
        };
        let image = found.id.unwrap().parse().unwrap();
        let parts = Parts { engine, image, names: Mutex::default() };
        let result = AssertUnwindSafe(test(&parts)).catch_unwind().await;
        parts.clear_up().await;
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    })
    .await;
}

impl Parts<'_> {
    pub(crate) fn spec(&self) -> PartSpec {
        PartSpec {
            name: self.fresh_name(),
            generation: Generation(1),
            image: self.image(),
            command: Vec::new(),
            environment: [("GREETING".to_owned(), "hello".to_owned())].into(),
            files: Vec::new(),
            volumes: Vec::new(),
            user: USER,
            memory_bytes: 64 << 20,
            processes: 32,
            health: None,
            stop_seconds: 2,
            rights: Vec::new(),
        }
    }

    async fn run(&self, spec: &PartSpec, site: &PartSite) {
        self.containers().ensure_part_running(spec, Epoch(1), site).await.unwrap();
    }

    /// Runs a part to its end; gives what it printed.
    async fn output_of(&self, spec: &PartSpec, site: &PartSite) -> String {
        self.run(spec, site).await;
        self.last_words_of(spec).await
    }

    async fn last_words_of(&self, spec: &PartSpec) -> String {
        self.until_ended(&spec.name).await;
        self.containers().part_output(&spec.name, 100).await.unwrap().unwrap().join("\n")
    }

    async fn until_ended(&self, name: &PartName) {
        let ended = async {
            loop {
                let found = self.containers().find_part(name).await.unwrap().unwrap();
                if matches!(found.state, ContainerState::Exited { .. }) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
    }

    async fn clear_up(&self) {
        let names = std::mem::take(&mut *self.names.lock().unwrap());
        let docker = &self.engine.docker;
        let force = RemoveContainerOptionsBuilder::new().force(true).build();
        for name in &names {
            drop(docker.remove_container(&container(name), Some(force.clone())).await);
        }
        for name in &names {
            let volume = format!("avishkar-memory-{name}");
            drop(docker.remove_volume(&volume, None::<RemoveVolumeOptions>).await);
        }
        let of_test = |labels: &HashMap<String, String>| {
            labels.get(TEST).is_some_and(|name| names.iter().any(|own| own.as_str() == name))
        };
        let ours = |tag: &String| names.iter().any(|name| tag.contains(&format!("/{name}:")));
        let images = docker.list_images(None::<ListImagesOptions>).await.unwrap();
        let force = RemoveImageOptionsBuilder::new().force(true).build();
        for tag in images.iter().flat_map(|image| &image.repo_tags).filter(|tag| ours(tag)) {
            docker.remove_image(tag, Some(force.clone()), None).await.unwrap();
        }
        for image in images.iter().filter(|image| of_test(&image.labels)) {
            docker.remove_image(&image.id, Some(force.clone()), None).await.unwrap();
        }
    }
}

static NEXT: AtomicU32 = AtomicU32::new(1);

#[async_trait]
impl World for Parts<'_> {
    fn containers(&self) -> &dyn PartContainers {
        &self.engine.containers
    }

    fn image(&self) -> PartImage {
        PartImage::Id(self.image.clone())
    }

    fn fresh_name(&self) -> PartName {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Never the name of an app: images are cleared up by both.
        let name: PartName = format!("part-{}-{number}", std::process::id()).parse().unwrap();
        self.names.lock().unwrap().push(name.clone());
        name
    }

    async fn crash(&self, name: &PartName) {
        let docker = &self.engine.docker;
        docker.kill_container(&container(name), None::<KillContainerOptions>).await.unwrap();
        self.until_ended(name).await;
    }

    async fn occupy_name(&self, name: &PartName) {
        let options = CreateContainerOptionsBuilder::new().name(&container(name)).build();
        let image = Some(self.image.to_string());
        let body = ContainerCreateBody { image, ..ContainerCreateBody::default() };
        self.engine.docker.create_container(Some(options), body).await.unwrap();
    }

    /// Its images are cleared up by what they are labelled with.
    fn dockerfile(&self) -> String {
        let command = serde_json::to_string(&["sh", "-c", READY]).unwrap();
        format!("FROM {BASE}\nLABEL {TEST}={}\nCMD {command}\n", self.fresh_name())
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    with_parts(READY, async |parts| holds(parts).await).await;
}

const SHOW: &str = "grep -E 'CapEff|NoNewPrivs' /proc/self/status; id -u; id -G; echo $GREETING; \
    cat /etc/avishkar/key; touch /x; touch /etc/avishkar/key; touch /tmp/x && echo tmp; \
    touch /data/x && echo data; touch /memory/x && echo memory; \
    df -m /tmp /memory | awk '{print $2, $6}'";

#[tokio::test]
async fn a_part_has_no_privileges_and_only_what_was_mounted() {
    with_parts(SHOW, async |parts| {
        let folder = tempfile::tempdir().unwrap();
        let (key, data) = (folder.path().join("key"), folder.path().join("data"));
        fs::write(&key, "secret\n").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
        fs::create_dir(&data).unwrap();
        for owned in [&key, &data] {
            chown(owned, Some(USER), Some(USER)).unwrap();
        }
        let spec = parts.spec();
        let mount =
            |from, path: &str, read_only| PartMount { from, path: path.to_owned(), read_only };
        let site = PartSite {
            mounts: vec![
                mount(MountSource::Path(key), "/etc/avishkar/key", true),
                mount(MountSource::Path(data.clone()), "/data", false),
                mount(MountSource::Memory(spec.name.clone()), "/memory", false),
            ],
            groups: vec![4242],
        };
        let output = parts.output_of(&spec, &site).await;
        for expected in [
            "CapEff:\t0000000000000000",
            "NoNewPrivs:\t1",
            "\n10001\n",
            "4242",
            "hello",
            "secret",
            "\ntmp",
            "\ndata",
            "\nmemory",
            "64 /tmp",
            "64 /memory",
        ] {
            assert!(output.contains(expected), "{expected} is missing in {output}");
        }
        assert_eq!(output.matches("cannot touch").count(), 2, "{output}");
        assert!(data.join("x").exists());
    })
    .await;
}

#[tokio::test]
async fn a_part_is_on_the_machines_own_network() {
    with_parts("cat /proc/net/dev", async |parts| {
        let output = parts.output_of(&parts.spec(), &PartSite::default()).await;
        let own = fs::read_to_string("/proc/net/dev").unwrap();
        let names = |text: &str| -> Vec<String> {
            let names = text.lines().filter_map(|line| line.split_once(':'));
            names.map(|(name, _)| name.trim().to_owned()).filter(|name| name == "docker0").collect()
        };
        assert_eq!(names(&output), names(&own), "{output}");
        assert!(!names(&own).is_empty());
    })
    .await;
}

#[tokio::test]
async fn memory_is_shared_between_parts_and_outlives_one_of_them() {
    with_parts("while ! [ -e /run/shared/said ]; do sleep 0.05; done; echo heard", async |parts| {
        let reader = parts.spec();
        let memory = || PartMount {
            from: MountSource::Memory(reader.name.clone()),
            path: "/run/shared".to_owned(),
            read_only: false,
        };
        let site = PartSite { mounts: vec![memory()], groups: Vec::new() };
        parts.run(&reader, &site).await;
        let command = ["sh", "-c", "echo hello >/run/shared/said"].map(str::to_owned).to_vec();
        let writer = PartSpec { command, ..parts.spec() };
        parts.output_of(&writer, &site).await;
        assert_eq!(parts.last_words_of(&reader).await, "heard");
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_not_made_by_the_engine() {
    with_parts(READY, async |parts| {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let from = MountSource::Path(missing.clone());
        let mount = PartMount { from, path: "/data".to_owned(), read_only: false };
        let site = PartSite { mounts: vec![mount], groups: Vec::new() };
        let spec = parts.spec();
        let made = parts.containers().ensure_part_running(&spec, Epoch(1), &site).await;
        assert!(made.is_err() && !missing.exists(), "{made:?}");
    })
    .await;
}

#[tokio::test]
async fn apps_and_parts_do_not_see_one_another() {
    with_parts(READY, async |parts| {
        let spec = parts.spec();
        parts.run(&spec, &PartSite::default()).await;
        let app = parts.engine.spec();
        parts.engine.containers.ensure_running(&app, Epoch(1)).await.unwrap();
        let apps = parts.engine.containers.list().await.unwrap();
        assert!(apps.iter().any(|found| found.name == app.name()));
        let listed = parts.containers().list_parts().await.unwrap();
        assert!(listed.iter().any(|found| found.name == spec.name));
        let one_kind = |text: &str| text.contains(spec.name.as_str());
        assert!(!apps.iter().any(|found| one_kind(found.name.as_str())));
    })
    .await;
}
