//! Syntax that DataFusion parses and then ignores is refused by name.
//!
//! The parser knows many dialects; the planner drops what it does not implement, so that `TABLESAMPLE` returns the whole
//! table and `FOR UPDATE` locks nothing. The list below was made by going through the parser's tree field by field and
//! looking for what the planner does with each.

mod call;
mod relation;

use std::fmt;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, CharacterLength, DataType, ExactNumberInfo, Expr, Fetch, Function, GroupByExpr,
    LimitClause, LockType, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned, Statement,
    TableFactor, WindowType,
};
use datafusion::sql::sqlparser::tokenizer::{Location, Span};

use super::windows::Windows;
use super::{chance, records, spellings};
use crate::syntax::{self, Flow, ON, Reader, STOP};

/// Why a statement is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    what: String,
    /// Whether it is not only the name of what is not supported.
    is_sentence: bool,
    instead: Option<&'static str>,
    span: Span,
}

impl Refusal {
    /// `TABLESAMPLE is not supported`.
    pub(super) fn new(what: impl Into<String>, span: Span) -> Self {
        Self { what: what.into(), is_sentence: false, instead: None, span }
    }

    /// `there is no window "w"`: a whole sentence.
    pub(super) fn saying(sentence: impl Into<String>, span: Span) -> Self {
        Self { what: sentence.into(), is_sentence: true, instead: None, span }
    }

    /// Adds what to write instead.
    pub(super) fn instead(mut self, instead: &'static str) -> Self {
        self.instead = Some(instead);
        self
    }

    /// Line and column, counted from 1, of the nearest part of the statement whose place is known.
    pub fn location(&self) -> Option<Location> {
        (self.span.start.line > 0).then_some(self.span.start)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.is_sentence {
            f.write_str(" is not supported")?;
        }
        match self.instead {
            Some(instead) => write!(f, "; {instead}"),
            None => Ok(()),
        }
    }
}

impl From<Refusal> for DataFusionError {
    fn from(refusal: Refusal) -> Self {
        Self::External(Box::new(refusal))
    }
}

/// Refuses a statement with a part that would be ignored, however deep it is nested. To be called on every statement
/// before it is planned; what DataFusion itself refuses is left to it.
pub fn refuse_ignored_syntax(statement: &Statement) -> Result<(), Refusal> {
    let mut refuser = Refuser { found: None, windows: Windows::default() };
    syntax::read(statement, &mut refuser);
    refuser.found.map_or(Ok(()), Err)
}

/// Refuses `what` if it is there.
fn absent(present: bool, what: &str, span: Span) -> Result<(), Refusal> {
    if present { Err(Refusal::new(what, span)) } else { Ok(()) }
}

struct Refuser {
    found: Option<Refusal>,
    windows: Windows,
}

impl Refuser {
    /// Stops at the first refusal.
    fn flow(&mut self, result: Result<(), Refusal>) -> Flow {
        self.found = result.err();
        if self.found.is_some() { STOP } else { ON }
    }
}

impl Reader for Refuser {
    fn query(&mut self, query: &Query) -> Flow {
        self.windows.enter_query(query);
        self.flow(refuse_in_query(query))
    }

    fn select(&mut self, select: &Select) -> Flow {
        self.windows.enter(select);
        let windows = self.windows.refused();
        self.flow(windows.and_then(|()| refuse_in_select(select)))
    }

    fn after_query(&mut self, _query: &Query) {
        self.windows.leave();
    }

    fn after_select(&mut self, _select: &Select) {
        self.windows.leave();
    }

    fn table_factor(&mut self, factor: &TableFactor) -> Flow {
        self.flow(relation::refuse_in_table_factor(factor))
    }

    fn expr(&mut self, expr: &Expr) -> Flow {
        self.flow(match expr {
            Expr::Function(function) => {
                let window = function.over.as_ref().map_or(Ok(()), |over| self.windows.written_out(over).map(|_| ()));
                window.and_then(|()| call::refuse_in_call(function))
            }
            Expr::Cast { data_type, .. } => refuse_in_type(data_type, expr),
            Expr::TypedString(typed) => refuse_in_type(&typed.data_type, expr),
            // What it is planned as looks for the pattern anywhere in the text.
            Expr::SimilarTo { .. } => {
                Err(Refusal::new("SIMILAR TO", expr.span()).instead("use LIKE, or ~ with a regular expression"))
            }
            Expr::Like { pattern, escape_char: Some(escape), .. }
            | Expr::ILike { pattern, escape_char: Some(escape), .. } => {
                let known = spellings::with_backslashes(pattern, escape).is_some();
                absent(
                    !known,
                    "LIKE with a pattern that is no literal or ends with its escape character, and ESCAPE",
                    expr.span(),
                )
            }
            // A power for some, exclusive or for others; and it binds less than `*` here.
            Expr::BinaryOp { op: BinaryOperator::BitwiseXor, .. } => {
                Err(Refusal::new("the operator ^", expr.span()).instead("use power(base, exponent)"))
            }
            expr => records::by_parts(expr).map(|_| ()),
        })
    }
}

