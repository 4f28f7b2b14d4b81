//! The contract of machines that one signs in to, on a real sshd; and what only a real one can show.

mod bad_days;
mod trust;

use std::fs::Permissions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use common::port::host::{Access, Command, Credential, Gate};
use common::port::machines::Machine;
use common::port::{Host, Hosts};
use testkit::chaos_proxy::ChaosProxy;
use testkit::contract::hosts::{World, holds};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::local::{Rig, nobody, run, script, with_machine};

/// Users of a machine: one who may become root, one who may not, one who has only a password.
const USERS: &str = "set -e
for user in ops guest new; do
  useradd -m -s /bin/bash $user
  mkdir -p -m 700 /home/$user/.ssh
done
rmdir /home/new/.ssh
for user in ops guest; do
  cp ~root/.ssh/authorized_keys /home/$user/.ssh/
  chown -R $user:$user /home/$user/.ssh
done
echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops
echo new:right | chpasswd
# Whoever is refused often may not even ask for a while; here that is the test's own doing.
printf '%s\\n' 'PasswordAuthentication yes' 'PerSourcePenalties no' >/etc/ssh/sshd_config.d/00-test.conf
kill -HUP $(cat /run/sshd.pid)";

/// Who says again what he is told, on the machine's loopback alone.
const ECHO: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7007));
const ECHOES: &str = "cat >/tmp/echo.pl <<'END'
use IO::Socket::INET;
$SIG{CHLD} = 'IGNORE';
my $all = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 7007, Listen => 16, ReuseAddr => 1) or die;
while (my $one = $all->accept) {
  next if fork;
  while (sysread($one, my $words, 65536)) { while (length $words) { my $n = syswrite($one, $words) or exit; substr($words, 0, $n) = '' } }
  exit;
}
END
setsid perl /tmp/echo.pl >/dev/null 2>&1 </dev/null &
until grep -q 0100007F:1B5F /proc/net/tcp; do sleep 0.05; done";

/// A machine behind a proxy.
struct Sshd<'a> {
    rig: &'a Rig,
    machine: &'a Machine,
    proxy: ChaosProxy,
    root: Arc<dyn Host>,
}

impl Sshd<'_> {
    fn at(&self) -> Gate {
        let address = self.proxy.address();
        Gate { address: address.ip().to_string(), port: address.port() }
    }

    fn user(&self, user: &str) -> Access {
        let access = self.rig.root_of(self.machine);
        Access { at: self.at(), user: user.to_owned(), ..access }
    }

    fn password(&self, name: &str, password: &str) -> PathBuf {
        let path = self.rig.folder.path().join(name);
        std::fs::write(&path, format!("{password}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// As root, beside the proxy.
    async fn script(&self, text: &str) {
        let said = run(self.root.as_ref(), script(text)).await;
        assert!(said.succeeded(), "{text}: {said:?}");
    }

    /// sshd has these settings from now on.
    async fn configure(&self, settings: &str) {
        let text = format!(
            "printf '%s\\n' '{settings}' >/etc/ssh/sshd_config.d/00-a.conf && kill -HUP $(cat /run/sshd.pid)"
        );
        self.script(&text).await;
    }

    /// Signs in as soon as sshd is there again.
    async fn connect(&self, access: &Access) -> Arc<dyn Host> {
        loop {
            match self.rig.hosts.connect(access).await {
                Ok(host) => return host,
                Err(err) => assert!(err.is_retryable(), "{err:?}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// Runs a test with a machine whose users are there.
async fn with_sshd(test: impl AsyncFnOnce(&Sshd<'_>)) {
    with_machine(async |rig, machine| {
        let root = rig.signed_in(machine).await;
        let proxy = ChaosProxy::start(&machine.entry.to_string()).await.unwrap();
        let sshd = Sshd { rig, machine, proxy, root };
        sshd.script(USERS).await;
        sshd.connect(&sshd.user("ops")).await;
        test(&sshd).await;
    })
    .await;
}

/// What the suite needs, without what a test borrows.
struct Lent {
    hosts: adapters::SshHosts,
    root: Arc<dyn Host>,
    proxy: ChaosProxy,
    accesses: [Access; 3],
    wrong: PathBuf,
    folder: PathBuf,
    next: AtomicU32,
}

impl Lent {
    fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

#[async_trait(?Send)]
impl World for Lent {
    fn hosts(&self) -> &dyn Hosts {
        &self.hosts
    }

    fn access(&self) -> Access {
        self.accesses[0].clone()
    }

    fn without_sudo(&self) -> Access {
        self.accesses[1].clone()
    }

    fn with_password(&self) -> Access {
        self.accesses[2].clone()
    }

    fn wrong_password(&self) -> PathBuf {
        self.wrong.clone()
    }

    fn fresh_file(&self) -> PathBuf {
        self.folder.join(format!("fresh-{}", self.number()))
    }

    async fn fresh_folder(&self) -> String {
        let folder = format!("/home/ops/folder-{}", self.number());
        let made =
            run(self.root.as_ref(), script(&format!("mkdir {folder} && chown ops {folder}")));
        assert!(made.await.succeeded());
        folder
    }

    fn nobody(&self) -> Gate {
        nobody()
    }

    fn ended_by_signal(&self) -> Command {
        script("kill -KILL $$")
    }

    fn flood(&self, bytes: usize) -> Command {
        script(&format!("head -c {bytes} /dev/zero >&2; head -c {bytes} /dev/zero"))
    }

    fn echo(&self) -> SocketAddr {
        ECHO
    }

    async fn say(&self, at: SocketAddr, words: &[u8]) -> Option<Vec<u8>> {
        said(at, words).await.ok().filter(|said| !said.is_empty())
    }

    async fn cut(&self) {
        self.proxy.cut();
    }
}

/// What is answered to who says this and no more.
async fn said(at: SocketAddr, words: &[u8]) -> io::Result<Vec<u8>> {
    let (mut from, mut into) = TcpStream::connect(at).await?.into_split();
    let mut answer = Vec::new();
    let say = async {
        into.write_all(words).await?;
        into.shutdown().await
    };
    tokio::try_join!(say, from.read_to_end(&mut answer))?;
    Ok(answer)
}

#[tokio::test]
async fn the_contract_is_kept() {
    with_machine(async |rig, machine| {
        let root = rig.signed_in(machine).await;
        let proxy = ChaosProxy::start(&machine.entry.to_string()).await.unwrap();
        let sshd = Sshd { rig, machine, proxy, root };
        sshd.script(USERS).await;
        sshd.script(ECHOES).await;
        sshd.connect(&sshd.user("ops")).await;
        let right = Credential::PasswordFile(sshd.password("right", "right"));
        let by_password = Access { credential: right, ..sshd.user("new") };
        let lent = Lent {
            hosts: rig.hosts.clone(),
            accesses: [sshd.user("ops"), sshd.user("guest"), by_password],
            wrong: sshd.password("wrong", "wrong"),
            folder: rig.folder.path().to_owned(),
            root: sshd.root,
            proxy: sshd.proxy,
            next: AtomicU32::new(0),
        };
        holds(&lent).await;
    })
    .await;
}
