//! What the bootstrapper tells while it works: lines for people, objects for programs.

use std::time::Duration;

use bootstrapper::report::{Event, Report};
use common::name::NodeName;

use crate::output::Output;

/// Tells as it comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    output: Output,
}

impl Told {
    pub(super) fn new(output: Output) -> Self {
        Told { output }
    }
}

impl Report for Told {
    fn tell(&self, event: &Event) {
        if self.output.is_json() {
            // That nobody reads it is no reason to stop.
            drop(serde_json::to_string(event).map(|line| Output::line(&line)));
            return;
        }
        self.output.progress(&in_words(event));
    }
}

fn in_words(event: &Event) -> String {
    match event {
        Event::Begins { machine, step } => format!("{}{step}", prefix(machine.as_ref())),
        Event::Ends { machine, step, milliseconds } => {
            let took = Duration::from_millis(*milliseconds).as_secs_f64();
            format!("{}done in {took:.1} s: {step}", prefix(machine.as_ref()))
        }
        Event::Failed(trouble) => {
            let machine = prefix(trouble.machine.as_ref());
            format!("{machine}failed: {}: {}", trouble.step, trouble.cause)
        }
        Event::Says { sentence } => sentence.clone(),
    }
}

fn prefix(machine: Option<&NodeName>) -> String {
    machine.map(|machine| format!("{machine}: ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_machine_and_how_long() {
        let machine = Some("node-1".parse().unwrap());
        let step = "start node-1".to_owned();
        let ended =
            Event::Ends { machine: machine.clone(), step: step.clone(), milliseconds: 3210 };
        assert_eq!(in_words(&ended), "node-1: done in 3.2 s: start node-1");
        assert_eq!(in_words(&Event::Begins { machine, step }), "node-1: start node-1");
        assert_eq!(in_words(&Event::Says { sentence: "waiting".to_owned() }), "waiting");
    }
}
