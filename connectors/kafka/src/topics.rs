//! Which topics are tables, and under which names.

use std::collections::BTreeSet;

use crate::config::Declaration;

/// Topics of Kafka's own machinery.
const INTERNAL: &[&str] = &["__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"];

/// The longest name of a topic, in bytes.
const MAX_NAME: usize = 249;

/// Whether a topic can have this name (Apache Kafka's `Topic.validate`); brokers are not asked about others.
pub(crate) fn is_legal(topic: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_NAME).contains(&topic.len()) && topic.bytes().all(legal) && topic != "." && topic != ".."
}

/// Which topics are tables without being declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patterns {
    /// Patterns of which one must match, unless there are none.
    pub(crate) shown: Vec<String>,
    /// Patterns of which none may match.
    pub(crate) hidden: Vec<String>,
}

impl Patterns {
    fn show(&self, topic: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, topic));
        (self.shown.is_empty() || any(&self.shown)) && !any(&self.hidden)
    }
}

/// Whether a pattern matches all of a text: `*` stands for any characters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    // Where the last star stands, and up to where of the text it reaches so far.
    let (mut at, mut place, mut star) = (0, 0, None::<(usize, usize)>);
    loop {
        match (pattern.get(at), text.get(place)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((at, place));
                at += 1;
            }
            (Some(b'?'), Some(_)) => (at, place) = (at + 1, place + 1),
            (Some(wanted), Some(found)) if wanted == found => (at, place) = (at + 1, place + 1),
            _ => match star {
                Some((star_at, reach)) if reach < text.len() => {
                    star = Some((star_at, reach + 1));
                    (at, place) = (star_at + 1, reach + 1);
                }
                _ => return false,
            },
        }
    }
}

/// The names of the tables, sorted: the declared ones, and each other topic that is shown under its own name. A topic that
/// is declared under another name is listed under that name only.
pub(crate) fn table_names(declared: &[Declaration], patterns: &Patterns, topics: Vec<String>) -> Vec<String> {
    let mut names: BTreeSet<String> = declared.iter().map(|declaration| declaration.name.clone()).collect();
    names.extend(topics.into_iter().filter(|topic| is_table(declared, patterns, topic)));
    names.into_iter().collect()
}

/// Whether a topic that no declaration names is a table.
pub(crate) fn is_table(declared: &[Declaration], patterns: &Patterns, topic: &str) -> bool {
    !INTERNAL.contains(&topic) && patterns.show(topic) && declared.iter().all(|declaration| declaration.topic != topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a"),
            ("web.*", "web."),
            ("a*b*c", "abbxc"),
            ("?", "x"),
            ("a?c", "abc"),
            ("*.dlq", "a.dlq.dlq"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("web.*", "web"), ("a?c", "ac"), ("a*b", "abc"), ("?", "")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        let patterns = Patterns { shown: vec!["web.*".to_owned()], hidden: vec!["*.internal".to_owned()] };
        assert!(patterns.show("web.clicks") && !patterns.show("web.internal") && !patterns.show("orders"));
        assert!(Patterns::default().show("anything"));
    }
}
