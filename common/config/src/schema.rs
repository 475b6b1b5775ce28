//! The JSON Schema of a configuration, for editors and for the reference page.
//! It describes; the reader decides.

/// The JSON Schema of `T` under this title.
#[must_use]
pub fn schema<T: schemars::JsonSchema>(title: &str) -> serde_json::Value {
    let mut schema = schemars::schema_for!(T);
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}
