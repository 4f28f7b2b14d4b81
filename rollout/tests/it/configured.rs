//! What is said of services themselves, as their parts are told it.

use common::port::part::PartSpec;
use common::service::ServiceName;
use rollout::parts::{
    self, AZURE_PRINCIPAL, CONFIGURED, Configured, Credentials, GIVEN, Receiver, Secrets,
    ServicePapers, Setting,
};

use crate::parts::{on, platform, secrets};
use crate::world::FixedAuthority;

fn receiver(name: &str, url: &str, internal: bool) -> Receiver {
    let (name, url) = (name.to_owned(), url.to_owned());
    Receiver { secret: format!("signed by {name}"), name, url, internal }
}

fn said() -> Configured {
    let value = |key: &str, value: &str| (key.to_owned(), Setting::Value(value.to_owned()));
    let file = |key: &str, text: &str| (key.to_owned(), Setting::File(text.to_owned()));
    Configured {
        settings: [
            (ServiceName::Monitoring, [value("probes.every_ms", "2500")].into()),
            (
                ServiceName::PlatformInitializer,
                [
                    file("platform.services_file", "[1]"),
                    // A key that the platform itself says as well.
                    value("http.document_001_gets", "false"),
                ]
                .into(),
            ),
        ]
        .into(),
        receivers: vec![
            receiver("pager", "https://hooks.example.org/a?b=\"c\"", false),
            receiver("night", "http://192.0.2.9:8080/", true),
        ],
        base: None,
    }
}

fn given() -> Secrets {
    Secrets { configured: said(), ..secrets() }
}

fn spec(service: ServiceName, secrets: &Secrets) -> PartSpec {
    on(&platform(3), "node-1", |site| {
        let papers = ServicePapers::of(site, service, &FixedAuthority("ca"), secrets).unwrap();
        parts::service(site, service, None, &papers).unwrap()
    })
}

fn content<'a>(spec: &'a PartSpec, path: &str) -> Option<&'a str> {
    let file = spec.files.iter().find(|file| file.path == path);
    file.map(|file| file.content.as_str())
}

#[test]
fn monitoring_is_told_whom_to_tell_in_its_own_file_and_the_secrets_beside_it() {
    let spec = spec(ServiceName::Monitoring, &given());
    assert_eq!(spec.command, ["service", "monitoring", "--config", "/etc/avishkar/receivers.toml"]);
    assert_eq!(
        content(&spec, "/etc/avishkar/receivers.toml").unwrap(),
        "[[alerts.webhooks]]\n\
         name = \"pager\"\n\
         url = \"https://hooks.example.org/a?b=\\\"c\\\"\"\n\
         secret_file = \"/etc/avishkar/secrets/receivers/pager\"\n\
         secret_variable = \"\"\n\
         internal = false\n\
         [[alerts.webhooks]]\n\
         name = \"night\"\n\
         url = \"http://192.0.2.9:8080/\"\n\
         secret_file = \"/etc/avishkar/secrets/receivers/night\"\n\
         secret_variable = \"\"\n\
         internal = true\n"
    );
    for name in ["pager", "night"] {
        let path = format!("/etc/avishkar/secrets/receivers/{name}");
        assert_eq!(content(&spec, &path), Some(format!("signed by {name}").as_str()));
    }
    assert_eq!(spec.environment["AVISHKAR_PROBES__EVERY_MS"], "2500");
    assert!(!format!("{:?}", given().configured).contains("hooks.example.org"), "it is not shown");
}

#[test]
fn each_service_gets_its_own_settings_and_what_the_platform_says_comes_last() {
    let with = |service| spec(service, &given());
    let initializer = with(ServiceName::PlatformInitializer);
    let file = "/etc/avishkar/settings/platform.services_file";
    assert_eq!(initializer.environment["AVISHKAR_PLATFORM__SERVICES_FILE"], file);
    assert_eq!(content(&initializer, file), Some("[1]"));
    assert_eq!(initializer.environment["AVISHKAR_HTTP__DOCUMENT_001_GETS"], "true");
    for service in [ServiceName::AppManager, ServiceName::NodeManager, ServiceName::LoadBalancer] {
        assert_eq!(with(service), spec(service, &secrets()), "{service}: nothing is said of it");
    }
    for service in [ServiceName::Monitoring, ServiceName::PlatformInitializer] {
        let plain = spec(service, &secrets());
        assert_ne!(with(service), plain);
        assert!(plain.files.iter().all(|file| !file.path.contains("settings")));
    }
}

#[test]
fn lifecycle_managers_begin_with_all_of_it_and_go_by_what_is_newer() {
    let spec = spec(ServiceName::LifecycleManager, &given());
    let begun: Configured = serde_json::from_str(content(&spec, CONFIGURED).unwrap()).unwrap();
    assert_eq!(begun, said());
    let nothing =
        Credentials { given: 7, configured: Configured::default(), ..given().credentials() };
    assert!(!nothing.is_as(&given().credentials()));
    let newer = given().with(nothing);
    assert!(newer.configured.is_plain());
    // One that was given something before there was any of it.
    let old = r#"{"given": 8, "azure": null, "shares": {}}"#;
    let old: Credentials = serde_json::from_str(old).unwrap();
    assert!(given().with(old).configured.is_plain());
}

#[test]
fn which_receivers_there_are_is_told_from_others_without_telling_who_they_are() {
    let of = |secrets: &Secrets, service| secrets.configured_of(service).receivers;
    let known = of(&given(), ServiceName::Monitoring).unwrap();
    assert_eq!(of(&given(), ServiceName::AppManager), None);
    assert_eq!(of(&secrets(), ServiceName::Monitoring), None);
    let mut other = given();
    other.configured.receivers[0].secret.push('2');
    assert_ne!(of(&other, ServiceName::Monitoring), Some(known.clone()));
    let mut elsewhere = given();
    elsewhere.authority.key.push('2');
    assert_ne!(of(&elsewhere, ServiceName::Monitoring), Some(known), "nobody can try it out");
}

#[test]
fn only_newer_credentials_are_taken_and_lifecycle_managers_that_are_made_then_begin_with_them() {
    let given = |given| {
        let azure = Some(format!("principal {given}"));
        let (shares, configured) = Default::default();
        Credentials { given, azure, shares, configured, upgraded_from: None }
    };
    let newest = secrets().with(given(7)).with(given(9)).with(given(8));
    assert_eq!(newest.credentials(), given(9));
    let begins_with = |secrets: &Secrets, path: &str| {
        let spec = spec(ServiceName::LifecycleManager, secrets);
        content(&spec, path).map(str::to_owned)
    };
    assert_eq!(begins_with(&newest, AZURE_PRINCIPAL).unwrap(), "principal 9");
    assert_eq!(begins_with(&newest, GIVEN).unwrap(), "9");
    assert_eq!(begins_with(&secrets(), GIVEN), None);
}
