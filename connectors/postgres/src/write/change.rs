//! UPDATE and DELETE: one statement, of which PostgreSQL chooses the rows and computes the values.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use portolan_connector::{
    Begun, ConnectorError, ConnectorTable, Reason, Result, RowAction, RowChange, Verdict, WriteContext,
};
use portolan_remote_sql::{
    Dialect, PostgresDialect, RemoteChange, RemoteColumn, RemoteExpr, RemoteLiteral, RemoteValue, Scope, Vocabulary,
    lower, lower_value,
};

use super::catalog::token;
use super::target;
use super::transaction::Transaction;
use super::writer::{Open, Place, State, Writer};
use crate::connector::PostgresConnector;
use crate::table::PostgresTable;
use crate::types::*;

/// The type whose values PostgreSQL cuts when they are assigned.
const NAME: &str = "name";

impl PostgresConnector {
    /// Changes or removes rows. What is left to do is the commit.
    pub(super) async fn begin_change(
        &self,
        table: &dyn ConnectorTable,
        change: RowChange,
        context: WriteContext,
    ) -> Result<Begun> {
        let shared = self.shared();
        let (token, committed) = token(shared, &context).await?;
        if let Some(rows) = committed {
            return Ok(Begun::Already(rows));
        }
        let name = table.name();
        let transaction = Transaction::begin(shared).await?;
        let statement = match self.statement(table, &change, &transaction).await {
            Ok(statement) => statement,
            Err(error) => {
                transaction.roll_back().await;
                return Err(error);
            }
        };
        let mut writer = Writer {
            shared: shared.clone(),
            name: name.clone(),
            targets: Vec::new(),
            place: Place::Changed(0),
            token,
            state: State::Open(Box::new(Open { transaction, copy: None })),
        };
        let sql = statement.render(&PostgresDialect);
        let changed = match &writer.state {
            State::Open(open) => open.transaction.change(&sql).await,
            State::Settled(_) | State::Failed => return Err(ConnectorError::internal("the write has ended")),
        };
        match changed {
            Ok(rows) => {
                writer.place = Place::Changed(rows);
                Ok(Begun::Writer(Box::new(writer)))
            }
            // The same write may have been committed meanwhile.
            Err(failure) => writer.failed(failure, "PostgreSQL refuses to change the rows").await.map(Begun::Already),
        }
    }
}

impl PostgresConnector {
    /// The statement, for the table as it is now.
    async fn statement(
        &self,
        table: &dyn ConnectorTable,
        change: &RowChange,
        transaction: &Transaction,
    ) -> Result<RemoteChange> {
        let (shared, name) = (self.shared(), table.name());
        let relation = target::locked(transaction, shared, name).await?;
        let utf8 = transaction.session().is_ok_and(|session| session.is_utf8());
        let found = PostgresTable::held(shared.clone(), name.clone(), &relation, utf8);
        statement(table, &found, change)
    }
}

/// The statement, for the table as it is now. `planned` is the table as the statement's author knew it.
fn statement(planned: &dyn ConnectorTable, found: &PostgresTable, change: &RowChange) -> Result<RemoteChange> {
    let vocabulary = found.vocabulary();
    let scope = found.scope();
    let name = planned.name();
    let filter = change.filters.iter().map(|filter| match found.judge(filter) {
        Verdict::Exact => {
            let lowered = lower(filter, &scope, &vocabulary).map_err(|_| target::changed(name))?;
            Ok(lowered.expr)
        }
        Verdict::Pruning | Verdict::Refused(_) => Err(target::changed(name)),
    });
    let filter = filter.collect::<Result<Vec<_>>>()?;
    let values: &[(usize, Expr)] = match &change.action {
        RowAction::Remove => &[],
        RowAction::Set(values) => values,
    };
    let set = values.iter().map(|(index, value)| {
        let column = planned.columns().get(*index).ok_or_else(|| target::changed(name))?;
        let remote = found.assignable(column.name()).ok_or_else(|| {
            ConnectorError::user(format!(
                "column \"{}\" cannot be written: values of its type are only read",
                column.name()
            ))
            .in_table(name)
        })?;
        if remote.arrow_type != *column.field.data_type() {
            return Err(target::changed(name));
        }
        let value = assigned(value, &remote, &scope, &vocabulary).map_err(|reason| {
            ConnectorError::user(format!("PostgreSQL is not asked to compute column \"{}\"", remote.name)).said(reason)
        })?;
        Ok((remote.name, value))
    });
    let set = set.collect::<Result<Vec<_>>>()?;
    Ok(RemoteChange { schema: name.schema.clone(), table: name.table.clone(), set, filter })
}

