//! `CommandGetSqlInfo`: what this server is and does. The numbers and the type of each value are those of FlightSql.proto.
//!
//! All standard numbers are answered, because clients of some ages fail where one is absent, and none beside them,
//! because others fail on numbers that they do not know. The only ones left out are the Substrait versions, which the
//! specification wants absent where Substrait is not supported.

use std::collections::{BTreeMap, BTreeSet};

use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedGroupBy,
    SqlSupportedResultSetConcurrency, SqlSupportedResultSetType, SqlSupportedSubqueries, SqlSupportedTransaction,
    SqlSupportedUnions, SqlTransactionIsolationLevel, SupportedSqlGrammar,
};
use datafusion::logical_expr::Documentation;
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

use crate::Engine;

/// The lowest of the levels that ANSI SQL-92 defines.
const ANSI92_ENTRY: i32 = 0;

/// A limit that does not exist or is not known.
const NO_LIMIT: i64 = 0;

/// All infos.
pub(super) fn infos(engine: &Engine) -> Result<SqlInfoData> {
    let mut builder = SqlInfoDataBuilder::new();
    server(&mut builder);
    names(&mut builder, engine);
    queries(&mut builder);
    changes(&mut builder);
    limits(&mut builder);
    builder.build()
}

/// The mask in which each value is the bit of its number.
fn mask<const N: usize>(values: [i32; N]) -> i32 {
    values.into_iter().fold(0, |mask, value| mask | 1 << value)
}

fn server(builder: &mut SqlInfoDataBuilder) {
    builder.append(SqlInfo::FlightSqlServerName, "portolan");
    builder.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    builder.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    builder.append(SqlInfo::FlightSqlServerReadOnly, false);
    builder.append(SqlInfo::FlightSqlServerSql, true);
    builder.append(SqlInfo::FlightSqlServerSubstrait, false);
    builder.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    builder.append(SqlInfo::FlightSqlServerCancel, true);
    builder.append(SqlInfo::FlightSqlServerBulkIngestion, true);
    builder.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    // In milliseconds; 0 is no limit. Handles of prepared statements do not run out.
    builder.append(SqlInfo::FlightSqlServerStatementTimeout, 0);
    builder.append(SqlInfo::FlightSqlServerTransactionTimeout, 0);
}

fn names(builder: &mut SqlInfoDataBuilder, engine: &Engine) {
    builder.append(SqlInfo::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32);
    builder.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    builder.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32,
    );
    builder.append(SqlInfo::SqlSearchStringEscape, "\\");
    builder.append(SqlInfo::SqlExtraNameCharacters, "");
    builder.append(SqlInfo::SqlSchemaTerm, "schema");
    builder.append(SqlInfo::SqlProcedureTerm, "procedure");
    builder.append(SqlInfo::SqlCatalogTerm, "catalog");
    builder.append(SqlInfo::SqlCatalogAtStart, true);
    builder.append(SqlInfo::SqlSchemasSupportedActions, 0);
    builder.append(SqlInfo::SqlCatalogsSupportedActions, 0);
    builder.append(SqlInfo::SqlKeywords, ALL_KEYWORDS);
    builder.append(SqlInfo::SqlNumericFunctions, functions(engine, &["Math Functions"]));
    builder.append(
        SqlInfo::SqlStringFunctions,
        functions(engine, &["String Functions", "Binary String Functions", "Regular Expression Functions"]),
    );
    builder.append(SqlInfo::SqlSystemFunctions, functions(engine, &["Other Functions"]));
    builder.append(SqlInfo::SqlDatetimeFunctions, functions(engine, &["Time and Date Functions"]));
}

/// The engine's scalar functions that its own documentation has in these sections.
fn functions(engine: &Engine, sections: &[&str]) -> Vec<String> {
    let is_here = |documentation: &Documentation| sections.contains(&documentation.doc_section.label);
    let functions = engine.base_state().scalar_functions();
    let found: BTreeSet<String> = functions
        .values()
        .filter(|function| function.documentation().is_some_and(is_here))
        .map(|function| function.name().to_owned())
        .collect();
    found.into_iter().collect()
}

