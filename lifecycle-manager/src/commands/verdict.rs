//! `verdict$<json>`: what monitoring says of a target. It is kept to be shown; nothing is done because of it alone, as
//! what should be done is asked for by itself, and what is seen from here is what healing goes by.

use chassis::consumer::Disposition;
use chassis::operations::{self, Acceptance, Request};
use chassis::records;
use common::message::{Reject, RejectCode};
use common::port::store::{self, Op, Path};
use common::record::operation::Operation;
use serde::Deserialize;

use super::{Commands, Error, decided};
use crate::answers;
use crate::records::{Said, load, verdict_path};

/// What is read of a verdict; there may be more.
#[derive(Debug, Deserialize)]
struct Verdict {
    kind: String,
    name: String,
    #[serde(rename = "verdict")]
    says: String,
    #[serde(default)]
    text: String,
}

/// No more of a text is kept.
const LONGEST: usize = 500;

impl Commands<'_> {
    /// The request ends with its acceptance, and is answered each time it comes.
    pub(super) async fn verdict(
        &self,
        request: &Request,
        json: &str,
    ) -> Result<Disposition, Error> {
        let malformed =
            |detail: &str| Ok(Disposition::Refused(Reject::new(RejectCode::Malformed, detail)));
        let Ok(verdict) = serde_json::from_str::<Verdict>(json) else {
            return malformed("a verdict has the texts kind, name and verdict");
        };
        let Some(path) = verdict_path(&verdict.kind, &verdict.name) else {
            return malformed("its kind and name are not those of a target");
        };
        let kept = |text: &str| text.chars().take(LONGEST).collect::<String>();
        let now = self.0.ports.clock.now();
        let said = Said {
            schema: 1,
            kind: verdict.kind.clone(),
            name: verdict.name.clone(),
            verdict: kept(&verdict.says),
            text: kept(&verdict.text),
            at: now,
            request: request.id,
        };
        let accepted = decided(self.0, || self.keep(request, &path, &said)).await?;
        let text = format!("{}.{}", verdict.kind, verdict.name);
        self.answered(request, ("verdict", &text), accepted).await
    }

    async fn keep(&self, request: &Request, path: &Path, said: &Said) -> Result<Acceptance, Error> {
        let stored = load::<Said>(self.0, path).await?.map(|stored| stored.version);
        let change = match stored {
            Some(version) if said.verdict == "up" => {
                Some(Op::Delete { path: path.clone(), version })
            }
            None if said.verdict == "up" => None,
            version => Some(records::put(path.clone(), said, version)),
        };
        let mut operation = Operation::accepted(request.fingerprint.clone(), said.at);
        operation.outcome = Some(answers::outcome(&Ok(())));
        let mut ops = vec![records::put(request.path(), &operation, None)];
        ops.extend(change);
        match self.0.ports.store.commit(ops).await {
            Ok(_) => Ok(Acceptance::Repeat(operation)),
            Err(store::Error::Conflict { index: 0 }) => {
                let known = operations::look_up(self.0.ports.store.as_ref(), request).await?;
                Ok(known.ok_or(records::Error::Changed)?)
            }
            Err(store::Error::Conflict { .. } | store::Error::OutcomeUnknown(_)) => {
                Err(records::Error::Changed.into())
            }
            Err(err) => Err(records::Error::from(err).into()),
        }
    }
}
