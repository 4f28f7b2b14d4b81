//! `docs/api-map.md`, written from what the routers are built from and from who sends what.
//!
//! `UPDATE_EXPECT=1 cargo test -p avishkar --test it api_map` writes it anew.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::path::Path;
use std::{fs, iter};

use app_manager::{Action, Grant, Role, grant};
use chassis::http::{COMMON_ENDPOINTS, Endpoint};
use common::message::{
    BootstrapperCommand, DeploymentCommand, Event, LifecycleCommand, LoadBalancerCommand,
    NodeCommand, SchedulerCommand,
};
use common::service::ServiceName;
use common::topic::Topic;
use expect_test::expect_file;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

const HEAD: &str = "\
# API map

Every route of every service and every topic, with who may call and who speaks. Written from the tables that the routers are built from;
nobody edits it: `UPDATE_EXPECT=1 cargo test -p avishkar --test it api_map` writes it anew, and the same test without the variable fails where it is old.

**Callers.** `anyone`: whoever reaches the plain listener. `user`, `dev`, `admin`: people of that role, with a token; *own* is what belongs to them.
Names of services: the mutual-TLS listener, each known by its certificate; all others get 403 `CALLER_FORBIDDEN`. Who may call any route there gets the
routes of every service too. A route that stands twice has two kinds of callers.

**Features** are the rows of [features](features.md). **Document** is the source document that laid the path down; a dash is a path of our own.
**Same as** are the other paths of the service that do the same.
";

/// A row of any table, as it is shown.
struct Row {
    /// `METHOD path`.
    route: String,
    callers: String,
    features: &'static [u8],
    document: Option<u8>,
    same_as: Option<&'static str>,
}

fn rows<A>(table: &[Endpoint<A>], callers: impl Fn(&A) -> String) -> Vec<Row> {
    let row = |endpoint: &Endpoint<A>| Row {
        route: format!("{} {}", endpoint.method, endpoint.path),
        callers: callers(&endpoint.access),
        features: endpoint.features,
        document: endpoint.document,
        same_as: endpoint.same_as,
    };
    table.iter().map(row).collect()
}

fn rows_of(service: ServiceName) -> Vec<Row> {
    match service {
        ServiceName::AppManager => rows(app_manager::ENDPOINTS, |action| roles(*action)),
        ServiceName::DeploymentManager => rows(deployment_manager::ENDPOINTS, ToString::to_string),
        ServiceName::NodeManager => rows(node_manager::ENDPOINTS, ToString::to_string),
        ServiceName::LoadBalancer => rows(load_balancer::ENDPOINTS, ToString::to_string),
        ServiceName::Monitoring => rows(monitoring::ENDPOINTS, ToString::to_string),
        ServiceName::LifecycleManager => rows(lifecycle_manager::ENDPOINTS, ToString::to_string),
        ServiceName::PlatformInitializer => {
            rows(platform_initializer::ENDPOINTS, ToString::to_string)
        }
        ServiceName::NodeAgent => rows(node_agent::ENDPOINTS, ToString::to_string),
    }
}

fn roles(action: Action) -> String {
    if action == Action::SignIn {
        return "anyone".to_owned();
    }
    let role = |role: Role| match grant(role, action) {
        Grant::Nothing => None,
        Grant::Own => Some(format!("{role} (own)")),
        Grant::OwnAndOfOwnApps => Some(format!("{role} (own, and of own apps)")),
        Grant::All => Some(role.to_string()),
    };
    listed(Role::ALL.into_iter().filter_map(role))
}

