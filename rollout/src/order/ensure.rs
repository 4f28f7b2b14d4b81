//! Ordering a part of a node's agent, with what the agent has to know for it.

use common::failure::FailureCode;
use common::port::Parts;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartSpec};
use common::port::share::Code;

use crate::parts::Secrets;

/// Has a part run as specified. An agent that does not know the share of its code is told of it then, and not before: who
/// changed what opens a share on a machine is not overruled.
pub async fn ensure_part(
    parts: &dyn Parts,
    agent: &Agent,
    issuer: Issuer,
    spec: &PartSpec,
    secrets: &Secrets,
) -> Result<Part, Error> {
    let refused = match parts.ensure_part(agent, issuer, spec).await {
        Err(err) if is_unknown_share(&err) => err,
        made => return made,
    };
    let PartImage::Built(code) = &spec.image else { return Err(refused) };
    let Some(access) = secrets.shares.get(&code.share) else { return Err(refused) };
    parts.share_is(agent, issuer, &code.share, access).await?;
    parts.ensure_part(agent, issuer, spec).await
}

/// Has the image of code be on a node, in the same way.
pub async fn ensure_code(
    parts: &dyn Parts,
    agent: &Agent,
    issuer: Issuer,
    code: &Code,
    secrets: &Secrets,
) -> Result<(), Error> {
    let refused = match parts.build_code(agent, issuer, code).await {
        Err(err) if is_unknown_share(&err) => err,
        made => return made,
    };
    let Some(access) = secrets.shares.get(&code.share) else { return Err(refused) };
    parts.share_is(agent, issuer, &code.share, access).await?;
    parts.build_code(agent, issuer, code).await
}

fn is_unknown_share(err: &Error) -> bool {
    matches!(err, Error::Failed { failure, .. } if failure.code == FailureCode::ShareUnknown)
}
