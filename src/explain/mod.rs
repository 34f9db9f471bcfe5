//! EXPLAIN: what went where and why not. One model, read off the plan that runs, and several renderers.

mod build;
mod expression;
mod graphviz;
mod model;
mod operator;
mod origin;
mod physical;
mod requests;
mod text;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_plan::{displayable, execute_stream};
use futures::TryStreamExt;

use build::Detail;
pub(crate) use expression::sql as expression_sql;
pub use model::{Actual, Filter, Node, Report, Source};
pub(crate) use text::{grouped, size};

use crate::error::{Error, Result};
use crate::planner::Plan;
use crate::query::QueryScope;
use crate::session::{ExplainFormat, ExplainRequest};

/// The schema of every EXPLAIN: one text column.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("plan", DataType::Utf8, false)]))
}

/// The rows of an EXPLAIN: a line each, or one document.
pub(crate) async fn explain(plan: Plan, scope: &QueryScope, request: &ExplainRequest) -> Result<Vec<String>> {
    if request.validate {
        return Ok(vec!["valid".to_owned()]);
    }
    let planning = requests::sent(scope);
    if request.analyze {
        // Rows are counted by the operators themselves; here they only have to be pulled.
        let mut rows = execute_stream(Arc::clone(&plan.physical), Arc::clone(&plan.task))?;
        while rows.try_next().await?.is_some() {}
    }
    let detail = Detail { measured: request.analyze, distributed: request.distributed };
    let mut report = build::report(&plan.physical, &request.sql, detail);
    report.requests = requests::requests(&plan.physical, scope, planning, request.analyze);
    let mut lines = match request.format {
        ExplainFormat::Text => text::render(&report),
        ExplainFormat::Graphviz => vec![graphviz::render(&report)],
        ExplainFormat::Json => vec![
            serde_json::to_string_pretty(&report)
                .map_err(|error| Error::internal(format!("cannot write the report: {error}")))?,
        ],
    };
    if request.verbose && request.format == ExplainFormat::Text {
        lines.extend([String::new(), "logical plan".to_owned()]);
        lines.extend(plan.logical.display_indent().to_string().lines().map(|line| format!("  {line}")));
        lines.extend([String::new(), "physical plan".to_owned()]);
        let physical = displayable(plan.physical.as_ref()).indent(true).to_string();
        lines.extend(physical.lines().map(|line| format!("  {line}")));
    }
    Ok(lines)
}
