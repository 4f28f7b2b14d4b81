//! Routes as rows of a table: the router is built from it, and `docs/api-map.md` is written from it.
//!
//! What is in no row does not exist, and a row says who may come in: there is no other way to add a
//! route. Never knows what a route does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::ready;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, resource, to};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, Route};
use common::problem::Problem;
use common::service::ServiceName;

use super::{Refusal, access};

/// One route of a service. `A` is how the service says who may come in.
#[derive(Debug)]
pub struct Endpoint<A = Access> {
    pub method: Method,
    /// As the router reads it: `/api/v1/nodes/{node}`.
    pub path: &'static str,
    pub access: A,
    /// The features that it is part of, as `docs/features.md` numbers them.
    pub features: &'static [u8],
    /// What answers, without its method and before anybody is refused.
    pub route: fn() -> Route,
    /// The source document that laid it down; none if it is our own.
    pub document: Option<u8>,
    /// Another row, `METHOD path`, that does the same.
    pub same_as: Option<&'static str>,
}

impl<A> Endpoint<A> {
    /// A route of our own.
    pub const fn new(
        method: Method,
        path: &'static str,
        access: A,
        features: &'static [u8],
        route: fn() -> Route,
    ) -> Self {
        Endpoint { method, path, access, features, route, document: None, same_as: None }
    }

    /// It is a route of the source document of that number.
    #[must_use]
    pub const fn of_document(mut self, number: u8) -> Self {
        self.document = Some(number);
        self
    }

    /// It does what this row does, `METHOD path`.
    #[must_use]
    pub const fn same_as(mut self, row: &'static str) -> Self {
        self.same_as = Some(row);
        self
    }
}

/// Who may come in, and so on which listener a route is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The plain listener.
    Anyone,
    /// The plain listener, and only where `http.document_001_gets` is on: a GET that changes something.
    ActingGet,
    /// The mutual-TLS listener: these, known by their certificates.
    Services(&'static [ServiceName]),
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Access::Anyone => f.write_str("anyone"),
            Access::ActingGet => f.write_str("anyone, where `http.document_001_gets` is on"),
            Access::Services(callers) => {
                let names: Vec<&str> = callers.iter().map(|caller| caller.as_str()).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

/// Which of a service's listeners is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    Plain { document_001_gets: bool },
    MutualTls,
}

/// Adds the rows that belong on this listener.
pub fn mount(table: &'static [Endpoint], listener: Listener, routes: &mut ServiceConfig) {
    let gets_act = listener == Listener::Plain { document_001_gets: true };
    let belongs = |row: &&Endpoint| {
        matches!(row.access, Access::Services(_)) == (listener == Listener::MutualTls)
    };
    let guarded = |row: &'static Endpoint| match row.access {
        Access::Anyone => Some((row.route)()),
        Access::ActingGet => gets_act.then(row.route),
        Access::Services(callers) => {
            let admit = from_fn(move |request, next| access::admit(callers, request, next));
            Some((row.route)().wrap(admit))
        }
    };
    let refuse = |_: &Endpoint, problem| Refusal(problem).error_response();
    register(table.iter().filter(belongs), guarded, refuse, routes);
}

/// Adds rows, those of one path together.
///
/// `guarded` is a row's route behind what its access asks for, or none where the row is switched off.
/// `refuse` words what is said to a request that has a path of the rows and is for none of them.
pub fn register<A: 'static>(
    rows: impl Iterator<Item = &'static Endpoint<A>>,
    guarded: impl Fn(&'static Endpoint<A>) -> Option<Route>,
    refuse: fn(&Endpoint<A>, Problem) -> HttpResponse,
    routes: &mut ServiceConfig,
) {
    let mut paths: BTreeMap<&str, Vec<&'static Endpoint<A>>> = BTreeMap::new();
    for row in rows {
        paths.entry(row.path).or_default().push(row);
    }
    for (path, rows) in paths {
        let Some(first) = rows.first().copied() else { continue };
        let mut resource = resource(pattern(path));
        let mut methods = Methods { on: BTreeSet::new(), off: BTreeSet::new() };
        for row in rows {
            if let Some(route) = guarded(row) {
                resource = resource.route(route.method(row.method.clone()));
                methods.on.insert(row.method.as_str());
            } else {
                methods.off.insert(row.method.as_str());
            }
        }
        let unmatched = move |request: HttpRequest| {
            let mut response = refuse(first, methods.problem(request.method().as_str()));
            if let Ok(value) = HeaderValue::from_str(&methods.allowed()) {
                response.headers_mut().insert(ALLOW, value);
            }
            ready(response)
        };
        #[expect(clippy::disallowed_methods, reason = "this is where rows become routes")]
        routes.service(resource.default_service(to(unmatched)));
    }
}

/// A part of the path may be empty: then it is no name, and that is said instead of "nothing is here".
fn pattern(path: &str) -> String {
    path.replace('}', ":[^/]*}")
}

/// The methods of one path.
#[derive(Clone)]
struct Methods {
    on: BTreeSet<&'static str>,
    off: BTreeSet<&'static str>,
}

impl Methods {
    /// Why no route of the path took the request.
    fn problem(&self, method: &str) -> Problem {
        if self.on.contains(method) {
            let detail = "send the body as the kind that this path takes";
            Problem::new(415, "CONTENT_TYPE_INVALID", "The body is of another kind", detail)
        } else if self.off.contains(method) {
            let detail =
                "GETs that change something are off; the setting http.document_001_gets has them";
            Problem::new(405, "DOCUMENT_001_GETS_OFF", "This path is switched off", detail)
        } else {
            let detail = "this path does not take this method";
            Problem::new(405, "METHOD_NOT_ALLOWED", "This method is not allowed", detail)
        }
    }

    /// The header `Allow`.
    fn allowed(&self) -> String {
        self.on.iter().copied().collect::<Vec<_>>().join(", ")
    }
}

/// Every service that may call a row of the table.
pub fn callers(table: &[Endpoint]) -> Vec<ServiceName> {
    let named = table.iter().flat_map(|row| match row.access {
        Access::Services(callers) => callers,
        Access::Anyone | Access::ActingGet => &[],
    });
    named.copied().collect::<BTreeSet<_>>().into_iter().collect()
}
