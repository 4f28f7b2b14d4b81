//! What every edge that shows certificates must do.

use common::id::{Epoch, Generation};
use common::name::HostName;
use common::port::EdgeCertificates;
use common::port::authority::Papers;
use common::port::edge::{CertificateSet, Error, HostCertificate, KeptCertificate};

/// Runs the whole contract on an edge that nobody else gives certificates. Its epochs are used up to 2 above the one it
/// serves.
pub async fn holds(edge: &dyn EdgeCertificates) {
    let base = edge.served().await.expect("served").epoch.0 + 1;
    a_set_is_served_whole(edge, base).await;
    an_older_set_is_refused(edge, base).await;
    other_content_under_the_same_generation_is_refused(edge, base).await;
    a_set_that_cannot_be_served_leaves_the_one_before(edge, base).await;
    what_is_to_be_kept_is_shown_on(edge, base).await;
    a_newer_epoch_begins_its_generations_again(edge, base).await;
}

/// A certificate that is valid for these names, signed by nobody but itself.
pub fn papers(hosts: &[&str]) -> Papers {
    let names: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a test names hosts well");
    Papers { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

/// A set that has a certificate for each of these hosts, and sends visitors to them.
pub fn set(epoch: u64, generation: u64, hosts: &[&str]) -> CertificateSet {
    let certificate = |host: &&str| HostCertificate {
        host: host.parse().expect("a test names hosts well"),
        papers: papers(&[host]),
        redirect: true,
    };
    CertificateSet {
        epoch: Epoch(epoch),
        generation: Generation(generation),
        certificates: hosts.iter().map(certificate).collect(),
        ..CertificateSet::default()
    }
}

async fn serves(edge: &dyn EdgeCertificates, age: (u64, u64), hosts: &[&str]) {
    let served = edge.served().await.expect("served");
    assert_eq!((served.epoch.0, served.generation.0), age);
    let mut found: Vec<&str> = served.hosts.iter().map(HostName::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, hosts);
}

async fn a_set_is_served_whole(edge: &dyn EdgeCertificates, base: u64) {
    let first = set(base, 1, &["a.example.org", "b.example.org"]);
    edge.serve(&first).await.expect("the set is taken");
    serves(edge, (base, 1), &["a.example.org", "b.example.org"]).await;
    edge.serve(&first).await.expect("the same set is taken again");
    edge.serve(&set(base, 2, &["b.example.org"])).await.expect("the set is taken");
    serves(edge, (base, 2), &["b.example.org"]).await;
}

async fn an_older_set_is_refused(edge: &dyn EdgeCertificates, base: u64) {
    for (epoch, generation) in [(base, 1), (base - 1, 99)] {
        let err = edge.serve(&set(epoch, generation, &[])).await.expect_err("it is older");
        let Error::Stale { epoch, generation } = err else { panic!("{err:?}") };
        assert_eq!((epoch.0, generation.0), (base, 2));
    }
    serves(edge, (base, 2), &["b.example.org"]).await;
}

async fn other_content_under_the_same_generation_is_refused(
    edge: &dyn EdgeCertificates,
    base: u64,
) {
    let err = edge.serve(&set(base, 2, &[])).await.expect_err("it is another");
    assert!(matches!(&err, Error::Refused { code } if code == "GENERATION_CONFLICT"), "{err:?}");
    serves(edge, (base, 2), &["b.example.org"]).await;
}

async fn a_set_that_cannot_be_served_leaves_the_one_before(edge: &dyn EdgeCertificates, base: u64) {
    let whole = || set(base, 3, &["c.example.org"]);
    let mut no_certificate = whole();
    "nothing".clone_into(&mut no_certificate.certificates[0].papers.certificate);
    let mut no_key = whole();
    "nothing".clone_into(&mut no_key.certificates[0].papers.key);
    let twice = set(base, 3, &["c.example.org", "c.example.org"]);
    for wrong in [no_certificate, no_key, twice] {
        let err = edge.serve(&wrong).await.expect_err("it cannot be served");
        let is_told = matches!(&err, Error::Refused { code } if code == "CERTIFICATES_INVALID");
        assert!(is_told, "{err:?}");
        serves(edge, (base, 2), &["b.example.org"]).await;
    }
}

async fn what_is_to_be_kept_is_shown_on(edge: &dyn EdgeCertificates, base: u64) {
    let keep = |host: &str| KeptCertificate {
        host: host.parse().expect("a test names hosts well"),
        redirect: true,
    };
    let mut next = set(base, 3, &["c.example.org"]);
    next.kept = vec![keep("b.example.org"), keep("never.example.org")];
    for _ in 0..2 {
        edge.serve(&next).await.expect("the set is taken, and again");
        serves(edge, (base, 3), &["b.example.org", "c.example.org"]).await;
    }
    next.generation = Generation(4);
    next.kept.clear();
    edge.serve(&next).await.expect("the set is taken");
    serves(edge, (base, 4), &["c.example.org"]).await;
}

async fn a_newer_epoch_begins_its_generations_again(edge: &dyn EdgeCertificates, base: u64) {
    edge.serve(&set(base + 1, 1, &[])).await.expect("the set is taken");
    serves(edge, (base + 1, 1), &[]).await;
}
