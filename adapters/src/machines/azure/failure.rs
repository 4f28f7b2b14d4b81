//! What Azure's refusals mean for a machine.

use common::name::NodeName;
use common::port::Cause;
use common::port::machines::Error;
use serde_json::Value;

/// More of a message is not told.
const LONGEST: usize = 500;

/// What there is not enough of.
const FULL: [&str; 8] = [
    "AllocationFailed",
    "OverconstrainedAllocationRequest",
    "OverconstrainedZonalAllocationRequest",
    "QuotaExceeded",
    "SkuNotAvailable",
    "SubnetIsFull",
    "ResourceQuotaExceeded",
    "ZonalAllocationFailed",
];
/// What is somebody else's, or was asked for otherwise before.
const TAKEN: [&str; 7] = [
    "PreconditionFailed",
    "PrivateIPAddressInReservedRange",
    "PrivateIPAddressInUse",
    "PrivateIPAddressIsAllocated",
    "PrivateIPAddressNotInSubnet",
    "PropertyChangeNotAllowed",
    "PublicIPAddressInUse",
];
/// Who is not known, or may not.
const FORBIDDEN: [&str; 5] = [
    "AuthorizationFailed",
    "ExpiredAuthenticationToken",
    "InvalidAuthenticationToken",
    "LinkedAuthorizationFailed",
    "SubscriptionNotFound",
];
/// What ends by itself: the same request may pass in a moment.
const BUSY: [&str; 7] = [
    "AnotherOperationInProgress",
    "Conflict",
    "ConflictingConcurrentWriteNotAllowed",
    "NicReservedForAnotherVm",
    "ReferencedResourceNotProvisioned",
    "ResourceGroupBeingDeleted",
    "RetryableError",
];
/// What another process undid, or Azure itself did not manage.
const LATER: [&str; 5] = [
    "InternalExecutionError",
    "InternalServerError",
    "InvalidResourceReference",
    "OperationPreempted",
    "ResourceGroupNotFound",
];

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// Not now, and whether it was done is unknown.
    Unavailable(Cause),
    Credentials(Cause),
    Full(String),
    Taken(String),
    Refused(String),
}

/// A refusal in Azure's words: an answer's, or the end of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Of the answer; 0 for the end of an operation.
    pub(super) status: u16,
    pub(super) code: String,
    message: String,
}