/// `a, b`; a dash for nothing.
fn listed<T: Display>(parts: impl Iterator<Item = T>) -> String {
    let parts: Vec<String> = parts.map(|part| part.to_string()).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

fn section(title: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "\n## {title}\n\n| route | callers | features | document | same as |\n|---|---|---|---|---|\n"
    );
    for (place, row) in rows.iter().enumerate() {
        let stood_before = rows.iter().take(place).any(|other| other.route == row.route);
        let naming = rows.iter().filter(|other| other.same_as == Some(row.route.as_str()));
        let naming = naming.filter(|_| !stood_before).map(|other| other.route.as_str());
        let same = row.same_as.into_iter().chain(naming);
        let line = [
            format!("`{}`", row.route),
            row.callers.clone(),
            listed(row.features.iter()),
            listed(row.document.iter().map(|number| format!("{number:03}"))),
            listed(same.map(|route| format!("`{route}`"))),
        ];
        writeln!(text, "| {} |", line.join(" | ")).unwrap();
    }
    text
}

/// The message types by their topics.
macro_rules! messages {
    ($($message:ident),*) => { [$(($message::TOPIC, stringify!($message))),*] };
}

const MESSAGES: [(Topic, &str); Topic::ALL.len()] = messages!(
    BootstrapperCommand,
    DeploymentCommand,
    NodeCommand,
    Event,
    SchedulerCommand,
    LoadBalancerCommand,
    LifecycleCommand
);

fn topics() -> String {
    let mut text = "\n## Topics\n\nWhat travels on them is in [messages](messages.md). \
        An admin, and who reaches the broker, may send anything. A dash: no service yet.\n\n\
        | topic | read by | written by |\n|---|---|---|\n"
        .to_owned();
    for (topic, message) in MESSAGES {
        let readers = ServiceName::ALL.into_iter().filter(|name| name.reads(topic));
        // Who reads a topic names its messages too, and never writes to itself.
        let others = ServiceName::ALL.into_iter().filter(|name| !name.reads(topic));
        let writers = others.filter(|name| puts_in_envelopes(*name, message));
        writeln!(text, "| `{topic}` | {} | {} |", listed(readers), listed(writers)).unwrap();
    }
    text
}

/// Whether some file of the service makes envelopes of these messages.
fn puts_in_envelopes(service: ServiceName, message: &str) -> bool {
    sources(&Path::new(TOP).join(service.as_str()).join("src")).any(|text| {
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        let makes = shipped.contains(".envelope(") || shipped.contains("Envelope {");
        makes && shipped.contains(&format!("{message}::"))
    })
}

fn sources(folder: &Path) -> Box<dyn Iterator<Item = String>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    Box::new(entries.flat_map(|path| -> Box<dyn Iterator<Item = String>> {
        if path.is_dir() {
            sources(&path)
        } else {
            Box::new(iter::once(fs::read_to_string(path).unwrap()))
        }
    }))
}

#[test]
fn the_api_map_is_what_the_tables_say() {
    let common = section("Every service", &rows(COMMON_ENDPOINTS, ToString::to_string));
    let services = ServiceName::ALL.map(|service| section(service.as_str(), &rows_of(service)));
    let map = [HEAD, &common, &services.concat(), &topics()].concat();
    expect_file!["../../../docs/api-map.md"].assert_eq(&map);
}

#[test]
fn the_api_map_and_the_openapi_document_name_the_same_routes() {
    let document = app_manager::openapi();
    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (path, method))
        })
        .map(|(path, method)| format!("{} {path}", method.to_ascii_uppercase()))
        .collect();
    let map = fs::read_to_string(Path::new(TOP).join("docs/api-map.md")).unwrap();
    let section = map.split("\n## ").find(|section| section.starts_with("app-manager\n")).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(described, rows.map(str::to_owned).collect());
}

#[test]
fn the_tables_name_features_and_routes_that_exist() {
    let features = fs::read_to_string(Path::new(TOP).join("docs/features.md")).unwrap();
    let common = rows(COMMON_ENDPOINTS, ToString::to_string);
    for table in iter::once(common).chain(ServiceName::ALL.map(rows_of)) {
        for row in &table {
            for feature in row.features {
                assert!(features.contains(&format!("\n| {feature} |")), "{}: {feature}", row.route);
            }
            let exists = |route: &str| table.iter().any(|other| other.route == route);
            assert!(row.same_as.is_none_or(exists), "{}: {:?}", row.route, row.same_as);
        }
    }
}
