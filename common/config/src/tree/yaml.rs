//! From YAML events to the tree, without what a configuration does not need.
//! Anchors, aliases and tags are refused: they hide what is configured, and can grow without bound.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::{Entry, MAX_DEPTH, Node, Origin, Scalar, Value, join};
use crate::error::{ConfigError, ConfigErrors, Position, Problem};

/// Parses one document; an empty one is an empty mapping.
pub(crate) fn parse(source: &str, name: &str) -> Result<Node, ConfigErrors> {
    let mut builder = Builder { name, open: Vec::new(), root: None, documents: 0, errors: Vec::new() };
    let mut events = Parser::new_from_str(source);
    while let Some(event) = events.next_event() {
        match event {
            Ok((event, span)) => builder.accept(event, span)?,
            Err(error) => {
                let problem = Problem::Syntax(error.info().to_owned());
                return Err(builder.error(position(error.marker()), problem).into());
            }
        }
    }
    ConfigErrors::check(builder.errors)?;
    let start = Origin::File(Position { line: 1, column: 1 });
    Ok(builder.root.filter(|root| !root.is_null()).unwrap_or(Node {
        origin: start,
        value: Value::Mapping(Vec::new()),
        raw: None,
    }))
}

struct Builder<'a> {
    name: &'a str,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    errors: Vec<ConfigError>,
}

/// A collection that has not ended.
enum Open {
    Sequence(Position, Vec<Node>),
    Mapping(Position, Vec<Entry>, Option<(String, Position)>),
}

impl Builder<'_> {
    fn accept(&mut self, event: Event<'_>, span: Span) -> Result<(), ConfigError> {
        let place = position(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents = self.documents.saturating_add(1);
                self.refuse_if(self.documents > 1, place, "one file is one document")
            }
            Event::Alias(_) => self.refuse_if(true, place, "aliases are not used here: write the value out"),
            Event::Scalar(text, style, anchor, tag) => {
                self.plain(place, anchor, tag.is_some())?;
                let quoted = style != ScalarStyle::Plain;
                if let Some(Open::Mapping(_, entries, None)) = self.open.last() {
                    let repeated = entries.iter().any(|entry| entry.key == text);
                    self.key(text.into_owned(), place, repeated);
                    return Ok(());
                }
                let value = Value::Scalar(Scalar::new(text, quoted));
                self.add(Node { origin: Origin::File(place), value, raw: None });
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain(place, anchor, tag.is_some())?;
                self.open(place, Open::Sequence(place, Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.plain(place, anchor, tag.is_some())?;
                self.open(place, Open::Mapping(place, Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (place, value) = match self.open.pop() {
                    Some(Open::Sequence(place, items)) => (place, Value::Sequence(items)),
                    Some(Open::Mapping(place, entries, _)) => (place, Value::Mapping(entries)),
                    None => return Ok(()),
                };
                self.add(Node { origin: Origin::File(place), value, raw: None });
                Ok(())
            }
        }
    }

    fn key(&mut self, key: String, place: Position, repeated: bool) {
        if repeated {
            let error = self.error(place, Problem::DuplicateKey { key: key.clone() });
            self.errors.push(error);
        }
        if let Some(Open::Mapping(_, _, next)) = self.open.last_mut() {
            *next = Some((key, place));
        }
    }

    fn open(&mut self, place: Position, collection: Open) -> Result<(), ConfigError> {
        self.refuse_if(self.open.len() >= MAX_DEPTH, place, "nested more than 64 deep")?;
        let as_key = matches!(self.open.last(), Some(Open::Mapping(_, _, None)));
        self.refuse_if(as_key, place, "a key is a text")?;
        self.open.push(collection);
        Ok(())
    }

    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence(_, items)) => items.push(node),
            Some(Open::Mapping(_, entries, key)) => {
                if let Some((key, place)) = key.take() {
                    entries.push(Entry { key, origin: Origin::File(place), value: node });
                }
            }
        }
    }

    fn plain(&self, place: Position, anchor: usize, tagged: bool) -> Result<(), ConfigError> {
        self.refuse_if(anchor != 0, place, "anchors are not used here")?;
        self.refuse_if(tagged, place, "tags are not used here")
    }

    fn refuse_if(&self, refused: bool, place: Position, why: &'static str) -> Result<(), ConfigError> {
        if refused { Err(self.error(place, Problem::Unsupported(why))) } else { Ok(()) }
    }

    fn error(&self, place: Position, problem: Problem) -> ConfigError {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::Mapping(_, _, Some((key, _))) => path = join(&path, key),
                Open::Sequence(_, items) => path = format!("{path}[{}]", items.len()),
                Open::Mapping(..) => {}
            }
        }
        ConfigError { origin: self.name.to_owned(), position: Some(place), path, problem: Box::new(problem) }
    }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col().saturating_add(1) }
}
