//! The format of a file by its extension.

use object_store::ObjectMeta;
use portolan_connector::{ConnectorError, Result};

use super::codec::Codec;
use crate::store::Store;

/// What extensions stand for.
const EXTENSIONS: [(&str, Kind); 8] = [
    ("parquet", Kind::Parquet),
    ("csv", Kind::Csv),
    ("tsv", Kind::Tsv),
    ("json", Kind::Json),
    ("jsonl", Kind::Json),
    ("ndjson", Kind::Json),
    ("avro", Kind::Avro),
    ("orc", Kind::Orc),
];

/// A kind of file, without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Parquet,
    Csv,
    /// CSV with tabs, by its extension alone.
    Tsv,
    /// What Hive writes as TEXTFILE.
    Text,
    Json,
    Avro,
    Orc,
}

impl Kind {
    /// The name for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Csv => "CSV",
            Self::Tsv => "tab-separated",
            Self::Text => "text",
            Self::Json => "JSON",
            Self::Avro => "Avro",
            Self::Orc => "ORC",
        }
    }

    /// The kind that a file's extension stands for, or the one before that of its compression; `None` where it stands
    /// for nothing.
    pub(crate) fn of_extension(name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let known = EXTENSIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
        match known {
            Some((_, kind)) => Some(*kind),
            None if Codec::of_file(name) == Ok(Codec::None) => None,
            None => Self::of_extension(stem),
        }
    }

    /// The kind of a file whose format is not declared. Names without a known extension are Parquet files: writers of
    /// those often leave it out.
    pub(crate) fn of_file(file: &ObjectMeta) -> Self {
        Self::of_extension(file.location.filename().unwrap_or_default()).unwrap_or(Self::Parquet)
    }
}

/// Whether a file's extension says that it holds data.
pub(crate) fn data_extension(name: &str) -> bool {
    Kind::of_extension(name).is_some()
}

/// Checks that files without a declared format are all of the kind that the table has.
pub(crate) fn check_kinds<'a>(
    kind: Kind,
    example: Option<&ObjectMeta>,
    mut files: impl Iterator<Item = &'a ObjectMeta>,
    store: &Store,
) -> Result<()> {
    let Some(other) = files.find(|file| Kind::of_file(file) != kind) else {
        return Ok(());
    };
    let example = example.map_or_else(String::new, |file| format!(" such as {}", store.display(&file.location)));
    Err(ConnectorError::source(format!(
        "the table has files of several formats: {} files{example}, and {}, a {} file by its name",
        kind.name(),
        store.display(&other.location),
        Kind::of_file(other).name()
    ))
    .hint("a table has files of one format: move the others, or declare `format` in the table's section of the catalog file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions() {
        for (name, kind) in [
            ("part-0.parquet", Some(Kind::Parquet)),
            ("a.snappy.parquet", Some(Kind::Parquet)),
            ("a.CSV", Some(Kind::Csv)),
            ("a.csv.gz", Some(Kind::Csv)),
            ("a.csv.xz", Some(Kind::Csv)),
            ("a.tsv.zst", Some(Kind::Tsv)),
            ("a.jsonl.bz2", Some(Kind::Json)),
            ("a.avro", Some(Kind::Avro)),
            ("a.orc", Some(Kind::Orc)),
            ("000000_0", None),
            ("notes.txt", None),
            ("a.gz", None),
        ] {
            assert_eq!(Kind::of_extension(name), kind, "{name}");
        }
    }
}
