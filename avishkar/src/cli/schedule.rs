//! What may be typed about schedules.

use clap::{ArgGroup, Args};
use common::name::LegacyName;

/// `avishkar schedule NAME …`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("when").required(true).args(["at", "daily", "weekly", "cron"])))]
pub(crate) struct Schedule {
    /// The instance: an app's own name, or its name with a UUID.
    pub(crate) name: LegacyName,
    /// Once, at this local time: 2026-11-22T09:00
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Every day at this time: 09:00
    #[arg(long, value_name = "HH:MM")]
    pub(crate) daily: Option<String>,
    /// On these days of the week at this time: mon,fri@09:00
    #[arg(long, value_name = "DAYS@HH:MM", value_parser = days_at)]
    pub(crate) weekly: Option<DaysAt>,
    /// As a cron expression says, in five fields: '0 9 * * MON-FRI'
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) cron: Option<String>,
    /// End at this time: 17:00, or with --at a date and time.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["length", "cron"])]
    pub(crate) until: Option<String>,
    /// End after this long: 30m, 8h, 1h30m.
    #[arg(long = "for", value_name = "LENGTH", id = "length")]
    pub(crate) length: Option<String>,
    /// The time zone of all these times, by its IANA name: Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: String,
    /// Which release each start deploys; else the newest at that time.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) release: Option<u32>,
    /// How many replicas.
    #[arg(long, value_parser = super::replicas)]
    pub(crate) replicas: Option<u32>,
}

/// Days of the week, and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DaysAt {
    pub(crate) days: Vec<String>,
    pub(crate) at: String,
}

/// `avishkar unschedule NAME`.
#[derive(Debug, Args)]
pub(crate) struct Unschedule {
    pub(crate) name: LegacyName,
}

fn days_at(text: &str) -> Result<DaysAt, String> {
    let (days, at) = text.split_once('@').ok_or("write it as days@time: mon,fri@09:00")?;
    let days = days.split(',').map(|day| day.trim().to_owned()).collect();
    Ok(DaysAt { days, at: at.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_week_stand_before_the_time() {
        let days = ["mon", "fri"].map(str::to_owned).to_vec();
        assert_eq!(days_at("mon, fri@09:00"), Ok(DaysAt { days, at: "09:00".to_owned() }));
        assert!(days_at("mon 09:00").unwrap_err().contains('@'));
    }
}
