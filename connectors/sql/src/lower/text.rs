//! Functions of texts. The source and the engine count characters the same way: by code point, from 1.

use arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use portolan_connector::{Operation, Reason};

use super::function::whole_number;
use super::limits::MAX_TEXT_GROWTH;
use super::operand::is_string;
use super::{Lowering, refuse};
use crate::{RemoteExpr, RemoteFunction, RemoteLiteral, TrimSide, Typed};

impl Lowering<'_> {
    /// A function of one text and of literals.
    pub(super) fn text_function(&mut self, call: &ScalarFunction, depth: usize) -> Result<Typed, Reason> {
        let name = call.name();
        let Some((first, rest)) = call.args.split_first() else {
            return Err(refuse::no_rule_for_function(name));
        };
        let (text, number) = (DataType::Utf8, DataType::Int32);
        let (function, operation, result) = match (name, rest) {
            ("substr", [from]) => (substring(from, None)?, Operation::Substring, text),
            ("substr", [from, length]) => (substring(from, Some(length))?, Operation::Substring, text),
            ("character_length", []) => (RemoteFunction::CharacterLength, Operation::CharacterLength, number),
            ("octet_length", []) => (RemoteFunction::OctetLength, Operation::OctetLength, number),
            ("btrim", characters) => (self.trim(TrimSide::Both, characters)?, Operation::Trim, text),
            ("ltrim", characters) => (self.trim(TrimSide::Start, characters)?, Operation::Trim, text),
            ("rtrim", characters) => (self.trim(TrimSide::End, characters)?, Operation::Trim, text),
            ("replace", [from, to]) => {
                (RemoteFunction::Replace(self.text(from)?, self.text(to)?), Operation::Replace, text)
            }
            ("left", [count]) => (RemoteFunction::Left(count_of(count)?), Operation::Left, text),
            ("right", [count]) => (RemoteFunction::Right(count_of(count)?), Operation::Right, text),
            ("strpos", [part]) => (RemoteFunction::Position(self.text(part)?), Operation::Position, number),
            ("starts_with", [part]) => {
                (RemoteFunction::StartsWith(self.text(part)?), Operation::StartsWith, DataType::Boolean)
            }
            ("ends_with", [part]) => (self.ends_with(part)?, Operation::EndsWith, DataType::Boolean),
            ("contains", [part]) => {
                (RemoteFunction::Contains(self.text(part)?), Operation::Contains, DataType::Boolean)
            }
            ("reverse", []) => (RemoteFunction::Reverse, Operation::Reverse, text),
            ("repeat", [count]) => (RemoteFunction::Repeat(growth(count)?), Operation::Repeat, text),
            ("lpad", [length, fill @ ..]) => {
                (RemoteFunction::PadStart(growth(length)?, self.fill(fill)?), Operation::Pad, text)
            }
            ("rpad", [length, fill @ ..]) => {
                (RemoteFunction::PadEnd(growth(length)?, self.fill(fill)?), Operation::Pad, text)
            }
            ("split_part", [separator, part]) => {
                let part = count_of(part)?;
                if part < 1 {
                    return Err("no rule for split_part of a part that is not counted from 1".into());
                }
                (RemoteFunction::SplitPart(self.text(separator)?, part), Operation::SplitPart, text)
            }
            ("lower" | "upper" | "initcap", []) => {
                let argument = self.value(first, depth + 1)?;
                self.rule(Operation::LetterCase, argument.column.domain)?;
                return Err(refuse::no_rule_for_function(name));
            }
            _ => return Err(refuse::no_rule_for_function(name)),
        };
        let argument = self.value(first, depth + 1)?;
        if !is_string(&argument.column.arrow_type) {
            return Err(refuse::no_rule_for_function(name));
        }
        self.call(function, operation, argument, &result)
    }

    /// Texts one after the other. With `skip_nulls` a NULL counts as an empty text.
    pub(super) fn concatenation(&mut self, parts: Vec<&Expr>, skip_nulls: bool, depth: usize) -> Result<Typed, Reason> {
        let (values, column) = self.alike(&parts, depth)?;
        if !is_string(&column.arrow_type) {
            return Err("no rule for joining what is no text".into());
        }
        self.exact_rule(Operation::Concat, Some(column.domain))?;
        let fallible = values.iter().any(|value| value.fallible);
        let parts = values.into_iter().map(|value| value.expr).collect();
        let column = self.computed("joined text", &DataType::Utf8)?;
        let joined = Typed::new(RemoteExpr::Concat { parts, skip_nulls }, column).or_fails(fallible);
        Ok(self.of_one_collation(joined))
    }

    /// A literal text.
    fn text(&mut self, expr: &Expr) -> Result<RemoteLiteral, Reason> {
        let value = self.literal_side(expr)?;
        if value.is_null() || !is_string(&value.data_type()) {
            return Err("no rule for a function of texts with something else than literal texts".into());
        }
        let column = self.computed("text", &DataType::Utf8)?;
        self.literal(value, &column)
    }

    fn trim(&mut self, side: TrimSide, characters: &[Expr]) -> Result<RemoteFunction, Reason> {
        match characters {
            [] => Ok(RemoteFunction::Trim(side, None)),
            [characters] => Ok(RemoteFunction::Trim(side, Some(self.text(characters)?))),
            _ => Err(refuse::no_rule_for_function("trim")),
        }
    }

    fn fill(&mut self, fill: &[Expr]) -> Result<RemoteLiteral, Reason> {
        match fill {
            [] => self.text(&datafusion::logical_expr::lit(" ")),
            [fill] => self.text(fill),
            _ => Err(refuse::no_rule_for_function("lpad")),
        }
    }

    fn ends_with(&mut self, part: &Expr) -> Result<RemoteFunction, Reason> {
        let characters = self.literal_side(part)?.try_as_str().flatten().map(|text| text.chars().count());
        let characters = characters.and_then(|count| i32::try_from(count).ok());
        let characters = characters.ok_or_else(|| refuse::no_rule_for_function("ends_with"))?;
        Ok(RemoteFunction::EndsWith(self.text(part)?, characters))
    }
}

/// PostgreSQL and the engine leave out what lies before the first character. A position or a length that is no literal may
/// be negative, which they take for different things.
fn substring(from: &Expr, length: Option<&Expr>) -> Result<RemoteFunction, Reason> {
    // The source counts in 4 bytes.
    let most = i64::from(i32::MAX);
    let from = whole_number(from).filter(|from| (1..=most).contains(from));
    let from = from.ok_or("no rule for a substring that does not begin at a literal position of 4 bytes, from 1 on")?;
    let length = match length {
        None => None,
        Some(length) => {
            let length = whole_number(length).filter(|length| (0..=most).contains(length));
            Some(length.ok_or("no rule for a substring whose length is no literal of 4 bytes, from 0 on")?)
        }
    };
    Ok(RemoteFunction::Substring(from, length))
}

/// A literal number of characters, which the source counts in 4 bytes.
fn count_of(expr: &Expr) -> Result<i32, Reason> {
    let count = whole_number(expr).and_then(|count| i32::try_from(count).ok());
    // Its opposite is counted too.
    let count = count.filter(|count| *count > i32::MIN);
    count.ok_or_else(|| "no rule for a number of characters that is no literal of 4 bytes".into())
}

/// A literal number that says how long a text becomes.
fn growth(expr: &Expr) -> Result<i32, Reason> {
    let count = count_of(expr)?;
    match count <= MAX_TEXT_GROWTH {
        true => Ok(count),
        false => {
            Err(Reason::new(format!("no rule for making texts more than {MAX_TEXT_GROWTH} times or characters long")))
        }
    }
}
