//! The columns that schemas tell: those of a registry, and those that the catalog file holds.

use portolan_connector::{ConnectorError, Result, UnsupportedColumn};

use crate::columns::is_hidden_name;
use crate::config::Declaration;
use crate::format::{SchemaColumns, avro_columns, json_schema_columns, proto_columns};
use crate::layout::{Format, Part, SchemaSource, WriterSchema};
use crate::registry::Registry;

/// What schemas say of the parts of a topic's messages.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) key: Option<DescribedPart>,
    pub(crate) value: Option<DescribedPart>,
}

/// What a schema says of a part.
#[derive(Debug)]
pub(crate) struct DescribedPart {
    pub(crate) part: Part,
    /// Where the columns come from, for DESCRIBE.
    pub(crate) origin: String,
    pub(crate) unsupported: Vec<UnsupportedColumn>,
}

impl Described {
    /// What is known of the parts of a table. A part of which the catalog file says nothing is described by the newest
    /// schema of its subject, where the catalog has a registry and that has one.
    pub(crate) async fn of(registry: Option<&Registry>, declaration: &Declaration) -> Result<Self> {
        let topic = &declaration.topic;
        let key = Self::part(
            registry,
            format!("{topic}-key"),
            (&declaration.layout.key, declaration.key_schema.as_ref()),
            !declaration.layout.key.declared,
        );
        let value = Self::part(
            registry,
            format!("{topic}-value"),
            (&declaration.layout.value, declaration.value_schema.as_ref()),
            !declaration.layout.value.declared && declaration.inferred,
        );
        Ok(Self { key: key.await?, value: value.await? })
    }

    async fn part(
        registry: Option<&Registry>,
        subject: String,
        (Part { format: declared, envelope, .. }, source): (&Part, Option<&SchemaSource>),
        looks: bool,
    ) -> Result<Option<DescribedPart>> {
        let (message, imports) = match declared {
            Format::Protobuf { message, imports, .. } => (message.clone(), imports.clone()),
            _ => (None, Vec::new()),
        };
        let (name, version) = match source {
            Some(SchemaSource::Text(text)) if matches!(declared, Format::Protobuf { .. }) => {
                let found = proto_columns(text, &imports, message.as_deref()).map_err(ConnectorError::user)?;
                let format = Format::Protobuf { schema: WriterSchema::Text(text.clone()), message, imports };
                return Ok(Some(described(found, format, "the schema in the catalog file".to_owned(), None)));
            }
            Some(SchemaSource::Text(text)) => {
                let found = avro_columns(text, &[], *envelope).map_err(ConnectorError::user)?;
                let format = Format::Avro(WriterSchema::Text(text.clone()));
                let mut found = described(found, format, "the schema in the catalog file".to_owned(), None);
                found.part.envelope = *envelope;
                return Ok(Some(found));
            }
            Some(SchemaSource::Subject { name, version }) => (name.clone().unwrap_or(subject), *version),
            None if looks => (subject, None),
            None => return Ok(None),
        };
        let Some(registry) = registry else { return Ok(None) };
        let Some(found) = registry.of_subject(&name, version).await? else {
            let version = version.map_or_else(String::new, |version| format!("version {version} of "));
            return match source {
                Some(_) => Err(ConnectorError::user(format!("the schema registry has no {version}subject {name}"))
                    .hint("set `subject` to the one under which its writers register the schema")),
                None => Ok(None),
            };
        };
        let (version, id) = (found.version.unwrap_or_default(), found.id);
        let origin = format!("schema {id}: version {version} of subject {name}");
        let (columns, format) = match found.kind.as_str() {
            "AVRO" => (avro_columns(&found.text, &found.references, *envelope), Format::Avro(WriterSchema::Id(id))),
            other if *envelope => {
                return Err(ConnectorError::user(format!("{origin} is {other}, and change events are read as Avro")));
            }
            "JSON" => (json_schema_columns(&found.text, &found.references), Format::JsonSchema),
            "PROTOBUF" => {
                let columns = proto_columns(&found.text, &found.references, message.as_deref());
                (columns, Format::Protobuf { schema: WriterSchema::Id(id), message, imports })
            }
            other if source.is_none() => {
                tracing::debug!(subject = name, kind = other, "schemas of this kind tell no columns");
                return Ok(None);
            }
            other => {
                return Err(ConnectorError::user(format!(
                    "{origin} is {other}, and Avro, JSON Schema and Protobuf are read"
                ))
                .hint("set value = { format = \"binary\" } to read the bytes"));
            }
        };
        let columns = columns.map_err(|error| ConnectorError::user(format!("{origin} cannot be read: {error}")))?;
        let mut described = described(columns, format, origin, Some((name, version)));
        described.part.envelope = *envelope;
        Ok(Some(described))
    }
}

fn described(found: SchemaColumns, format: Format, origin: String, subject: Option<(String, u32)>) -> DescribedPart {
    let mut unsupported: Vec<UnsupportedColumn> = found
        .unsupported
        .into_iter()
        .map(|(name, source_type, reason)| UnsupportedColumn { name, source_type, reason })
        .collect();
    let (columns, hidden): (Vec<_>, Vec<_>) =
        found.columns.into_iter().partition(|column| !is_hidden_name(&column.name));
    unsupported.extend(hidden.into_iter().map(|column| UnsupportedColumn {
        source_type: column.value_type.to_string(),
        name: column.name,
        reason: "a hidden column has this name".to_owned(),
    }));
    DescribedPart { part: Part { format, columns, declared: true, envelope: false, subject }, origin, unsupported }
}
