//! What an app said last.

use std::time::Duration;

use common::failure::last_words;
use common::port::containers::Follow;
use futures::StreamExt as _;

use super::Round;
use super::container::Placed;

const LINES: usize = 50;
const WITHIN: Duration = Duration::from_secs(2);

/// The last lines of a container's output; none if they cannot be had in time.
pub(super) async fn of(round: &Round<'_>, placed: &Placed<'_>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let read = async {
        let nodes = round.shared.ports.nodes.as_ref();
        let logs = nodes.logs(&placed.agent, &placed.name, LINES, Follow::No).await;
        let Ok(mut stream) = logs else { return };
        while let Some(Ok(line)) = stream.next().await {
            lines.push(String::from_utf8_lossy(&line).into_owned());
            if lines.len() > LINES {
                lines.remove(0);
            }
        }
    };
    // What has come by then is shown.
    drop(tokio::time::timeout(WITHIN, read).await);
    last_words(lines.iter().map(String::as_str))
}
