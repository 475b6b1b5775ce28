//! The walk over a document that finds duplicate members and broken limits.
//! Not here: building values; the walk keeps nothing but the member names of the objects it is in.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Limits, StrictJsonError};

/// Walks over the whole document.
pub(super) fn check(bytes: &[u8], limits: Limits) -> Result<(), StrictJsonError> {
    let mut state = State { limits, members: 0, violation: None };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let walked = Element { state: &mut state, depth: 0 }.deserialize(&mut deserializer);
    match walked.and_then(|()| deserializer.end()) {
        Ok(()) => Ok(()),
        Err(error) => Err(state
            .violation
            .unwrap_or(StrictJsonError::Syntax { line: error.line(), column: error.column() })),
    }
}

struct State {
    limits: Limits,
    members: usize,
    violation: Option<StrictJsonError>,
}

impl State {
    fn refuse<E: Error>(&mut self, violation: StrictJsonError) -> E {
        self.violation = Some(violation);
        E::custom("refused")
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        self.members = self.members.saturating_add(1);
        let limit = self.limits.members;
        if self.members > limit {
            Err(self.refuse(StrictJsonError::TooManyMembers { limit }))
        } else {
            Ok(())
        }
    }
}

/// One value, `depth` containers down.
struct Element<'a> {
    state: &'a mut State,
    depth: usize,
}

impl Element<'_> {
    fn descend<E: Error>(&mut self) -> Result<usize, E> {
        let (depth, limit) = (self.depth.saturating_add(1), self.state.limits.depth);
        if depth > limit { Err(self.state.refuse(StrictJsonError::TooDeep { limit })) } else { Ok(depth) }
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let depth = self.descend()?;
        while elements.next_element_seed(Element { state: &mut *self.state, depth })?.is_some() {
            self.state.count()?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let depth = self.descend()?;
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            self.state.count()?;
            if names.contains(&name) {
                let member = crate::error::shown(&name);
                return Err(self.state.refuse(StrictJsonError::DuplicateMember { member }));
            }
            names.insert(name);
            members.next_value_seed(Element { state: &mut *self.state, depth })?;
        }
        Ok(())
    }
}
