//! The functions that expressions may call: a short list, each with its form, and our own few.
//! What is not listed here is refused at load, also if the interpreter knows it.

use std::any::Any;

use cel::{
    ExecutionError,
    common::{
        types::{CelBool, CelString, STRING_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
};
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::Look;

use crate::shape::Shape;

/// The internal variables that hold compiled patterns begin with this.
pub(crate) const PATTERN_PREFIX: &str = "@pattern";
/// The internal function that matches a text against a compiled pattern.
pub(crate) const MATCHES: &str = "@matches";
/// The internal function that lets an attribute be one part of a path segment only.
pub(crate) const SEGMENT: &str = "@segment";
/// The function for attributes that are paths of their own.
pub(crate) const PATH: &str = "path";
/// The same for attributes that begin with a slash.
pub(crate) const ABSOLUTE_PATH: &str = "absolute_path";
/// How an attribute in a path is named in errors.
const ATTRIBUTE: &str = "attribute in a path";

/// How a function is called.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
    /// Whether it may be called as `f(x)`.
    pub(crate) global: bool,
    /// Whether it may be called as `x.f()`.
    pub(crate) member: bool,
    /// What each argument must be, the receiver first.
    pub(crate) arguments: &'static [Accepts],
    pub(crate) result: Shape,
}

/// What an argument must be.
#[derive(Clone, Copy)]
pub(crate) enum Accepts {
    Text,
    Sized,
    Scalar,
}

impl Accepts {
    pub(crate) fn takes(self, shape: &Shape) -> bool {
        use Shape::{Bool, Double, Dynamic, Int, List, Map, Record, String, TotalMap};
        match (self, shape) {
            (_, Dynamic | String)
            | (Self::Sized, List(_) | Map(_) | TotalMap(_) | Record(_))
            | (Self::Scalar, Bool | Int | Double) => true,
            (Self::Text | Self::Sized | Self::Scalar, _) => false,
        }
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Sized => "a string, list or map",
            Self::Scalar => "a string, number or bool",
        }
    }
}

use Accepts::{Scalar, Sized, Text};

const fn member(
    name: &'static str,
    usage: &'static str,
    arguments: &'static [Accepts],
    result: Shape,
) -> Function {
    Function { name, usage, global: false, member: true, arguments, result }
}

const fn global(
    name: &'static str,
    usage: &'static str,
    arguments: &'static [Accepts],
    result: Shape,
) -> Function {
    Function { name, usage, global: true, member: false, arguments, result }
}

/// The functions that may be called.
pub(crate) static FUNCTIONS: [Function; 10] = [
    Function {
        name: "size",
        usage: "size(x)` or `x.size()",
        global: true,
        member: true,
        arguments: &[Sized],
        result: Shape::Int,
    },
    member("contains", "text.contains(part)", &[Text, Text], Shape::Bool),
    member("startsWith", "text.startsWith(prefix)", &[Text, Text], Shape::Bool),
    member("endsWith", "text.endsWith(suffix)", &[Text, Text], Shape::Bool),
    member("matches", "text.matches(\"pattern\")", &[Text, Text], Shape::Bool),
    member("lowerAscii", "text.lowerAscii()", &[Text], Shape::String),
    global("int", "int(x)", &[Scalar], Shape::Int),
    global("string", "string(x)", &[Scalar], Shape::String),
    global(PATH, "path(text)", &[Text], Shape::String),
    global(ABSOLUTE_PATH, "absolute_path(text)", &[Text], Shape::String),
];

/// Macros: they are expanded by the parser, so that a call of one is a wrong call.
pub(crate) const MACROS: [(&str, &str); 7] = [
    ("has", "has(record.field)"),
    ("all", "list.all(x, condition)"),
    ("exists", "list.exists(x, condition)"),
    ("exists_one", "list.exists_one(x, condition)"),
    ("existsOne", "list.existsOne(x, condition)"),
    ("map", "list.map(x, result)"),
    ("filter", "list.filter(x, condition)"),
];

/// The interpreter's environment with our functions.
pub(crate) fn environment() -> cel::Env {
    let mut env = cel::Env::stdlib().with_optional_support(false);
    let text = || vec![STRING_TYPE];
    let declared = [
        env.add_overload(PATH, "symbolon_path", text(), path),
        env.add_overload(ABSOLUTE_PATH, "symbolon_absolute_path", text(), absolute_path),
        env.add_overload(SEGMENT, "symbolon_segment", text(), segment),
        env.add_overload(MATCHES, "symbolon_matches", vec![STRING_TYPE, PATTERN_TYPE.to_owned()], matches),
        env.add_member_overload("lowerAscii", "symbolon_lower", STRING_TYPE, vec![], lower_ascii),
    ];
    // INVARIANT: these names and ids are not in the standard library (a test calls each of them); were
    // one missing, each call of it would be an evaluation error, which refuses.
    debug_assert!(declared.iter().all(Result::is_ok));
    env
}

