//! The platform with an nginx that the machine has: document 001's files, tested and reloaded, in place of the table.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::ensure;
use e2e::docker::docker;
use e2e::platform::{User, sample};
use e2e::single::Single;
use e2e::wait;
use tempfile::TempDir;

use super::{BACK_WITHIN, answers, container};
use crate::SOON;

const NAME: &str = "avishkar-e2e-nginx";
const IMAGE: &str = "avishkar/stock-nginx:dev";
const APP: &str = "filed";
/// The platform's own edge, which stands idle beside it, has those from 2000.
const FIRST_PORT: u16 = 3000;

/// Debian's own nginx on this machine's network, in a container that ends with the test.
struct Stock {
    folder: TempDir,
}

impl Stock {
    async fn start() -> Stock {
        let folder = tempfile::tempdir().unwrap();
        for sub in ["conf.d", "sites", "log"] {
            fs::create_dir(folder.path().join(sub)).unwrap();
        }
        let mounted = |sub: &str, at: &str| format!("{}:{at}", folder.path().join(sub).display());
        let log = folder.path().join("log").display().to_string();
        let mounts = [
            mounted("conf.d", "/etc/nginx/conf.d"),
            // Debian's own page has port 80.
            mounted("sites", "/etc/nginx/sites-enabled"),
            mounted("log", &log),
        ];
        // Of a test that was killed.
        drop(docker(&["rm", "-f", NAME]).await);
        let mut run = vec!["run", "-d", "--name", NAME, "--network", "host"];
        run.extend(mounts.iter().flat_map(|mount| ["-v", mount.as_str()]));
        run.push(IMAGE);
        docker(&run).await.unwrap();
        Stock { folder }
    }

    /// A folder for `avishkar up --config`.
    fn settings(&self) -> TempDir {
        let at = |sub: &str| self.folder.path().join(sub);
        let settings = format!(
            r#"
[nginx]
kind = "files"
[nginx_files]
conf_folder = "{}"
access_log = "{}"
test = ["docker", "exec", "{NAME}", "nginx", "-t", "-q"]
reload = ["docker", "exec", "{NAME}", "nginx", "-s", "reload"]
host_port = 3188
control_port = 3189
[edge]
first_port = {FIRST_PORT}
last_port = 3099
"#,
            at("conf.d").display(),
            at("log").join("avishkar.log").display(),
        );
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("load-balancer.toml"), settings).unwrap();
        folder
    }

    fn file(&self) -> Option<String> {
        fs::read_to_string(self.folder.path().join("conf.d").join(format!("{APP}.conf"))).ok()
    }
}

impl Drop for Stock {
    #[expect(clippy::disallowed_methods, reason = "a test that fails leaves nothing behind either")]
    fn drop(&mut self) {
        drop(std::process::Command::new("docker").args(["rm", "-f", NAME]).output());
    }
}

/// How many replicas the app's file names.
fn servers(file: &str) -> usize {
    file.lines().filter(|line| line.trim_start().starts_with("server 127.0.0.1:")).count()
}

async fn up(platform: &Single, settings: &Path) {
    let up = ["up", "--detach", "--config", settings.to_str().unwrap()];
    let started = platform.run(&up).await.unwrap();
    assert_eq!(started.code, 0, "{started:?}");
}

#[tokio::test]
async fn a_stock_nginx_serves_apps_by_document_001s_files() {
    let platform = Single::new().await.unwrap();
    let stock = Stock::start().await;
    let settings = stock.settings();
    up(&platform, settings.path()).await;
    let token = platform.folder().join("app-manager").join("one-time-token");
    let user = User::first(&token).await.unwrap();
    let url = user.deploy(&sample("hello"), APP, 1).await.unwrap();
    assert_eq!(url, format!("http://127.0.0.1:{FIRST_PORT}"), "from the first port up");
    let first = container(&url).await.unwrap();
    let file = stock.file().unwrap();
    assert!(file.contains(&format!("upstream {APP}_servers {{")), "{file}");
    let listens = SocketAddr::from((Ipv4Addr::UNSPECIFIED, FIRST_PORT));
    assert!(file.contains(&format!("listen {listens};")), "{file}");
    assert_eq!(servers(&file), 1, "{file}");

    user.does(&["scale", APP, "2"]).await.unwrap();
    wait::until("both replicas answer", SOON, async || {
        let file = stock.file().unwrap_or_default();
        ensure!(servers(&file) == 2, "{file}");
        ensure!(container(&url).await? != first, "it is always the first");
        Ok(())
    })
    .await
    .unwrap();

    // Neither nginx nor the platform needs the other to go on.
    platform.kill().await.unwrap();
    docker(&["restart", "-t", "1", NAME]).await.unwrap();
    wait::until("it serves what is written", BACK_WITHIN, async || answers(&url).await)
        .await
        .unwrap();
    up(&platform, settings.path()).await;
    user.deploy(&sample("hello"), APP, 2).await.unwrap();
    assert_eq!(servers(&stock.file().unwrap()), 2);

    user.does(&["stop", APP]).await.unwrap();
    wait::until("nothing of it is left", SOON, async || {
        ensure!(stock.file().is_none(), "{:?}", stock.file());
        let left = platform.containers_of(APP).await?;
        ensure!(left.is_empty(), "{left:?}");
        ensure!(answers(&url).await.is_err(), "it still answers");
        Ok(())
    })
    .await
    .unwrap();
    platform.end().await.unwrap();
}
