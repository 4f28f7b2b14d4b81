//! The output of a container.

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use common::name::ContainerName;
use common::port::containers::{Error, Follow, LineStream};
use futures::StreamExt as _;

use super::Engine;
use super::failure::classify;

impl Engine {
    pub(super) async fn read_logs(
        &self,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error> {
        let found = self.look(name.as_str()).await?;
        let ours = found.and_then(|found| found.container);
        let container = ours.ok_or_else(|| Error::Absent(name.clone()))?;
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail(&tail.to_string())
            .follow(follow == Follow::Yes)
            .build();
        let lines = self.docker.logs(&container.id, Some(options));
        Ok(lines.map(|line| line.map(LogOutput::into_bytes).map_err(classify)).boxed())
    }
}
