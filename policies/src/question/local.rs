//! The time of day at a place that the configuration names.
//! Not here: clocks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use symbolon_identity::{LocalTimeName, Timestamp};

/// What the clock on the wall of one place shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalTime {
    /// The day.
    pub weekday: Weekday,
    /// The seconds since midnight that the clock shows; days on which it is changed are no exception.
    pub second_of_day: u32,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// The word that policies compare with.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }
}

impl From<jiff::civil::Weekday> for Weekday {
    fn from(weekday: jiff::civil::Weekday) -> Self {
        match weekday {
            jiff::civil::Weekday::Monday => Self::Monday,
            jiff::civil::Weekday::Tuesday => Self::Tuesday,
            jiff::civil::Weekday::Wednesday => Self::Wednesday,
            jiff::civil::Weekday::Thursday => Self::Thursday,
            jiff::civil::Weekday::Friday => Self::Friday,
            jiff::civil::Weekday::Saturday => Self::Saturday,
            jiff::civil::Weekday::Sunday => Self::Sunday,
        }
    }
}

/// A time zone that is not in the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{zone}` is no time zone; write one of the IANA database, like `Europe/Berlin`")]
pub struct UnknownTimeZone {
    /// The name under which policies would have seen it.
    pub name: LocalTimeName,
    /// What stands in the configuration.
    pub zone: String,
}

/// The places whose time policies may ask for.
///
/// The time zones are those that were built in; the machine's own are not looked at, so that a decision does not
/// depend on the machine.
#[derive(Debug, Clone, Default)]
pub struct LocalTimes(BTreeMap<LocalTimeName, TimeZone>);

impl LocalTimes {
    /// Finds the time zones of a configuration section.
    ///
    /// # Errors
    /// [`UnknownTimeZone`] for the first that is not in the database.
    pub fn new(section: &BTreeMap<LocalTimeName, String>) -> Result<Self, UnknownTimeZone> {
        let database = TimeZoneDatabase::bundled();
        let find = |(name, zone): (&LocalTimeName, &String)| match database.get(zone) {
            Ok(found) => Ok((name.clone(), found)),
            Err(_) => Err(UnknownTimeZone { name: name.clone(), zone: zone.clone() }),
        };
        section.iter().map(find).collect::<Result<_, _>>().map(Self)
    }

    /// The names, for a set of policies to be checked against.
    #[must_use]
    pub fn names(&self) -> BTreeSet<LocalTimeName> {
        self.0.keys().cloned().collect()
    }

    /// What the clocks show at one point in time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> BTreeMap<LocalTimeName, LocalTime> {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        // INVARIANT: both count up to the end of the year 9999, so that the largest is never needed.
        let instant = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        let shown = |zone: &TimeZone| {
            let civil = zone.to_datetime(instant);
            let clock = [civil.hour(), civil.minute(), civil.second()];
            let second_of_day = clock.iter().fold(0, |sum, part| sum * 60 + u32::from(part.unsigned_abs()));
            LocalTime { weekday: civil.weekday().into(), second_of_day }
        };
        self.0.iter().map(|(name, zone)| (name.clone(), shown(zone))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> LocalTimes {
        let name = LocalTimeName::parse("berlin").unwrap();
        LocalTimes::new(&BTreeMap::from([(name, "Europe/Berlin".to_owned())])).unwrap()
    }

    fn shown(seconds: u64) -> (Weekday, u32) {
        let local = berlin().at(Timestamp::from_secs(seconds).unwrap());
        let local = local.values().next().unwrap();
        (local.weekday, local.second_of_day)
    }

    #[test]
    fn the_clock_on_the_wall_follows_summer_time() {
        // 2026-01-16T07:59:59Z, a Friday in winter; 2026-07-19T22:00:00Z, a Sunday in UTC in summer.
        assert_eq!(shown(1_768_550_399), (Weekday::Friday, 8 * 3600 + 59 * 60 + 59));
        assert_eq!(shown(1_784_498_400), (Weekday::Monday, 0));
        // The clock was changed at 2026-03-29T01:00:00Z: one second before and then.
        assert_eq!(shown(1_774_745_999), (Weekday::Sunday, 2 * 3600 - 1));
        assert_eq!(shown(1_774_746_000), (Weekday::Sunday, 3 * 3600));
    }

    #[test]
    fn the_end_of_time_has_a_time_of_day() {
        assert_eq!(berlin().at(Timestamp::MAX).len(), 1);
    }

    #[test]
    fn a_time_zone_that_does_not_exist_is_refused() {
        let name = LocalTimeName::parse("office").unwrap();
        for zone in ["Europe/Atlantis", "", "../etc/localtime", "/etc/localtime"] {
            let error = LocalTimes::new(&BTreeMap::from([(name.clone(), zone.to_owned())])).unwrap_err();
            assert_eq!(error.zone, zone);
        }
    }
}
