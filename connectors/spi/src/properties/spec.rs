//! Declarations of properties.

/// One property that a catalog entry may have.
#[derive(Clone, Copy, Debug)]
pub struct PropertySpec {
    /// The key in the catalog file.
    pub name: &'static str,
    /// What the value looks like.
    pub kind: PropertyKind,
    /// Whether an entry without it is refused.
    pub required: bool,
    /// What is used when it is missing, as the file would write it.
    pub default: Option<&'static str>,
    /// What it does, in one line.
    pub help: &'static str,
}

impl PropertySpec {
    /// An optional property without a default.
    pub const fn new(name: &'static str, kind: PropertyKind, help: &'static str) -> Self {
        Self { name, kind, required: false, default: None, help }
    }

    /// Makes the property required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Gives the property a default.
    #[must_use]
    pub const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

/// What the value of a property looks like.
#[derive(Clone, Copy, Debug)]
pub enum PropertyKind {
    /// Text.
    Text,
    /// Text that is never shown.
    Secret,
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds, both included.
    Integer {
        /// The smallest value allowed.
        min: i64,
        /// The largest value allowed.
        max: i64,
    },
    /// A number that is not negative, with or without a fraction.
    Number,
    /// A time with its unit, read by [`super::parse_duration`].
    Duration,
    /// An amount of memory with its unit, read by [`super::parse_bytes`].
    Bytes,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of texts.
    List,
    /// A table of names to texts, such as columns to types; the file's order is kept.
    Map,
    /// A table with properties of its own.
    Section(&'static [PropertySpec]),
    /// A table of named tables, each with these properties.
    Sections(&'static [PropertySpec]),
}

impl PropertyKind {
    /// The kind for a person: `a whole number from 1 to 65535`.
    pub fn describe(&self) -> String {
        match self {
            Self::Text | Self::Secret => "a text".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number => "a number such as 0.005".to_owned(),
            Self::Duration => "a time such as 30s or 5m".to_owned(),
            Self::Bytes => "an amount of memory such as 512MB or 2GiB".to_owned(),
            Self::OneOf(words) => {
                format!("one of {}", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
            }
            Self::List => "a list of texts".to_owned(),
            Self::Map => "a table of names to texts".to_owned(),
            Self::Section(_) => "a table".to_owned(),
            Self::Sections(_) => "a table of tables".to_owned(),
        }
    }
}
