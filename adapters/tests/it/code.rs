//! Code on shares becomes parts that run: a real agent, a real engine, real shares.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapters::KnownShares;
use bollard::query_parameters::ListImagesOptionsBuilder;
use bytes::Bytes;
use chassis::system::SystemClock;
use common::failure::{Failure, FailureCode};
use common::id::{Epoch, Generation};
use common::port::Parts as _;
use common::port::nodes::{Error, Issuer};
use common::port::part::{Part, PartImage, PartSpec};
use common::port::part_containers::PartSite;
use common::port::share::{Code, Context, Description, FolderPlace};
use common::service::ServiceName;
use tempfile::TempDir;
use testkit::contract::part_containers::World as _;
use testkit::contract::shares::World as _;

use crate::agent::{Served, while_serving_code};
use crate::engine::BASE;
use crate::part_containers::{Parts, READY, TEST, with_parts};
use crate::shares::KEY;
use crate::shares::blob::Container;
use crate::shares::s3::Bucket;

const ISSUER: Issuer = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };

/// What a machine knows of shares, and a folder that is one of them.
struct Known {
    folder: TempDir,
    code: TempDir,
}

impl Known {
    /// With the share `code`, a folder of this machine.
    fn new() -> Self {
        let (folder, code) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let known = Known { folder, code };
        known.tell("code", &Description::Folder(FolderPlace { path: known.code.path().into() }));
        known
    }