/// A value for a column, which PostgreSQL converts to the column's type as the engine would, or fails where it fails.
fn assigned(
    value: &Expr,
    column: &RemoteColumn,
    scope: &dyn Scope,
    vocabulary: &Vocabulary<'_>,
) -> Result<RemoteExpr, Reason> {
    let source_type = column.source_type.as_deref().unwrap_or_default();
    if source_type == NAME || column.cast.as_deref() == Some(NAME) {
        return Err("it cuts a name that is too long, and says nothing".into());
    }
    let value = bare(value);
    if let Expr::Literal(value, _) = value {
        return literal(value, column, source_type);
    }
    let inner = conversion(value, &column.arrow_type);
    let computed = lower_value(inner, scope, vocabulary)?;
    let (from, to) = (&computed.column.arrow_type, &column.arrow_type);
    let numbers = from.is_integer() && (to.is_integer() || is_decimal128(to));
    let decimals = is_decimal128(from) && is_decimal128(to);
    let same = from == to && computed.column.domain == column.domain;
    if !(numbers || decimals || same) {
        let domain = computed.column.domain;
        return Err(Reason::new(format!("no rule makes {source_type} of {domain}")));
    }
    // Where the column itself rounds nothing, the value is rounded as the engine's type is.
    let rounded = column.domain == NUMERIC_UNDECLARED && (numbers || decimals);
    match PostgresDialect.type_name(to).filter(|_| rounded) {
        Some(type_name) => Ok(RemoteExpr::Cast { operand: Box::new(computed.expr), type_name }),
        None => Ok(computed.expr),
    }
}

/// PostgreSQL's numeric is compared with decimals of 128 bits; what it computes of wider ones is not.
fn is_decimal128(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..))
}

fn bare(mut value: &Expr) -> &Expr {
    while let Expr::Alias(alias) = value {
        value = &alias.expr;
    }
    value
}

/// The value without the last conversion to a column's type, which the assignment makes: it rounds half away from zero as
/// the engine does, and what does not fit is an error in both.
fn conversion<'e>(value: &'e Expr, to: &DataType) -> &'e Expr {
    match value {
        Expr::Cast(cast) if cast.field.data_type() == to && (to.is_integer() || is_decimal128(to)) => bare(&cast.expr),
        _ => value,
    }
}

/// A literal in the column's own type, so that PostgreSQL reads it as it reads what is written by `COPY`.
fn literal(value: &ScalarValue, column: &RemoteColumn, source_type: &str) -> Result<RemoteExpr, Reason> {
    if value.is_null() {
        let null = RemoteLiteral { value: RemoteValue::Null, type_name: source_type.to_owned() };
        return Ok(RemoteExpr::Literal(null));
    }
    if column.domain == BOOLEAN
        && let ScalarValue::Boolean(value) = value
    {
        return Ok(RemoteExpr::Constant(*value));
    }
    if column.domain == NUMERIC_CONVERTED {
        return Err("the catalog reads its numeric as another type".into());
    }
    // PostgreSQL reads a text as these types, or says that it is none. Read as others it would be cut.
    if let Some(text) = value.try_as_str().flatten()
        && [JSON, CITEXT, UUID].contains(&column.domain)
    {
        if text.contains('\0') {
            return Err("PostgreSQL cannot store a text with a NUL character".into());
        }
        let value = RemoteValue::Text(text.to_owned());
        return Ok(RemoteExpr::Literal(RemoteLiteral { value, type_name: source_type.to_owned() }));
    }
    Ok(RemoteExpr::Literal(PostgresDialect.literal(value, column)?))
}

/// See [`PostgresConnector::begin_change`].
pub(super) async fn change_rows(
    connector: &PostgresConnector,
    table: &Arc<dyn ConnectorTable>,
    change: RowChange,
    context: WriteContext,
) -> Result<Begun> {
    let begun = connector.begin_change(table.as_ref(), change, context).await;
    begun.map_err(|error| error.in_table(table.name()))
}
