//! Where the command line keeps who it is: for each platform its servers and a token, in a file of mode 0600.

use std::env::home_dir;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// No more servers of a platform are kept, and no more platforms.
const MOST_SERVERS: usize = 8;
const MOST_PLATFORMS: usize = 16;

/// What `login` notes of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    /// The one that is asked first.
    pub(crate) server: String,
    /// Other doors of the same platform: they take the same token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) more_servers: Vec<String>,
    pub(crate) username: String,
    pub(crate) token: String,
}

impl Credentials {
    /// All servers, the one that is asked first before the others.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &String> {
        [&self.server].into_iter().chain(&self.more_servers)
    }

    /// The same with these servers, each once, the first before the others.
    pub(crate) fn with_servers(self, servers: impl IntoIterator<Item = String>) -> Self {
        let mut kept: Vec<String> = Vec::new();
        for server in servers {
            if kept.len() < MOST_SERVERS && !kept.contains(&server) {
                kept.push(server);
            }
        }
        let mut kept = kept.into_iter();
        let server = kept.next().unwrap_or(self.server);
        Credentials { server, more_servers: kept.collect(), ..self }
    }

    /// Without doors that somebody named at the other end of what may be a tunnel: the token goes to none of them.
    fn without_learned(self) -> Self {
        let of_this_computer: Vec<String> =
            self.servers().filter(|server| is_of_this_computer(server)).cloned().collect();
        if of_this_computer.is_empty() { self } else { self.with_servers(of_this_computer) }
    }

    fn is_of(&self, server: &str) -> bool {
        self.servers().any(|known| known == server)
    }
}

/// Whether a server is reached without leaving this computer. It may be the near end of a tunnel: what its platform calls
/// its addresses is somebody else's in the network that this computer is in.
pub(crate) fn is_of_this_computer(server: &str) -> bool {
    let Some(host) = Url::parse(server).ok().and_then(|url| url.host_str().map(str::to_owned))
    else {
        return false;
    };
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    address.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    /// The platform that is meant where none is named.
    #[serde(flatten)]
    current: Credentials,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    other_platforms: Vec<Credentials>,
}

impl Noted {
    fn without_learned(self) -> Self {
        let other_platforms = self.other_platforms.into_iter().map(Credentials::without_learned);
        let other_platforms = other_platforms.collect();
        Noted { current: self.current.without_learned(), other_platforms }
    }

    pub(crate) fn current(&self) -> &Credentials {
        &self.current
    }

    /// Those of the platform that this server is a door of.
    pub(crate) fn of(&self, server: &str) -> Option<&Credentials> {
        [&self.current].into_iter().chain(&self.other_platforms).find(|one| one.is_of(server))
    }

    /// These are current from now on, in the place of those that know one of the same servers.
    fn with(self, credentials: Credentials) -> Self {
        let is_another = |one: &Credentials| !credentials.servers().any(|server| one.is_of(server));
        let others = [self.current].into_iter().chain(self.other_platforms).filter(is_another);
        let other_platforms = others.take(MOST_PLATFORMS).collect();
        Noted { current: credentials, other_platforms }
    }

    /// The same, and which platform is current stays.
    fn updated(mut self, credentials: &Credentials) -> Self {
        let known = [&mut self.current].into_iter().chain(&mut self.other_platforms);
        for one in known.filter(|one| credentials.servers().any(|server| one.is_of(server))) {
            *one = credentials.clone();
        }
        self
    }
}

fn file() -> anyhow::Result<PathBuf> {
    let sources = chassis::config::xdg_folder("XDG_CONFIG_HOME");
    let folder = match sources {
        Some(folder) => folder,
        None => home_dir().context("there is no home folder to keep the token in")?.join(".config"),
    };
    Ok(folder.join("avishkar").join("credentials.json"))
}

