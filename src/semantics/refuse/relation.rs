//! What is ignored in FROM.

use datafusion::sql::sqlparser::ast::{FunctionArg, Join, Spanned, TableAlias, TableFactor, TableVersion};

use super::{Refusal, absent};

pub(super) fn refuse_in_table_factor(factor: &TableFactor) -> Result<(), Refusal> {
    match factor {
        TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            alias.iter().try_for_each(refuse_in_alias)?;
            absent(sample.is_some(), "TABLESAMPLE", name.span())?;
            if let Some(version) = version {
                return Err(Refusal::new(version_clause(version), name.span()));
            }
            absent(!with_hints.is_empty(), "a WITH (...) hint on a table", name.span())?;
            absent(!index_hints.is_empty(), "an index hint", name.span())?;
            absent(!partitions.is_empty(), "PARTITION (...) after a table", name.span())
                .map_err(|refusal| refusal.instead("use WHERE on the partition columns"))?;
            absent(*with_ordinality, "WITH ORDINALITY", name.span())?;
            absent(json_path.is_some(), "a path after a table", name.span())?;
            match args {
                Some(args) => {
                    absent(args.settings.is_some(), "SETTINGS", name.span())?;
                    absent(name.0.len() > 1, "a qualified table function", name.span())
                }
                None => Ok(()),
            }
        }
        TableFactor::Derived { alias, sample, .. } => {
            alias.iter().try_for_each(refuse_in_alias)?;
            match sample {
                Some(_) => Err(Refusal::new("TABLESAMPLE", factor.span())),
                None => Ok(()),
            }
        }
        TableFactor::Function { name, args, with_ordinality, alias, .. } => {
            alias.iter().try_for_each(refuse_in_alias)?;
            absent(*with_ordinality, "WITH ORDINALITY", name.span())?;
            let named = args.iter().any(|arg| !matches!(arg, FunctionArg::Unnamed(_)));
            absent(named, "a named argument of a table function", name.span())
        }
        TableFactor::UNNEST { alias, .. } => alias.iter().try_for_each(refuse_in_alias),
        TableFactor::NestedJoin { table_with_joins, alias } => {
            alias.iter().try_for_each(refuse_in_alias)?;
            refuse_in_joins(&table_with_joins.joins)
        }
        // The planner refuses the others.
        _ => Ok(()),
    }
}

fn version_clause(version: &TableVersion) -> &'static str {
    match version {
        TableVersion::ForSystemTimeAsOf(_) => "FOR SYSTEM_TIME AS OF",
        TableVersion::TimestampAsOf(_) => "TIMESTAMP AS OF",
        TableVersion::VersionAsOf(_) => "VERSION AS OF",
        TableVersion::Function(_) => "AT or BEFORE (...) after a table",
        TableVersion::Changes { .. } => "CHANGES (...) after a table",
    }
}

pub(super) fn refuse_in_alias(alias: &TableAlias) -> Result<(), Refusal> {
    if let Some(column) = alias.columns.iter().find(|column| column.data_type.is_some()) {
        return Err(Refusal::new("a type in a table alias", column.name.span).instead("cast in the select list"));
    }
    match &alias.at {
        Some(at) => Err(Refusal::new("AT in a table alias", at.span)),
        None => Ok(()),
    }
}

pub(super) fn refuse_in_joins(joins: &[Join]) -> Result<(), Refusal> {
    for join in joins {
        absent(join.global, "GLOBAL JOIN", join.relation.span())?;
    }
    Ok(())
}
