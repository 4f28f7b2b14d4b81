//! What services find wrong with settings of their own files that `platform.toml` says, before anybody is told them.

use std::collections::BTreeMap;

use chassis::config::{Error, Problem, Sources, read};
use common::service::ServiceName;

use super::{
    Wiring, app_manager, deployment_manager, lifecycle_manager, load_balancer, monitoring,
    node_manager, platform_initializer,
};

/// What an app manager of a fleet is given besides: without one it takes nothing.
const ANY_SECRET: (&str, &str) = ("AVISHKAR_AUTH__JWT_SECRET", "nothing is signed with this one.");

/// By `section.key`, each with a clause.
pub(crate) fn refused(
    service: ServiceName,
    settings: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let environment = settings.iter().map(|(key, value)| (variable(key), value.clone()));
    let sources = Sources { environment: environment.collect(), ..Sources::default() };
    let problems = problems(service, sources).into_iter();
    problems.map(|problem| (problem.key, problem.message)).collect()
}

/// As `rollout` calls it.
fn variable(key: &str) -> String {
    format!("AVISHKAR_{}", key.to_uppercase().replace('.', "__"))
}

fn problems(service: ServiceName, mut sources: Sources) -> Vec<Problem> {
    match service {
        ServiceName::AppManager => {
            let (name, secret) = ANY_SECRET;
            sources.environment.insert(name.to_owned(), secret.to_owned());
            problems_of::<app_manager::File>(&sources)
        }
        ServiceName::DeploymentManager => problems_of::<deployment_manager::File>(&sources),
        ServiceName::NodeManager => problems_of::<node_manager::File>(&sources),
        ServiceName::LoadBalancer => problems_of::<load_balancer::File>(&sources),
        ServiceName::Monitoring => problems_of::<monitoring::File>(&sources),
        ServiceName::LifecycleManager => problems_of::<lifecycle_manager::File>(&sources),
        ServiceName::PlatformInitializer => problems_of::<platform_initializer::File>(&sources),
        ServiceName::NodeAgent => Vec::new(),
    }
}

fn problems_of<File: Wiring>(sources: &Sources) -> Vec<Problem> {
    match read::<File>(File::DEFAULTS, sources) {
        Ok(file) => file.resolve().err().unwrap_or_default(),
        Err(Error::Wrong(problems)) => problems,
        Err(Error::Unreadable(err)) => vec![Problem::new("", err.to_string())],
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use adapters::webhooks::{Reach, check_url};
    use bootstrapper::file::{Kind, settable};

    use super::*;

    /// All settings of a service that may be said, each as far as it goes.
    fn at_its_end(service: ServiceName, end: impl Fn(Kind) -> String) -> BTreeMap<String, String> {
        let own = settable().filter(|(of, ..)| *of == service);
        own.map(|(_, key, kind)| (key.to_owned(), end(kind))).collect()
    }

    #[test]
    fn services_take_every_setting_that_may_be_said_as_far_as_it_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("document.json");
        fs::write(&file, "[]").unwrap();
        let file = file.to_str().unwrap();
        let least = |kind| match kind {
            Kind::Whole(least, _) => least.to_string(),
            Kind::Number(least, _) => least.to_string(),
            Kind::Words(words) => words[0].to_owned(),
            Kind::File => file.to_owned(),
        };
        let most = |kind| match kind {
            Kind::Whole(_, most) => most.to_string(),
            Kind::Number(_, most) => most.to_string(),
            Kind::Words(words) => words[words.len() - 1].to_owned(),
            Kind::File => file.to_owned(),
        };
        for service in ServiceName::ALL.into_iter().filter(|one| *one != ServiceName::NodeAgent) {
            for environment in [at_its_end(service, least), at_its_end(service, most)] {
                assert!(environment.len() > 1, "{service}");
                // Of documents only what they are called counts here.
                let found = refused(service, &environment).into_iter();
                let found: Vec<_> = found.filter(|(key, _)| !key.contains("file")).collect();
                assert!(found.is_empty(), "{service}: {found:?}");
            }
        }
    }

    #[test]
    fn what_a_service_refuses_is_told_by_its_key() {
        let said = |settings: &[(&str, &str)]| {
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let waits = [("restarts.first_wait_seconds", "60"), ("restarts.last_wait_seconds", "30")];
        let [(key, _)] = refused(ServiceName::Monitoring, &said(&waits)).try_into().unwrap();
        assert_eq!(key, "restarts.last_wait_seconds");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("services.json");
        let file = file.to_str().unwrap();
        let of = |text: &str| {
            fs::write(file, text).unwrap();
            refused(ServiceName::PlatformInitializer, &said(&[("platform.services_file", file)]))
        };
        assert!(of("[{\"service_name\": \"monitoring\"}]").is_empty());
        let [(key, _)] = of("[{\"service_name\": \"sensor_manager\"}]").try_into().unwrap();
        assert_eq!(key, "platform.services_file[0].service_name");
        assert!(!refused(ServiceName::Monitoring, &said(&[("probes.never_ms", "1")])).is_empty());
    }

    /// The text that `rollout` gives monitoring of a fleet.
    const RECEIVERS: &str = "[[alerts.webhooks]]
name = \"pager\"
url = \"https://hooks.example.org/a?b=\\\"c\\\"\"
secret_file = \"/etc/avishkar/secrets/receivers/pager\"
secret_variable = \"\"
internal = false
[[alerts.webhooks]]
name = \"night\"
url = \"http://192.0.2.9:8080/\"
secret_file = \"/etc/avishkar/secrets/receivers/night\"
secret_variable = \"\"
internal = true
";

    #[test]
    fn monitoring_takes_the_receivers_that_it_is_told_in_a_fleet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receivers.toml");
        fs::write(&path, RECEIVERS).unwrap();
        let environment = at_its_end(ServiceName::Monitoring, |kind| match kind {
            Kind::Whole(least, _) => least.to_string(),
            Kind::Words(words) => words[0].to_owned(),
            Kind::Number(..) | Kind::File => panic!("it has none"),
        });
        let environment = environment.into_iter().map(|(key, value)| (variable(&key), value));
        let environment = environment.collect();
        let sources = Sources { file: Some(path), environment, ..Sources::default() };
        let found = problems(ServiceName::Monitoring, sources);
        assert!(found.is_empty(), "{found:?}");
    }

    /// Those that the bootstrapper's own test lets through.
    #[test]
    fn receivers_that_the_file_of_a_platform_takes_are_taken_by_monitoring() {
        for (url, reach) in [
            ("https://hooks.example.org", Reach::PublicOnly),
            ("https://Hooks.example.org:8443/a/b?c=d#e", Reach::PublicOnly),
            ("https://hooks/", Reach::PublicOnly),
            ("https://hooks.example.org/a%20b", Reach::PublicOnly),
            ("http://hooks.lan/", Reach::Anywhere),
            ("https://192.0.2.9:8080/", Reach::Anywhere),
            ("http://[2001:db8::1]:80/", Reach::Anywhere),
        ] {
            assert!(check_url(url, reach).is_ok(), "{url}");
        }
    }
}
