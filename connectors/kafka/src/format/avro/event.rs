//! Change events of Debezium in Avro: records with the row before and after the change, and what changed.

use std::sync::Arc;

use super::resolve::only;
use super::schema::{Field, Schema};
use crate::cell::Cell;

/// The fields of an event that are read, in the order in which they are.
pub(super) const FIELDS: [&str; 3] = ["before", "after", "op"];

/// The schema of the rows that events tell of.
pub(super) fn row_of(event: &Schema) -> Result<&Schema, String> {
    let wrong = |what: &str| Err(format!("the Avro schema is none of change events of Debezium: it has no {what}"));
    let Schema::Record { fields, .. } = event else { return wrong("fields") };
    let field = |name: &str| fields.iter().find(|field| field.name == name).map(|field| &field.schema);
    if field("op").is_none() || field("before").is_none() {
        return wrong("`op` and `before`");
    }
    match field("after").and_then(Schema::nullable) {
        Some(row @ Schema::Record { .. }) => Ok(row),
        _ => wrong("`after` that is a record or null"),
    }
}

/// How events become rows.
#[derive(Debug)]
pub(super) struct Events {
    /// Where the columns are among the fields of the row that are read.
    places: Vec<usize>,
    /// Whether the whole row before the change is asked for.
    before: bool,
}

impl Events {
    /// For events of a schema, of whose rows these columns are wanted, or `all` of them for the row before the change; and the
    /// schema by which events are read then.
    pub(super) fn new(event: &Schema, wanted: &[String], all: Option<Vec<String>>) -> Result<(Self, Schema), String> {
        let Schema::Record { name, fields } = row_of(event)? else { return Err("rows have no fields".to_owned()) };
        let before = all.is_some();
        let read = all.unwrap_or_else(|| wanted.to_vec());
        let place = |column: &String| read.iter().position(|name| name == column);
        let places = wanted.iter().map(place).collect::<Option<_>>().ok_or("a column is no field of the rows")?;
        let of_row = only(fields, &read).ok_or("a column is no field of the rows")?;
        let row = Schema::Record { name: name.clone(), fields: Arc::new(of_row) };
        let row = Schema::Union(vec![Schema::Null, row]);
        let field = |name: &str, schema: &Schema, default: Option<serde_json::Value>| Field {
            name: name.to_owned(),
            aliases: Vec::new(),
            schema: schema.clone(),
            default,
            is_read: true,
        };
        let [before_name, after_name, op_name] = FIELDS;
        let none = Some(serde_json::Value::Null);
        let fields = vec![
            field(before_name, &row, none.clone()),
            field(after_name, &row, none),
            field(op_name, &Schema::Union(vec![Schema::Null, Schema::String]), None),
        ];
        let event = Schema::Record { name: event.name().to_owned(), fields: Arc::new(fields) };
        Ok((Self { places, before }, event))
    }

    /// Adds the values of the columns, one that is not used, what changed, and the row before the change.
    pub(super) fn row<'m>(&self, event: Vec<Cell<'m>>, cells: &mut Vec<Cell<'m>>) -> Result<(), String> {
        let [before, after, op]: [Cell<'m>; 3] =
            event.try_into().map_err(|_| "it is no change event of Debezium".to_owned())?;
        if !matches!(op, Cell::Text(_)) {
            return Err("it is no change event of Debezium: it has no text `op`".to_owned());
        }
        let row = match (&after, &before) {
            (Cell::Fields(fields), _) | (_, Cell::Fields(fields)) => fields.as_slice(),
            _ => &[],
        };
        cells.extend(self.places.iter().map(|place| row.get(*place).cloned().unwrap_or(Cell::Null)));
        cells.push(Cell::Null);
        cells.push(op);
        cells.push(if self.before { before } else { Cell::Null });
        Ok(())
    }
}
