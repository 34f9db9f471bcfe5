//! LIKE.

use datafusion::logical_expr::Like;
use portolan_connector::{Operation, Reason};

use super::literal::size;
use super::{Lowered, Lowering};
use crate::RemoteExpr;

/// The escape character of LIKE in the engine, and the only one that it evaluates.
const ESCAPE: char = '\\';

impl Lowering<'_> {
    pub(super) fn like(&mut self, like: &Like, depth: usize) -> Result<Lowered, Reason> {
        if like.case_insensitive {
            return self.untranslated(Operation::ILike, &like.expr, depth);
        }
        let text = self.value(&like.expr, depth + 1)?;
        let column = &text.column;
        let strength = self.rule_maybe_negated(Operation::Like, column.domain, like.negated)?;
        if !self.vocabulary.dialect.is_text(column) {
            return Err(Reason::new(format!(
                "{} does not hold {} as text",
                self.vocabulary.dialect.name(),
                column.name
            )));
        }
        if like.escape_char.is_some_and(|escape| escape != ESCAPE) {
            return Err("the engine's LIKE has no escape character but the backslash".into());
        }
        let value = self.literal_side(&like.pattern)?;
        self.count_literal(size(value))?;
        if value.try_as_str().flatten().is_some_and(ends_in_escape) {
            return Err(Reason::new(format!(
                "the pattern ends in an escape character, on which {} fails",
                self.vocabulary.dialect.name()
            )));
        }
        let pattern = self.vocabulary.dialect.like_pattern(value)?;
        let operand = Box::new(text.expr);
        let expr = RemoteExpr::Like { operand, pattern, escape: ESCAPE, negated: like.negated };
        Ok(Lowered::new(expr, strength).or_fails(text.fallible))
    }
}

/// Whether the last escape character of a pattern has nothing to escape.
fn ends_in_escape(pattern: &str) -> bool {
    let trailing = pattern.chars().rev().take_while(|c| *c == ESCAPE).count();
    trailing % 2 == 1
}
