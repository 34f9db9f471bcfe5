//! How large a schema is where each use of a named type counts: some lines of text can say more than any memory holds.

use std::collections::HashMap;

use super::schema::Schema;

/// The most types of a schema, one within the other.
const MAX_LEVELS: usize = 128;

/// The most types of a schema, each use of a named one counted with all that it has.
const MAX_TYPES: usize = 100_000;

/// How large a type is, with those within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    levels: usize,
    types: usize,
}

/// The extents of the records that have been read, by name.
#[derive(Debug, Default)]
pub(super) struct Extents(HashMap<String, Extent>);

impl Extents {
    /// Remembers a record; an error, if it is too large.
    pub(super) fn add(&mut self, name: &str, record: &Schema) -> Result<(), String> {
        let found = self.check(record)?;
        let known = self.0.entry(name.to_owned()).or_default();
        // A name may be given to several records: what is within others is one of them.
        *known = Extent { levels: known.levels.max(found.levels), types: known.types.max(found.types) };
        Ok(())
    }

    /// How large a type is, of whose fields all records have been added; an error, if it is too large.
    pub(super) fn check(&self, schema: &Schema) -> Result<Extent, String> {
        let within = match schema {
            Schema::Record { fields, .. } => self.joined(fields.iter().map(|field| &field.schema)),
            other => self.of(other),
        };
        let found = match schema {
            Schema::Record { .. } => Extent { levels: within.levels + 1, types: within.types.saturating_add(1) },
            _ => within,
        };
        match found {
            Extent { levels, .. } if levels > MAX_LEVELS => {
                Err(format!("the Avro schema has types within types of more than {MAX_LEVELS} levels"))
            }
            Extent { types, .. } if types > MAX_TYPES => Err(format!(
                "the Avro schema is of more than {MAX_TYPES} types, where each use of a named one counts with its fields"
            )),
            found => Ok(found),
        }
    }

    fn of(&self, schema: &Schema) -> Extent {
        let within = match schema {
            Schema::Record { name, .. } => return self.0.get(name).copied().unwrap_or_default(),
            Schema::Array(item) | Schema::Map(item) => self.of(item),
            Schema::Union(branches) => self.joined(branches.iter()),
            _ => Extent::default(),
        };
        Extent { levels: within.levels + 1, types: within.types.saturating_add(1) }
    }

    fn joined<'s>(&self, schemas: impl Iterator<Item = &'s Schema>) -> Extent {
        schemas.map(|schema| self.of(schema)).fold(Extent::default(), |all, one| Extent {
            levels: all.levels.max(one.levels),
            types: all.types.saturating_add(one.types),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Reference;

    /// A record of two fields of the record before it, so many times.
    fn doubled(times: usize, fields: &[&str]) -> Vec<Reference> {
        let record = |number: usize| {
            let within = if number == 0 { "int".to_owned() } else { format!("R{}", number - 1) };
            let fields: Vec<String> =
                fields.iter().map(|name| format!(r#"{{"name":"{name}","type":"{within}"}}"#)).collect();
            let text = format!(r#"{{"type":"record","name":"R{number}","fields":[{}]}}"#, fields.join(","));
            Reference { name: format!("R{number}"), text }
        };
        (0..times).map(record).collect()
    }

    #[test]
    fn few_lines_do_not_become_a_schema_without_end() {
        let parse = |references: &[Reference], last: &str| Schema::parse(&format!("\"{last}\""), references);
        assert!(parse(&doubled(15, &["a", "b"]), "R14").is_ok());
        let error = parse(&doubled(40, &["a", "b"]), "R39").unwrap_err();
        assert!(error.contains("more than 100000 types"), "{error}");
        assert!(parse(&doubled(100, &["a"]), "R99").is_ok());
        let error = parse(&doubled(5_000, &["a"]), "R4999").unwrap_err();
        assert!(error.contains("more than 128 levels"), "{error}");
    }

    #[test]
    fn what_is_no_record_counts_with_what_is_in_it() {
        let references = doubled(15, &["a", "b"]);
        assert!(Schema::parse(r#"["null", "R14"]"#, &references).is_ok());
        let all = [r#"{"type":"array","items":"R14"}"#; 2].join(",");
        assert!(Schema::parse(&format!("[{all}]"), &references).unwrap_err().contains("more than 100000 types"));
        // A later record of the name is smaller: those that were there before are not.
        let text = r#"{"type":"record","name":"Last","fields":[{"name":"a","type":"R14"},{"name":"b","type":"R14"},
            {"name":"c","type":{"type":"record","name":"R14","fields":[]}}]}"#;
        assert!(Schema::parse(text, &references).unwrap_err().contains("more than 100000 types"));
    }
}
