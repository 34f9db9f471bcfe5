//! Names of directories and files, as Hive writes them.
//!
//! A partition directory is called `key=value`. Both sides are escaped: `%` and two hexadecimal digits stand for one
//! byte. The value `__HIVE_DEFAULT_PARTITION__` stands for NULL.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The value of a partition directory that stands for NULL.
pub const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// What Hive escapes in the name of a partition directory besides control characters (`FileUtils.escapePathName`).
const ESCAPED: &[char] = &['"', '#', '%', '\'', '*', '/', ':', '=', '?', '\\', '{', '[', ']', '^'];

/// The name of the directory that holds the rows whose column `key` is `value`. NULL and the empty text both become
/// [`NULL_PARTITION`], as in Hive, which cannot tell them apart.
pub fn partition_directory(key: &str, value: Option<&str>) -> String {
    let value = match value {
        None | Some("") => Cow::Borrowed(NULL_PARTITION),
        Some(value) => Cow::Owned(escape(value)),
    };
    format!("{}={value}", escape(key))
}

/// Hive reads each `%XX` as one character, so only ASCII is escaped: of others each has several bytes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_control() || ESCAPED.contains(&c) {
            escaped.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// The key and value of a partition directory, unescaped, or `None` for any other directory. A value of `None` is
/// NULL; an empty value (`key=`) is the empty text.
pub(crate) fn parse_partition(segment: &str) -> Option<(String, Option<String>)> {
    let (key, value) = segment.split_once('=')?;
    if key.is_empty() {
        return None;
    }
    let value = (value != NULL_PARTITION).then(|| unescape(value));
    Some((unescape(key), value))
}

/// Replaces `%XX`. A text that does not decode to UTF-8 is left as it is: it was not written by escaping.
fn unescape(text: &str) -> String {
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => text.to_owned(),
    }
}

/// Whether Hive passes over a file or directory of this name: `_SUCCESS`, `_temporary`, `.part-0.crc`. A partition
/// key may begin with an underscore, so `_key=value` is not hidden.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_into_a_directory_name_and_back() {
        for value in ["plain", "a=b", "a:b", "{br}", "a/b", "50%", "x#y", "ü é", "it's", "\"q\"", "tab\there", "%41"]
        {
            let directory = partition_directory("key", Some(value));
            assert!(!directory.contains('/'), "{directory}");
            assert_eq!(parse_partition(&directory), Some(("key".to_owned(), Some(value.to_owned()))), "{directory}");
        }
    }

    #[test]
    fn names_are_those_of_hive() {
        assert_eq!(partition_directory("a:b", Some("ü=1 {x}\n")), "a%3Ab=ü%3D1 %7Bx}%0A");
    }

    #[test]
    fn null_is_a_word_and_empty_text_is_not() {
        assert_eq!(partition_directory("k", None), "k=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(parse_partition("k=__HIVE_DEFAULT_PARTITION__"), Some(("k".to_owned(), None)));
        assert_eq!(parse_partition("k="), Some(("k".to_owned(), Some(String::new()))));
    }

    #[test]
    fn only_the_first_equals_sign_separates() {
        assert_eq!(parse_partition("k=a=b"), Some(("k".to_owned(), Some("a=b".to_owned()))));
        assert_eq!(parse_partition("=b"), None);
        assert_eq!(parse_partition("orders"), None);
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(parse_partition("k=100%"), Some(("k".to_owned(), Some("100%".to_owned()))));
        assert_eq!(parse_partition("k=%FF"), Some(("k".to_owned(), Some("%FF".to_owned()))));
    }

    #[test]
    fn hidden_names() {
        assert!(is_hidden("_SUCCESS") && is_hidden(".part-0.crc") && is_hidden("_delta_log"));
        assert!(!is_hidden("_key=1") && !is_hidden("000000_0") && !is_hidden("part-0.parquet"));
    }
}
