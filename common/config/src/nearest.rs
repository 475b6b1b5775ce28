//! The known name that a mistyped one resembles most.
//! It suggests; it never corrects.

/// The nearest of `known` to `name`, if it is near enough to be meant.
#[must_use]
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    const ENOUGH: f64 = 0.6;
    let wanted = name.to_ascii_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&wanted, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typing_error_finds_the_name_that_was_meant() {
        let known = ["issuer", "listen", "trust_domain"];
        assert_eq!(nearest("isuer", known), Some("issuer"));
        assert_eq!(nearest("trust-domain", known), Some("trust_domain"));
        assert_eq!(nearest("colour", known), None);
    }
}
