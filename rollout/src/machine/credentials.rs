//! What opens shares and Azure, and what is said of services, for the lifecycle manager of a machine: it stands in that one's
//! own folder, which it looks at. Nobody but root and itself reads it.

use bytes::Bytes;
use common::port::Host;
use common::port::host::{Content, NewFile, Privilege};

use super::agent::STATE;
use super::remains::{enter, remains};
use super::within::{as_root, must, path};
use super::{Goal, Ports};
use crate::failure::{Failure, Why};
use crate::parts::{CREDENTIALS_FILE, Credentials, OWNER};

const LARGEST: usize = 1 << 20;
/// Its folder `/data`, where its agent keeps it.
const FOLDER: &str = "agent/parts/lifecycle-manager/volumes/lifecycle-manager";

/// What the lifecycle manager of a machine goes by now; none where there is none, or no machine.
pub async fn credentials(ports: &Ports, goal: &Goal) -> Result<Option<Credentials>, Failure> {
    let name = &goal.machine.name;
    let failed = |why: Why| Failure::of(name, format!("see what {name} was given"), why);
    let begun = remains(ports, goal).await?.and_then(|remains| remains.secrets);
    let begun = begun.map(|secrets| secrets.credentials());
    let Some(host) = enter(ports, goal).await? else { return Ok(None) };
    let given = host.read(&path(&file()), Privilege::Root, LARGEST).await;
    let given = given.map_err(|err| failed(err.into()))?;
    let given =
        given.as_ref().map(Bytes::as_ref).and_then(|text| serde_json::from_slice(text).ok());
    Ok([begun, given].into_iter().flatten().max_by_key(|one: &Credentials| one.given))
}

/// Gives a lifecycle manager others. It is whole or not there at any moment.
pub async fn give_credentials(
    ports: &Ports,
    goal: &Goal,
    credentials: &Credentials,
) -> Result<(), Failure> {
    let name = &goal.machine.name;
    let failed = |why: Why| {
        Failure::of(
            name,
            format!("give the lifecycle manager of {name} credentials and settings"),
            why,
        )
    };
    let Some(host) = enter(ports, goal).await? else { return Ok(()) };
    give(host.as_ref(), credentials).await.map_err(failed)
}

async fn give(host: &dyn Host, credentials: &Credentials) -> Result<(), Why> {
    let (file, text) = (file(), serde_json::to_string(credentials).expect("they are text"));
    let arriving = format!("{file}.arriving");
    let new = NewFile::new(path(&arriving), 0o600).by_root();
    host.write(&new, Content::from(text)).await?;
    let owner = format!("{OWNER}:{OWNER}");
    must(host, "chown", &as_root("chown").args([owner.as_str(), "--", &arriving])).await?;
    must(host, "mv", &as_root("mv").args(["-f", "-T", "--", &arriving, &file])).await?;
    Ok(())
}

fn file() -> String {
    format!("{STATE}/{FOLDER}/{CREDENTIALS_FILE}")
}
