//! The tables. A change makes a new state beside the old one, so that every query sees one moment.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arrow::datatypes::SchemaRef;
use portolan_connector::{ConnectorError, NewTable, OnExisting, Result, Snapshot, TableName, WriteToken};

use crate::chunk::{Budget, Chunk};

/// The schema that is there from the start.
pub(crate) const DEFAULT_SCHEMA: &str = "default";

/// Writes whose tokens are remembered.
const TOKENS_MAX: usize = 10_000;

/// A table at one moment.
#[derive(Debug)]
pub(crate) struct TableData {
    /// Tells the table from others, also from one of the same name that was made later.
    pub(crate) id: u64,
    /// Tells this moment from every other.
    pub(crate) version: u64,
    pub(crate) columns: SchemaRef,
    pub(crate) chunks: Vec<Arc<Chunk>>,
}

impl TableData {
    pub(crate) fn rows(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.rows.num_rows() as u64).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.bytes as u64).sum()
    }
}

type Schemas = BTreeMap<String, BTreeMap<String, Arc<TableData>>>;

/// All tables at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    number: u64,
    schemas: Arc<Schemas>,
}

impl Moment {
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &String> {
        self.schemas.keys()
    }

    pub(crate) fn tables(&self, schema: &str) -> impl Iterator<Item = &String> {
        self.schemas.get(schema).into_iter().flat_map(BTreeMap::keys)
    }

    pub(crate) fn table(&self, schema: &str, table: &str) -> Option<&Arc<TableData>> {
        self.schemas.get(schema)?.get(table)
    }
}

impl Snapshot for Moment {
    fn describe(&self) -> Option<String> {
        Some(format!("state {}", self.number))
    }
}

/// The tables of one catalog.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) budget: Arc<Budget>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Moment,
    /// What splits may name. Queries hold the tables through their snapshots.
    versions: HashMap<u64, Weak<TableData>>,
    last_id: u64,
    tokens: VecDeque<(WriteToken, u64)>,
}

/// What a write does to its table when it is committed.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The table is made.
    New(NewTable),
    /// Rows are added to the table of this id.
    Existing { name: TableName, id: u64 },
}

