//! The platform as its users have it: the command line, and HTTP where a test must misbehave.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::cluster;

/// The app manager's plain listener, in the cluster and in one process.
pub const SERVER: &str = "http://127.0.0.1:8010";
const COMMAND_WITHIN: Duration = Duration::from_mins(12);
const PASSWORD: &str = "correct horse battery staple";

/// A signed-in user, with a home of their own.
#[derive(Debug)]
pub struct User {
    home: TempDir,
    http: reqwest::Client,
    server: String,
    token: String,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl User {
    /// The first admin: signs in with the password that `make cluster` noted, or with the tests' own; on a
    /// cluster without an admin, first makes the account from the one-time token.
    pub async fn admin() -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let own = home.path().join("password");
        std::fs::write(&own, PASSWORD)?;
        let mut user = User::nobody(home, SERVER);
        let mut refusal = String::new();
        for password in [noted_password(), Some(own.clone())].into_iter().flatten() {
            let signed_in = user.sign_in(&password, None).await?;
            if signed_in.code == 0 {
                user.token = user.noted_token()?;
                return Ok(user);
            }
            refusal = signed_in.stderr;
        }
        let token = cluster::exec("app-manager", &["cat", "/data/one-time-token"]).await;
        let token = token.with_context(|| format!("no password is right: {refusal}"))?;
        let file = user.home.path().join("one-time-token");
        std::fs::write(&file, token)?;
        Self::first(&file).await
    }

    /// The first admin of a new platform, with the one-time token in this file.
    pub async fn first(one_time_token: &Path) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let own = home.path().join("password");
        std::fs::write(&own, PASSWORD)?;
        Self::with(home, SERVER, &own, Some(one_time_token)).await
    }

    /// The admin of a platform elsewhere, by the password in this file.
    pub async fn admin_of(server: &str, password: &Path) -> anyhow::Result<Self> {
        Self::with(tempfile::tempdir()?, server, password, None).await
    }

    async fn with(
        home: TempDir,
        server: &str,
        password: &Path,
        one_time_token: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut user = User::nobody(home, server);
        let signed_in = user.sign_in(password, one_time_token).await?;
        ensure!(signed_in.code == 0, "no admin could sign in: {}", signed_in.stderr);
        user.token = user.noted_token()?;
        Ok(user)
    }

    fn nobody(home: TempDir, server: &str) -> Self {
        let (http, server) = (reqwest::Client::new(), server.to_owned());
        User { home, http, server, token: String::new() }
    }

    async fn sign_in(&self, password: &Path, one_time_token: Option<&Path>) -> anyhow::Result<Ran> {
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path is not UTF-8");
        let password = text(password)?;
        let mut arguments = vec!["login", "--username", "admin", "--password-file", &password];
        let token = one_time_token.map(text).transpose()?;
        if let Some(token) = &token {
            arguments.extend(["--one-time-token-file", token]);
        }
        self.run(&arguments).await
    }

    fn noted_token(&self) -> anyhow::Result<String> {
        let file = self.home.path().join("avishkar").join("credentials.json");
        let noted: Value = serde_json::from_slice(&std::fs::read(file)?)?;
        Ok(noted["token"].as_str().context("no token was noted")?.to_owned())
    }

    /// Runs the command line with `--json`; returns how it ended, whatever that is.
    #[expect(clippy::disallowed_methods, reason = "the command line is the thing under test")]
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Ran> {
        let mut command = Command::new(binary()?);
        command.arg("--json").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command.env("XDG_CONFIG_HOME", self.home.path()).env("AVISHKAR_SERVER", &self.server);
        let output = tokio::time::timeout(COMMAND_WITHIN, command.output())
            .await
            .with_context(|| format!("{arguments:?} took too long"))??;
        Ok(Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command that must succeed; returns the JSON it printed.
    pub async fn does(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let ran = self.run(arguments).await?;
        ensure!(ran.code == 0, "{arguments:?} ended with {}: {}", ran.code, ran.stderr);
        serde_json::from_str(&ran.stdout)
            .with_context(|| format!("{arguments:?} printed {:?}", ran.stdout))
    }

    /// Deploys a folder; returns its URL.
    pub async fn deploy(&self, folder: &Path, name: &str, replicas: u32) -> anyhow::Result<String> {
        let folder = folder.to_str().context("a sample's path is UTF-8")?;
        let replicas = replicas.to_string();
        let said = self.does(&["deploy", folder, "--name", name, "--replicas", &replicas]).await?;
        Ok(said["url"].as_str().context("the deployment has no URL")?.to_owned())
    }

    /// A request with this user's token.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.server)).bearer_auth(&self.token)
    }
}

/// Where `make cluster` noted the first admin's password, if it did.
fn noted_password() -> Option<PathBuf> {
    Some(state_folder()?.join("admin-password")).filter(|file| file.exists())
}

/// Where the scripts keep what they note.
#[expect(
    clippy::disallowed_methods,
    reason = "the scripts of the cluster say it by the environment"
)]
pub(crate) fn state_folder() -> Option<PathBuf> {
    let home = || env::var("HOME").ok().map(|home| Path::new(&home).join(".local").join("state"));
    let state = || env::var("XDG_STATE_HOME").ok().map(PathBuf::from).or_else(home);
    let folder = env::var("AVISHKAR_STATE_DIR").ok().map(PathBuf::from);
    folder.or_else(|| state().map(|state| state.join("avishkar")))
}

/// The binary that was built with this test, or with this program: beside it, or a folder above.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let own = env::current_exe()?;
    let mut places = own.ancestors().skip(1).take(2).map(|folder| folder.join("avishkar"));
    let found = places.find(|place| place.is_file());
    found.with_context(|| format!("there is no avishkar built beside {}", own.display()))
}

/// The folder of a sample app.
pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("samples").join(name)
}
