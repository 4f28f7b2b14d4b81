//! When a certificate is asked for: at two thirds of its time, not all at once, and ever more rarely where it fails.

use std::time::Duration;

use common::name::HostName;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

/// Authorities count what they refuse, by the hour; who has just changed where a name leads does not want to wait for long.
const FIRST_ASK_AGAIN: Duration = Duration::from_mins(5);
const LAST_ASK_AGAIN: Duration = Duration::from_hours(24);
/// An authority that does not answer counts nothing.
const FIRST_LOOK_AGAIN: Duration = Duration::from_secs(15);
const LAST_LOOK_AGAIN: Duration = Duration::from_mins(30);
/// What an authority wants is kept to, but not for ever.
const LONGEST_WAIT: Duration = Duration::from_hours(7 * 24);
/// Of names that no public authority answers for: they lead nowhere, or to nobody else's machines.
const OF_OUR_OWN: [&str; 9] =
    ["localhost", "local", "internal", "intranet", "lan", "test", "invalid", "onion", "home.arpa"];

/// Whether a public authority may make a certificate for a host name.
pub(crate) fn is_public(host: &HostName) -> bool {
    let is_within =
        |top: &&str| host.as_str().strip_suffix(*top).is_some_and(|before| before.ends_with('.'));
    !OF_OUR_OWN.iter().any(is_within)
}

/// From when on a certificate is to be replaced. Host names of one day are spread over a thirtieth of its time.
pub(crate) fn due_at(host: &HostName, not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let lifetime = not_after.duration_since(not_before).as_secs().max(0);
    let hash = Sha256::digest(host.as_str());
    let share = hash.iter().take(2).fold(0_i64, |sum, byte| sum * 256 + i64::from(*byte));
    let seconds = lifetime / 3 * 2 + lifetime / 30 * share / 65_536;
    not_before.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(not_after)
}

/// How long nothing is tried after so many failures in a row.
pub(crate) fn wait_after(times: u32, wanted: Option<Duration>) -> Duration {
    wait(times, (FIRST_ASK_AGAIN, LAST_ASK_AGAIN), wanted)
}

/// The same where the authority did not answer, or we could not ask.
pub(crate) fn wait_after_silence(times: u32, wanted: Option<Duration>) -> Duration {
    wait(times, (FIRST_LOOK_AGAIN, LAST_LOOK_AGAIN), wanted)
}

fn wait(times: u32, (first, last): (Duration, Duration), wanted: Option<Duration>) -> Duration {
    let doubled = first.saturating_mul(1 << times.saturating_sub(1).min(16));
    doubled.min(last).max(wanted.unwrap_or_default().min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_certificate_is_due_after_two_thirds_of_its_time_and_names_are_spread() {
        let (from, until) = (at("2026-01-01T00:00:00Z"), at("2026-04-01T00:00:00Z"));
        let due = |name: &str| due_at(&name.parse().unwrap(), from, until);
        let names = ["a.example.org", "b.example.org", "c.example.org"];
        for name in names {
            let due = due(name);
            assert!(due >= at("2026-03-02T00:00:00Z") && due < at("2026-03-05T00:00:00Z"), "{due}");
        }
        assert!(due(names[0]) != due(names[1]) && due(names[1]) != due(names[2]));
        assert_eq!(due(names[0]), due(names[0]));
        // Of no time at all: at once, and never before it began.
        assert_eq!(due_at(&names[0].parse().unwrap(), from, from), from);
    }

    #[test]
    fn what_fails_is_tried_ever_more_rarely_and_never_before_the_authority_wants_it() {
        let minutes = |times, wanted| wait_after(times, wanted).as_secs() / 60;
        assert_eq!([1, 2, 3, 9, 99].map(|times| minutes(times, None)), [5, 10, 20, 1280, 1440]);
        let hours = |hours| Some(Duration::from_hours(hours));
        assert_eq!(minutes(1, hours(168)), 168 * 60);
        assert_eq!(minutes(9, hours(1)), 1280);
        assert_eq!(minutes(1, hours(9999)), 168 * 60);
        let silent = |times| wait_after_silence(times, None).as_secs();
        assert_eq!([1, 2, 8, 99].map(silent), [15, 30, 1800, 1800]);
        assert_eq!(wait_after_silence(1, hours(1)), Duration::from_hours(1));
    }

    #[test]
    fn names_of_our_own_are_asked_of_nobody() {
        let public = |name: &str| is_public(&name.parse().unwrap());
        assert!(public("shop.example.org") && public("notlocal.example") && public("a.mylocal"));
        for own in ["shop.localhost", "shop.local", "a.b.internal", "printer.home.arpa"] {
            assert!(!public(own), "{own}");
        }
    }
}
