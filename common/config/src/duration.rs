//! Durations as people write them: `5m`, `30s`, `1h30m`, `250ms`.
//! It is not a calendar: there are no months, and a number without its unit is refused.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration in configuration, at most 1000 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(Duration);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const MAX_MILLIS: u64 = 1000 * 366 * 86_400_000;

impl HumanDuration {
    /// A whole number of seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A whole number of milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The duration itself.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

impl From<HumanDuration> for Duration {
    fn from(value: HumanDuration) -> Self {
        value.0
    }
}

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not numbers, each followed by its unit, from the largest unit to the smallest.
    #[error("expected numbers with units from large to small, such as `5m`, `1h30m` or `250ms`")]
    Malformed,
    /// More than 1000 years.
    #[error("longer than 1000 years")]
    TooLong,
}

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text;
        let mut units = UNITS.iter();
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (unit, tail) = tail.split_at(letters);
            let (_, millis) = units.find(|(name, _)| *name == unit).ok_or(DurationError::Malformed)?;
            if number.is_empty() {
                return Err(DurationError::Malformed);
            }
            let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
            total = number
                .checked_mul(*millis)
                .and_then(|part| total.checked_add(part))
                .filter(|total| *total <= MAX_MILLIS)
                .ok_or(DurationError::TooLong)?;
            rest = tail;
        }
        if text.is_empty() { Err(DurationError::Malformed) } else { Ok(Self::from_millis(total)) }
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in UNITS {
            let (whole, left) = (rest / millis, rest % millis);
            if whole > 0 {
                write!(f, "{whole}{unit}")?;
            }
            rest = left;
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = HumanDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with its unit, such as `5m` or `250ms`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl schemars::JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "examples": ["5m", "1h30m", "250ms"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{DurationError, HumanDuration};

    #[test]
    fn durations_read_and_print_the_same() {
        for (text, millis) in [("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("2d", 172_800_000)] {
            let parsed: HumanDuration = text.parse().unwrap();
            assert_eq!(parsed, HumanDuration::from_millis(millis), "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        assert_eq!("0s".parse::<HumanDuration>().unwrap().to_string(), "0s");
    }

    #[test]
    fn numbers_without_units_and_units_out_of_order_are_refused() {
        for text in ["", "5", "m", "5x", "5m 3s", "3s5m", "5m5m", "-5m", "1.5h", "5M", "٣s"] {
            assert_eq!(text.parse::<HumanDuration>(), Err(DurationError::Malformed), "{text}");
        }
        for text in ["99999999999999999999s", "400000d"] {
            assert_eq!(text.parse::<HumanDuration>(), Err(DurationError::TooLong), "{text}");
        }
    }
}
