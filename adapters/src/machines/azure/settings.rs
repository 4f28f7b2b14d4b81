//! Where machines are made in Azure, and whether what was configured can be meant.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;

use super::prefix::Prefix;

/// The first part of the names of tags that are the platform's own.
pub(super) const OUR_TAGS: &str = "avishkar";

/// Where and how machines are made.
#[derive(Debug, Clone)]
pub struct AzureSettings {
    pub endpoints: Endpoints,
    /// The id of the subscription.
    pub subscription: String,
    /// Made if it is not there; one that is there is used as it is, and never removed.
    pub resource_group: String,
    /// Azure's name of the region, as `westeurope`.
    pub location: String,
    pub network: Network,
    /// The platform whose machines they are, `[a-z0-9-]` only: the value of a tag.
    pub platform: String,
    /// As whom one signs in.
    pub user: String,
    pub sign_in: SignIn,
    /// From where people sign in. From nowhere else can the machines' SSH be reached, their own network excepted.
    pub operators: Vec<Prefix>,
    /// Tags of the operator's own, for everything that is made.
    pub tags: BTreeMap<String, String>,
    /// How long to wait before looking again where Azure does not say.
    pub pace: Duration,
}

impl AzureSettings {
    /// Five seconds.
    pub const PACE: Duration = Duration::from_secs(5);

    /// Says everything that is wrong with them.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        let mut problems = Vec::new();
        let mut need = |holds: bool, what: String| {
            if !holds {
                problems.push(what);
            }
        };
        for (what, url) in
            [("resources", &self.endpoints.arm), ("tokens", &self.endpoints.authority)]
        {
            let rule = "https is needed everywhere but on this computer";
            need(is_private(url), format!("the endpoint of {what} is {url}: {rule}"));
        }
        let id = &self.subscription;
        let is_id =
            id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        need(
            is_id,
            format!("the subscription {id:?} is no id of 36 hexadecimal digits and dashes"),
        );
        let group = &self.resource_group;
        let fits = is_name(group, 90, "_-.()") && !group.ends_with('.');
        need(fits, format!("the resource group cannot be called {group:?}"));
        let location = &self.location;
        need(is_name(location, 40, ""), format!("{location:?} is no location, as westeurope is"));
        for (what, name, longest) in
            [("network", &self.network.name, 64), ("subnet", &self.network.subnet, 80)]
        {
            need(is_name(name, longest, "_-."), format!("the {what} cannot be called {name:?}"));
        }
        let (all, part) = (self.network.prefix, self.network.subnet_prefix);
        need(
            all.is_v4() && all.contains(part),
            format!("the subnet's {part} is not part of {all}"),
        );
        let platform = &self.platform;
        need(is_name(platform, 63, "-"), format!("the platform cannot be called {platform:?}"));
        let user = &self.user;
        let may_be_user = is_name(user, 32, "_-") && user != "root";
        need(may_be_user, format!("nobody can sign in to a new machine as {user:?}"));
        for tag in self.tags.keys() {
            let free = !tag.is_empty() && !tag.starts_with(OUR_TAGS);
            need(free, format!("the tag {tag:?} is the platform's own"));
        }
        if problems.is_empty() { Ok(()) } else { Err(InvalidSettings { problems }) }
    }
}

/// A name whose letters are also words' of a path: nothing in it needs to be quoted.
fn is_name(text: &str, longest: usize, others: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
    let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    text.len() <= longest && begins && text.chars().all(allowed)
}

/// Whether nobody on the way can read what is sent there.
fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    url.scheme() == "https" || url.scheme() == "http" && is_here
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// For resources; tokens are made for it.
    pub arm: Url,
    /// For tokens.
    pub authority: Url,
}

impl Default for Endpoints {
    /// Those of the public cloud.
    fn default() -> Self {
        let url = |text: &str| Url::parse(text).expect("it is a URL");
        Endpoints {
            arm: url("https://management.azure.com"),
            authority: url("https://login.microsoftonline.com"),
        }
    }
}

/// The virtual network of the machines. One that is there and somebody else's is used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub name: String,
    pub prefix: Prefix,
    pub subnet: String,
    pub subnet_prefix: Prefix,
}

impl Network {
    /// With document 000's addresses: 10.0.0.0/16, of which 10.0.0.0/24 are the machines'.
    pub fn named(name: impl Into<String>, subnet: impl Into<String>) -> Self {
        let prefix = |text: &str| text.parse().expect("it is a range");
        Network {
            name: name.into(),
            prefix: prefix("10.0.0.0/16"),
            subnet: subnet.into(),
            subnet_prefix: prefix("10.0.0.0/24"),
        }
    }
}

/// By which of its two addresses one signs in to a machine from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// The public one: for who is not in the machines' network.
    Public,
    /// The one of the machines' network.
    Private,
}

/// What is wrong with the settings, a sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings for Azure cannot be used: {}", .problems.join("; "))]
pub struct InvalidSettings {
    pub problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> AzureSettings {
        AzureSettings {
            endpoints: Endpoints::default(),
            subscription: "00000000-0000-0000-0000-000000000000".to_owned(),
            resource_group: "fleet_(test)".to_owned(),
            location: "westeurope".to_owned(),
            network: Network::named("fleet", "machines"),
            platform: "fleet-1".to_owned(),
            user: "avishkar".to_owned(),
            sign_in: SignIn::Public,
            operators: vec!["192.0.2.0/24".parse().unwrap()],
            tags: BTreeMap::from([("owner".to_owned(), "ops".to_owned())]),
            pace: AzureSettings::PACE,
        }
    }

    #[test]
    fn settings_that_can_be_meant_are_taken() {
        assert_eq!(settings().check(), Ok(()));
        let here = Endpoints {
            arm: Url::parse("http://127.0.0.1:1").unwrap(),
            authority: Url::parse("http://[::1]:2").unwrap(),
        };
        assert_eq!(AzureSettings { endpoints: here, ..settings() }.check(), Ok(()));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let wrong = AzureSettings {
            endpoints: Endpoints {
                arm: Url::parse("http://management.example.org").unwrap(),
                authority: Url::parse("http://192.0.2.1").unwrap(),
            },
            subscription: "mine".to_owned(),
            resource_group: "a/b".to_owned(),
            location: "west europe".to_owned(),
            network: Network {
                prefix: "192.0.2.0/24".parse().unwrap(),
                ..Network::named("", "../machines")
            },
            platform: "a?b".to_owned(),
            user: "root".to_owned(),
            tags: BTreeMap::from([("avishkar.machine.of".to_owned(), "me".to_owned())]),
            ..settings()
        };
        let problems = wrong.check().unwrap_err().problems;
        assert_eq!(problems.len(), 11, "{problems:#?}");
    }
}
