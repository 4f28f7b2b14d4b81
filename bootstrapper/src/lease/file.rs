//! The folder of leases on a machine.

use std::sync::Arc;

use bytes::Bytes;
use common::port::host::{Command, Content, FilePath, NewFile, Privilege};
use common::port::{Entropy, Host};

use super::{Claim, Error};

const STATE: &str = "/var/lib/avishkar";
const PLATFORM: &str = rollout::seed::FOLDER;
const FOLDER: &str = "/var/lib/avishkar/platform/leases";
const SMALL: usize = 16 * 1024;

/// Files called by their numbers.
#[derive(Debug)]
pub(super) struct Folder {
    host: Arc<dyn Host>,
    entropy: Arc<dyn Entropy>,
}

fn path(name: &str) -> FilePath {
    format!("{FOLDER}/{name}").parse().expect("numbers and ids are names of files")
}

impl Folder {
    pub(super) async fn make(
        host: Arc<dyn Host>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        let folder = Folder { host, entropy };
        // Each that is made is root's alone, also the ones on the way.
        folder.must("mkdir", &["-p", "-m", "0700", STATE, PLATFORM, FOLDER]).await?;
        Ok(folder)
    }

    async fn must(&self, program: &'static str, arguments: &[&str]) -> Result<String, Error> {
        let command = Command::new(program).args(arguments.iter().copied()).by_root();
        let output = self.host.run(&command).await?;
        if output.succeeded() {
            return Ok(output.text());
        }
        Err(Error::Command { program, complaint: output.complaint() })
    }

    /// The machine's own.
    pub(super) async fn clock(&self) -> Result<i64, Error> {
        let said = self.must("date", &["+%s"]).await?;
        said.parse().map_err(|_| Error::Command { program: "date", complaint: said })
    }

    async fn numbers(&self) -> Result<Vec<u64>, Error> {
        let listed = self.must("ls", &["-A", FOLDER]).await?;
        let mut numbers: Vec<u64> = listed.lines().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The lease that counts.
    pub(super) async fn highest(&self) -> Result<Option<(u64, Claim)>, Error> {
        loop {
            let Some(number) = self.numbers().await?.pop() else { return Ok(None) };
            let path = path(&number.to_string());
            let read = self.host.read(&path, Privilege::Root, SMALL).await?;
            // Whoever holds a higher one by now has removed it.
            let Some(text) = read else { continue };
            let claim = serde_json::from_slice(&text);
            let claim = claim.map_err(|_| Error::Damaged { path: path.to_string() })?;
            return Ok(Some((number, claim)));
        }
    }

    /// Makes the lease of this number, which only one can. Whether it counts.
    pub(super) async fn claim(&self, number: u64, claim: &Claim) -> Result<bool, Error> {
        let part = format!(".{}", self.entropy.uuid());
        let (own, wanted) = (path(&part), path(&number.to_string()));
        self.write(&own, claim).await?;
        let link = Command::new("ln").args(["-T", own.as_str(), wanted.as_str()]).by_root();
        let linked = self.host.run(&link).await?;
        self.must("rm", &["-f", own.as_str()]).await?;
        let numbers = self.numbers().await?;
        if !linked.succeeded() {
            // Somebody was faster; else there is another reason.
            return match numbers.last() {
                Some(highest) if *highest >= number => Ok(false),
                Some(_) | None => {
                    Err(Error::Command { program: "ln", complaint: linked.complaint() })
                }
            };
        }
        if numbers.last() != Some(&number) {
            // The number was free because it was used and removed: somebody is further on.
            self.must("rm", &["-f", wanted.as_str()]).await?;
            return Ok(false);
        }
        for older in numbers.into_iter().filter(|other| *other < number) {
            self.must("rm", &["-f", path(&older.to_string()).as_str()]).await?;
        }
        Ok(true)
    }

    pub(super) async fn replace(&self, number: u64, claim: &Claim) -> Result<(), Error> {
        self.write(&path(&number.to_string()), claim).await
    }

    async fn write(&self, path: &FilePath, claim: &Claim) -> Result<(), Error> {
        let text = serde_json::to_vec(claim).expect("a claim has text keys only");
        let file = NewFile::new(path.clone(), 0o600).by_root();
        Ok(self.host.write(&file, Content::Bytes(Bytes::from(text))).await?)
    }
}
