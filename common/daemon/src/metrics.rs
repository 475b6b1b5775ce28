//! The metrics of a program and their OpenMetrics text.
//! Not the metrics themselves: each module owns a struct of its own and registers it here.

use std::fmt;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Metric;
use prometheus_client::registry::Registry as Families;

/// The media type of [`Registry::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The prefix of every metric's name.
pub const PREFIX: &str = "symbolon";

/// All metric families of one program, under the prefix `symbolon_`.
pub struct Registry {
    families: Families,
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A registry without metrics.
    #[must_use]
    pub fn new() -> Self {
        Self { families: Families::with_prefix(PREFIX) }
    }

    /// Says which program, in which version, answers (`symbolon_build_info`).
    pub fn register_build(&mut self, program: &'static str, version: &'static str) {
        let info = Info::new(vec![("program", program), ("version", version)]);
        self.register("build", "The program and its version", info);
    }

    /// Adds a family. `name` carries neither the prefix nor `_total`; `help` carries no full stop.
    ///
    /// Metric handles are cheap clones of one shared value: keep one and register the other.
    pub fn register(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.families.register(name, help, metric);
    }

    /// All families as OpenMetrics text.
    ///
    /// # Errors
    /// When a metric of ours cannot write itself, which is a bug in it.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(4096);
        prometheus_client::encoding::text::encode(&mut text, &self.families)?;
        Ok(text)
    }
}

/// The bucket bounds of every duration, in seconds: 25 µs doubling up to 10 s.
pub fn duration_buckets() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.000_025_f64), |bound| Some(bound * 2.0))
        .take_while(|bound| *bound < 10.0)
        .chain(std::iter::once(10.0))
}

/// A histogram of durations in seconds, with [`duration_buckets`].
#[must_use]
pub fn duration_histogram() -> Histogram {
    Histogram::new(duration_buckets())
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn families_carry_the_prefix_and_end_with_eof() {
        let mut registry = Registry::new();
        let counter = Counter::<u64>::default();
        registry.register("answers", "Answers given", counter.clone());
        counter.inc();
        let text = registry.encode().unwrap();
        assert!(text.contains("symbolon_answers_total 1"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn the_build_is_an_info_metric() {
        let mut registry = Registry::new();
        registry.register_build("symbolon-broker", "0.1.0");
        let text = registry.encode().unwrap();
        assert!(
            text.contains("symbolon_build_info{program=\"symbolon-broker\",version=\"0.1.0\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn durations_go_from_25_microseconds_doubling_to_10_seconds() {
        let bounds: Vec<f64> = duration_buckets().collect();
        assert_eq!(bounds.len(), 20);
        assert!((bounds[0] - 0.000_025).abs() < f64::EPSILON);
        assert!((bounds[1] - 0.000_05).abs() < f64::EPSILON);
        assert!((bounds[19] - 10.0).abs() < f64::EPSILON);
        assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
