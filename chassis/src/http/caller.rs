//! Who calls over mutual TLS: the service that the client's certificate was made for.

use std::any::Any;
use std::future::{Ready, ready};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, Payload};
use actix_web::rt::net::TcpStream;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use common::problem::Problem;
use common::service::ServiceName;
use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::Refusal;

/// The service on the other side of a mutual-TLS connection. As an extractor it refuses connections
/// whose certificate names none of the platform's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(pub ServiceName);

/// Notes the caller when a connection is opened.
pub(super) fn note(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() else { return };
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    if let Some(service) = certificate.and_then(service_of) {
        extensions.insert(Caller(service));
    }
}

/// The certificate's chain was verified when the connection was made; here only its name is read.
fn service_of(certificate: &CertificateDer<'_>) -> Option<ServiceName> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    ServiceName::ALL.into_iter().find(|service| {
        ServerName::try_from(service.as_str())
            .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    })
}

impl FromRequest for Caller {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Caller>().copied();
        ready(caller.ok_or_else(|| {
            let detail = "the client's certificate names no service of the platform";
            Refusal(Problem::new(403, "CALLER_UNKNOWN", "This caller is not known", detail))
        }))
    }
}