pub(crate) fn load() -> anyhow::Result<Option<Noted>> {
    let file = file()?;
    match fs::read(&file) {
        Ok(bytes) => {
            let read = serde_json::from_slice(&bytes).map(Noted::without_learned);
            read.map(Some).with_context(|| {
                format!("{} is not readable; run `avishkar login`", file.display())
            })
        }
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// Notes a platform that was signed in to. It is the current one then.
pub(crate) fn save(credentials: Credentials) -> anyhow::Result<()> {
    // What cannot be read is no reason not to sign in again.
    let noted = match load().ok().flatten() {
        Some(noted) => noted.with(credentials),
        None => Noted { current: credentials, other_platforms: Vec::new() },
    };
    write(&file()?, &noted)
}

/// Notes that a platform has other servers than before.
pub(crate) fn update(credentials: &Credentials) -> anyhow::Result<()> {
    match load()? {
        Some(noted) => write(&file()?, &noted.updated(credentials)),
        None => Ok(()),
    }
}

fn write(file: &Path, noted: &Noted) -> anyhow::Result<()> {
    let folder = file.parent().context("the token's file has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let cannot = || format!("{} cannot be written", file.display());
    // A name of its own: several commands may note something at once. Nobody but its owner may read it.
    let mut part = NamedTempFile::new_in(folder).with_context(cannot)?;
    part.write_all(&serde_json::to_vec_pretty(noted)?).with_context(cannot)?;
    part.as_file().sync_all().with_context(cannot)?;
    part.persist(file).map(drop).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn of(servers: &[&str], token: &str) -> Credentials {
        let credentials = Credentials {
            server: String::new(),
            more_servers: Vec::new(),
            username: "admin".to_owned(),
            token: token.to_owned(),
        };
        credentials.with_servers(servers.iter().map(|server| (*server).to_owned()))
    }

    #[test]
    fn a_file_of_one_server_is_read_as_before() {
        let text = r#"{"server":"http://192.0.2.1:8010","username":"admin","token":"t"}"#;
        let noted: Noted = serde_json::from_str(text).unwrap();
        assert_eq!(noted.current(), &of(&["http://192.0.2.1:8010"], "t"));
        assert_eq!(serde_json::to_string(&noted).unwrap(), text);
    }

    #[test]
    fn each_platform_keeps_its_token_and_every_door_of_it_leads_there() {
        let (a, b) = (of(&["a", "b"], "first"), of(&["c"], "second"));
        let noted = Noted { current: a.clone(), other_platforms: Vec::new() }.with(b.clone());
        assert_eq!(noted.current(), &b);
        assert_eq!(noted.of("b"), Some(&a));
        assert_eq!(noted.of("d"), None);
        let again = of(&["b", "e"], "third");
        let noted = noted.with(again.clone());
        assert_eq!((noted.of("a"), noted.of("c")), (None, Some(&b)), "{noted:?}");
        let moved = of(&["e", "f"], "third");
        let noted = noted.with(b.clone()).updated(&moved);
        assert_eq!((noted.current(), noted.of("f")), (&b, Some(&moved)));
    }

    #[test]
    fn what_a_server_of_this_computer_said_of_other_doors_is_forgotten() {
        let mixed = of(&["http://192.0.2.2:8010", "http://127.0.0.1:8010", "http://[::1]:1"], "t");
        let text = serde_json::to_string(&Noted { current: mixed, other_platforms: Vec::new() });
        let noted: Noted = serde_json::from_str(&text.unwrap()).unwrap();
        let left = of(&["http://127.0.0.1:8010", "http://[::1]:1"], "t");
        assert_eq!(noted.without_learned().current(), &left);
        let far = of(&["http://192.0.2.2:8010", "https://example.org"], "t");
        assert_eq!(far.clone().without_learned(), far);
    }

    #[test]
    fn this_computer_has_many_names() {
        for near in
            ["http://127.0.0.1:8010", "http://127.9.9.9", "http://[::1]:80", "http://LocalHost:1"]
        {
            assert!(is_of_this_computer(near), "{near}");
        }
        for far in
            ["http://192.0.2.1:8010", "https://example.org", "http://localhost.example.org", "?"]
        {
            assert!(!is_of_this_computer(far), "{far}");
        }
    }

    #[test]
    fn commands_that_write_at_once_leave_a_whole_file_that_nobody_else_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials.json");
        let noted = |number: usize| {
            let token = "t".repeat(1 << (number % 17));
            Noted { current: of(&["a"], &token), other_platforms: Vec::new() }
        };
        std::thread::scope(|scope| {
            for first in 0..4 {
                let (file, noted) = (&file, &noted);
                scope.spawn(move || {
                    for at in (first..200).step_by(4) {
                        write(file, &noted(at)).unwrap();
                    }
                });
            }
            for _ in 0..200 {
                let Ok(text) = fs::read(&file) else { continue };
                serde_json::from_slice::<Noted>(&text).unwrap();
            }
        });
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_server_is_kept_once_and_not_too_many() {
        let many: Vec<String> = (0..20).map(|number| (number % 12).to_string()).collect();
        let kept = of(&[], "t").with_servers(many);
        assert_eq!((kept.server.as_str(), kept.more_servers.len()), ("0", MOST_SERVERS - 1));
    }
}
