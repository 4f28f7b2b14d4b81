//! `avishkar schedule NAME`, `avishkar schedules` and `avishkar unschedule NAME`.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cli::{Schedule, Unschedule};
use crate::client::Client;
use crate::output::{Output, table};

/// A schedule as the platform shows it.
#[derive(Debug, Serialize, Deserialize)]
struct Scheduled {
    instance: String,
    description: String,
    zone: String,
    state: String,
    open: Option<Window>,
    next: Option<Window>,
    /// What else there is, for programs.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Window {
    local: String,
    start: String,
    end: Option<String>,
}

/// A schedule that was taken away.
#[derive(Debug, Serialize, Deserialize)]
struct Unscheduled {
    instance: String,
    request_id: String,
}

pub(crate) async fn make(client: &Client, args: &Schedule, output: Output) -> anyhow::Result<()> {
    let path = path(args.name.as_str());
    let request = client.request(Method::PUT, &path)?.timeout(crate::client::ANSWER_WITHIN);
    let scheduled: Scheduled = client.send(request.json(&body(args))).await?;
    let Scheduled { instance, description, zone, .. } = &scheduled;
    let next = scheduled.next.as_ref().or(scheduled.open.as_ref());
    let next = next.map_or_else(String::new, |next| format!(", next at {}", next.local));
    output.answer(&scheduled, &format!("{instance} runs {description} ({zone}){next}"))
}

pub(crate) async fn list(client: &Client, output: Output) -> anyhow::Result<()> {
    let all: Vec<Scheduled> = client.get("/api/v1/schedules").await?;
    let row = |one: &Scheduled| {
        let next = one.next.as_ref();
        vec![
            one.instance.clone(),
            one.description.clone(),
            one.zone.clone(),
            one.state.clone(),
            next.map(|next| next.local.clone()).unwrap_or_default(),
            next.and_then(|next| next.end.clone()).unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let text = if rows.is_empty() {
        "nothing is scheduled; try `avishkar schedule NAME --daily 09:00 --until 17:00 --zone ZONE`"
            .to_owned()
    } else {
        table(&["NAME", "RUNS", "ZONE", "STATE", "NEXT START", "NEXT END (UTC)"], &rows)
    };
    output.answer(&all, &text)
}

pub(crate) async fn remove(
    client: &Client,
    args: &Unschedule,
    output: Output,
) -> anyhow::Result<()> {
    let gone: Unscheduled = client.delete(&path(args.name.as_str())).await?;
    let text = format!("{} has no schedule any more; what runs of it goes on", gone.instance);
    output.answer(&gone, &text)
}

fn path(name: &str) -> String {
    format!("/api/v1/instances/{name}/schedule")
}

/// What was typed, as the platform takes it; it says what is wrong with it.
fn body(args: &Schedule) -> Value {
    let (kind, at) = if let Some(start) = &args.at {
        ("once", json!({ "start": start, "end": args.until }))
    } else if let Some(at) = &args.daily {
        ("daily", json!({ "at": at, "until": args.until }))
    } else if let Some(weekly) = &args.weekly {
        ("weekly", json!({ "days": weekly.days, "at": weekly.at, "until": args.until }))
    } else {
        ("cron", json!({ "expression": args.cron }))
    };
    let common = json!({
        "kind": kind, "zone": args.zone, "for": args.length, "release": args.release,
        "replicas": args.replicas,
    });
    let members = [at, common].into_iter().filter_map(|part| match part {
        Value::Object(members) => Some(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    });
    let said = members.flatten().filter(|(_, value)| !value.is_null());
    Value::Object(said.collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn typed(words: &str) -> Value {
        let words = ["avishkar", "schedule", "shop"].into_iter().chain(words.split(' '));
        let cli = Cli::try_parse_from(words).unwrap();
        let Command::Schedule(args) = cli.command else { panic!("it is a schedule") };
        body(&args)
    }

    #[test]
    fn what_is_typed_is_said_in_the_platforms_words() {
        assert_eq!(
            typed("--at 2026-11-22T09:00 --until 2026-11-22T17:00 --zone UTC"),
            json!({ "kind": "once", "start": "2026-11-22T09:00", "end": "2026-11-22T17:00", "zone": "UTC" })
        );
        assert_eq!(
            typed("--daily 09:00 --until 17:00 --zone Europe/Berlin --replicas 2"),
            json!({ "kind": "daily", "at": "09:00", "until": "17:00", "zone": "Europe/Berlin", "replicas": 2 })
        );
        assert_eq!(
            typed("--weekly mon,fri@09:00 --for 8h --zone UTC --release 3"),
            json!({ "kind": "weekly", "days": ["mon", "fri"], "at": "09:00", "for": "8h", "zone": "UTC", "release": 3 })
        );
        assert_eq!(
            typed("--cron @daily --for 30m --zone UTC"),
            json!({ "kind": "cron", "expression": "@daily", "for": "30m", "zone": "UTC" })
        );
    }

    #[test]
    fn one_kind_is_typed_and_a_zone() {
        for words in [
            "--zone UTC --until 17:00",
            "--daily 09:00 --until 17:00",
            "--daily 09:00 --cron @daily --for 1h --zone UTC",
            "--daily 09:00 --until 17:00 --for 8h --zone UTC",
            "--cron @daily --until 17:00 --zone UTC",
        ] {
            let words: Vec<&str> =
                ["avishkar", "schedule", "shop"].into_iter().chain(words.split(' ')).collect();
            assert!(Cli::try_parse_from(&words).is_err(), "{words:?}");
        }
    }
}
