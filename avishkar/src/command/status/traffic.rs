//! What visitors asked lately, in words and as a table.

use common::port::routes::Visitors;

use crate::command::instance::Instance;
use crate::output::table;

/// One line for one instance.
pub(super) fn sentence(visitors: &Visitors) -> String {
    let Visitors { seconds, requests, errors, in_flight, .. } = visitors;
    if *requests == 0 {
        return format!("nobody asked in the last {seconds} s, {in_flight} under way");
    }
    let (rate, share) = (rate(visitors), share(visitors));
    let [p50, p99] = [visitors.p50_ms, visitors.p99_ms].map(milliseconds);
    format!(
        "{rate} requests a second, {errors} of {requests} failed ({share}), p50 {p50}, p99 {p99}, {in_flight} under way, in the last {seconds} s"
    )
}

/// A line for each instance whose visitors are counted; none where there is none.
pub(super) fn rows(instances: &[Instance]) -> Option<String> {
    let row = |(instance, visitors): (&Instance, &Visitors)| {
        vec![
            instance.name.clone(),
            rate(visitors),
            share(visitors),
            milliseconds(visitors.p50_ms),
            milliseconds(visitors.p99_ms),
        ]
    };
    let told = instances.iter().filter_map(|one| Some((one, one.traffic.as_ref()?)));
    let rows: Vec<Vec<String>> = told.map(row).collect();
    let heads = ["INSTANCE", "REQUESTS/S", "ERRORS", "P50", "P99"];
    (!rows.is_empty()).then(|| table(&heads, &rows))
}

/// With one digit behind the point.
fn rate(visitors: &Visitors) -> String {
    tenths(visitors.requests, 10, visitors.seconds.into())
}

fn share(visitors: &Visitors) -> String {
    match visitors.requests {
        0 => "-".to_owned(),
        requests => format!("{} %", tenths(visitors.errors, 1000, requests)),
    }
}

fn tenths(count: u64, times: u64, of: u64) -> String {
    let tenths = count.saturating_mul(times) / of.max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn milliseconds(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitors() -> Visitors {
        Visitors {
            seconds: 60,
            requests: 750,
            errors: 3,
            in_flight: 2,
            p50_ms: Some(4),
            p99_ms: Some(80),
        }
    }

    #[test]
    fn an_instance_is_told_in_one_line() {
        let expected = "12.5 requests a second, 3 of 750 failed (0.4 %), p50 4 ms, p99 80 ms, 2 under way, in the last 60 s";
        assert_eq!(sentence(&visitors()), expected);
        let nobody = Visitors { seconds: 7, ..Visitors::default() };
        assert_eq!(sentence(&nobody), "nobody asked in the last 7 s, 0 under way");
        // Just begun: nothing is divided by nothing.
        assert!(sentence(&Visitors { seconds: 0, ..visitors() }).starts_with("750.0 requests"));
    }

    #[test]
    fn instances_that_nobody_counts_are_left_out() {
        let instance = |name: &str, traffic: Option<Visitors>| {
            let shown = serde_json::json!({
                "name": name, "app": "shop", "release": 1, "state": "deployed", "url": null,
                "request_id": "", "traffic": traffic,
            });
            serde_json::from_value::<Instance>(shown).unwrap()
        };
        let idle = Visitors { seconds: 60, ..Visitors::default() };
        let all = [
            instance("away", None),
            instance("idle", Some(idle)),
            instance("shop", Some(visitors())),
        ];
        expect_test::expect![[r"
            INSTANCE  REQUESTS/S  ERRORS  P50   P99
            idle      0.0         -       -     -
            shop      12.5        0.4 %   4 ms  80 ms"]]
        .assert_eq(rows(&all).unwrap().trim_end());
        assert_eq!(rows(&all[..1]), None);
    }
}
