//! What an instance that stands by answers: a redirect to the leader, where one is known.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::LOCATION;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use super::common_endpoints::{self, About};
use crate::lifecycle::Role;

/// Sends requests for the service's own routes to its leader. While nobody is known to lead, they are
/// answered here, with what the service says when it cannot act.
pub(super) async fn send_to_leader<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match leaders_url(&request) {
        Some(url) => {
            let answer = HttpResponse::TemporaryRedirect().insert_header((LOCATION, url)).finish();
            Ok(request.into_response(answer))
        }
        None => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
    }
}

fn leaders_url(request: &ServiceRequest) -> Option<String> {
    let about = request.app_data::<Data<Arc<About>>>()?;
    let Role::StandsBy { leader: Some(leader) } = about.lifecycle.role() else { return None };
    let is_common = common_endpoints::ENDPOINTS.iter().any(|row| row.path == request.path());
    let is_leaders = about.leader_paths.contains(&request.path());
    let is_own = about.own_paths.contains(&request.path());
    if is_common || is_own || (about.any_instance_answers && !is_leaders) {
        return None;
    }
    let is_internal = request.app_config().secure();
    let (scheme, address) =
        if is_internal { ("https", leader.internal?) } else { ("http", leader.plain) };
    Some(format!("{scheme}://{address}{}", request.uri()))
}
