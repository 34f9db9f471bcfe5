//! Names with wildcards, as backslash commands take them.

/// One part of a dotted name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    text: String,
    /// Quoted parts mean themselves: no wildcards, and their case counts.
    quoted: bool,
}

impl Part {
    /// A part that means exactly this name.
    pub(crate) fn exactly(name: &str) -> Self {
        Self { text: name.to_owned(), quoted: true }
    }

    /// The name, if the part is one and not a pattern.
    pub(crate) fn name(&self) -> Option<&str> {
        (self.quoted || !self.text.contains(['*', '?'])).then_some(self.text.as_str())
    }

    /// Whether a name is meant.
    pub(crate) fn matches(&self, name: &str) -> bool {
        if self.quoted {
            return self.text == name;
        }
        let fold = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
        wildcard(&fold(name), &fold(&self.text))
    }
}

/// Whether `*` as any text and `?` as any character make the pattern the name. Takes at most the product of both
/// lengths.
fn wildcard(name: &[char], pattern: &[char]) -> bool {
    let (mut at, mut in_pattern) = (0, 0);
    // Where the last star is, and how much of the name it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = name.get(at) {
        match (pattern.get(in_pattern), star) {
            (Some('*'), _) => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            (Some(wanted), _) if *wanted == '?' || wanted == character => {
                at += 1;
                in_pattern += 1;
            }
            (_, Some((star_at, taken_to))) => {
                star = Some((star_at, taken_to + 1));
                at = taken_to + 1;
                in_pattern = star_at + 1;
            }
            (_, None) => return false,
        }
    }
    pattern.get(in_pattern..).unwrap_or_default().iter().all(|rest| *rest == '*')
}

/// The parts of a dotted name, which may be quoted as in SQL.
pub(crate) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = Part { text: String::new(), quoted: false };
    let mut within = false;
    let mut characters = text.trim().chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if within && characters.next_if_eq(&'"').is_some() => part.text.push('"'),
            '"' => {
                within = !within;
                part.quoted = true;
            }
            '.' if !within => {
                parts.push(std::mem::replace(&mut part, Part { text: String::new(), quoted: false }));
            }
            other => part.text.push(other),
        }
    }
    parts.push(part);
    parts
}

/// A name as SQL takes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name as SQL takes it, in quotes only where it needs them.
pub(crate) fn identifier(name: &str) -> String {
    let starts = |first: char| first == '_' || first.is_ascii_lowercase();
    let plain = name.starts_with(starts)
        && name.chars().all(|character| starts(character) || character.is_ascii_digit())
        && !super::words::is_reserved(name);
    if plain { name.to_owned() } else { quoted(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("cust*", "customers", true),
            ("CUST*", "customers", true),
            ("*er?", "customers", true),
            ("*", "", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXb", false),
            ("?", "", false),
            ("a", "ab", false),
        ] {
            assert_eq!(parts(pattern)[0].matches(name), expected, "{pattern} {name}");
        }
        // A pattern that would take exponential time with a naive search.
        assert!(!parts(&"*a".repeat(30))[0].matches(&"a".repeat(29)));
    }

    #[test]
    fn quotes_keep_dots_case_and_stars() {
        let parts = parts("pg.\"My.Sch\"\"ema\".t*");
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0].name(), Some("pg"));
        assert_eq!(parts[1], Part::exactly("My.Sch\"ema"));
        assert_eq!(parts[2].name(), None);
        assert!(!Part::exactly("T*").matches("Tx"));
    }

    #[test]
    fn names_are_quoted_where_sql_needs_it() {
        for (name, expected) in [
            ("orders", "orders"),
            ("Orders", "\"Orders\""),
            ("a b", "\"a b\""),
            ("1st", "\"1st\""),
            ("order", "\"order\""),
            ("$path", "\"$path\""),
        ] {
            assert_eq!(identifier(name), expected);
        }
    }
}
