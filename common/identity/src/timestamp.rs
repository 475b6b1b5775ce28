//! Points in time.
//! Not here: clocks. Libraries take `now` as a value; only programs own a clock.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::IdentityError;

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, at most the end of the year 9999.
///
/// All arithmetic saturates, so that no time a stranger sends can overflow (RFC 7519 §2, `NumericDate`, without fractions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// The point `seconds` after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`IdentityError::TimeOutOfRange`] beyond the year 9999.
    pub fn from_secs(seconds: u64) -> Result<Self, IdentityError> {
        if seconds > Self::MAX.0 {
            return Err(IdentityError::TimeOutOfRange { seconds });
        }
        Ok(Self(seconds))
    }

    /// The point `seconds` after 1970-01-01T00:00:00Z, or [`Timestamp::MAX`].
    #[must_use]
    pub fn from_secs_saturating(seconds: u64) -> Self {
        Self(seconds).min(Self::MAX)
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn as_secs(self) -> u64 {
        self.0
    }

    /// This point plus the whole seconds of `duration`, or [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs())).min(Self::MAX)
    }

    /// This point minus the whole seconds of `duration`, or 1970.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// How long after `earlier` this point is; zero if it is not.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, for example `2026-11-22T18:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second_of_day) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// The proleptic Gregorian date `days` after 1970-01-01, counting years from March so that the leap day comes last.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let since_march_0000 = days + 719_468;
    let (era, day_of_era) = (since_march_0000 / 146_097, since_march_0000 % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, carry) =
        if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    (era * 400 + year_of_era + carry, month, day)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_secs(u64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates_are_shown() {
        for (seconds, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_300_819_380, "2011-03-22T18:43:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_secs(seconds).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn arithmetic_stays_in_range() {
        assert_eq!(Timestamp::MAX.saturating_add(Duration::from_secs(u64::MAX)), Timestamp::MAX);
        assert_eq!(Timestamp(5).saturating_sub(Duration::from_secs(9)), Timestamp(0));
        assert_eq!(Timestamp(5).saturating_since(Timestamp(9)), Duration::ZERO);
    }

    #[test]
    fn times_that_are_no_integer_in_range_are_refused() {
        for bad in ["-1", "1.5", "\"1\"", "null", "true", "253402300800", "18446744073709551616", "1e309"] {
            assert!(serde_json::from_str::<Timestamp>(bad).is_err(), "{bad}");
        }
    }
}