impl Refusal {
    /// `body` has an `error` with a `code` and a `message`, or is nothing of that kind.
    pub(super) fn read(status: u16, body: &Value) -> Self {
        let of = |field: &str| {
            let text = body.get("error").unwrap_or(body).get(field).and_then(Value::as_str);
            text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        Refusal { status, code: of("code"), message: of("message") }
    }

    /// Whether the same request may pass once something else has ended.
    pub(super) fn is_busy(&self) -> bool {
        BUSY.contains(&self.code.as_str()) && !self.is_taken()
    }

    /// A disk that a machine of this name left is told as a conflict, too.
    fn is_taken(&self) -> bool {
        let left = self.code == "Conflict" && self.message.contains("already exists");
        left || TAKEN.contains(&self.code.as_str())
    }

    /// Whether nothing was there to look at.
    pub(super) fn is_missing(&self) -> bool {
        self.status == 404 && self.code != "SubscriptionNotFound"
    }

    pub(super) fn fault(self) -> Fault {
        let code = self.code.as_str();
        // The one code says that there are too few cores, and that a machine is on its way out.
        let over_quota = code == "OperationNotAllowed" && self.message.contains("quota");
        if over_quota || FULL.contains(&code) || code.ends_with("LimitReached") {
            return Fault::Full(self.told());
        }
        if self.is_taken() {
            return Fault::Taken(self.told());
        }
        let by_policy = code == "RequestDisallowedByPolicy";
        let is_forbidden = matches!(self.status, 401 | 403) && !by_policy;
        if is_forbidden || FORBIDDEN.contains(&code) {
            return Fault::Credentials(self.told().into());
        }
        let is_passing = matches!(self.status, 408 | 429 | 500..) || self.is_busy();
        if is_passing || LATER.contains(&code) {
            return Fault::Unavailable(self.told().into());
        }
        Fault::Refused(self.told())
    }

    fn told(&self) -> String {
        let text = match (self.code.as_str(), self.message.as_str()) {
            ("", "") => format!("it answered {}", self.status),
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        text.chars().take(LONGEST).collect()
    }
}

impl Fault {
    /// Whether the same call may work later without anybody's help.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Fault::Unavailable(_))
    }

    /// What it means for a machine.
    pub(super) fn of(self, name: &NodeName) -> Error {
        match self {
            Fault::Unavailable(source) => Error::Unavailable(source),
            Fault::Credentials(source) => Error::CredentialsRefused(source),
            Fault::Full(what) => Error::Quota { name: name.clone(), what },
            Fault::Taken(what) => Error::InUse { name: name.clone(), what },
            Fault::Refused(what) => Error::Refused(what),
        }
    }

    /// What it means where no machine is asked for.
    pub(super) fn of_all(self) -> Error {
        match self {
            Fault::Unavailable(source) => Error::Unavailable(source),
            Fault::Credentials(source) => Error::CredentialsRefused(source),
            Fault::Full(what) | Fault::Taken(what) | Fault::Refused(what) => Error::Refused(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(status: u16, code: &str, message: &str) -> Error {
        let body = json!({"error": {"code": code, "message": message}});
        Refusal::read(status, &body).fault().of(&"node-1".parse().unwrap())
    }

    #[test]
    fn too_little_is_told_from_what_is_taken_and_from_who_may_not() {
        let cores = "results in exceeding approved Total Regional Cores quota";
        assert!(matches!(refused(409, "OperationNotAllowed", cores), Error::Quota { .. }));
        for code in ["QuotaExceeded", "SkuNotAvailable", "PublicIPCountLimitReached"] {
            assert!(matches!(refused(409, code, "no"), Error::Quota { .. }), "{code}");
        }
        let deleted = "is not allowed since it is marked for deletion";
        assert!(matches!(refused(409, "OperationNotAllowed", deleted), Error::Refused(_)));
        assert!(matches!(refused(400, "PrivateIPAddressInUse", ""), Error::InUse { .. }));
        assert!(matches!(refused(409, "Conflict", "disk already exists"), Error::InUse { .. }));
        assert!(matches!(refused(409, "Conflict", "concurrent request"), Error::Unavailable(_)));
        assert!(matches!(refused(412, "PreconditionFailed", ""), Error::InUse { .. }));
        assert!(matches!(refused(403, "AuthorizationFailed", ""), Error::CredentialsRefused(_)));
        assert!(matches!(refused(403, "RequestDisallowedByPolicy", ""), Error::Refused(_)));
        assert!(matches!(refused(404, "SubscriptionNotFound", ""), Error::CredentialsRefused(_)));
        assert!(matches!(refused(429, "TooManyRequests", ""), Error::Unavailable(_)));
        assert!(matches!(refused(503, "", ""), Error::Unavailable(_)));
        assert!(matches!(refused(0, "OperationPreempted", ""), Error::Unavailable(_)));
        assert!(matches!(refused(400, "InvalidParameter", ""), Error::Refused(_)));
    }

    #[test]
    fn what_azure_says_is_told_in_one_short_line() {
        let Error::Refused(told) = refused(400, "InvalidParameter", "one\r\n  two") else {
            panic!("it is refused")
        };
        assert_eq!(told, "InvalidParameter: one two");
        let Error::Refused(told) = refused(400, "X", &"a".repeat(1000)) else {
            panic!("it is refused")
        };
        assert_eq!(told.len(), LONGEST);
        let body = Value::String("<html>".to_owned());
        assert_eq!(Refusal::read(404, &body).told(), "it answered 404");
    }
}
