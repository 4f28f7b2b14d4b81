//! Who is trusted, and who is let in: what only a real sshd can show.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command as Process, Stdio};

use common::port::host::{Access, Command, Credential, Error, HostKey};
use common::port::{Hosts as _, Machines as _};

use super::with_sshd;
use crate::local::run;

#[tokio::test]
async fn a_machine_whose_key_changed_is_told_and_sent_nothing() {
    with_sshd(async |sshd| {
        let (rig, machine) = (sshd.rig, sshd.machine);
        rig.on(&machine.name, "rm /var/lib/avishkar/ssh/*").await;
        let anew = rig.machines.restart(&machine.name).await.unwrap();
        assert_ne!(anew.host_key, machine.host_key, "the engine sees the new key");
        rig.signed_in(&anew).await;
        let refused = rig.hosts.connect(&rig.root_of(machine)).await.unwrap_err();
        let Error::HostKeyChanged { expected, found, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(
            (Some(expected), Some(found)),
            (machine.host_key.as_ref(), anew.host_key.as_ref())
        );
        assert!(refused.hint().contains("ssh-keygen"), "{}", refused.hint());
        // A connection that was there before is no way around it.
        let refused = sshd.root.run(&Command::new("true")).await.unwrap_err();
        assert!(matches!(refused, Error::HostKeyChanged { .. }), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_machine_with_several_keys_shows_the_pinned_one() {
    with_sshd(async |sshd| {
        let made = "cd /var/lib/avishkar/ssh && for kind in rsa ecdsa; do \
            ssh-keygen -q -t $kind -N '' -f /var/lib/avishkar/ssh/$kind && \
            ssh-keygen -lf $kind >>fingerprints; done";
        sshd.script(made).await;
        let keys = ["rsa", "ecdsa", "ssh_host_ed25519_key"];
        let settings = keys.map(|key| format!("HostKey /var/lib/avishkar/ssh/{key}")).join("\n");
        sshd.configure(&settings).await;
        let fingerprints = Command::new("cat").args(["/var/lib/avishkar/ssh/fingerprints"]);
        let fingerprints = run(sshd.root.as_ref(), fingerprints).await.text();
        sshd.connect(&sshd.user("ops")).await;
        for (line, kind) in fingerprints.lines().zip(["ssh-rsa", "ecdsa-sha2-nistp256"]) {
            let fingerprint = line.split(' ').nth(1).unwrap();
            let host_key: HostKey = format!("{kind} {fingerprint}").parse().unwrap();
            let access = Access { host_key, ..sshd.user("ops") };
            assert!(
                run(sshd.connect(&access).await.as_ref(), Command::new("true")).await.succeeded()
            );
        }
        let shown = sshd.rig.hosts.host_key(&sshd.at()).await.unwrap();
        assert_eq!(Some(shown), sshd.machine.host_key, "the newest kind where none is pinned");
    })
    .await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a real agent is somebody else's program")]
async fn the_keys_of_an_agent_let_in() {
    with_sshd(async |sshd| {
        let socket = sshd.rig.folder.path().join("agent");
        let mut agent = start(Process::new("ssh-agent").arg("-D").arg("-a").arg(&socket));
        while !socket.exists() {
            tokio::task::yield_now().await;
        }
        let access = Access { credential: Credential::Agent(socket.clone()), ..sshd.user("ops") };
        let empty = sshd.rig.hosts.connect(&access).await.map(drop);
        let added = start(
            Process::new("ssh-add")
                .arg(sshd.rig.folder.path().join("key"))
                .env("SSH_AUTH_SOCK", &socket),
        )
        .wait();
        let full = sshd.rig.hosts.connect(&access).await.map(drop);
        agent.kill().unwrap();
        agent.wait().unwrap();
        assert!(matches!(empty, Err(Error::AuthRefused { .. })), "{empty:?}");
        assert!(added.unwrap().success());
        full.unwrap();
        let gone = sshd.rig.hosts.connect(&access).await.map(drop);
        assert!(matches!(gone, Err(Error::CredentialUnusable { .. })), "{gone:?}");
    })
    .await;
}

fn start(process: &mut Process) -> std::process::Child {
    process
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssh-client is installed")
}

#[tokio::test]
async fn a_file_that_is_no_private_key_is_told_apart_from_one_that_is_refused() {
    with_sshd(async |sshd| {
        let path = sshd.rig.folder.path().join("no-key");
        for (text, why) in [
            ("nonsense", "no private key"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
                "no private key",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let credential = Credential::KeyFile(path.clone());
            let refused = sshd.rig.hosts.connect(&Access { credential, ..sshd.user("ops") }).await;
            let Err(Error::CredentialUnusable { why: said, .. }) = refused else {
                panic!("{refused:?}")
            };
            assert!(said.contains(why), "{said}");
        }
    })
    .await;
}
