//! What a pod says about itself to its containers: fields of the downward API, and `$(NAME)` in texts.
//! Not here: resource fields.

use serde_json::Value;

/// A field of a pod as the downward API writes it.
pub(super) fn field(pod: &Value, path: &str) -> String {
    if let Some((map, key)) = path.split_once("['") {
        let key = key.trim_end_matches("']").replace('~', "~0").replace('/', "~1");
        return text(pod.pointer(&format!("/{}/{key}", map.replace('.', "/"))));
    }
    match pod.pointer(&format!("/{}", path.replace('.', "/"))) {
        Some(Value::Object(map)) => {
            let mut lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value}")).collect();
            lines.sort();
            lines.join("\n")
        }
        other => text(other),
    }
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The variables of a container: those that are given to every container, then its own, in order.
pub(super) fn environment(
    pod: &Value,
    container: &Value,
    given: &[(String, String)],
) -> Vec<(String, String)> {
    assert!(container.get("envFrom").is_none(), "the stand-in for a kubelet has no `envFrom`");
    let mut variables = given.to_vec();
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap();
        let value = if let Some(path) = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            field(pod, path)
        } else {
            assert!(
                variable.get("valueFrom").is_none(),
                "the stand-in for a kubelet has no source of `{name}`"
            );
            expand(variable["value"].as_str().unwrap_or_default(), &variables)
        };
        variables.retain(|(other, _)| other != name);
        variables.push((name.to_owned(), value));
    }
    variables
}

/// A list of texts of a container, with its variables in them.
pub(super) fn words(container: &Value, member: &str, variables: &[(String, String)]) -> Vec<String> {
    let words = container[member].as_array().into_iter().flatten();
    words.map(|word| expand(word.as_str().unwrap(), variables)).collect()
}

/// `$(NAME)` becomes the variable if there is one, `$$` a dollar sign; everything else stays.
fn expand(text: &str, variables: &[(String, String)]) -> String {
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        expanded += before;
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            let value = variables.iter().rfind(|(known, _)| known == name);
            expanded += &value.map_or_else(|| format!("$({name})"), |(_, value)| value.clone());
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{expand, field};

    #[test]
    fn variables_are_put_in_where_they_are_known() {
        let known = [("A".to_owned(), "1".to_owned())];
        assert_eq!(expand("$(A)/$(B) $$(A) $A $", &known), "1/$(B) $(A) $A $");
    }

    #[test]
    fn fields_are_written_as_files_of_the_downward_api() {
        let pod = json!({"metadata": {"name": "p", "annotations": {"b.test/x": "a \"b\"", "a": "1"}}});
        assert_eq!(field(&pod, "metadata.name"), "p");
        assert_eq!(field(&pod, "metadata.annotations['b.test/x']"), "a \"b\"");
        assert_eq!(field(&pod, "metadata.annotations"), "a=\"1\"\nb.test/x=\"a \\\"b\\\"\"");
    }
}
