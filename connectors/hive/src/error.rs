//! From the errors of the store and of the readers of files to errors for the person at the terminal.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use portolan_connector::{ConnectorError, TableName};

use crate::format::{Fault, fault_of};
use crate::store::CHANGED;

/// The error of a request to the store. `said` is its text without secrets, `credentials` names the settings that it goes by.
pub(crate) fn store_error(
    tried: String,
    error: &object_store::Error,
    said: String,
    credentials: &str,
) -> ConnectorError {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    // Listings report the status of the answer only in their text.
    let status = |code: &str| said.contains(&format!("status code: {code} "));
    let denied = matches!(error, PermissionDenied { .. } | Unauthenticated { .. }) || status("401") || status("403");
    let hint = if denied {
        format!("check {credentials} of the catalog, and what they may read")
    } else if matches!(error, NotFound { .. }) || status("404") {
        "check that the bucket or directory in location exists".to_owned()
    } else {
        "check location, endpoint and region of the catalog, and that the store is reachable".to_owned()
    };
    ConnectorError::source(tried).said(said).hint(hint)
}

/// In which stage of reading a file an error arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Reading the footer and deciding what to read. Whatever fails here is about the file.
    Open,
    /// Producing rows. Expressions of the query run here as well, and their errors are not about the file.
    Read,
}

/// Adds the file to an error that is about it, and leaves every other error as it is. `advice` is what to check where
/// the error does not say; `redact` removes secrets.
pub(crate) fn file_error(
    file: &str,
    stage: Stage,
    error: DataFusionError,
    table: &TableName,
    advice: &str,
    redact: impl Fn(&str) -> String,
) -> DataFusionError {
    if !is_about_file(stage, &error) {
        return error;
    }
    let said = redact(&message(&error));
    let tried = format!("cannot read {file}");
    let fault = fault_of(&error);
    let hint = match fault.and_then(|fault| fault.hint.as_deref()) {
        Some(hint) => hint,
        None if fault.is_none() && (said.contains("not found") || said.contains(CHANGED)) => {
            "the file was removed or written anew since the query began: run the query again"
        }
        None => advice,
    };
    ConnectorError::source(tried).said(said).hint(hint).in_table(table).into()
}

fn is_about_file(stage: Stage, error: &DataFusionError) -> bool {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => is_about_file(stage, inner),
        DataFusionError::Shared(inner) => is_about_file(stage, inner),
        DataFusionError::ResourcesExhausted(_) => false,
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => true,
        DataFusionError::ArrowError(inner, _) => {
            stage == Stage::Open
                || matches!(
                    inner.as_ref(),
                    ArrowError::ParquetError(_) | ArrowError::IoError(_, _) | ArrowError::ExternalError(_)
                )
        }
        DataFusionError::External(inner) => {
            stage == Stage::Open
                || inner.is::<parquet::errors::ParquetError>()
                || inner.is::<Fault>()
                || inner.is::<object_store::Error>()
                || inner.is::<std::io::Error>()
        }
        _ => stage == Stage::Open,
    }
}

/// The innermost message: each layer above it only says that an error passed by.
fn message(error: &DataFusionError) -> String {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => message(inner),
        DataFusionError::Shared(inner) => message(inner),
        DataFusionError::ParquetError(inner) => inner.to_string(),
        DataFusionError::ObjectStore(inner) => inner.to_string(),
        DataFusionError::ArrowError(inner, _) => inner.to_string(),
        DataFusionError::External(inner) => inner.to_string(),
        DataFusionError::Execution(text) | DataFusionError::Plan(text) | DataFusionError::Internal(text) => {
            text.clone()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::errors::ParquetError;

    fn wrapped(stage: Stage, error: DataFusionError) -> String {
        let table = TableName::new("lake", "sales", "orders");
        file_error("/lake/part-0", stage, error, &table, "check the file", |text| text.replace("s3cret", "***"))
            .to_string()
    }

    #[test]
    fn errors_of_the_file_name_it_and_no_secret() {
        let error = DataFusionError::ParquetError(Box::new(ParquetError::General("bad magic s3cret".to_owned())));
        let text = wrapped(Stage::Read, error);
        assert!(text.contains("cannot read /lake/part-0: Parquet error: bad magic ***"), "{text}");
    }

    #[test]
    fn errors_of_the_query_stay_as_they_are() {
        let divide = || DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        assert_eq!(wrapped(Stage::Read, divide()), divide().to_string());
        let memory = DataFusionError::ResourcesExhausted("no memory".to_owned());
        assert!(!wrapped(Stage::Open, memory).contains("part-0"));
    }
}
