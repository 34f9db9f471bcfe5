//! The format of a table's or a partition's files, by the class that reads them in Hive (its SerDe) or by Spark's provider.

use std::collections::BTreeMap;

use crate::format::{CsvFormat, Format, Header, JsonFormat, Separators, byte_of};
use crate::metastore::calls::Storage;
use crate::metastore::spark::SparkTable;

/// Parameters that say nothing of how rows are written.
const PLAIN: [&str; 2] = ["path", "serialization.format"];

/// The format of files, or why they are not read. `parameters` are those of the table or partition.
pub(super) fn format_of(
    storage: &Storage,
    parameters: &BTreeMap<String, String>,
    spark: Option<&SparkTable>,
) -> Result<Format, String> {
    if let Some(spark) = spark {
        return of_provider(&spark.provider, storage);
    }
    let class = storage.serde.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let name = match class.as_str() {
        "parquethiveserde" | "parquetserde" => return Ok(Format::Parquet),
        "lazysimpleserde" => return lines(storage).and_then(|()| text(&storage.serde_parameters, parameters)),
        "jsonserde" => {
            lines(storage)?;
            return match storage.serde_parameters.keys().find(|name| name.starts_with("mapping.")) {
                Some(name) => Err(format!("its JSON files are read with `{name}`, which is not known here")),
                None => Ok(Format::Json(JsonFormat::default())),
            };
        }
        "avroserde" => return Ok(Format::Avro),
        "orcserde" => return Ok(Format::Orc),
        "opencsvserde" => return lines(storage).and_then(|()| open_csv(&storage.serde_parameters, parameters)),
        _ if storage.serde.to_ascii_lowercase().contains("parquet") => return Ok(Format::Parquet),
        _ => "a format of their own",
    };
    let class = if storage.serde.is_empty() { "none" } else { &storage.serde };
    Err(format!("its files are in a format that is not read: {name} (SerDe {class})"))
}

fn of_provider(provider: &str, storage: &Storage) -> Result<Format, String> {
    let format = match provider {
        "parquet" | "org.apache.spark.sql.parquet" => return Ok(Format::Parquet),
        "json" => Format::Json(JsonFormat::default()),
        "avro" | "com.databricks.spark.avro" => Format::Avro,
        "orc" | "org.apache.spark.sql.hive.orc" => Format::Orc,
        other => return Err(format!("its files are in the format {other} of Spark")),
    };
    // Options of Spark's readers, such as multiLine, change what a row is.
    match storage.serde_parameters.keys().find(|name| !PLAIN.contains(&name.as_str())) {
        Some(option) => Err(format!("its files are read with Spark's option `{option}`, which is not known here")),
        None => Ok(format),
    }
}

/// Whether the files are lines of text: the same classes read rows out of containers as well.
fn lines(storage: &Storage) -> Result<(), String> {
    match storage.input_format.rsplit('.').next() {
        None | Some("" | "TextInputFormat") => Ok(()),
        Some(other) => Err(format!("its files are in a container that is not read ({other})")),
    }
}

/// What `ROW FORMAT DELIMITED` has become (Hive's language manual, "Row Formats & SerDe").
fn text(serde: &BTreeMap<String, String>, table: &BTreeMap<String, String>) -> Result<Format, String> {
    let byte = |name: &str| {
        let text = serde.get(name)?;
        // Hive takes a number for the character with that number.
        let number = text.parse::<u8>().ok().filter(u8::is_ascii);
        Some(number.map_or_else(|| byte_of("the metastore", name, text).map_err(|error| error.to_string()), Ok))
    };
    if serde.get("line.delim").is_some_and(|end| end != "\n") {
        return Err("its lines end in another way than with a line feed".to_owned());
    }
    let header = header(table)?;
    let usual = CsvFormat::hive_text();
    let escape = byte("escape.delim").transpose()?;
    let Separators(mut separators) = Separators::default();
    // The first of these names is Hive's own slip, which versions before 3 write.
    let told = [byte("colelction.delim").or_else(|| byte("collection.delim")), byte("mapkey.delim")];
    for (separator, told) in separators.iter_mut().zip(told) {
        *separator = told.transpose()?.unwrap_or(*separator);
    }
    let format = CsvFormat {
        delimiter: byte("field.delim").transpose()?.unwrap_or(usual.delimiter),
        escape,
        // By the time that a value is taken apart, what was escaped in it is not told from what was not.
        separators: escape.is_none().then_some(Separators(separators)),
        null_marker: serde.get("serialization.null.format").cloned().unwrap_or_else(|| usual.null_marker.clone()),
        header,
        ..usual
    };
    format.check_bytes().map_err(|error| error.to_string())?;
    Ok(Format::Csv(format))
}