fn refuse_in_query(query: &Query) -> Result<(), Refusal> {
    let span = start(&query.body);
    if let Some(lock) = query.locks.first() {
        let what = match lock.lock_type {
            LockType::Update => "FOR UPDATE",
            LockType::Share => "FOR SHARE",
        };
        return Err(Refusal::new(what, span));
    }
    if let Some(clause) = &query.for_clause {
        return Err(Refusal::new(clause.to_string(), span));
    }
    if let Some(Fetch { with_ties, percent, .. }) = &query.fetch {
        absent(*with_ties, "FETCH ... WITH TIES", span)?;
        absent(*percent, "FETCH ... PERCENT", span)?;
        let limited = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, limit_by, .. }) => limit.is_some() || !limit_by.is_empty(),
            Some(LimitClause::OffsetCommaLimit { .. }) => true,
            None => false,
        };
        absent(limited, "FETCH beside LIMIT", span)?;
    }
    refuse_in_body(&query.body)?;
    chance::refuse_named_twice(query)?;
    absent(query.settings.is_some(), "SETTINGS", span)?;
    absent(query.format_clause.is_some(), "FORMAT", span)?;
    if let Some(with) = &query.with {
        for cte in &with.cte_tables {
            absent(cte.from.is_some(), "FROM after a WITH query", cte.alias.name.span)?;
            relation::refuse_in_alias(&cte.alias)?;
        }
    }
    Ok(())
}

/// The planner looks whether a row is on the other side, and not how often.
fn refuse_in_body(body: &SetExpr) -> Result<(), Refusal> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return Ok(()) };
    refuse_in_body(left)?;
    refuse_in_body(right)?;
    let counts = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
    absent(counts && *op != SetOperator::Union, "EXCEPT ALL and INTERSECT ALL", start(body)).map_err(|refusal| {
        refusal.instead("number the rows with row_number() OVER (PARTITION BY ...) and leave out ALL")
    })
}

/// Where a query begins. The span of a whole query would be found by walking through all of it, again for each query
/// that is nested in it.
fn start(body: &SetExpr) -> Span {
    match body {
        SetExpr::Select(select) => select.select_token.0.span,
        SetExpr::SetOperation { left, .. } => start(left),
        SetExpr::Query(query) => start(&query.body),
        _ => Span::empty(),
    }
}

fn refuse_in_select(select: &Select) -> Result<(), Refusal> {
    let span = select.select_token.0.span;
    absent(select.select_modifiers.is_some(), "a modifier after SELECT", span)?;
    absent(select.top.is_some(), "TOP", span).map_err(|refusal| refusal.instead("use LIMIT"))?;
    absent(select.exclude.is_some(), "EXCLUDE after the select list", span)
        .map_err(|refusal| refusal.instead("write * EXCLUDE (...)"))?;
    absent(select.into.is_some(), "SELECT INTO", span)?;
    absent(!select.lateral_views.is_empty(), "LATERAL VIEW", span).map_err(|refusal| refusal.instead("use unnest"))?;
    absent(!select.connect_by.is_empty(), "CONNECT BY", span)
        .map_err(|refusal| refusal.instead("use WITH RECURSIVE"))?;
    absent(!select.cluster_by.is_empty(), "CLUSTER BY", span)?;
    absent(!select.distribute_by.is_empty(), "DISTRIBUTE BY", span)?;
    absent(!select.sort_by.is_empty(), "SORT BY", span).map_err(|refusal| refusal.instead("use ORDER BY"))?;
    absent(select.value_table_mode.is_some(), "SELECT AS VALUE | STRUCT", span)?;
    for item in &select.projection {
        if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
            absent(options.opt_ilike.is_some(), "* ILIKE", span)
                .map_err(|refusal| refusal.instead("name the columns, or those to leave out with * EXCLUDE (...)"))?;
        }
    }
    if let Some(prewhere) = &select.prewhere {
        return Err(Refusal::new("PREWHERE", prewhere.span()).instead("use WHERE"));
    }
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = &select.group_by;
    if let Some(modifier) = modifiers.first() {
        let refusal = Refusal::new(format!("GROUP BY ... {modifier}"), select.group_by.span());
        return Err(refusal.instead("write GROUP BY ROLLUP (...), CUBE (...) or GROUPING SETS (...)"));
    }
    for table in &select.from {
        relation::refuse_in_joins(&table.joins)?;
    }
    select.having.as_ref().map_or(Ok(()), refuse_named_window)
}

/// Groups are chosen before there are windows.
fn refuse_named_window(having: &Expr) -> Result<(), Refusal> {
    struct Find(Option<Span>);
    impl Reader for Find {
        fn expr(&mut self, expr: &Expr) -> Flow {
            match expr {
                Expr::Function(Function { over: Some(WindowType::NamedWindow(name)), .. }) => {
                    self.0 = Some(name.span);
                    STOP
                }
                _ => ON,
            }
        }
    }
    let mut find = Find(None);
    syntax::read(having, &mut find);
    match find.0 {
        Some(span) => Err(Refusal::new("a window in HAVING", span).instead("use a subquery and WHERE")),
        None => Ok(()),
    }
}

/// Types whose limits a cast would ignore.
fn refuse_in_type(data_type: &DataType, at: &Expr) -> Result<(), Refusal> {
    let length = match data_type {
        DataType::Array(ArrayElemTypeDef::AngleBracket(inner) | ArrayElemTypeDef::SquareBracket(inner, _)) => {
            return refuse_in_type(inner, at);
        }
        DataType::Varchar(Some(CharacterLength::IntegerLength { .. })) | DataType::String(Some(_)) => {
            Refusal::new(format!("a cast to {data_type}"), at.span()).instead("use left(text, length)")
        }
        DataType::Char(_) => Refusal::new(format!("a cast to {data_type}"), at.span()).instead("cast to VARCHAR"),
        DataType::Float(ExactNumberInfo::Precision(_) | ExactNumberInfo::PrecisionAndScale(..)) => {
            Refusal::new(format!("a cast to {data_type}"), at.span()).instead("cast to REAL or DOUBLE")
        }
        _ => return Ok(()),
    };
    Err(length)
}
