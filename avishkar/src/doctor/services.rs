//! How the services of a platform say they are, asked at their own doors.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client as Http, Url};

use super::check::Check;
use crate::failure::Obstacle;

const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How one service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Ready,
    /// What does not hold, one sentence each.
    NotReady(Vec<String>),
    /// Why nothing is known.
    Silent(&'static str),
}

/// Asks a service whether it is ready; `door` is the address of its HTTP listener.
pub(crate) async fn ask(mut door: Url) -> Told {
    let Ok(http) = Http::builder().timeout(ANSWER_WITHIN).no_proxy().build() else {
        return Told::Silent("it cannot be asked");
    };
    door.set_path("/readyz");
    door.set_query(Some("verbose"));
    let answer = match http.get(door).send().await {
        Ok(answer) => answer,
        Err(err) if err.is_timeout() => return Told::Silent("it does not answer"),
        Err(_) => return Told::Silent("nobody listens"),
    };
    if answer.status().is_success() {
        return Told::Ready;
    }
    Told::NotReady(failing(&answer.text().await.unwrap_or_default()))
}

pub(super) async fn ask_all(doors: &[SocketAddr]) -> Vec<(SocketAddr, Told)> {
    let asked = doors.iter().map(|door| async move {
        let told = match Url::parse(&format!("http://{door}/")) {
            Ok(url) => ask(url).await,
            Err(_) => Told::Silent("its address is none"),
        };
        (*door, told)
    });
    join_all(asked).await
}

/// The conditions that do not hold, of the lines that a service lists.
fn failing(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("[-] ")).map(str::to_owned).collect()
}

/// A platform that runs is asked, not believed.
pub(super) fn check(told: &[(SocketAddr, Told)]) -> Check {
    let name = "services";
    let why = told.iter().filter_map(|(door, told)| match told {
        Told::Ready => None,
        Told::NotReady(why) if why.is_empty() => Some(format!("{door} is not ready")),
        Told::NotReady(why) => Some(why.join(", ")),
        Told::Silent(why) => Some(format!("{door}: {why}")),
    });
    let why: Vec<String> = why.collect();
    if why.is_empty() {
        return Check::fine(name, format!("all {} that listen are ready", told.len()));
    }
    let sentence = format!("the platform runs and is not ready: {}", why.join("; "));
    let advice = "wait a moment; its log, logs/avishkar_logs.log in its folder, says more";
    Check::failing(name, Obstacle::NotReady.failure(sentence, advice))
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn only_what_does_not_hold_is_told() {
        let text = "[+] store\n[-] edge: the edge cannot be reached\nnot ready\n";
        assert_eq!(failing(text), ["edge: the edge cannot be reached"]);
    }

    #[test]
    fn a_platform_that_runs_is_as_it_says_itself() {
        let door = "127.0.0.1:8010".parse().unwrap();
        assert_eq!(check(&[(door, Told::Ready)]).verdict, Verdict::Fine);
        let held = Told::NotReady(vec!["store: it is gone".to_owned()]);
        for told in [held, Told::Silent("nobody listens")] {
            let check = check(&[(door, Told::Ready), (door, told)]);
            assert_eq!(check.verdict, Verdict::Failure(Obstacle::NotReady), "{check:?}");
        }
    }

    #[tokio::test]
    async fn a_door_that_nobody_opens_is_silent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let door = listener.local_addr().unwrap();
        drop(listener);
        let told = ask_all(&[door]).await;
        assert_eq!(told, [(door, Told::Silent("nobody listens"))]);
    }
}
