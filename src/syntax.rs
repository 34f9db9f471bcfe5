//! Walks over a parsed statement, for everyone who reads or rewrites it, and what is written into it.
//!
//! The parser generates its walk anew for each type that visits a tree, some five hundred functions each time. So there
//! is one such type for reading here and one for rewriting, which pass every part on to whoever asked.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Query, Select, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

/// Whether to go on with a walk.
pub(crate) type Flow = ControlFlow<()>;

/// Goes on with a walk.
pub(crate) const ON: Flow = ControlFlow::Continue(());

/// Ends a walk.
pub(crate) const STOP: Flow = ControlFlow::Break(());

/// What to do at each part of a tree; parts come before what they contain.
pub(crate) trait Reader {
    fn query(&mut self, _query: &Query) -> Flow {
        ON
    }
    fn select(&mut self, _select: &Select) -> Flow {
        ON
    }
    /// Behind the last part of a query.
    fn after_query(&mut self, _query: &Query) {}
    /// Behind the last part of a SELECT.
    fn after_select(&mut self, _select: &Select) {}
    fn table_factor(&mut self, _factor: &TableFactor) -> Flow {
        ON
    }
    /// A name of a table, wherever one stands.
    fn relation(&mut self, _name: &ObjectName) -> Flow {
        ON
    }
    fn expr(&mut self, _expr: &Expr) -> Flow {
        ON
    }
}

/// What to change at each part of a tree; parts come before what they contain.
pub(crate) trait Rewriter {
    fn query(&mut self, _query: &mut Query) {}
    fn select(&mut self, _select: &mut Select) {}
    /// Behind the last part of a query.
    fn after_query(&mut self, _query: &mut Query) {}
    /// Behind the last part of a SELECT.
    fn after_select(&mut self, _select: &mut Select) {}
    fn table_factor(&mut self, _factor: &mut TableFactor) {}
    fn expr(&mut self, _expr: &mut Expr) {}
}

/// Shows a reader every part of a statement or a clause, until it stops.
pub(crate) fn read(part: &impl Visit, reader: &mut dyn Reader) {
    let _ = part.visit(&mut Reading(reader));
}

/// Shows a rewriter every part of a statement or a clause.
pub(crate) fn rewrite(part: &mut impl VisitMut, rewriter: &mut dyn Rewriter) {
    let _ = part.visit(&mut Rewriting(rewriter));
}

/// A call of a function.
pub(crate) fn call<const N: usize>(name: &str, arguments: [Expr; N]) -> Expr {
    let args = arguments.map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).to_vec();
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

struct Reading<'a>(&'a mut dyn Reader);

impl Visitor for Reading<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        self.0.query(query)
    }
    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        self.0.select(select)
    }
    fn post_visit_query(&mut self, query: &Query) -> Flow {
        self.0.after_query(query);
        ON
    }
    fn post_visit_select(&mut self, select: &Select) -> Flow {
        self.0.after_select(select);
        ON
    }
    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Flow {
        self.0.table_factor(factor)
    }
    fn pre_visit_relation(&mut self, name: &ObjectName) -> Flow {
        self.0.relation(name)
    }
    fn pre_visit_expr(&mut self, expr: &Expr) -> Flow {
        self.0.expr(expr)
    }
}

struct Rewriting<'a>(&'a mut dyn Rewriter);

impl VisitorMut for Rewriting<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        self.0.query(query);
        ON
    }
    fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
        self.0.select(select);
        ON
    }
    fn post_visit_query(&mut self, query: &mut Query) -> Flow {
        self.0.after_query(query);
        ON
    }
    fn post_visit_select(&mut self, select: &mut Select) -> Flow {
        self.0.after_select(select);
        ON
    }
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        self.0.table_factor(factor);
        ON
    }
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        self.0.expr(expr);
        ON
    }
}