fn queries(builder: &mut SqlInfoDataBuilder) {
    builder.append(SqlInfo::SqlAllTablesAreSelectable, true);
    builder.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    builder.append(SqlInfo::SqlSupportsColumnAliasing, true);
    builder.append(SqlInfo::SqlNullPlusNullIsNull, true);
    // About the function CONVERT, which there is not; CAST does not count.
    builder.append(SqlInfo::SqlSupportsConvert, BTreeMap::<i32, Vec<i32>>::new());
    builder.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
    builder.append(SqlInfo::SqlSupportsDifferentTableCorrelationNames, false);
    builder.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
    builder.append(SqlInfo::SqlSupportsOrderByUnrelated, true);
    builder.append(
        SqlInfo::SqlSupportedGroupBy,
        mask([SqlSupportedGroupBy::SqlGroupByUnrelated as i32, SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32]),
    );
    builder.append(SqlInfo::SqlSupportsLikeEscapeClause, false);
    builder.append(SqlInfo::SqlSupportsNonNullableColumns, true);
    builder.append(
        SqlInfo::SqlSupportedGrammar,
        mask([SupportedSqlGrammar::SqlMinimumGrammar as i32, SupportedSqlGrammar::SqlCoreGrammar as i32]),
    );
    builder.append(SqlInfo::SqlAnsi92SupportedLevel, mask([ANSI92_ENTRY]));
    builder.append(SqlInfo::SqlSupportsIntegrityEnhancementFacility, false);
    builder.append(SqlInfo::SqlOuterJoinsSupportLevel, SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32);
    builder.append(
        SqlInfo::SqlSupportedSubqueries,
        mask([
            SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
            SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
            SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
            SqlSupportedSubqueries::SqlSubqueriesInQuantifieds as i32,
        ]),
    );
    builder.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
    builder.append(
        SqlInfo::SqlSupportedUnions,
        mask([SqlSupportedUnions::SqlUnion as i32, SqlSupportedUnions::SqlUnionAll as i32]),
    );
    results(builder);
}

/// Results are read once, from the first row to the last.
fn results(builder: &mut SqlInfoDataBuilder) {
    builder.append(
        SqlInfo::SqlSupportedResultSetTypes,
        mask([SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32]),
    );
    builder.append(SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified, 0);
    builder.append(
        SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly,
        mask([SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32]),
    );
    builder.append(SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive, 0);
    builder.append(SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0);
    builder.append(SqlInfo::SqlNamedParametersSupported, false);
    builder.append(SqlInfo::SqlLocatorsUpdateCopy, false);
    builder.append(SqlInfo::SqlStoredProceduresSupported, false);
    builder.append(SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported, false);
}

fn changes(builder: &mut SqlInfoDataBuilder) {
    builder.append(SqlInfo::SqlDdlCatalog, false);
    builder.append(SqlInfo::SqlDdlSchema, true);
    builder.append(SqlInfo::SqlDdlTable, true);
    builder.append(SqlInfo::SqlSupportedPositionedCommands, 0);
    builder.append(SqlInfo::SqlSelectForUpdateSupported, false);
    builder.append(SqlInfo::SqlDefaultTransactionIsolation, SqlTransactionIsolationLevel::SqlTransactionNone as i32);
    builder.append(SqlInfo::SqlTransactionsSupported, false);
    builder.append(
        SqlInfo::SqlSupportedTransactionsIsolationLevels,
        mask([SqlTransactionIsolationLevel::SqlTransactionNone as i32]),
    );
    builder.append(SqlInfo::SqlDataDefinitionCausesTransactionCommit, false);
    builder.append(SqlInfo::SqlDataDefinitionsInTransactionsIgnored, false);
    builder.append(SqlInfo::SqlBatchUpdatesSupported, false);
    builder.append(SqlInfo::SqlSavepointsSupported, false);
}

fn limits(builder: &mut SqlInfoDataBuilder) {
    for info in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxConnections,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlDbSchemaNameLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxCatalogNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxStatementLength,
        SqlInfo::SqlMaxStatements,
        SqlInfo::SqlMaxTableNameLength,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        builder.append(info, NO_LIMIT);
    }
    builder.append(SqlInfo::SqlMaxRowSizeIncludesBlobs, true);
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::UInt32Type;

    use super::*;
    use crate::EngineOptions;

    #[test]
    fn all_standard_numbers_are_there_and_no_others() {
        let engine = Engine::start(EngineOptions::default()).unwrap();
        let batch = infos(&engine).unwrap().record_batch([]).unwrap();
        let numbers: Vec<u32> = batch.column(0).as_primitive::<UInt32Type>().values().to_vec();
        let expected: Vec<u32> = (0..=5).chain(8..=11).chain(100..=101).chain(500..=576).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn functions_come_from_the_engine() {
        let engine = Engine::start(EngineOptions::default()).unwrap();
        assert!(functions(&engine, &["Math Functions"]).contains(&"abs".to_owned()));
        assert!(functions(&engine, &["String Functions"]).contains(&"upper".to_owned()));
        assert!(functions(&engine, &["Time and Date Functions"]).contains(&"date_trunc".to_owned()));
    }
}
