//! Images that are built of code on this machine: called by the digest of what they were built of.

use bollard::query_parameters::RemoveImageOptions;
use bytes::Bytes;
use common::port::containers::Error;
use common::port::share::Code;

use super::super::failure::{attempt, is_missing};
use super::super::images::tag_of;
use super::super::{Engine, QUICK, START};

impl Engine {
    /// The engine gives the name last, so that it stands for the whole image or for none.
    pub(super) async fn build_code(&self, code: &Code, context: Bytes) -> Result<(), Error> {
        let image = code.image();
        let built = self.build_as(&tag_of(&image), image.repository(), context).await.map(drop);
        if let Err(Error::BuildFailed { output }) = &built
            && let Some(layer) = last_layer(output)
        {
            self.forget_layer(layer).await;
        }
        built
    }

    /// Removes what a failed build left, with everything below it that nothing else stands on. It is in nobody's way, so
    /// nobody is told if it stays.
    async fn forget_layer(&self, layer: &str) {
        let Ok(Ok(found)) = attempt(QUICK, self.docker.inspect_image(layer)).await else { return };
        // One that has a name is somebody's, most likely the base that the build began with.
        let has_name =
            |names: &Option<Vec<String>>| names.as_ref().is_some_and(|all| !all.is_empty());
        if has_name(&found.repo_tags) || has_name(&found.repo_digests) {
            return;
        }
        let _layers = self.layers.write().await;
        let removal = self.docker.remove_image(layer, None::<RemoveImageOptions>, None);
        if let Ok(Err(err)) = attempt(START, removal).await
            && !is_missing(&err)
        {
            tracing::debug!(error = &err as &dyn std::error::Error, layer, "a layer stays");
        }
    }
}

/// The layer that the last finished step of a build made, in the builder's words: ` ---> 3f5a2c0b9d1e`.
fn last_layer(output: &[String]) -> Option<&str> {
    let is_id = |word: &&str| word.len() >= 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    output.iter().rev().find_map(|line| line.trim().strip_prefix("---> ").filter(is_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_layer_is_read_from_the_builders_words() {
        let output = [
            "Step 1/3 : FROM example",
            " ---> 3f5a2c0b9d1e",
            "Step 2/3 : COPY main /main",
            " ---> Using cache",
            " ---> 0123456789ab",
            "Step 3/3 : RUN false",
            " ---> Running in fedcba987654",
            "The command '/bin/sh -c false' returned a non-zero code: 1",
        ];
        assert_eq!(last_layer(&output.map(str::to_owned)), Some("0123456789ab"));
        assert_eq!(last_layer(&[]), None);
    }
}
