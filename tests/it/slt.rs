//! Runs every `.slt` file below tests/slt. Files that start with `shop` see the demo's sources, those that
//! start with `write` a catalog in memory, those that start with `postgres` one of their own in PostgreSQL, the others none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use portolan::{Engine, EngineOptions, Session};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};

use crate::postgres_write::Writable;
use crate::{shop, table};

/// A session as sqllogictest drives it.
struct Database(Session);

#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

#[async_trait::async_trait]
impl AsyncDB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let failure = |error: portolan::Error| Failure(error.render(sql));
        let announced = self.0.schema_of(sql).await;
        let answer = self.0.execute(sql).await.map_err(failure)?;
        // Whoever asks for the columns beforehand is told those of the answer, to nullability.
        match announced {
            Ok(announced) if announced == answer.schema => {}
            Ok(announced) => return Err(Failure(format!("announced {announced:?}, answered {:?}", answer.schema))),
            Err(error) => return Err(Failure(format!("not announced: {}", error.render(sql)))),
        }
        if answer.schema.fields().is_empty() {
            return Ok(DBOutput::StatementComplete(0));
        }
        let types = answer.schema.fields().iter().map(|field| column_type(field.data_type())).collect();
        let batches: Vec<_> = futures::TryStreamExt::try_collect(answer.rows)
            .await
            .map_err(|error| failure(portolan::Error::from(error)))?;
        let rows = table::format(&batches)
            .into_iter()
            .map(|row| {
                row.into_iter().map(|value| if value.is_empty() { "(empty)".to_owned() } else { value }).collect()
            })
            .collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn column_type(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        kind if kind.is_integer() => DefaultColumnType::Integer,
        kind if kind.is_floating() => DefaultColumnType::FloatingPoint,
        // Decimals are compared digit by digit.
        kind if kind.is_decimal() || kind.is_string() => DefaultColumnType::Text,
        _ => DefaultColumnType::Any,
    }
}

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_passes() {
    let files = files();
    assert!(!files.is_empty(), "there are no .slt files");
    let mut failures = Vec::new();
    shop::block_on(async {
        for file in files {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let engine = match name.as_str() {
                name if name.starts_with("shop") => shop::engine(),
                name if name.starts_with("write") => shop::memory_engine(),
                name if name.starts_with("postgres") => Writable::with("").engine,
                _ => Engine::start(EngineOptions::default()).unwrap(),
            };
            let mut runner = sqllogictest::Runner::new(|| {
                let session = engine.session();
                async move { Ok(Database(session)) }
            });
            runner.with_column_validator(sqllogictest::strict_column_validator);
            if let Err(error) = runner.run_file_async(&file).await {
                failures.push(format!("{name}: {}", error.display(false)));
            }
        }
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
