//! What happened while `symbolon dev` ran, in a few lines at its end.
//! Not here: counting; the numbers are the programs' own metrics.

use std::collections::BTreeMap;

use super::stack::Stack;
use crate::http::Call;

/// The lines.
pub(crate) async fn text(stack: &Stack) -> String {
    let broker = metrics(&stack.ready.broker.admin).await;
    let gateway = metrics(&stack.ready.gateway.admin).await;
    [
        format!("\n{:<31} {}\n", "requests that reached the API", stack.echo.requests()),
        lines("let through by the gateway", &gateway, "symbolon_gateway_admitted"),
        lines("rejected by the gateway", &gateway, "symbolon_gateway_rejected"),
        lines("answered by the broker", &broker, "symbolon_broker_token_answers"),
    ]
    .concat()
}

async fn metrics(admin: &str) -> String {
    let asked = match Call::get_url(&format!("{admin}{}", symbolon_wire::paths::METRICS)) {
        Ok(call) => call.send().await,
        Err(error) => Err(error),
    };
    asked.map_or_else(|_| String::new(), |answer| String::from_utf8_lossy(&answer.body).into_owned())
}

/// A counter family, one line for each combination of labels.
fn lines(title: &str, metrics: &str, family: &str) -> String {
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for line in metrics.lines() {
        let Some((labels, value)) = sample(line, family) else { continue };
        *counts.entry(labels).or_default() += value;
    }
    let shown = counts
        .iter()
        .filter(|(_, count)| **count > 0.0)
        .map(|(labels, count)| format!("{title:<31} {count}   {labels}\n"));
    shown.collect()
}

/// The labels and the value of a line of a counter.
fn sample<'a>(line: &'a str, family: &str) -> Option<(&'a str, f64)> {
    let rest = line.strip_prefix(family)?.strip_prefix("_total")?;
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once('}')?,
        None => ("", rest),
    };
    Some((labels, value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_the_metrics_text() {
        let text = "# TYPE a counter\na_total{outcome=\"never\"} 0\na_total{outcome=\"allowed\"} 3\na_total{outcome=\"denied\"} 1\nab_total 9\n";
        let shown = lines("requests", text, "a");
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(shown.contains("3   outcome=\"allowed\""), "{shown}");
    }
}
