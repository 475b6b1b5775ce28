//! Amounts of CPU and memory, in the few spellings that cannot be misread, and as the API server writes them.
//! Not every quantity of Kubernetes: no fractions, exponents or bytes.

/// Reads an amount of CPU, `1m` to `64`, and writes it as the API server does.
pub(crate) fn cpu(text: &str) -> Option<String> {
    let (number, milli) = match text.strip_suffix('m') {
        Some(number) => (number, 1),
        None => (text, 1000),
    };
    let milli = whole(number)?.checked_mul(milli).filter(|milli| *milli <= 64_000)?;
    Some(if milli % 1000 == 0 { (milli / 1000).to_string() } else { format!("{milli}m") })
}

/// Reads an amount of memory, `1Mi` to `64Gi`, and writes it as the API server does.
pub(crate) fn memory(text: &str) -> Option<String> {
    let mebibytes = memory_in_mebibytes(text)?;
    let whole = mebibytes.is_multiple_of(1024);
    Some(if whole { format!("{}Gi", mebibytes / 1024) } else { format!("{mebibytes}Mi") })
}

/// Reads an amount of memory.
pub(crate) fn memory_in_mebibytes(text: &str) -> Option<u32> {
    let mebibytes = match text.strip_suffix("Gi") {
        Some(number) => whole(number)?.checked_mul(1024)?,
        None => whole(text.strip_suffix("Mi")?)?,
    };
    Some(mebibytes).filter(|mebibytes| *mebibytes <= 65_536)
}

/// A number without sign, zero in front, or anything else that is no digit; not zero.
fn whole(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_the_api_server_does() {
        for (read, written) in [("5m", "5m"), ("1000m", "1"), ("1500m", "1500m"), ("2", "2"), ("64", "64")] {
            assert_eq!(cpu(read).as_deref(), Some(written), "{read}");
        }
        for (read, written) in [("16Mi", "16Mi"), ("1024Mi", "1Gi"), ("64Gi", "64Gi"), ("1536Mi", "1536Mi")] {
            assert_eq!(memory(read).as_deref(), Some(written), "{read}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in ["", "m", "0", "0m", "-1", "+1", "1e3", "0.5", "65", "5 m", "5m\n", "٣m", "99999999999"] {
            assert_eq!(cpu(bad), None, "{bad:?}");
        }
        for bad in ["", "Mi", "16", "16M", "0Mi", "16mi", "1.5Gi", "65Gi", " 16Mi", "16Mi\"", "$(X)Mi"] {
            assert_eq!(memory(bad), None, "{bad:?}");
        }
    }
}
