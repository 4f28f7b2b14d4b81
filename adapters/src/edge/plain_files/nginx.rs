//! The running nginx: tested and reloaded by commands, asked over HTTP.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use common::port::edge::Error;
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::process::Command;
use tokio::time::timeout;

use super::conf::{CONTROL_PATH, PROBING_AGENT, Version};

const COMMAND_ENDS_WITHIN: Duration = Duration::from_secs(10);
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Of what a command says, this much is told.
const MOST_WORDS: usize = 600;

#[derive(Debug)]
pub(super) struct Nginx {
    http: Client,
    control: SocketAddr,
    test: Vec<String>,
    reload: Vec<String>,
}

/// How a command ended.
#[derive(Debug)]
pub(super) enum Told {
    Done,
    /// With its last words.
    Refused(String),
}

impl Nginx {
    pub(super) fn new(control: SocketAddr, test: Vec<String>, reload: Vec<String>) -> Self {
        // Connections are not kept: a former worker would go on answering on them.
        let http = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(Policy::none())
            .user_agent(PROBING_AGENT)
            .timeout(ANSWERS_WITHIN)
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client without proxies and certificates can be made");
        Nginx { http, control, test, reload }
    }

    pub(super) async fn test(&self) -> Result<Told, Error> {
        run(&self.test).await
    }

    /// That it ended well says little: nginx reads its files afterwards.
    pub(super) async fn reload(&self) -> Result<Told, Error> {
        run(&self.reload).await
    }

    /// Which table the worker serves that happens to answer.
    pub(super) async fn serves(&self) -> Result<Version, Error> {
        let url = format!("http://{}{CONTROL_PATH}", self.control);
        let answer = self.http.get(url).send().await.map_err(unavailable)?;
        let body = answer.bytes().await.map_err(unavailable)?;
        serde_json::from_slice(&body).map_err(|err| Error::Unavailable(err.into()))
    }

    /// None where nothing answers; 504 where nginx does, and the app behind it does not in time.
    pub(super) async fn probe(&self, at: SocketAddr, path: &str) -> Result<Option<u16>, Error> {
        let request = self.http.get(format!("http://{at}{path}")).header("Host", "localhost");
        match request.send().await {
            Ok(answer) => Ok(Some(answer.status().as_u16())),
            Err(err) if err.is_timeout() && self.serves().await.is_ok() => Ok(Some(504)),
            Err(_) => Ok(None),
        }
    }
}

async fn run(command: &[String]) -> Result<Told, Error> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::Unavailable("the command for nginx is empty".into()));
    };
    #[expect(clippy::disallowed_methods, reason = "nginx is told by its own program")]
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let Ok(ended) = timeout(COMMAND_ENDS_WITHIN, child).await else {
        return Err(Error::Unavailable(format!("{program} did not end in time").into()));
    };
    let output = ended.map_err(|err| Error::Unavailable(err.into()))?;
    if output.status.success() {
        return Ok(Told::Done);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Ok(Told::Refused(words.trim().chars().take(MOST_WORDS).collect()))
}

fn unavailable(err: reqwest::Error) -> Error {
    Error::Unavailable(err.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_command_ends_well_or_with_its_words_or_cannot_be_run() {
        assert!(matches!(run(&command(&["true"])).await.unwrap(), Told::Done));
        let refused = run(&command(&["ls", "/absent/a b"])).await.unwrap();
        assert!(
            matches!(&refused, Told::Refused(words) if words.contains("/absent/a b")),
            "{refused:?}"
        );
        assert!(run(&command(&["/absent/nginx", "-t"])).await.unwrap_err().is_retryable());
        assert!(run(&[]).await.unwrap_err().is_retryable());
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_hangs_is_ended() {
        assert!(run(&command(&["sleep", "1000"])).await.unwrap_err().is_retryable());
    }
}
