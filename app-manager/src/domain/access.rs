//! Who may do what: one table (`reliability.md` 3.5), asked in one place.

use std::fmt;

use common::name::UserName;
use serde::{Deserialize, Serialize};

/// What a person is to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Deploys apps that others wrote.
    User,
    /// Writes apps.
    Dev,
    /// Runs the platform.
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::User, Role::Dev, Role::Admin];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::User => "user",
            Role::Dev => "dev",
            Role::Admin => "admin",
        })
    }
}

/// Something that can be done; every route names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Needs no token: signing in.
    SignIn,
    /// What routes there are.
    SeeInterface,
    SeeApps,
    /// Making an app, or a release of one, from a bundle.
    MakeRelease,
    /// Making a release from an image that exists.
    ReleaseImage,
    Deploy,
    SeeInstances,
    /// Scaling and stopping.
    ChangeInstance,
    ReadLogs,
    SeeOperations,
    SeeNodes,
    ManageUsers,
    SendMessages,
    ReadMessages,
    /// Whether the platform runs, and how its services are.
    SeePlatform,
    /// Starting and stopping it.
    SwitchPlatform,
    /// Certificates of host names, whoever has these.
    ManageCertificates,
}

/// How far a role may go with an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    Nothing,
    /// What one owns.
    Own,
    /// What one owns, and instances of the apps one owns.
    OwnAndOfOwnApps,
    All,
}

/// The table. An action without a row does not compile.
pub fn grant(role: Role, action: Action) -> Grant {
    use Action as A;
    use Grant::{All, Nothing, Own, OwnAndOfOwnApps};
    let [user, dev, admin] = match action {
        A::SignIn | A::SeeInterface => [All, All, All],
        A::SeeApps => [All, Own, All],
        A::MakeRelease => [Nothing, Own, All],
        A::Deploy | A::ChangeInstance | A::ReadLogs | A::SeeOperations => [Own, Own, All],
        A::SeeInstances => [Own, OwnAndOfOwnApps, All],
        A::ReleaseImage
        | A::SeeNodes
        | A::ManageUsers
        | A::SendMessages
        | A::ReadMessages
        | A::SeePlatform
        | A::SwitchPlatform
        | A::ManageCertificates => [Nothing, Nothing, All],
    };
    match role {
        Role::User => user,
        Role::Dev => dev,
        Role::Admin => admin,
    }
}

/// Someone who showed a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: UserName,
    pub(crate) role: Role,
}

/// Whose an object is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ownership<'a> {
    pub(crate) owner: &'a UserName,
    /// Who owns the app that the object is an instance of.
    pub(crate) app_owner: Option<&'a UserName>,
}

impl<'a> Ownership<'a> {
    pub(crate) fn of(owner: &'a UserName) -> Self {
        Ownership { owner, app_owner: None }
    }
}

impl Person {
    /// Whether this person may do this to an object of that ownership. Who may not is told that there
    /// is no such object.
    pub(crate) fn may(&self, action: Action, ownership: Ownership<'_>) -> bool {
        match grant(self.role, action) {
            Grant::Nothing => false,
            Grant::Own => *ownership.owner == self.name,
            Grant::OwnAndOfOwnApps => {
                *ownership.owner == self.name || ownership.app_owner == Some(&self.name)
            }
            Grant::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, role: Role) -> Person {
        Person { name: name.parse().unwrap(), role }
    }

    #[test]
    fn an_admin_may_do_everything() {
        let (admin, other) = (person("root.admin", Role::Admin), "ann".parse().unwrap());
        for action in
            [Action::SeeNodes, Action::MakeRelease, Action::ReadLogs, Action::SendMessages]
        {
            assert!(admin.may(action, Ownership::of(&other)), "{action:?}");
        }
    }

    #[test]
    fn a_dev_sees_instances_of_own_apps_but_neither_stops_them_nor_reads_their_logs() {
        let dev = person("dee", Role::Dev);
        let (owner, app_owner) = ("ann".parse().unwrap(), "dee".parse().unwrap());
        let ownership = Ownership { owner: &owner, app_owner: Some(&app_owner) };
        assert!(dev.may(Action::SeeInstances, ownership));
        assert!(!dev.may(Action::ChangeInstance, ownership));
        assert!(!dev.may(Action::ReadLogs, ownership));
    }

    #[test]
    fn a_user_deploys_but_makes_no_releases() {
        let user = person("ann", Role::User);
        assert!(user.may(Action::Deploy, Ownership::of(&user.name)));
        assert!(!user.may(Action::MakeRelease, Ownership::of(&user.name)));
        assert!(!user.may(Action::SeeNodes, Ownership::of(&user.name)));
        let other = "bob".parse().unwrap();
        assert!(!user.may(Action::SeeInstances, Ownership::of(&other)));
    }
}
