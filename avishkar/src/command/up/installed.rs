//! `avishkar up --install`: the same as a systemd unit. What keeps the platform from starting is found before a unit is
//! written, and a platform that runs in the background is taken over.

use serde_json::json;

use super::Start;
use crate::command::down;
use crate::output::Output;
use crate::unit;

pub(super) async fn start(start: &Start<'_>, output: Output) -> anyhow::Result<()> {
    unit::must_be_possible().await?;
    unit::must_be_of(start.data)?;
    if unit::runs().await {
        down::check_home(&start.needs.socket, start.data).await?;
    } else {
        if down::end_process(start.data, output).await?.is_some() {
            output.progress("the unit takes over, and apps go on");
        }
        start.preflight(output).await?;
    }
    let program = std::env::current_exe()?;
    let arguments = start.given.words()?;
    let settings = unit::Settings { program, folder: start.data.to_owned(), arguments };
    let installed = unit::install(&settings).await?;
    let mut text = format!("{} is installed, and runs", installed.file.display());
    for note in &installed.notes {
        text.push_str(&format!("\n  {note}"));
    }
    text.push_str(&format!("\n  its output: {}", installed.logs));
    let said = json!({ "unit": installed.file, "logs": installed.logs, "notes": installed.notes });
    output.answer(&said, &text)
}
