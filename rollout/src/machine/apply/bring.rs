//! What is brought to a machine by copying.

use std::time::Duration;

use common::digest::Digest;
use common::port::Host;
use common::port::host::{Content, NewFile};

use super::super::agent::BUILD_ENV;
use super::super::look::{ARRIVING, build_env_mark, is_there};
use super::super::within::{as_root, docker, must, path};
use super::super::{Goal, Ports};
use super::mark;
use crate::failure::{Code, Why};

/// How long the copy of one image may take: a few hundred megabytes over a slow line.
const COPY: Duration = Duration::from_mins(10);
const LOAD: Duration = Duration::from_mins(3);
/// The longest that a machine may be busy before something is won that the next attempt need not do again. Whoever cuts
/// a call off gives it more than that.
pub const LONGEST: Duration = COPY.saturating_add(LOAD);

/// The images that are missing, one after another: whoever is cut off goes on with the next one.
pub(super) async fn images(ports: &Ports, goal: &Goal, host: &dyn Host) -> Result<(), Why> {
    for image in &goal.images {
        if !is_there(host, image).await? {
            one(ports, host, image).await?;
        }
    }
    Ok(())
}

/// As an archive that is removed again.
pub(super) async fn one(ports: &Ports, host: &dyn Host, image: &Digest) -> Result<(), Why> {
    let chunks = ports.images.archive(std::slice::from_ref(image)).await?;
    let file = NewFile::new(path(ARRIVING), 0o600).by_root().within(COPY);
    host.write(&file, Content::Chunks(chunks)).await?;
    let load = docker(&["load", "--quiet", "--input", ARRIVING]).within(LOAD);
    let loaded = must(host, "docker load", &load).await;
    must(host, "rm", &as_root("rm").args(["-f", ARRIVING])).await?;
    loaded?;
    if is_there(host, image).await? {
        return Ok(());
    }
    let message = format!("the image {image} is not in what was copied");
    Err(Why::new(Code::ImageUnavailable, message, "make the platform's images again"))
}

/// Unpacked over what was there; its mark is written when it is whole.
pub(super) async fn build_env(goal: &Goal, host: &dyn Host) -> Result<(), Why> {
    let (Some(archive), Some(wanted)) = (&goal.build_env, build_env_mark(goal)) else {
        return Ok(());
    };
    let arrived = mark("build-env.tar");
    host.write(&NewFile::new(path(&arrived), 0o600).by_root(), Content::Bytes(archive.clone()))
        .await?;
    let unpack = as_root("tar").args(["-x", "-C", BUILD_ENV, "--no-same-owner", "-f", &arrived]);
    must(host, "tar", &unpack).await?;
    must(host, "rm", &as_root("rm").args(["-f", arrived.as_str()])).await?;
    let mark = NewFile::new(path(&mark("build-env.digest")), 0o600).by_root();
    Ok(host.write(&mark, Content::from(wanted)).await?)
}
