//! What holds of signing in.

use common::port::host::{Access, Command, Credential, Error, Gate, HostKey, KeyAlgorithm, Method};

use super::{World, refusal, run, within};

pub(super) async fn is_to_a_machine_that_shows_its_key(world: &dyn World) {
    let access = world.access();
    for _ in 0..2 {
        let shown = within(world.hosts().host_key(&access.at)).await;
        assert_eq!(shown.expect("the machine shows its key"), access.host_key, "its own key");
    }
}

pub(super) async fn is_to_the_pinned_machine_only(world: &dyn World) {
    let access = world.access();
    let fingerprint = format!("SHA256:{}", "x".repeat(43)).parse().expect("it has the form");
    let other = HostKey { algorithm: access.host_key.algorithm, fingerprint };
    // Also where the machine has no key of the pinned kind any more.
    let of_another_kind = HostKey { algorithm: KeyAlgorithm::Ecdsa521, ..access.host_key.clone() };
    for pinned in [other, of_another_kind] {
        let refused = refusal(world, &Access { host_key: pinned.clone(), ..access.clone() }).await;
        let Error::HostKeyChanged { expected, found, .. } = &refused else {
            panic!("another host key: {refused:?}");
        };
        assert_eq!((expected, found), (&pinned, &access.host_key), "both are told");
        assert!(!refused.is_retryable(), "somebody has to look");
    }
    within(world.hosts().connect(&access)).await.expect("the pinned machine is still let through");
}

pub(super) async fn needs_somebody_who_listens(world: &dyn World) {
    let at = world.nobody();
    let shown = within(world.hosts().host_key(&at)).await;
    assert!(matches!(shown, Err(Error::Unreachable { .. })), "no key: {shown:?}");
    let access = Access { at: at.clone(), ..world.access() };
    let refused = refusal(world, &access).await;
    let told = matches!(&refused, Error::Unreachable { at: told, .. } if *told == at);
    assert!(told && refused.is_retryable(), "nobody listens: {refused:?}");
    let nameless = Gate { address: "no-such-machine.invalid".to_owned(), ..at };
    let refused = refusal(world, &Access { at: nameless, ..access }).await;
    assert!(matches!(refused, Error::Unreachable { .. }), "no such name: {refused:?}");
}

pub(super) async fn is_for_known_users_only(world: &dyn World) {
    let access = Access { user: "nobody-knows-me".to_owned(), ..world.access() };
    let refused = refusal(world, &access).await;
    let told = matches!(&refused, Error::AuthRefused { user, tried: Method::PublicKey, .. } if *user == access.user);
    assert!(told && !refused.is_retryable(), "an unknown user: {refused:?}");
}

pub(super) async fn needs_a_credential_that_is_there(world: &dyn World) {
    for of in [Credential::KeyFile, Credential::PasswordFile] {
        let path = world.fresh_file();
        let access = Access { credential: of(path.clone()), ..world.access() };
        let refused = refusal(world, &access).await;
        let told =
            matches!(&refused, Error::CredentialUnusable { path: told, .. } if *told == path);
        assert!(told, "no credential: {refused:?}");
    }
}

pub(super) async fn needs_the_right_key(world: &dyn World) {
    let path = world.fresh_file();
    let made = within(world.hosts().ensure_key(&path, "wrong")).await.expect("a key is made");
    let again = within(world.hosts().ensure_key(&path, "wrong")).await;
    assert_eq!(again.expect("a key is found"), made, "a key is made once");
    let other = within(world.hosts().ensure_key(&world.fresh_file(), "other")).await;
    assert_ne!(other.expect("a key is made").base64(), made.base64(), "each key is another");
    let access = Access { credential: Credential::KeyFile(path), ..world.access() };
    let refused = refusal(world, &access).await;
    assert!(matches!(refused, Error::AuthRefused { .. }), "the wrong key: {refused:?}");
}

pub(super) async fn needs_the_right_password(world: &dyn World) {
    let credential = Credential::PasswordFile(world.wrong_password());
    let access = Access { credential, ..world.with_password() };
    let refused = refusal(world, &access).await;
    let told = matches!(&refused, Error::AuthRefused { tried: Method::Password, .. });
    assert!(told, "the wrong password: {refused:?}");
}

pub(super) async fn by_password_lets_a_key_in_for_good(world: &dyn World) {
    let by_password = world.with_password();
    let host = within(world.hosts().connect(&by_password)).await.expect("the password lets in");
    let mut accesses = Vec::new();
    for _ in 0..2 {
        let path = world.fresh_file();
        let key = within(world.hosts().ensure_key(&path, "enrolled")).await.expect("a key is made");
        let access = Access { credential: Credential::KeyFile(path), ..by_password.clone() };
        let early = refusal(world, &access).await;
        assert!(matches!(early, Error::AuthRefused { .. }), "not yet: {early:?}");
        for _ in 0..2 {
            within(host.authorize(&key)).await.expect("the key is let in");
        }
        accesses.push(access);
    }
    for access in accesses {
        let host = within(world.hosts().connect(&access)).await;
        let host = host.expect("a key stays when another is let in");
        assert_eq!(host.access(), &access);
        assert!(run(host.as_ref(), Command::new("true")).await.succeeded());
    }
}
