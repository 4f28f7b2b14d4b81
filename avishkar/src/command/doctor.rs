//! `avishkar doctor`: what is wrong with this machine, and what to do.

use serde_json::json;

use super::up::given::Given;
use super::up::needs::needs;
use super::up::settings::Settings;
use crate::cli::Doctor;
use crate::doctor::{Check, Verdict, default_folder, examine};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) async fn run(args: Doctor, output: Output) -> anyhow::Result<()> {
    let data = match &args.data {
        Some(data) => std::path::absolute(data)?,
        None => default_folder()?,
    };
    let given = Given::kept_under(&data, args.config.as_deref(), &args.overrides)?;
    let settings = Settings::read(given.sources(&data)).map_err(|err| Failure::usage(&err))?;
    let checks = examine(&needs(&settings, &data)).await;
    output.answer(&json!({ "checks": checks }), &text(&checks))?;
    let fails = |check: &&Check| matches!(check.verdict, Verdict::Failure(_));
    match checks.iter().filter(fails).count() {
        0 => Ok(()),
        failing => Err(Failure::Unfit { failing, checks: checks.len(), hint: None }.into()),
    }
}

fn text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for check in checks {
        let mark = match check.verdict {
            Verdict::Fine => "ok",
            Verdict::Warning => "!",
            Verdict::Failure(_) => "x",
        };
        lines.push(format!("{mark:<2}  {:<width$}  {}", check.name, check.sentence));
        if let Some(advice) = &check.advice {
            lines.push(format!("    {:<width$}  -> {advice}", ""));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Obstacle;

    fn check(name: &'static str, verdict: Verdict, advice: Option<&str>) -> Check {
        let advice = advice.map(str::to_owned);
        Check { name, verdict, sentence: format!("how {name} is"), advice }
    }

    #[test]
    fn each_check_is_a_line_with_its_mark_and_what_to_do_below() {
        let failure = Verdict::Failure(Obstacle::PortInUse);
        let checks = [
            check("docker", Verdict::Fine, None),
            check("memory", Verdict::Warning, Some("stop something")),
            check("front ports", failure, Some("find it")),
        ];
        expect_test::expect![[r"
            ok  docker       how docker is
            !   memory       how memory is
                             -> stop something
            x   front ports  how front ports is
                             -> find it"]]
        .assert_eq(&text(&checks));
    }

    #[test]
    fn programs_get_the_code_of_what_fails() {
        let failing = check("ports", Verdict::Failure(Obstacle::PortInUse), Some("find it"));
        let said = serde_json::to_value(failing).unwrap();
        let expected = json!({
            "name": "ports", "verdict": "failure", "code": "PORT_IN_USE",
            "sentence": "how ports is", "advice": "find it",
        });
        assert_eq!(said, expected);
    }
}
