//! What opens the shares that services' code comes from, on a node. Keys end; the agent reads them anew each time.

use std::collections::BTreeMap;

use bytes::Bytes;
use common::name::ShareName;
use common::port::Host;
use common::port::host::{Content, NewFile, Privilege};
use common::port::share::Access;

use super::agent::STATE;
use super::remains::enter;
use super::within::{as_root, must, path};
use super::{Goal, Ports};
use crate::failure::{Failure, Why};

const SMALL: usize = 64 * 1024;

/// Makes a node know these shares, with what opens them now, whatever it knew of them. Gives those that it knew otherwise,
/// or not at all; none on a machine that is not there.
pub async fn renew_shares(
    ports: &Ports,
    goal: &Goal,
    shares: &BTreeMap<ShareName, Access>,
) -> Result<Vec<ShareName>, Failure> {
    let name = &goal.machine.name;
    let failed = |why: Why| Failure::of(name, format!("tell {name} what opens shares"), why);
    let Some(host) = enter(ports, goal).await? else { return Ok(Vec::new()) };
    let mut renewed = Vec::new();
    for (share, access) in shares {
        if renew(host.as_ref(), share, access).await.map_err(failed)? {
            renewed.push(share.clone());
        }
    }
    Ok(renewed)
}

/// The secret first: where the description stands, both are there.
async fn renew(host: &dyn Host, share: &ShareName, access: &Access) -> Result<bool, Why> {
    let folder = format!("{STATE}/agent/shares");
    let described = serde_json::to_string(&access.share).expect("a share is text");
    let secret = access.secret.as_ref().map(|secret| ("secret", format!("{secret}\n")));
    let mut is_renewed = false;
    for (kind, content) in secret.into_iter().chain([("json", described)]) {
        let file = path(&format!("{folder}/{share}.{kind}"));
        let found = host.read(&file, Privilege::Root, SMALL).await?;
        if found.as_ref().map(Bytes::as_ref) == Some(content.as_bytes()) {
            continue;
        }
        let make = as_root("mkdir").args(["-p", "-m", "0700", folder.as_str()]);
        must(host, "mkdir", &make).await?;
        host.write(&NewFile::new(file, 0o600).by_root(), Content::from(content)).await?;
        is_renewed = true;
    }
    Ok(is_renewed)
}
