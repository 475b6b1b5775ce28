//! `application/x-www-form-urlencoded`, both ways, strictly.
//! Not here: what the parameters mean.

use crate::FormError;

/// Splits a body into decoded pairs; a malformed escape, a NUL or text that is not UTF-8 is refused.
pub(crate) fn pairs(body: &[u8]) -> Result<Vec<(String, String)>, FormError> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    body.split(|byte| *byte == b'&').map(pair).collect()
}

fn pair(text: &[u8]) -> Result<(String, String), FormError> {
    let mut halves = text.splitn(2, |byte| *byte == b'=');
    let name = decode(halves.next().unwrap_or_default())?;
    let value = decode(halves.next().unwrap_or_default())?;
    Ok((name, value))
}

fn decode(text: &[u8]) -> Result<String, FormError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let (high, low) = (hex(rest.next())?, hex(rest.next())?);
                decoded.push(high << 4 | low);
            }
            0 => return Err(FormError::Escape),
            _ => decoded.push(*byte),
        }
    }
    if decoded.contains(&0) {
        return Err(FormError::Escape);
    }
    String::from_utf8(decoded).map_err(|_| FormError::Escape)
}

fn hex(byte: Option<&u8>) -> Result<u8, FormError> {
    let digit = byte.and_then(|byte| char::from(*byte).to_digit(16));
    digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(FormError::Escape)
}

/// Writes pairs as a body, escaping everything but letters, digits and `-._~`.
pub(crate) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut body = String::new();
    for (name, value) in pairs {
        if !body.is_empty() {
            body.push('&');
        }
        push_escaped(&mut body, name);
        body.push('=');
        push_escaped(&mut body, value);
    }
    body
}

fn push_escaped(body: &mut String, text: &str) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            body.push(char::from(byte));
        } else {
            body.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back() {
        let sent = [("a b", "ä&=+%"), ("", ""), ("x", "https://a.example/?q=1")];
        let body = encode(sent);
        let back = pairs(body.as_bytes()).unwrap();
        assert_eq!(back, sent.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn malformed_escapes_are_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%00", "a=%ff", "a=\0", "%=1", "a=%+1"] {
            assert!(pairs(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
