//! What the catalog file says of the format of a table's files.

use portolan_connector::{ConnectorError, Properties, Result};

use super::Format;
use super::codec::Codec;
use super::csv::{CsvFormat, Header, RowLength};
use super::detect::Kind;
use super::json::JsonFormat;

/// What `format` of the catalog file may be.
pub(crate) const FORMATS: &[&str] = &["auto", "parquet", "csv", "text", "json", "avro", "orc"];

/// The options of formats as they are declared, before it is known which format the files have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FormatSettings {
    /// `None` goes by the files' extensions.
    pub(crate) kind: Option<Kind>,
    pub(crate) delimiter: Option<u8>,
    /// `Some(None)` for none.
    pub(crate) quote: Option<Option<u8>>,
    pub(crate) escape: Option<Option<u8>>,
    pub(crate) header: Option<Header>,
    pub(crate) null_marker: Option<String>,
    pub(crate) row_length: Option<RowLength>,
    pub(crate) compression: Option<Codec>,
}

impl FormatSettings {
    /// What a catalog says of tables that say nothing themselves.
    pub(crate) fn of_catalog(properties: &Properties) -> Self {
        Self { kind: properties.text("format").and_then(kind_named), ..Self::default() }
    }

    /// The options of a table's section at `place` in the catalog file; `otherwise` is what the catalog says.
    pub(crate) fn read(place: &str, section: &Properties, otherwise: &Self) -> Result<Self> {
        let kind = section.text("format").map_or(otherwise.kind, kind_named);
        let byte = |name: &str| section.text(name).map(|text| byte_of(place, name, text)).transpose();
        let optional = |name: &str| match section.text(name) {
            Some("") => Ok(Some(None)),
            _ => byte(name).map(|byte| byte.map(Some)),
        };
        let settings = Self {
            kind,
            delimiter: byte("delimiter")?,
            quote: optional("quote")?,
            escape: optional("escape")?,
            header: section.text("header").and_then(Header::named),
            null_marker: section.text("null_marker").map(str::to_owned),
            row_length: section.text("row_length").and_then(RowLength::named),
            compression: section.text("compression").and_then(Codec::named),
        };
        match kind {
            Some(kind) => settings.check_options(kind).map(|()| settings),
            None => Ok(settings),
        }
    }

    /// An option that the format does not have would be read and mean nothing.
    fn check_options(&self, kind: Kind) -> Result<()> {
        let is_text = matches!(kind, Kind::Csv | Kind::Tsv | Kind::Text);
        let of_text = [
            ("delimiter", self.delimiter.is_some()),
            ("quote", self.quote.is_some()),
            ("escape", self.escape.is_some()),
            ("header", self.header.is_some()),
            ("null_marker", self.null_marker.is_some()),
            ("row_length", self.row_length.is_some()),
        ];
        let wrong = of_text.into_iter().find(|(_, set)| *set && !is_text).map(|(name, _)| name);
        let wrong = wrong.or((self.compression.is_some() && !is_text && kind != Kind::Json).then_some("compression"));
        wrong.map_or(Ok(()), |name| {
            Err(ConnectorError::user(format!("`{name}` is no option of {} files", kind.name()))
                .hint("delimiter, quote, escape, header, null_marker and row_length belong to csv and text, compression to those and to json"))
        })
    }

    /// The format of files of that kind.
    pub(crate) fn format(&self, kind: Kind) -> Result<Format> {
        self.check_options(kind)?;
        let csv = match kind {
            Kind::Parquet => return Ok(Format::Parquet),
            Kind::Json => return Ok(Format::Json(JsonFormat { compression: self.compression })),
            Kind::Avro => return Ok(Format::Avro),
            Kind::Orc => return Ok(Format::Orc),
            Kind::Csv => CsvFormat::default(),
            Kind::Tsv => CsvFormat { delimiter: b'\t', ..CsvFormat::default() },
            Kind::Text => CsvFormat::hive_text(),
        };
        let csv = CsvFormat {
            delimiter: self.delimiter.unwrap_or(csv.delimiter),
            quote: self.quote.unwrap_or(csv.quote),
            escape: self.escape.unwrap_or(csv.escape),
            header: self.header.unwrap_or(csv.header),
            null_marker: self.null_marker.clone().unwrap_or(csv.null_marker),
            row_length: self.row_length.unwrap_or(csv.row_length),
            open_csv: csv.open_csv,
            separators: csv.separators,
            compression: self.compression,
        };
        csv.check_bytes()?;
        Ok(Format::Csv(csv))
    }
}

/// The kind of that name in [`FORMATS`]; `None` for `auto`.
pub(crate) fn kind_named(name: &str) -> Option<Kind> {
    Some(match name {
        "parquet" => Kind::Parquet,
        "csv" => Kind::Csv,
        "text" => Kind::Text,
        "json" => Kind::Json,
        "avro" => Kind::Avro,
        "orc" => Kind::Orc,
        _ => return None,
    })
}

/// The one byte that a text stands for: a character of ASCII, or its escape or number as Hive writes it.
pub(crate) fn byte_of(place: &str, option: &str, text: &str) -> Result<u8> {
    if let [byte] = text.as_bytes()
        && byte.is_ascii()
    {
        return Ok(*byte);
    }
    let written = match text {
        "\\t" => Some(b'\t'),
        _ => text.strip_prefix("\\u").and_then(|digits| u8::from_str_radix(digits, 16).ok()),
    };
    written.filter(u8::is_ascii).ok_or_else(|| {
        ConnectorError::user(format!("{place}.{option} is `{text}`, which is not one character of ASCII"))
            .hint("write the character itself, such as \"|\" or \"\\t\", or its number, such as '\\u0001'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters() {
        for (text, byte) in [("|", b'|'), ("\t", b'\t'), ("\\t", b'\t'), ("\u{1}", 1), ("\\u0001", 1)] {
            assert_eq!(byte_of("tables.t", "delimiter", text).unwrap(), byte, "{text:?}");
        }
        for wrong in ["", "||", "é", "\\u00e9", "\\x"] {
            assert!(byte_of("tables.t", "delimiter", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_option_of_another_format_is_an_error() {
        let settings = FormatSettings { delimiter: Some(b'|'), ..FormatSettings::default() };
        let text = settings.format(Kind::Json).unwrap_err().to_string();
        assert!(text.contains("`delimiter` is no option of JSON files"), "{text}");
        let settings = FormatSettings { compression: Some(Codec::Gzip), ..FormatSettings::default() };
        assert!(settings.format(Kind::Avro).is_err() && settings.format(Kind::Json).is_ok());
    }
}
