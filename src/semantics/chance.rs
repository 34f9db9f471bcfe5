//! What is not the same each time, `random()`, in the condition of a join and in a query of WITH.
//!
//! DataFusion evaluates a condition without columns below the join, where it chooses among the rows of one side, and a query of WITH
//! anew wherever it is named.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{JoinType, Result, plan_err};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, ObjectName, Query, With};

use super::Refusal;
use crate::syntax::{self, Flow, ON, Reader};

/// Functions that give another value each time.
const BY_CHANCE: [&str; 5] = ["random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid"];

/// Puts the conditions of an inner join that are not the same each time above it; those of other joins are refused.
pub(super) fn above_join(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let join = match plan {
        LogicalPlan::Join(join) if join.filter.as_ref().is_some_and(Expr::is_volatile) => join,
        plan => return Ok(Transformed::no(plan)),
    };
    if join.join_type != JoinType::Inner {
        return plan_err!(
            "a condition of an outer join or of a subquery that is not the same each time, such as random() < 0.5; \
             compute it in the select list of a subquery"
        );
    }
    let filter = join.filter.clone().map(split_conjunction_owned).unwrap_or_default();
    let (by_chance, others): (Vec<Expr>, Vec<Expr>) = filter.into_iter().partition(Expr::is_volatile);
    let join = LogicalPlan::Join(Join { filter: conjunction(others), ..join });
    Ok(match conjunction(by_chance) {
        Some(condition) => Transformed::yes(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(join))?)),
        None => Transformed::no(join),
    })
}

/// Refuses queries of WITH whose rows are not the same each time and that are named more than once.
pub(super) fn refuse_named_twice(query: &Query) -> Result<(), Refusal> {
    let Some(With { cte_tables, recursive: false, .. }) = &query.with else { return Ok(()) };
    let mut found: HashMap<String, bool> = HashMap::new();
    for cte in cte_tables {
        let parts = Parts::of(&cte.query);
        let by_chance = parts.by_chance || parts.named.keys().any(|name| found.get(name).copied().unwrap_or(false));
        found.insert(cte.alias.name.value.to_lowercase(), by_chance);
    }
    if !found.values().any(|by_chance| *by_chance) {
        return Ok(());
    }
    let named = Parts::of(query).named;
    for cte in cte_tables {
        let name = cte.alias.name.value.to_lowercase();
        if found.get(&name) == Some(&true) && named.get(&name).is_some_and(|times| *times > 1) {
            let what = format!("WITH {}, whose rows are not the same each time, named more than once", cte.alias.name);
            return Err(Refusal::new(what, cte.alias.name.span).instead("write its rows into a table first"));
        }
    }
    Ok(())
}

/// What a query names and calls.
#[derive(Default)]
struct Parts {
    by_chance: bool,
    /// How often a table of one part is named.
    named: HashMap<String, usize>,
}

impl Parts {
    fn of(query: &Query) -> Self {
        let mut parts = Self::default();
        syntax::read(query, &mut parts);
        parts
    }
}

impl Reader for Parts {
    fn relation(&mut self, name: &ObjectName) -> Flow {
        if let [part] = name.0.as_slice() {
            *self.named.entry(part.to_string().trim_matches('"').to_lowercase()).or_default() += 1;
        }
        ON
    }

    fn expr(&mut self, expr: &SqlExpr) -> Flow {
        if let SqlExpr::Function(function) = expr {
            self.by_chance |= BY_CHANCE.contains(&function.name.to_string().to_lowercase().as_str());
        }
        ON
    }
}
