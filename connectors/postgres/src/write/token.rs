//! What makes a statement that is tried again write once: its token, kept in a table of the database, in the same
//! transaction as its rows.

use portolan_connector::{ConnectorError, Result, WriteToken};
use portolan_remote_sql::{Dialect, PostgresDialect};
use ring::digest::{SHA256, digest};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::failure::Failure;
use super::transaction::Transaction;
use crate::config::Config;
use crate::table::Shared;

/// The table's name; its schema is a property of the catalog.
const TABLE: &str = "write_tokens";

/// The longest token: PostgreSQL's indexes hold no more than some 2,700 bytes of one.
const TOKEN_BYTES_MAX: usize = 1_000;

/// How long tokens are kept.
const KEPT: &str = "30 days";

/// The most old tokens that one write removes.
const REMOVED_MAX: usize = 100;

/// How often the table is made, where others make it at the same time.
const TRIES_MAX: usize = 3;

/// A write's token, as the table has it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    token: String,
    /// A digest of the statement, which itself may hold what is nobody's business.
    statement: String,
    /// The table, quoted.
    table: String,
    /// Its schema.
    schema: String,
}

impl Token {
    /// The token of a statement.
    pub(super) fn new(token: &WriteToken, config: &Config) -> Result<Self> {
        if token.token.is_empty() || token.token.len() > TOKEN_BYTES_MAX || token.token.contains('\0') {
            let text = format!("a write_token has 1 to {TOKEN_BYTES_MAX} bytes and no NUL character");
            return Err(ConnectorError::user(text).in_catalog(&config.catalog));
        }
        let digest = digest(&SHA256, token.statement.as_bytes());
        let quote = |name: &str| PostgresDialect.quote_identifier(name);
        Ok(Self {
            token: token.token.clone(),
            statement: digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
            table: format!("{}.{}", quote(&config.token_schema), quote(TABLE)),
            schema: config.token_schema.clone(),
        })
    }

    /// How many rows a write wrote that was committed with this token. Makes the table when it is not there.
    pub(super) async fn committed(&self, shared: &Shared) -> Result<Option<u64>> {
        let transaction = Transaction::begin(shared).await?;
        let found = self.find_or_prepare(&transaction).await;
        match found {
            Ok(found) => {
                let committed = transaction.commit().await;
                committed.map_err(|failure| self.failed(failure, &shared.config))?;
                found.map(|found| self.told(found, &shared.config)).transpose()
            }
            Err(failure) => {
                transaction.roll_back().await;
                Err(self.failed(failure, &shared.config))
            }
        }
    }

    /// As [`Token::committed`], for a write that has failed: the table is there.
    pub(super) async fn settled(&self, shared: &Shared) -> Option<Result<u64>> {
        let transaction = Transaction::begin(shared).await.ok()?;
        let found = match transaction.session() {
            Ok(session) => self.find(session.client()).await,
            Err(failure) => Err(failure),
        };
        transaction.roll_back().await;
        Some(self.told(found.ok()??, &shared.config))
    }

    /// Notes the write beside its rows. False where another transaction has noted the same token: it is waited for, if it
    /// is still under way.
    pub(super) async fn note(&self, transaction: &Transaction, rows: u64) -> Result<bool, Failure> {
        let client = transaction.session()?.client();
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let insert = format!(
            "INSERT INTO {} (token, statement, rows) VALUES ($1, $2, $3) ON CONFLICT (token) DO NOTHING",
            self.table
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&self.token, Type::TEXT), (&self.statement, Type::TEXT), (&rows, Type::INT8)];
        let noted = client.execute_typed(&insert, &parameters).await? == 1;
        // Nobody waits for another's removal of old ones.
        let remove = format!(
            "DELETE FROM {table} WHERE token IN (SELECT token FROM {table} WHERE written < now() - interval '{KEPT}' \
             LIMIT {REMOVED_MAX} FOR UPDATE SKIP LOCKED)",
            table = self.table
        );
        client.execute_typed(&remove, &[]).await?;
        Ok(noted)
    }

    async fn find_or_prepare(&self, transaction: &Transaction) -> Result<Option<(String, i64)>, Failure> {
        let client = transaction.session()?.client();
        for _ in 0..TRIES_MAX {
            if self.is_prepared(client).await? {
                return self.find(client).await;
            }
            let make = format!("SAVEPOINT make; {}; RELEASE SAVEPOINT make", self.prepare(client).await?);
            match transaction.run(&make).await {
                Ok(()) => return Ok(None),
                // Another has made it at the same time.
                Err(failure) if failure.is_existing() => transaction.run("ROLLBACK TO SAVEPOINT make").await?,
                Err(failure) => return Err(failure),
            }
        }
        self.find(client).await
    }

    async fn is_prepared(&self, client: &Client) -> Result<bool, Failure> {
        let sql = "SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname = $1 AND c.relname = $2";
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&self.schema, Type::TEXT), (&TABLE, Type::TEXT)];
        Ok(!client.query_typed(sql, &parameters).await?.is_empty())
    }

    /// The statements that make the table. Even to make a schema that is there takes a right that few have.
    async fn prepare(&self, client: &Client) -> Result<String, Failure> {
        let known = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1";
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&self.schema, Type::TEXT)];
        let schema = match client.query_typed(known, &parameters).await?.is_empty() {
            true => format!("CREATE SCHEMA {}; ", PostgresDialect.quote_identifier(&self.schema)),
            false => String::new(),
        };
        Ok(format!(
            "{schema}CREATE TABLE {} (token text PRIMARY KEY, statement text NOT NULL, rows bigint NOT NULL, \
             written timestamptz NOT NULL DEFAULT now())",
            self.table
        ))
    }

    async fn find(&self, client: &Client) -> Result<Option<(String, i64)>, Failure> {
        let sql = format!("SELECT statement, rows FROM {} WHERE token = $1", self.table);
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&self.token, Type::TEXT)];
        let rows = client.query_typed(&sql, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some((row.try_get(0)?, row.try_get(1)?)))
    }

    /// What the first write wrote, if it was the same statement.
    fn told(&self, (statement, rows): (String, i64), config: &Config) -> Result<u64> {
        match statement == self.statement {
            true => Ok(u64::try_from(rows).unwrap_or_default()),
            false => Err(ConnectorError::user(format!("write_token {} was used for another statement", self.token))
                .hint("choose another token for each write")
                .in_catalog(&config.catalog)),
        }
    }

    fn failed(&self, failure: Failure, config: &Config) -> ConnectorError {
        let denied = failure.code() == "42501";
        let error = failure.told(config, &format!("cannot keep the write_token in table {}", self.table));
        match denied {
            true => error.hint(format!(
                "let the user make tables there, CREATE SCHEMA {} AUTHORIZATION \"{}\", or set write_token_schema",
                PostgresDialect.quote_identifier(&self.schema),
                config.user().unwrap_or("...")
            )),
            false => error,
        }
    }
}
