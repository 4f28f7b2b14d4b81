//! Why a bundle is no model that could be served, and what to change.

use common::problem::Problem;

use crate::bundle::model::Error;

pub(super) fn problem(err: &Error) -> Problem {
    let say = |code: &str, title: &str| Problem::new(422, code, title, err.to_string());
    match err {
        Error::FileMissing(_) => say("MODEL_FILE_MISSING", "The model's file is not in the bundle")
            .hint("put it into the bundle, or name the one that is there as file under [model]"),
        Error::FileTooLarge { .. } => {
            say("MODEL_FILE_TOO_LARGE", "The model's file is larger than a replica's memory")
                .hint("ask for more memory in avishkar.toml: memory = \"1g\"; or make it smaller")
        }
        Error::BodyTooLarge { .. } => {
            say("MANIFEST_INVALID", "What the bundle says about itself is not understood").hint(
                "ask for more memory in avishkar.toml: memory = \"1g\"; or for a smaller body",
            )
        }
        Error::ContractMissing(_) => {
            say("MODEL_CONTRACT_MISSING", "The model's contract is not in the bundle")
                .hint("put a model.py beside avishkar.toml, or name it as contract under [model]")
        }
        Error::ContractInvalid(_) => {
            say("MODEL_CONTRACT_INVALID", "The model's contract cannot be called")
                .hint("write def load(path) and def predict(model, input) at its top level")
        }
        Error::Procfile => say("PROCFILE_INVALID", "A model has no Procfile")
            .hint("leave it out, or leave out [model] of avishkar.toml"),
    }
}
