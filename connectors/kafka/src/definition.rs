//! The section of the catalog file that declares a table as it is, columns that were found included.

use std::fmt::Write;

use crate::declared_times;
use crate::layout::{Format, Part, Place, WriterSchema};
use crate::table::KafkaTable;

/// The section for a table.
pub(crate) fn definition(table: &KafkaTable) -> String {
    let mut text = format!(
        "[{}.tables.{}]\ntopic = {}\n",
        toml_key(&table.name.catalog),
        toml_key(&table.name.table),
        toml_text(&table.topic)
    );
    // Writing to a String does not fail.
    let _ = writeln!(text, "value = {}", part(&table.layout.value));
    if table.layout.key != Part::undeclared(Format::Text) {
        let _ = writeln!(text, "key = {}", part(&table.layout.key));
    }
    let _ = writeln!(text, "on_error = \"{}\"", table.layout.on_error.name());
    if table.skips_deleted {
        text.push_str("on_truncated = \"skip\"\n");
    }
    if let Some(partitioner) = table.partitioner {
        let _ = writeln!(text, "partitioner = \"{}\"", partitioner.name());
    }
    if let Some(partitions) = table.partitions {
        let _ = writeln!(text, "partitions = {partitions}");
    }
    if let Some((column, lateness)) = &table.event_time {
        let _ = writeln!(text, "event_time = {}\nmax_lateness_ms = {lateness}", toml_text(column));
    }
    if let Some(slack) = table.max_out_of_orderness {
        let _ = writeln!(text, "max_out_of_orderness_ms = {slack}");
    }
    if table.log_append {
        text.push_str("timestamps = \"log-append\"\n");
    }
    text
}

/// The inline table of a part.
fn part(part: &Part) -> String {
    let mut text = format!("{{ format = \"{}\"", part.format.name());
    let mut map = |name: &str, entries: Vec<(&str, String)>| {
        if !entries.is_empty() {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{} = {}", toml_key(key), toml_text(value))).collect();
            // Writing to a String does not fail.
            let _ = write!(text, ", {name} = {{ {} }}", entries.join(", "));
        }
    };
    let columns = &part.columns;
    let of_schema = matches!(part.format, Format::Avro(_) | Format::JsonSchema | Format::Protobuf { .. });
    let named = columns.iter().filter(|_| !of_schema);
    map("columns", named.map(|column| (column.name.as_str(), column.value_type.to_string())).collect());
    let times: Vec<(String, String)> = columns.iter().flat_map(declared_times::told).collect();
    map("times", times.iter().map(|(path, way)| (path.as_str(), way.clone())).collect());
    let places = columns.iter().filter_map(|column| match column.place {
        Place::Bytes(start, end) => {
            let end = end.map_or_else(String::new, |end| end.to_string());
            Some((column.name.as_str(), format!("{start}:{end}")))
        }
        _ => None,
    });
    map("positions", places.collect());
    if let Format::Csv { delimiter, .. } = part.format
        && delimiter != ','
    {
        let _ = write!(text, ", delimiter = {}", toml_text(&delimiter.to_string()));
    }
    if part.envelope {
        text.push_str(", envelope = \"debezium\"");
    }
    if let Format::Protobuf { message: Some(message), .. } = &part.format {
        let _ = write!(text, ", message = {}", toml_text(message));
    }
    if let Format::Protobuf { imports, .. } = &part.format
        && !imports.is_empty()
    {
        let imports = imports.iter().map(|file| format!("{} = {}", toml_key(&file.name), toml_text(&file.text)));
        let _ = write!(text, ", imports = {{ {} }}", imports.collect::<Vec<_>>().join(", "));
    }
    match &part.format {
        Format::Avro(WriterSchema::Text(schema)) | Format::Protobuf { schema: WriterSchema::Text(schema), .. } => {
            let _ = write!(text, ", schema = {}", toml_text(schema));
        }
        _ => {
            if let Some((subject, version)) = &part.subject {
                let _ = write!(text, ", subject = {}, version = {version}", toml_text(subject));
            }
        }
    }
    text.push_str(" }");
    text
}

/// A key of a TOML table, quoted where it must be.
fn toml_key(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { key.to_owned() } else { toml_text(key) }
}

/// A basic string of TOML, whose escapes are those of JSON.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
