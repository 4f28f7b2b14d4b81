//! `avishkar why NAME`.

use common::record::scale::Hours;
use serde::{Deserialize, Serialize};

use crate::cli::Why;
use crate::client::Client;
use crate::output::{Output, table};

/// `GET /api/v1/instances/{name}/decisions`.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    instance: String,
    wanted_replicas: u32,
    scaling: Option<Scaling>,
    /// Who says it, where that is not the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scaling_by: Option<String>,
    /// The newest first.
    decisions: Vec<Decision>,
    /// What was decided of its releases and places, the newest first.
    #[serde(default)]
    course: Vec<Turn>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Turn {
    at: String,
    kind: String,
    reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Scaling {
    min: u32,
    max: u32,
    cpu: u32,
    memory: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_second: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u32>,
    cooldown: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    schedule: Vec<Hours>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Decision {
    at: String,
    from: u32,
    to: u32,
    kind: String,
    reason: String,
    load: Option<Load>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Load {
    cpu_percent: u32,
    memory_percent: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_second: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u32>,
}

pub(crate) async fn run(client: &Client, args: &Why, output: Output) -> anyhow::Result<()> {
    let answer: Answer = client.get(&format!("/api/v1/instances/{}/decisions", args.name)).await?;
    output.answer(&answer, &text(&answer))
}

fn text(answer: &Answer) -> String {
    if answer.course.is_empty() {
        return numbers(answer);
    }
    let row = |turn: &Turn| vec![turn.at.clone(), turn.kind.replace('_', " "), turn.reason.clone()];
    let rows: Vec<Vec<String>> = answer.course.iter().map(row).collect();
    format!("{}\n\n{}", numbers(answer).trim_end(), table(&["AT", "WHAT", "WHY"], &rows))
}

fn numbers(answer: &Answer) -> String {
    let Answer { instance, wanted_replicas, scaling, scaling_by, decisions, course: _ } = answer;
    let wanted = match wanted_replicas {
        1 => "1 replica is".to_owned(),
        many => format!("{many} replicas are"),
    };
    let bounds = match scaling {
        Some(scaling) if scaling_by.is_some() => {
            format!("its app says no bounds, so the platform's hold, {}", bounds(scaling))
        }
        Some(scaling) => bounds(scaling),
        None => "its app says no bounds, so the number stays as it was asked for".to_owned(),
    };
    let head = format!("{wanted} wanted of {instance}: {bounds}");
    if decisions.is_empty() {
        return format!("{head}\nnothing was decided since it was deployed");
    }
    let row = |decision: &Decision| {
        let Decision { at, from, to, reason, .. } = decision;
        vec![at.clone(), format!("{from} -> {to}"), reason.clone()]
    };
    let rows: Vec<Vec<String>> = decisions.iter().map(row).collect();
    format!("{head}\n\n{}", table(&["AT", "REPLICAS", "WHY"], &rows))
}

fn bounds(scaling: &Scaling) -> String {
    let Scaling { min, max, cpu, memory, requests_per_second, latency_ms, cooldown, schedule } =
        scaling;
    let requests = requests_per_second.map(|most| format!("{most} requests a second each"));
    let latency = latency_ms.map(|most| format!("{most} ms for one of twenty requests"));
    let mut above = vec![format!("{cpu} % processor"), format!("{memory} % memory")];
    above.extend(requests.into_iter().chain(latency));
    let last = above.pop().unwrap_or_default();
    let others = above.join(", ");
    let always = format!(
        "from {min} to {max}, one more above {others} or {last}, every {cooldown} s at most"
    );
    schedule.iter().fold(always, |said, hours| {
        let most = hours.max.map(|max| format!(" to {max}")).unwrap_or_default();
        format!("{said}\n{hours}: from {}{most}", hours.min)
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    fn told(scaling: &serde_json::Value, decisions: &serde_json::Value) -> String {
        let answer = json!({
            "instance": "shop",
            "wanted_replicas": 2,
            "scaling": scaling,
            "decisions": decisions,
        });
        text(&serde_json::from_value(answer).unwrap())
    }

    #[test]
    fn each_decision_is_a_line_with_its_reason() {
        let scaling = json!({ "min": 1, "max": 5, "cpu": 80, "memory": 75, "cooldown": 30 });
        let decisions = json!([{
            "at": "2026-01-01T00:00:00Z",
            "from": 1,
            "to": 2,
            "kind": "processor",
            "reason": "the busiest of 1 replica took 97 % of its processor, more than 80 %",
            "load": { "cpu_percent": 97, "memory_percent": 20 },
        }]);
        expect![[r"
            2 replicas are wanted of shop: from 1 to 5, one more above 80 % processor or 75 % memory, every 30 s at most

            AT                    REPLICAS  WHY
            2026-01-01T00:00:00Z  1 -> 2    the busiest of 1 replica took 97 % of its processor, more than 80 %
        "]]
        .assert_eq(&format!("{}\n", told(&scaling, &decisions).trim_end()));
    }

    #[test]
    fn what_was_decided_of_releases_and_places_comes_after_the_numbers() {
        let answer = json!({
            "instance": "shop",
            "wanted_replicas": 1,
            "scaling": null,
            "decisions": [],
            "course": [{
                "at": "2026-01-02T00:00:00Z",
                "kind": "restarted",
                "reason": "replica 2 at 192.0.2.1:20001 was stopped and started again: 31 looks of its node's agent failed in a row",
            }, {
                "at": "2026-01-01T00:00:00Z",
                "kind": "canary_ended",
                "reason": "release 1 gets all requests again, as was asked for",
            }],
        });
        let text = text(&serde_json::from_value(answer).unwrap());
        expect![[r"
            1 replica is wanted of shop: its app says no bounds, so the number stays as it was asked for
            nothing was decided since it was deployed

            AT                    WHAT          WHY
            2026-01-02T00:00:00Z  restarted     replica 2 at 192.0.2.1:20001 was stopped and started again: 31 looks of its node's agent failed in a row
            2026-01-01T00:00:00Z  canary ended  release 1 gets all requests again, as was asked for
        "]]
        .assert_eq(&format!("{}\n", text.trim_end()));
    }

    #[test]
    fn an_app_that_is_balanced_by_what_visitors_ask_is_told_by_which_numbers() {
        let scaling = json!({
            "min": 1, "max": 5, "cpu": 80, "memory": 75, "cooldown": 30,
            "requests_per_second": 50, "latency_ms": 250,
        });
        let text = told(&scaling, &json!([]));
        expect![[r"
            2 replicas are wanted of shop: from 1 to 5, one more above 80 % processor, 75 % memory, 50 requests a second each or 250 ms for one of twenty requests, every 30 s at most
            nothing was decided since it was deployed
        "]]
        .assert_eq(&format!("{text}\n"));
    }

    #[test]
    fn hours_with_bounds_of_their_own_are_lines() {
        let scaling = json!({
            "min": 1, "max": 5, "cpu": 80, "memory": 75, "cooldown": 30,
            "schedule": [{
                "days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                "from": "08:00", "to": "18:00", "zone": "Europe/Vienna", "min": 4, "max": 6,
            }],
        });
        let text = told(&scaling, &json!([]));
        assert!(text.contains("\nweekdays 08:00–18:00 Europe/Vienna: from 4 to 6\n"), "{text}");
    }

    #[test]
    fn an_app_without_bounds_is_told_those_of_the_platform() {
        let scaling = json!({ "min": 1, "max": 3, "cpu": 80, "memory": 75, "cooldown": 30 });
        let answer = json!({
            "instance": "shop", "wanted_replicas": 1, "scaling": scaling, "scaling_by": "platform",
            "decisions": [],
        });
        let text = text(&serde_json::from_value(answer).unwrap());
        expect![[r"
            1 replica is wanted of shop: its app says no bounds, so the platform's hold, from 1 to 3, one more above 80 % processor or 75 % memory, every 30 s at most
            nothing was decided since it was deployed
        "]]
        .assert_eq(&format!("{text}\n"));
    }

    #[test]
    fn an_app_without_bounds_is_told_so() {
        let text = told(&json!(null), &json!([]));
        assert!(text.contains("its app says no bounds"), "{text}");
        assert!(text.ends_with("nothing was decided since it was deployed"), "{text}");
    }
}
