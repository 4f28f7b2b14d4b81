//! What to do next about a failure: one sentence per code.

use common::failure::FailureCode;

/// The hint beside a failure of what was asked of the lifecycle manager about machines and services. Restarts of apps and
/// models fail as deployments do.
pub(crate) fn hint_of_upkeep(code: FailureCode) -> &'static str {
    if matches!(code, FailureCode::NodeUnavailable | FailureCode::NodeUnknown) {
        "see the machines, how they are, and why, with: avishkar machines"
    } else if matches!(code, FailureCode::HealthTimeout | FailureCode::DeadlineExceeded) {
        "see what is missing with `avishkar platform status` and `avishkar machines`"
    } else if code == FailureCode::RestartHeld {
        "see first to the machine that it names; where it names none, to the network between them"
    } else if code == FailureCode::Internal {
        "the log of the lifecycle manager has the details"
    } else {
        hint(code)
    }
}

/// The hint that stands beside a failure.
pub(crate) fn hint(code: FailureCode) -> &'static str {
    match code {
        FailureCode::AppUnknown => "make a release of the app first: avishkar deploy DIR",
        FailureCode::ReleaseUnknown => "see the app's releases, and deploy one of them",
        FailureCode::UnknownInstance => "see what is deployed with: avishkar apps",
        FailureCode::NoNodeFits => {
            "stop something, ask for less memory or processor in avishkar.toml, or add a node"
        }
        FailureCode::PortsExhausted | FailureCode::FrontPortsExhausted => {
            "stop something, or widen the range of ports in the platform's settings"
        }
        FailureCode::BundleUnrecognised => {
            "add requirements.txt, pyproject.toml, main.py, package.json or index.html"
        }
        FailureCode::BundleUnavailable => "upload the bundle again: avishkar deploy DIR",
        FailureCode::BuildFailed => "the last lines of the build say which step failed",
        FailureCode::BuildTimeout => "depend on less, or try again: finished layers are kept",
        FailureCode::ImageUnavailable => "check that the registry runs, then try again",
        FailureCode::AppExited => "the app's last lines of output say why it ended",
        FailureCode::OomKilled => "ask for more memory in avishkar.toml: memory = \"512m\"",
        FailureCode::HealthTimeout => "listen on the port in $PORT, on 0.0.0.0, not on 127.0.0.1",
        FailureCode::CrashLoop => "the app's last lines of output say why it ends again and again",
        FailureCode::PortTaken => "try again: another port is taken then",
        FailureCode::NodeUnavailable => "try again: another node is taken while this one is away",
        FailureCode::InsufficientStorage => "free space on the node, then try again",
        FailureCode::NoCanary => "see `avishkar releases`, and deploy with --canary",
        FailureCode::ErrorsRose => "see its output with `avishkar logs`, and deploy what is better",
        FailureCode::HostTaken => "ask for another host name, or take it from the app that has it",
        FailureCode::LbConfRejected => "see in the load balancer's log what of it nginx refuses",
        FailureCode::RouteFailed => "check that the load balancer and the edge run, then try again",
        FailureCode::DeadlineExceeded => "try again; if it happens again, see the services' logs",
        FailureCode::ReplicasOutOfBounds => "ask for as many as the platform's bounds allow",
        FailureCode::ScheduleEndBeforeStart => "say an end that comes after the start",
        FailureCode::ScheduleInPast => "say a time that is still to come, in the right time zone",
        FailureCode::ScheduleMissed => {
            "nothing: the next window is started; deploy it by hand if it is wanted now"
        }
        FailureCode::Superseded => "a newer request took its place: look at that one",
        FailureCode::ServiceUnknown => "see the services' names with: avishkar doctor",
        FailureCode::NodeUnknown => "see the nodes' names with: avishkar nodes",
        FailureCode::RestartHeld => "look at the network between the machines; it ends by itself",
        FailureCode::RestartTooSoon => "wait a moment; if a restart does not help, see why",
        FailureCode::ChangeUnderway => {
            "see `avishkar platform status`, and ask again when it has ended"
        }
        FailureCode::MachinesExhausted => {
            "see `avishkar machines`; where no more may be added, stop apps or have fewer replicas"
        }
        FailureCode::ShareUnknown => "name a share of platform.toml, and see what it says of it",
        FailureCode::ShareUnavailable => "see whether the share can be reached from the node",
        FailureCode::ShareRefused => "give the share's current key, and see the node's clock",
        FailureCode::CodeUnfit => "put a Dockerfile and what it needs into the share's folder",
        FailureCode::CodeMismatch => "name the digest of what is there, or put back what was meant",
        FailureCode::NotAModel => "restart it as an app, or give its avishkar.toml a [model]",
        FailureCode::SingleProcess => {
            "Ctrl-C ends the platform's process, and apps go on; `avishkar down` ends both"
        }
        FailureCode::Internal => "the log of the deployment manager has the details",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_for_the_sake_of_an_ensemble_is_never_said_to_end_by_itself() {
        let told = hint_of_upkeep(FailureCode::RestartHeld);
        assert!(told.contains("the machine that it names"), "{told}");
        assert!(!told.contains("by itself"), "{told}");
    }

    #[test]
    fn nobody_is_told_to_add_a_machine_to_a_file_that_apply_refuses_then() {
        for told in [hint, hint_of_upkeep].map(|of| of(FailureCode::MachinesExhausted)) {
            assert!(!told.contains("platform.toml"), "{told}");
            assert!(told.contains("fewer replicas"), "{told}");
        }
    }
}