/// Whether an error of this function carries our own message, which holds no value.
pub(crate) fn is_ours(function: &str) -> bool {
    [PATH, ABSOLUTE_PATH, ATTRIBUTE].contains(&function)
}

static PATTERN_TYPE: Type = Type::new_unspecified_type("symbolon.pattern");

/// A compiled regular expression as a value of the interpreter.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Whether each match begins where the text begins and ends where it ends; also for a pattern that is none, which
    /// is refused elsewhere.
    pub(crate) fn fits_whole_texts(pattern: &str) -> bool {
        regex_syntax::parse(pattern).map_or(true, |parsed| {
            let parsed = parsed.properties();
            parsed.look_set_prefix().contains(Look::Start) && parsed.look_set_suffix().contains(Look::End)
        })
    }

    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        const MAX_COMPILED_BYTES: usize = 256 * 1024;
        RegexBuilder::new(pattern).size_limit(MAX_COMPILED_BYTES).build().map(Self).map_err(|error| {
            let text = error.to_string();
            text.lines().last().unwrap_or("malformed").trim_start_matches("error: ").to_owned()
        })
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN_TYPE
    }

    fn cel_type() -> &'static Type {
        &PATTERN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

type Arguments<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn text<'a>(function: &str, arguments: &'a [CowVal<'_, '_>]) -> Result<&'a str, ExecutionError> {
    let text = arguments.first().and_then(|value| value.downcast_ref::<CelString<'_>>());
    text.map(CelString::inner).ok_or_else(|| ExecutionError::function_error(function, "not a string"))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn matches<'b, 'v>(arguments: Arguments<'b, 'v>) -> Outcome<'b, 'v> {
    let text = text("matches", &arguments)?;
    let pattern = arguments
        .get(1)
        .and_then(|value| value.downcast_ref::<Pattern>())
        .ok_or_else(|| ExecutionError::function_error("matches", "not a pattern"))?;
    Ok(CowVal::owned(CelBool::from(pattern.0.is_match(text))))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn lower_ascii<'b, 'v>(arguments: Arguments<'b, 'v>) -> Outcome<'b, 'v> {
    Ok(CowVal::owned(CelString::from(text("lowerAscii", &arguments)?.to_ascii_lowercase())))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn path<'b, 'v>(arguments: Arguments<'b, 'v>) -> Outcome<'b, 'v> {
    let text = text(PATH, &arguments)?;
    let segments = text.split('/').try_for_each(check_segment);
    segments.map_err(|reason| ExecutionError::function_error(PATH, reason))?;
    Ok(CowVal::owned(CelString::from(text.to_owned())))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn absolute_path<'b, 'v>(arguments: Arguments<'b, 'v>) -> Outcome<'b, 'v> {
    let refused = |reason| ExecutionError::function_error(ABSOLUTE_PATH, reason);
    let text = text(ABSOLUTE_PATH, &arguments)?;
    let relative = text.strip_prefix('/').ok_or_else(|| refused("does not begin with `/`"))?;
    relative.split('/').try_for_each(check_segment).map_err(refused)?;
    Ok(CowVal::owned(CelString::from(relative.to_owned())))
}

#[expect(clippy::needless_pass_by_value, reason = "the interpreter's signature")]
fn segment<'b, 'v>(arguments: Arguments<'b, 'v>) -> Outcome<'b, 'v> {
    let text = text(ATTRIBUTE, &arguments)?;
    check_segment(text).map_err(|reason| ExecutionError::function_error(ATTRIBUTE, reason))?;
    Ok(CowVal::owned(CelString::from(text.to_owned())))
}

/// Whether a byte may stand in a path segment (SPIFFE-ID §2.2).
pub(crate) fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    match segment {
        "" => Err("a path segment is empty"),
        "." | ".." => Err("a path segment is `.` or `..`"),
        _ if !segment.bytes().all(is_segment_byte) => {
            Err("a path segment holds something else than letters, digits, `.`, `_` and `-`")
        }
        _ => Ok(()),
    }
}
