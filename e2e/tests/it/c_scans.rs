//! An app that looks around finds nothing of the platform, and no other app.

use e2e::bystander::Bystander;
use e2e::cluster;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{SOON, cluster_is_ready};

/// Tries to connect to all that an app must not reach, and asks every target who it is; answers with what
/// let it in, and who answered. Who answers counts: nodes give out the same addresses, so that another
/// node's may be, here, this app's own, or somebody's far away.
const SCANNER: &str = r#"
import http.server, json, os, socket, struct, urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlparse, parse_qs
with open("/proc/net/route") as routes:
    GATEWAY = next(line.split()[2] for line in routes if line.split()[1] == "00000000")
GATEWAY = socket.inet_ntoa(struct.pack("<L", int(GATEWAY, 16)))
PORTS = (22, 2181, 2375, 2376, 5000, 7443, 8010, 8030, 8040, 8050, 9010, 9030, 9040, 9050, 9092, 9093)
HOSTS = [f"172.30.7.{host}" for host in (1, 2, 3, 4, 11, 12, 21, 22, 23, 24)] + [GATEWAY]
PLATFORM = [(host, port) for host in HOSTS for port in PORTS]
PLATFORM += [("169.254.169.254", 80), ("169.254.170.2", 80)]

def is_let_in(address):
    try:
        socket.create_connection(address, timeout=0.3).close()
        return True
    except OSError:
        return False

def who(target):
    try:
        with urllib.request.urlopen(f"http://{target}/", timeout=2) as answer:
            return json.load(answer)["app"]
    except (OSError, ValueError, KeyError):
        return None

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        targets = parse_qs(urlparse(self.path).query).get("target", [])
        platform = PLATFORM if targets else []
        with ThreadPoolExecutor(16) as pool:
            reached = [one for one, let_in in zip(platform, pool.map(is_let_in, platform)) if let_in]
            answered = [name for name in pool.map(who, targets) if name]
        about = {"app": os.environ["AVISHKAR_APP"], "name": socket.gethostname(), "tried": len(platform)}
        body = json.dumps({**about, "answered": answered, "reached": reached}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
"#;

/// Every address at which a replica of `instance` could be reached: on its node's ports, and in its network.
async fn addresses_of(instance: &str) -> Vec<String> {
    let truth = truth::read().await.unwrap();
    let mut addresses: Vec<String> =
        truth.routes.get(instance).into_iter().flatten().cloned().collect();
    assert_eq!(addresses.len(), 2, "{truth:?}");
    for address in &addresses {
        assert!(TcpStream::connect(address).await.is_ok(), "{address} serves");
    }
    for one in truth.containers.iter().filter(|one| one.instance == instance) {
        let inspect = [
            "docker",
            "inspect",
            "-f",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            &one.name,
        ];
        let ip = cluster::exec(&one.node, &inspect).await.unwrap();
        let address = format!("{}:8080", ip.trim());
        let url = format!("http://{address}/");
        cluster::exec(&one.node, &["curl", "-sf", "-m", "5", &url]).await.unwrap();
        addresses.push(address);
    }
    addresses
}

async fn scan(url: &str, targets: &[String]) -> Value {
    let targets: Vec<(&str, &str)> =
        targets.iter().map(|target| ("target", target.as_str())).collect();
    let request = reqwest::Client::new().get(url).query(&targets);
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn an_app_that_looks_around_reaches_nothing_of_the_platform_and_no_other_app() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    user.deploy(&sample("hello"), "prey", 2).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("main.py"), SCANNER).unwrap();
    // Two scanners: one on each node, so that each prey is looked for from beside and from afar.
    let url = user.deploy(folder.path(), "scanner", 2).await.unwrap();

    let own = scan(&url, &["127.0.0.1:8080".to_owned()]).await;
    assert_eq!(own["answered"], json!(["scanner"]), "the scanner can connect: {own}");
    let settled = async || truth::read().await?.is_consistent();
    wait::until("only these replicas are there", SOON, settled).await.unwrap();
    let prey = addresses_of("prey").await;
    assert_eq!(prey.len(), 4, "{prey:?}");
    let mut scanners = std::collections::BTreeSet::new();
    while scanners.len() < 2 {
        let found = scan(&url, &prey).await;
        assert!(found["tried"].as_u64().unwrap() > 170, "{found}");
        assert_eq!(found["reached"], json!([]), "{found}");
        let answered = found["answered"].as_array().unwrap();
        assert!(answered.iter().all(|name| name == "scanner"), "{found}");
        scanners.insert(found["name"].as_str().unwrap().to_owned());
    }
    user.does(&["stop", "scanner"]).await.unwrap();
    user.does(&["stop", "prey"]).await.unwrap();
    bystander.unharmed(0..=2).await.unwrap();
}