    fn tell(&self, name: &str, description: &Description) {
        let text = serde_json::to_string(description).unwrap();
        fs::write(self.folder.path().join(format!("{name}.json")), text).unwrap();
        let secret = self.folder.path().join(format!("{name}.secret"));
        fs::write(&secret, KEY).unwrap();
        fs::set_permissions(secret, Permissions::from_mode(0o600)).unwrap();
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.code.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// A service of two files; `turn` makes it another one.
fn files(turn: &str) -> [(&'static str, String); 2] {
    let dockerfile = format!(
        "FROM {BASE}\nLABEL {TEST}={turn}\nCOPY app/main.sh /main.sh\nCMD [\"/main.sh\"]\n"
    );
    [("Dockerfile", dockerfile), ("app/main.sh", format!("#!/bin/sh\necho {turn}\n{READY}\n"))]
}

fn code(share: &str, folder: &str, files: &[(&str, String)]) -> Code {
    let files = files
        .iter()
        .map(|(name, text)| (name.parse().unwrap(), Bytes::copy_from_slice(text.as_bytes())));
    let digest = Context::of(&files.collect()).digest;
    Code { share: share.parse().unwrap(), folder: folder.parse().unwrap(), digest }
}

async fn order(served: &Served, spec: &PartSpec) -> Result<Part, Error> {
    served.client_of(ServiceName::LifecycleManager).ensure_part(&served.agent, ISSUER, spec).await
}

async fn refused(served: &Served, spec: &PartSpec) -> Option<Failure> {
    match order(served, spec).await {
        Err(Error::Failed { failure, .. }) => Some(failure),
        Ok(_) | Err(_) => None,
    }
}

async fn serving(parts: &Parts<'_>, known: &Known, ask: impl AsyncFnOnce(&Served)) {
    let shares = KnownShares::new(known.folder.path(), Path::new("/"), Arc::new(SystemClock));
    let engine = Arc::new(parts.engine.containers.clone());
    while_serving_code(engine, Arc::new(shares), ask).await;
}

/// All images and layers that were made for this turn.
async fn left(parts: &Parts<'_>, turn: &str) -> usize {
    let filters = HashMap::from([("label", vec![format!("{TEST}={turn}")])]);
    let options = ListImagesOptionsBuilder::new().all(true).filters(&filters).build();
    parts.engine.docker.list_images(Some(options)).await.unwrap().len()
}

async fn id_of(parts: &Parts<'_>, code: &Code) -> Option<String> {
    let name = format!("avishkar-code:{}", code.digest.hex());
    parts.engine.docker.inspect_image(&name).await.ok().and_then(|image| image.id)
}

#[tokio::test]
async fn a_folder_is_built_once_and_its_service_runs() {
    with_parts(READY, async |parts| {
        let known = Known::new();
        let name = parts.fresh_name();
        let files = files(name.as_str());
        for (path, text) in &files {
            known.write(&format!("services/one/{path}"), text);
        }
        let code = code("code", "services/one", &files);
        let spec =
            PartSpec { name: name.clone(), image: PartImage::Built(code.clone()), ..parts.spec() };
        serving(parts, &known, async |served| {
            order(served, &spec).await.unwrap();
            let built = id_of(parts, &code).await;
            assert!(built.is_some());
            let said = async {
                let ready = |lines: &Vec<String>| lines.iter().any(|line| line == "ready");
                loop {
                    let lines = parts.containers().part_output(&name, 10).await.unwrap();
                    if let Some(lines) = lines.filter(ready) {
                        return lines;
                    }
                }
            };
            let said = tokio::time::timeout(Duration::from_secs(20), said).await.unwrap();
            assert_eq!(said, [name.to_string(), "ready".to_owned()]);
            fs::remove_dir_all(known.code.path().join("services")).unwrap();
            let again = PartSpec { generation: Generation(2), ..spec.clone() };
            order(served, &again).await.unwrap();
            assert_eq!(id_of(parts, &code).await, built, "it was found");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn azure_blob_and_s3_give_the_same_image() {
    with_parts(READY, async |parts| {
        let (known, container, bucket) = (Known::new(), Container::of_key().await, Bucket::new());
        known.tell("blob", &container.description());
        known.tell("bucket", &bucket.description());
        let name = parts.fresh_name();
        let files = files(name.as_str());
        let (here, there) = (container.fresh_folder(), bucket.fresh_folder());
        for (path, text) in &files {
            container.put(&format!("{}/{path}", here.as_str()), text.clone().into()).await;
            bucket.put(&format!("{}/{path}", there.as_str()), text.clone().into()).await;
        }
        let (first, second) =
            (code("blob", here.as_str(), &files), code("bucket", there.as_str(), &files));
        let spec = PartSpec { name, image: PartImage::Built(first.clone()), ..parts.spec() };
        serving(parts, &known, async |served| {
            order(served, &spec).await.unwrap();
            let built = id_of(parts, &first).await;
            // Built anew from the other share, it is the same code.
            let image = PartImage::Built(second.clone());
            let other = PartSpec { image, generation: Generation(2), ..spec.clone() };
            order(served, &other).await.unwrap();
            assert_eq!(id_of(parts, &second).await, built);
            let third = code("bucket", there.as_str(), &[("Dockerfile", "FROM scratch\n".into())]);
            let image = PartImage::Built(third);
            let meant = PartSpec { image, generation: Generation(3), ..spec.clone() };
            let failure = refused(served, &meant).await.unwrap();
            assert_eq!(failure.code, FailureCode::CodeMismatch);
            assert!(failure.message.contains(second.digest.as_str()), "{failure}");
            assert!(!failure.message.contains(KEY), "{failure}");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_build_that_fails_leaves_no_layer_and_says_why() {
    with_parts(READY, async |parts| {
        let known = Known::new();
        let turn = parts.fresh_name();
        let text = format!("FROM {BASE}\nLABEL {TEST}={turn}\nRUN echo broken && exit 3\n");
        known.write("Dockerfile", &text);
        let code = code("code", "", &[("Dockerfile", text)]);
        let spec = PartSpec { image: PartImage::Built(code.clone()), ..parts.spec() };
        serving(parts, &known, async |served| {
            let failure = refused(served, &spec).await.unwrap();
            assert_eq!(failure.code, FailureCode::BuildFailed);
            assert!(failure.output.iter().any(|line| line == "broken"), "{failure:?}");
            assert_eq!((left(parts, turn.as_str()).await, id_of(parts, &code).await), (0, None));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_build_that_is_cut_off_is_no_image_and_goes_through_the_next_time() {
    with_parts(READY, async |parts| {
        let turn = parts.fresh_name();
        let text =
            format!("FROM {BASE}\nLABEL {TEST}={turn}\nRUN sleep 2\nCMD [\"sleep\", \"600\"]\n");
        let code = code("code", "", &[("Dockerfile", text.clone())]);
        let files = [("Dockerfile".parse().unwrap(), Bytes::from(text))].into();
        let archive = Context::of(&files).archive;
        let build = || parts.containers().build_image(&code, archive.clone());
        assert!(tokio::time::timeout(Duration::from_secs(1), build()).await.is_err());
        assert_eq!(id_of(parts, &code).await, None);
        build().await.unwrap();
        let spec = PartSpec { image: PartImage::Built(code.clone()), ..parts.spec() };
        parts
            .containers()
            .ensure_part_running(&spec, Epoch(1), &PartSite::default())
            .await
            .unwrap();
    })
    .await;
}
