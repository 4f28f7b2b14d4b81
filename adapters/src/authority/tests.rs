//! What everybody who trusts an authority must be able to rely on.

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::{default_provider, sign};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

#[derive(Debug)]
struct At(&'static str);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0.parse().unwrap()
    }
}

fn authorities(now: &'static str) -> CertificateAuthorities {
    CertificateAuthorities::new(Arc::new(At(now)))
}

const NOW: &str = "2026-11-21T12:00:00Z";
const AGENT: ServiceName = ServiceName::NodeAgent;

fn names() -> Vec<String> {
    vec!["node-1".to_owned(), "192.0.2.11".to_owned()]
}

fn issue(papers: &Papers, now: &'static str, names: &[String]) -> Papers {
    authorities(now).open(papers).unwrap().issue(AGENT, names).unwrap()
}

/// Whether who trusts this authority takes these papers, at this moment.
fn is_trusted(authority: &Papers, own: &Papers, at: &str) -> bool {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&authority.certificate)).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().unwrap();
    let seconds = at.parse::<Timestamp>().unwrap().as_second();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap()));
    verifier.verify_client_cert(&certificate(&own.certificate), &[], at).is_ok()
}

#[test]
fn papers_are_of_their_authority_and_valid_for_their_names() {
    let (authority, other) = (authorities(NOW).make().unwrap(), authorities(NOW).make().unwrap());
    let own = issue(&authority, NOW, &names());
    assert!(is_trusted(&authority, &own, NOW));
    assert!(!is_trusted(&other, &own, NOW));
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let signing = sign::any_supported_type(&key).unwrap();
    let certificate = CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
    let pair = rustls::sign::CertifiedKey::new(vec![certificate.clone()], signing);
    pair.keys_match().unwrap();
    for name in ["node-agent", "node-1", "192.0.2.11"] {
        let parsed = rustls::server::ParsedCertificate::try_from(&certificate).unwrap();
        let name = ServerName::try_from(name).unwrap();
        rustls::client::verify_server_name(&parsed, &name).unwrap();
    }
}

#[test]
fn whoever_holds_the_authority_makes_the_same_papers() {
    let authority = authorities(NOW).make().unwrap();
    assert_eq!(issue(&authority, NOW, &names()), issue(&authority, NOW, &names()));
    assert_eq!(
        issue(&authority, NOW, &names()),
        issue(&authority, "2026-11-21T23:59:59Z", &names())
    );
    let fewer = issue(&authority, NOW, &names()[..1]);
    assert_ne!(fewer.key, issue(&authority, NOW, &names()).key);
    let other = authorities(NOW).make().unwrap();
    assert_ne!(issue(&other, NOW, &names()).key, issue(&authority, NOW, &names()).key);
}

#[test]
fn papers_are_renewed_within_a_year_and_the_old_ones_hold_a_year_more() {
    let authority = authorities(NOW).make().unwrap();
    let now = issue(&authority, NOW, &names());
    assert_ne!(issue(&authority, "2027-11-22T12:00:00Z", &names()), now);
    assert!(is_trusted(&authority, &now, "2027-11-20T12:00:00Z"));
    assert!(!is_trusted(&authority, &now, "2028-11-22T12:00:00Z"));
}

#[test]
fn an_authority_is_never_shown_with_its_key() {
    let papers = authorities(NOW).make().unwrap();
    let opened = authorities(NOW).open(&papers).unwrap();
    let shown = format!("{papers:?} {opened:?}");
    assert!(!shown.contains("KEY") && !shown.contains(papers.key.lines().nth(1).unwrap()));
    let broken = Papers { key: "no key".to_owned(), ..papers };
    assert!(matches!(authorities(NOW).open(&broken), Err(Error::Unusable(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_period_begins_at_most_a_year_before_and_never_later(second in 0i64..4_000_000_000, purpose: [u8; 4]) {
        let now = Timestamp::from_second(second).unwrap();
        let first = first_day(now, &purpose).unwrap();
        let today = now.to_zoned(TimeZone::UTC).date();
        let days = first.until(today).unwrap().get_days();
        prop_assert!((0..PERIOD_DAYS).contains(&i64::from(days)), "{} days", days);
    }
}
