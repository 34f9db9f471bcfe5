//! Named windows, written out where they are used. DataFusion looks for them in the select list only, and takes a window that extends
//! another for one of its own.
//!
//! A window that extends another has its partitions and its order, and may add an order where there is none, and a frame where there is
//! none (SQL:2016, 7.15; PostgreSQL's manual, SELECT, WINDOW clause).

use datafusion::sql::sqlparser::ast::{Ident, NamedWindowExpr, Query, Select, SetExpr, WindowSpec, WindowType};

use super::refuse::Refusal;

/// The windows that have names, of the queries around the place of a walk, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Windows {
    scopes: Vec<Vec<(String, Result<WindowSpec, Refusal>)>>,
}

impl Windows {
    /// Before the parts of a query: its ORDER BY knows the windows of its SELECT.
    pub(super) fn enter_query(&mut self, query: &Query) {
        match query.body.as_ref() {
            SetExpr::Select(select) => self.enter(select),
            _ => self.scopes.push(Vec::new()),
        }
    }

    /// Before the parts of a SELECT.
    pub(super) fn enter(&mut self, select: &Select) {
        let mut known: Vec<(String, Result<WindowSpec, Refusal>)> = Vec::new();
        for definition in &select.named_window {
            let window = match &definition.1 {
                NamedWindowExpr::NamedWindow(name) => same(name, &known),
                NamedWindowExpr::WindowSpec(spec) => extended(spec, &known),
            };
            known.push((folded(&definition.0), window));
        }
        self.scopes.push(known);
    }

    /// Behind them.
    pub(super) fn leave(&mut self) {
        self.scopes.pop();
    }

    /// The windows of the SELECT that was entered last, as far as there is something wrong with them.
    pub(super) fn refused(&self) -> Result<(), Refusal> {
        let known = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        known.iter().find_map(|(_, window)| window.as_ref().err()).map_or(Ok(()), |refusal| Err(refusal.clone()))
    }

    /// The window behind OVER with all that it takes from others.
    pub(super) fn written_out(&self, over: &WindowType) -> Result<WindowSpec, Refusal> {
        let known = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        match over {
            WindowType::NamedWindow(name) => same(name, known),
            WindowType::WindowSpec(spec) => extended(spec, known),
        }
    }
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn same(name: &Ident, known: &[(String, Result<WindowSpec, Refusal>)]) -> Result<WindowSpec, Refusal> {
    let wanted = folded(name);
    match known.iter().find(|(known, _)| *known == wanted) {
        Some((_, window)) => window.clone(),
        None => Err(Refusal::saying(format!("there is no window \"{wanted}\""), name.span)),
    }
}

fn extended(spec: &WindowSpec, known: &[(String, Result<WindowSpec, Refusal>)]) -> Result<WindowSpec, Refusal> {
    let Some(name) = &spec.window_name else { return Ok(spec.clone()) };
    let base = same(name, known)?;
    let refused =
        |what: &str| Err(Refusal::new(format!("{what} a window that extends \"{}\"", folded(name)), name.span));
    if !spec.partition_by.is_empty() {
        return refused("PARTITION BY in");
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        return refused("another ORDER BY in");
    }
    if base.window_frame.is_some() {
        return refused("the frame of the other window in");
    }
    let order_by = if base.order_by.is_empty() { spec.order_by.clone() } else { base.order_by };
    Ok(WindowSpec {
        window_name: None,
        partition_by: base.partition_by,
        order_by,
        window_frame: spec.window_frame.clone(),
    })
}
