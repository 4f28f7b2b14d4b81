use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    date_time_ymd,
};

use super::*;

const NOW: &str = "2026-11-22T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn shop() -> HostName {
    "shop.example.org".parse().unwrap()
}

/// A certificate for these names, valid in these years, signed by an authority: both and the key.
struct Made {
    own: String,
    authority: String,
    key: String,
}

fn made(names: &[&str], from: i32, until: i32) -> Made {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, "example authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut own = CertificateParams::new(names).unwrap();
    own.distinguished_name = rcgen::DistinguishedName::new();
    own.distinguished_name.push(DnType::CommonName, "another.example.org");
    own.not_before = date_time_ymd(from, 1, 1);
    own.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let own = own.signed_by(&key, &issuer).unwrap().pem();
    Made { own, authority: authority_pem, key: key.serialize_pem() }
}

fn good() -> Made {
    made(&["shop.example.org"], 2026, 2027)
}

fn examined(certificate: &str, key: &str) -> Result<Fit, Unfit> {
    let papers = Papers { certificate: certificate.to_owned(), key: key.to_owned() };
    examine(&papers, &shop(), now())
}

fn code(certificate: &str, key: &str) -> &'static str {
    examined(certificate, key).unwrap_err().code()
}

#[test]
fn a_whole_chain_with_its_key_is_fit_and_told_without_the_key() {
    let Made { own, authority, key } = good();
    for chain in [own.clone(), format!("{own}{authority}")] {
        let fit = examined(&chain, &key).unwrap();
        assert_eq!(fit.issuer, "CN=example authority");
        assert_eq!(fit.not_before.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(fit.not_after.to_string(), "2027-01-01T00:00:00Z");
        assert_eq!(fit.fingerprint.len(), 64);
    }
}

#[test]
fn a_name_is_covered_by_itself_or_by_the_level_above_and_by_nothing_else() {
    for (names, is_covered) in [
        (&["shop.example.org"][..], true),
        (&["www.example.org", "shop.example.org"], true),
        (&["*.example.org"], true),
        (&["example.org"], false),
        (&["*.org"], false),
        (&["shop.example.com"], false),
        (&[], false),
    ] {
        let Made { own, key, .. } = made(names, 2026, 2027);
        match examined(&own, &key) {
            Ok(_) => assert!(is_covered, "{names:?}"),
            Err(err) => {
                assert!(!is_covered, "{names:?}: {err}");
                assert_eq!(err.code(), "CERTIFICATE_NAME_MISMATCH");
            }
        }
    }
    let Made { own, key, .. } = made(&["www.example.org", "example.org"], 2026, 2027);
    let told = examined(&own, &key).unwrap_err().to_string();
    assert_eq!(
        told,
        "the certificate is valid for www.example.org, example.org, not for shop.example.org"
    );
}

#[test]
fn a_certificate_counts_within_its_time_only() {
    let of = |from, until| {
        let Made { own, key, .. } = made(&["shop.example.org"], from, until);
        code(&own, &key)
    };
    assert_eq!(of(2024, 2026), "CERTIFICATE_EXPIRED");
    assert_eq!(of(2027, 2028), "CERTIFICATE_NOT_YET_VALID");
}

#[test]
fn a_key_must_be_open_whole_and_of_the_certificate() {
    let Made { own, key, authority } = good();
    assert_eq!(code(&own, &good().key), "CERTIFICATE_KEY_MISMATCH");
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(code(&own, &encrypted), "CERTIFICATE_KEY_ENCRYPTED");
    let former = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(code(&own, former), "CERTIFICATE_KEY_ENCRYPTED");
    for wrong in ["", "key", own.as_str(), authority.as_str(), key.get(..80).unwrap()] {
        assert_eq!(code(&own, wrong), "CERTIFICATE_KEY_MALFORMED", "{wrong:?}");
    }
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(code(&own, nonsense), "CERTIFICATE_KEY_MALFORMED");
}

#[test]
fn a_chain_must_be_whole_and_in_order() {
    let Made { own, authority, key } = good();
    for wrong in ["", "nothing", key.as_str(), own.get(..100).unwrap()] {
        assert_eq!(code(wrong, &key), "CERTIFICATE_MALFORMED", "{wrong:?}");
    }
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(code(nonsense, &key), "CERTIFICATE_MALFORMED");
    assert_eq!(code(&format!("{own}{nonsense}"), &key), "CERTIFICATE_MALFORMED");
    assert_eq!(code(&authority.repeat(11), &key), "CERTIFICATE_MALFORMED");
    let twice = format!("{own}{own}");
    assert_eq!(examined(&twice, &key), Err(Unfit::ChainOrder { place: 2 }));
    let after = format!("{own}{authority}{own}");
    assert_eq!(examined(&after, &key), Err(Unfit::ChainOrder { place: 3 }));
    // Not the host's own first: that one is not for the host.
    assert_eq!(code(&format!("{authority}{own}"), &key), "CERTIFICATE_NAME_MISMATCH");
}

#[test]
fn what_is_said_of_a_refusal_never_holds_the_key() {
    let Made { own, key, .. } = good();
    let body = key.lines().nth(1).unwrap();
    for err in [examined(&own, key.get(..80).unwrap()), examined(&key, &key)] {
        let told = format!("{:?}", err.unwrap_err());
        assert!(!told.contains(body), "{told}");
    }
}
