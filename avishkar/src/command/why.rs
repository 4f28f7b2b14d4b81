//! `avishkar why NAME`.

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
    /// The newest first.
    decisions: Vec<Decision>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Scaling {
    min: u32,
    max: u32,
    cpu: u32,
    memory: u32,
    cooldown: u32,
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
}

pub(crate) async fn run(client: &Client, args: &Why, output: Output) -> anyhow::Result<()> {
    let answer: Answer = client.get(&format!("/api/v1/instances/{}/decisions", args.name)).await?;
    output.answer(&answer, &text(&answer))
}

fn text(answer: &Answer) -> String {
    let Answer { instance, wanted_replicas, scaling, decisions } = answer;
    let wanted = match wanted_replicas {
        1 => "1 replica is".to_owned(),
        many => format!("{many} replicas are"),
    };
    let bounds = match scaling {
        Some(Scaling { min, max, cpu, memory, cooldown }) => format!(
            "from {min} to {max}, one more above {cpu} % processor or {memory} % memory, every {cooldown} s at most"
        ),
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
    fn an_app_without_bounds_is_told_so() {
        let text = told(&json!(null), &json!([]));
        assert!(text.contains("its app says no bounds"), "{text}");
        assert!(text.ends_with("nothing was decided since it was deployed"), "{text}");
    }
}
