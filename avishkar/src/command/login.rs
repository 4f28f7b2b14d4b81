//! `avishkar login`.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::cli::Login;
use crate::client::Client;
use crate::credentials::{self, Credentials};
use crate::output::Output;
use crate::terminal;

#[derive(Serialize)]
struct SignIn<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    username: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct SignedIn {
    token: String,
}

pub(crate) async fn run(client: Client, args: Login, output: Output) -> anyhow::Result<()> {
    let password = match &args.password_file {
        Some(file) => first_line(file)?,
        None => ask(args.username.as_str(), args.one_time_token_file.is_some())?,
    };
    let username = args.username.as_str();
    let signed_in: SignedIn = match &args.one_time_token_file {
        Some(file) => {
            let token = first_line(file)?;
            let body = SignIn { token: Some(&token), username, password: &password };
            client.sign_in("/api/v1/login/one-time", &body).await?
        }
        None => {
            let body = SignIn { token: None, username, password: &password };
            client.sign_in("/api/v1/login", &body).await?
        }
    };
    let server = client.server();
    let servers = client.servers_with_token(&signed_in.token).await;
    let credentials = Credentials {
        server: server.to_owned(),
        more_servers: Vec::new(),
        username: username.to_owned(),
        token: signed_in.token,
    };
    credentials::save(credentials.with_servers(servers))?;
    let said = serde_json::json!({ "server": server, "username": username });
    output.answer(&said, &format!("signed in to {server} as {username}"))
}

fn first_line(file: &Path) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn ask(username: &str, new: bool) -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        let what = if new { "choose a password" } else { "password" };
        return terminal::ask_hidden(&format!("{what} for {username}"))?
            .context("no password was typed");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