impl Store {
    /// No tables, and room for so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let schemas = Schemas::from([(DEFAULT_SCHEMA.to_owned(), BTreeMap::new())]);
        let now = Moment { number: 0, schemas: Arc::new(schemas) };
        let state = State { now, versions: HashMap::new(), last_id: 0, tokens: VecDeque::new() };
        Self { budget: Budget::new(limit), state: Mutex::new(state) }
    }

    /// All tables as they are now.
    pub(crate) fn now(&self) -> Moment {
        self.state().now.clone()
    }

    /// A table as it was at some moment; `None` when no query holds it any more.
    pub(crate) fn version(&self, version: u64) -> Option<Arc<TableData>> {
        self.state().versions.get(&version).and_then(Weak::upgrade)
    }

    /// Makes a schema, unless it is there.
    pub(crate) fn create_schema(&self, schema: &str) -> bool {
        let mut state = self.state();
        let missing = !state.now.schemas.contains_key(schema);
        if missing {
            state.change(|schemas| {
                schemas.insert(schema.to_owned(), BTreeMap::new());
            });
        }
        missing
    }

    /// Removes a schema, if it is there.
    pub(crate) fn drop_schema(&self, schema: &str, cascade: bool) -> Result<bool> {
        let mut state = self.state();
        let Some(tables) = state.now.schemas.get(schema) else { return Ok(false) };
        if !cascade && !tables.is_empty() {
            return Err(ConnectorError::user(format!("schema {schema} has {} tables", tables.len()))
                .hint("drop them first, or write DROP SCHEMA ... CASCADE"));
        }
        state.change(|schemas| {
            schemas.remove(schema);
        });
        Ok(true)
    }

    /// Removes a table, if it is there.
    pub(crate) fn drop_table(&self, name: &TableName) -> bool {
        let mut state = self.state();
        let known = state.now.table(&name.schema, &name.table).is_some();
        if known {
            state.change(|schemas| {
                if let Some(tables) = schemas.get_mut(&name.schema) {
                    tables.remove(&name.table);
                }
            });
        }
        known
    }

    /// How many rows a write wrote that was committed with this token.
    pub(crate) fn committed(&self, token: Option<&WriteToken>) -> Result<Option<u64>> {
        self.state().committed(token)
    }

    /// Whether a table that a statement wants to make is there, and may be.
    pub(crate) fn is_made(&self, table: &NewTable) -> Result<bool> {
        self.state().is_made(table)
    }

    /// Makes the change of a write, and returns how many rows it wrote.
    pub(crate) fn commit(&self, target: &Target, chunks: Vec<Arc<Chunk>>, token: Option<WriteToken>) -> Result<u64> {
        let mut state = self.state();
        if let Some(rows) = state.committed(token.as_ref())? {
            return Ok(rows);
        }
        let rows = chunks.iter().map(|chunk| chunk.rows.num_rows() as u64).sum();
        match target {
            Target::New(table) if state.is_made(table)? => return Ok(0),
            Target::New(table) => {
                let id = state.next_id();
                state.put(&table.name, TableData { id, version: id, columns: Arc::clone(&table.columns), chunks });
            }
            Target::Existing { name, id } => {
                let old = state.now.table(&name.schema, &name.table).filter(|table| table.id == *id).cloned();
                let old = old.ok_or_else(|| ConnectorError::user("the table was dropped while rows were written"))?;
                let version = state.next_id();
                let chunks = appended(&old.chunks, chunks);
                state.put(name, TableData { id: old.id, version, columns: Arc::clone(&old.columns), chunks });
            }
        }
        if let Some(token) = token {
            state.tokens.push_back((token, rows));
            if state.tokens.len() > TOKENS_MAX {
                state.tokens.pop_front();
            }
        }
        Ok(rows)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means that another thread panicked; the state itself is replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chunks with others behind them. Rows that are written one by one are kept together all the same.
fn appended(old: &[Arc<Chunk>], new: Vec<Arc<Chunk>>) -> Vec<Arc<Chunk>> {
    let mut chunks = old.to_vec();
    for chunk in new {
        match chunks.last().and_then(|last| last.joined(&chunk)) {
            Some(joined) => {
                chunks.pop();
                chunks.push(Arc::new(joined));
            }
            None => chunks.push(chunk),
        }
    }
    chunks
}

impl State {
    fn change(&mut self, change: impl FnOnce(&mut Schemas)) {
        let mut schemas = Schemas::clone(&self.now.schemas);
        change(&mut schemas);
        self.now = Moment { number: self.now.number + 1, schemas: Arc::new(schemas) };
        self.versions.retain(|_, table| table.strong_count() > 0);
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn put(&mut self, name: &TableName, table: TableData) {
        let table = Arc::new(table);
        self.versions.insert(table.version, Arc::downgrade(&table));
        self.change(|schemas| {
            schemas.entry(name.schema.clone()).or_default().insert(name.table.clone(), table);
        });
    }

    fn committed(&self, token: Option<&WriteToken>) -> Result<Option<u64>> {
        let Some(token) = token else { return Ok(None) };
        match self.tokens.iter().find(|(known, _)| known.token == token.token) {
            Some((known, rows)) if known.statement == token.statement => Ok(Some(*rows)),
            Some(_) => Err(ConnectorError::user(format!("write_token {} was used for another statement", token.token))
                .hint("choose another token for each write")),
            None => Ok(None),
        }
    }

    fn is_made(&self, table: &NewTable) -> Result<bool> {
        if !self.now.schemas.contains_key(&table.name.schema) {
            return Err(ConnectorError::user(format!("schema {} does not exist", table.name.schema))
                .hint("make it with CREATE SCHEMA"));
        }
        match (self.now.table(&table.name.schema, &table.name.table), table.on_existing) {
            (None, _) | (Some(_), OnExisting::Replace) => Ok(false),
            (Some(_), OnExisting::Skip) => Ok(true),
            (Some(_), OnExisting::Fail) => Err(ConnectorError::exists("the table exists already")),
        }
    }
}
