//! The platform of `avishkar up`, in a folder of its own, on this machine's engine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::docker::docker;
use crate::platform::{Ran, User, binary, state_folder};

const COMMAND_WITHIN: Duration = Duration::from_mins(4);
const ENGINE_WITHIN: Duration = Duration::from_mins(1);

/// What became of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Killed,
    /// It is somebody else's.
    Kept,
}

/// One platform in one process. It is ended with the test, whatever happens.
#[derive(Debug)]
pub struct Single {
    home: TempDir,
    folder: PathBuf,
}

impl Single {
    /// Nothing runs yet.
    pub async fn new() -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        // How packages are reached from here stands beside a platform's folder, where `make` has put it.
        let known = state_folder().map(|state| state.join("images"));
        if let Some(known) = known.filter(|known| known.join("build-env").is_dir()) {
            symlink(known, home.path().join("images"))?;
        }
        let folder = home.path().join("platform");
        let single = Single { home, folder };
        let left = single.everything().await?;
        ensure!(left.is_empty(), "another platform left {left:?}: `make down`");
        Ok(single)
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it for the first time; its first admin.
    pub async fn up(&self) -> anyhow::Result<User> {
        self.start().await?;
        User::first(&self.folder.join("app-manager").join("one-time-token")).await
    }

    /// Starts it in the background; returns once it is ready.
    pub async fn start(&self) -> anyhow::Result<()> {
        let up = self.run(&["up", "--detach"]).await?;
        ensure!(up.code == 0, "it does not start: {}", up.stderr);
        Ok(())
    }

    /// Ends it for good, with all that it keeps.
    pub async fn end(&self) -> anyhow::Result<()> {
        let down = self.run(&["down", "--purge"]).await?;
        ensure!(down.code == 0, "it does not end: {}", down.stderr);
        let left = self.everything().await?;
        ensure!(left.is_empty(), "left in the engine: {left:?}");
        Ok(())
    }

    /// Runs a command on its folder.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Ran> {
        let folder = self.folder.to_str().context("a folder's path is UTF-8")?;
        self.run_in(folder, arguments).await
    }

    /// Starts it in the background with a build of its own: a copy of the program.
    pub async fn start_another_build(&self) -> anyhow::Result<Ran> {
        let copy = self.home.path().join("avishkar");
        fs::copy(binary()?, &copy)?;
        let folder = self.folder.to_str().context("a folder's path is UTF-8")?;
        self.run_by(&copy, folder, &["up", "--detach"]).await
    }

    /// Runs a command on another folder.
    pub async fn run_in(&self, folder: &str, arguments: &[&str]) -> anyhow::Result<Ran> {
        self.run_by(&binary()?, folder, arguments).await
    }

    #[expect(clippy::disallowed_methods, reason = "the command line is the thing under test")]
    async fn run_by(
        &self,
        program: &Path,
        folder: &str,
        arguments: &[&str],
    ) -> anyhow::Result<Ran> {
        let mut command = Command::new(program);
        command.args(arguments).args(["--data", folder]).stdin(Stdio::null()).kill_on_drop(true);
        command.env("XDG_CONFIG_HOME", self.home.path());
        let output = tokio::time::timeout(COMMAND_WITHIN, command.output())
            .await
            .with_context(|| format!("{arguments:?} took too long"))??;
        Ok(Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The id of its process.
    pub fn process(&self) -> anyhow::Result<u32> {
        Ok(fs::read_to_string(self.folder.join("lock"))?.trim().parse()?)
    }

    /// Ends its process without warning.
    pub async fn kill(&self) -> anyhow::Result<()> {
        kill(&self.process()?.to_string()).await
    }

    /// Gives the folder another name, as one does who wants to begin anew. Returns that name.
    pub fn move_away(&self) -> anyhow::Result<PathBuf> {
        let moved = self.home.path().join("moved-away");
        fs::rename(&self.folder, &moved)?;
        Ok(moved)
    }

    /// Ends the engine without warning and starts it again. Somebody else's engine is not killed: whoever runs the
    /// tests on one says so.
    #[expect(clippy::disallowed_methods, reason = "the engine is started as `make` does it")]
    pub async fn kill_engine(&self) -> anyhow::Result<Engine> {
        let state = state_folder().context("there is no folder for state")?;
        let Ok(process) = fs::read_to_string(state.join("engine.pid")) else {
            ensure!(
                std::env::var("AVISHKAR_TEST_KEEP_ENGINE").is_ok_and(|kept| kept == "1"),
                "the engine was not started by `make`, so it is not killed, and half of this test is not done: \
                 stop it and run `make test`, or set AVISHKAR_TEST_KEEP_ENGINE=1 to do without"
            );
            return Ok(Engine::Kept);
        };
        kill(process.trim()).await?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/engine.sh");
        let started = Command::new(script).arg("up").stdin(Stdio::null()).output();
        let started = tokio::time::timeout(ENGINE_WITHIN, started).await??;
        ensure!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        Ok(Engine::Killed)
    }

    /// The containers of an instance, in any state.
    pub async fn containers_of(&self, instance: &str) -> anyhow::Result<Vec<String>> {
        containers(&format!("label=avishkar.instance={instance}")).await
    }

    /// Every container and network of the platform.
    pub async fn everything(&self) -> anyhow::Result<Vec<String>> {
        let mut all = containers("label=avishkar.platform=app").await?;
        all.extend(containers("label=avishkar.platform=edge").await?);
        let filter = ["--filter", "label=avishkar.platform=network"];
        let networks = [&["network", "ls", "--format", "{{.Name}}"], &filter[..]].concat();
        all.extend(docker(&networks).await?.lines().map(str::to_owned));
        Ok(all)
    }
}

impl Drop for Single {
    #[expect(clippy::disallowed_methods, reason = "a test that fails leaves nothing behind either")]
    fn drop(&mut self) {
        if self.folder.exists()
            && let Ok(binary) = binary()
        {
            let mut down = std::process::Command::new(binary);
            drop(down.args(["down", "--purge", "--data"]).arg(&self.folder).output());
        }
    }
}

async fn containers(filter: &str) -> anyhow::Result<Vec<String>> {
    let found = docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", filter]).await?;
    Ok(found.lines().map(str::to_owned).collect())
}

#[expect(clippy::disallowed_methods, reason = "a power cut has no adapter")]
async fn kill(process: &str) -> anyhow::Result<()> {
    let killed = Command::new("kill").args(["-s", "KILL", process]).status().await?;
    ensure!(killed.success(), "process {process} cannot be killed");
    Ok(())
}