/// What `ROW FORMAT SERDE '...OpenCSVSerde'` is told (Hive's language manual, "CSV SerDe"). Its quote for an escape is none,
/// and means the backslash.
fn open_csv(serde: &BTreeMap<String, String>, table: &BTreeMap<String, String>) -> Result<Format, String> {
    let usual = CsvFormat::open_csv();
    let byte = |name: &str, usual: Option<u8>| match serde.get(name).and_then(|text| text.chars().next()) {
        None => Ok(usual),
        Some(first) => byte_of("the metastore", name, &first.to_string()).map(Some).map_err(|error| error.to_string()),
    };
    let escape = byte("escapeChar", usual.escape)?.filter(|escape| *escape != b'"').or(usual.escape);
    let delimiter = byte("separatorChar", Some(usual.delimiter))?.unwrap_or(usual.delimiter);
    let format =
        CsvFormat { delimiter, quote: byte("quoteChar", usual.quote)?, escape, header: header(table)?, ..usual };
    format.check_bytes().map_err(|error| error.to_string())?;
    Ok(Format::Csv(format))
}

/// Which lines of text are no rows.
fn header(table: &BTreeMap<String, String>) -> Result<Header, String> {
    let lines = |name: &str| match table.get(name).map(|text| text.trim().parse::<u32>()) {
        None => Ok(0),
        Some(Ok(count)) => Ok(count),
        Some(Err(_)) => Err(format!("`{name}` is no number")),
    };
    match (lines("skip.header.line.count")?, lines("skip.footer.line.count")?) {
        (0, 0) => Ok(Header::None),
        (1, 0) => Ok(Header::Skip),
        (header, footer) => Err(format!("its files begin with {header} and end with {footer} lines that are no rows")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn of(serde: &str, serde_parameters: &[(&str, &str)], parameters: &[(&str, &str)]) -> Result<Format, String> {
        let storage = Storage {
            serde: format!("org.apache.hadoop.hive.serde2.{serde}"),
            serde_parameters: map(serde_parameters),
            input_format: "org.apache.hadoop.mapred.TextInputFormat".to_owned(),
            ..Storage::default()
        };
        format_of(&storage, &map(parameters), None)
    }

    #[test]
    fn text_of_hive() {
        let usual = CsvFormat::hive_text();
        assert_eq!(of("lazy.LazySimpleSerDe", &[("serialization.format", "1")], &[]), Ok(Format::Csv(usual.clone())));
        let parameters = [("field.delim", "|"), ("escape.delim", "\\"), ("serialization.null.format", "")];
        let told = CsvFormat {
            delimiter: b'|',
            escape: Some(b'\\'),
            null_marker: String::new(),
            header: Header::Skip,
            separators: None,
            ..usual.clone()
        };
        let found = of("lazy.LazySimpleSerDe", &parameters, &[("skip.header.line.count", "1")]);
        assert_eq!(found, Ok(Format::Csv(told)));
        let numbered = Format::Csv(CsvFormat { delimiter: b'\t', ..usual.clone() });
        assert_eq!(of("lazy.LazySimpleSerDe", &[("field.delim", "9")], &[]), Ok(numbered.clone()));
        assert_eq!(of("lazy.LazySimpleSerDe", &[("field.delim", "\t")], &[]), Ok(numbered));
        for name in ["colelction.delim", "collection.delim"] {
            let parameters = [("field.delim", "|"), (name, ","), ("mapkey.delim", ":")];
            let separators = Some(Separators([b',', b':', 4, 5, 6, 7, 8]));
            let told = CsvFormat { delimiter: b'|', separators, ..usual.clone() };
            assert_eq!(of("lazy.LazySimpleSerDe", &parameters, &[]), Ok(Format::Csv(told)));
        }
    }

    #[test]
    fn open_csv_of_hive() {
        let usual = CsvFormat::open_csv();
        assert_eq!(of("OpenCSVSerde", &[], &[]), Ok(Format::Csv(usual.clone())));
        assert_eq!(of("OpenCSVSerde", &[("escapeChar", "\"")], &[]), Ok(Format::Csv(usual.clone())));
        let told = [("separatorChar", "\t"), ("quoteChar", "'"), ("escapeChar", "^")];
        let format =
            CsvFormat { delimiter: b'\t', quote: Some(b'\''), escape: Some(b'^'), header: Header::Skip, ..usual };
        assert_eq!(of("OpenCSVSerde", &told, &[("skip.header.line.count", "1")]), Ok(Format::Csv(format)));
    }

    #[test]
    fn what_is_not_read_says_why() {
        let lazy = "lazy.LazySimpleSerDe";
        for (serde, of_serde, of_table, reason) in [
            (lazy, &[("field.delim", "||")][..], &[][..], "field.delim is `||`"),
            (lazy, &[("line.delim", "\r")], &[], "another way than with a line feed"),
            (lazy, &[], &[("skip.header.line.count", "2")], "begin with 2 and end with 0 lines"),
            (lazy, &[], &[("skip.footer.line.count", "1")], "begin with 0 and end with 1 lines"),
            ("JsonSerDe", &[("mapping.a", "b")], &[], "`mapping.a`"),
            ("OpenCSVSerde", &[("separatorChar", "\"")], &[], "are the same character"),
            ("RegexSerDe", &[], &[], "a format of their own (SerDe org.apache"),
        ] {
            let error = of(serde, of_serde, of_table).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let storage = Storage {
            serde: "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe".to_owned(),
            input_format: "org.apache.hadoop.mapred.SequenceFileInputFormat".to_owned(),
            ..Storage::default()
        };
        let error = format_of(&storage, &map(&[]), None).unwrap_err();
        assert!(error.contains("a container that is not read (SequenceFileInputFormat)"), "{error}");
    }
}
