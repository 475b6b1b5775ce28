//! From text to syntax tree, with room on the stack and limits before work.
//! What the tree may say is checked elsewhere.

use cel::{IdedExpr, common::ast::SourceInfo};

use crate::error::{CompileError, Position, Problem};

/// The longest expression.
pub const MAX_SOURCE_BYTES: usize = 4096;
/// The parser recurses over the whole source, and a tree can be as deep as the source is long; on this
/// much stack the longest source fits, so that what is too deep is refused instead of ending the process.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// The first character.
pub(crate) const START: Position = Position { line: 1, column: 1 };

/// A syntax tree and where its nodes stand.
pub(crate) struct Parsed {
    pub(crate) expression: IdedExpr,
    pub(crate) places: Places,
}

/// Where the nodes of a tree stand.
pub(crate) struct Places(SourceInfo);

impl Places {
    pub(crate) fn of(&self, node: &IdedExpr) -> Position {
        let Some((start, _)) = self.0.offset_for(node.id) else { return START };
        let mut position = START;
        let start = usize::try_from(start).unwrap_or(0);
        for (_, character) in self.0.source.char_indices().take_while(|(offset, _)| *offset < start) {
            if character == '\n' {
                position = Position { line: position.line.saturating_add(1), column: 1 };
            } else {
                position.column = position.column.saturating_add(1);
            }
        }
        position
    }

    pub(crate) fn error(&self, node: &IdedExpr, problem: Problem) -> CompileError {
        CompileError { position: self.of(node), problem }
    }
}

/// Parses `source` and hands the tree to `finish`, both on a thread of their own with a large stack; a
/// panic in the parser is an error, not the end of the program.
pub(crate) fn with_room<R: Send>(
    source: &str,
    env: &cel::Env,
    finish: impl FnOnce(Parsed) -> Result<R, CompileError> + Send,
) -> Result<R, CompileError> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(CompileError { position: START, problem: Problem::TooLong });
    }
    let internal = CompileError { position: START, problem: Problem::Internal };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("cel-compile".to_owned()).stack_size(STACK_BYTES);
        let work = thread.spawn_scoped(scope, || parse(source, env).and_then(finish));
        work.ok().and_then(|work| work.join().ok()).unwrap_or(Err(internal))
    })
}

fn parse(source: &str, env: &cel::Env) -> Result<Parsed, CompileError> {
    let (expression, info) =
        env.parser().parse_with_source_info(source).map_err(|errors| first_error(errors.errors))?;
    Ok(Parsed { expression, places: Places(info) })
}

fn first_error(errors: Vec<cel::ParseError>) -> CompileError {
    let Some(error) = errors.into_iter().next() else {
        return CompileError { position: START, problem: Problem::Internal };
    };
    let counted = |number: isize| usize::try_from(number).ok().filter(|number| *number > 0).unwrap_or(1);
    let position = Position { line: counted(error.pos.0), column: counted(error.pos.1) };
    CompileError { position, problem: Problem::Syntax(error.msg) }
}
