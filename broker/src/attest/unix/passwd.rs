//! The name of a user, by `/etc/passwd`.
//! Not NSS: users of a directory service have no name here, and an expression that needs one refuses them.

use std::fs::File;
use std::io::Read;

const MAX_BYTES: u64 = 1 << 20;

/// The user's name, if the machine knows one.
pub(super) fn name_of(uid: u32) -> Option<String> {
    let mut text = String::new();
    File::open("/etc/passwd").ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    name_in(&text, uid)
}

/// The first line counts, as it does for getpwuid(3).
fn name_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with(['#', '+', '-']))?;
        let number = fields.nth(1)?;
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_uid_names_it() {
        let text =
            "root:x:0:0:root:/root:/bin/sh\n#x:x:7:7::/:\nbad\nalice:x:1000:1000::/:\ntwin:x:1000:1::/:\n";
        assert_eq!(name_in(text, 0).as_deref(), Some("root"));
        assert_eq!(name_in(text, 1000).as_deref(), Some("alice"));
        assert_eq!(name_in(text, 7), None);
        assert_eq!(name_in(text, 1), None);
    }
}
