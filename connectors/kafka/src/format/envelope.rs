//! Change events as Debezium writes them: `{"before": ..., "after": ..., "op": "u"}`, alone or as the `payload` beside their
//! schema.

use std::borrow::Cow;

use crate::cell::{Kind, text};
use crate::nested::pairs;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event<'m> {
    /// What changed.
    pub(super) op: Cow<'m, str>,
    /// The JSON of the row before and after the change, where there was one.
    pub(super) before: Option<&'m str>,
    pub(super) after: Option<&'m str>,
}

impl<'m> Event<'m> {
    /// Reads an event, which must be all of the message.
    pub(super) fn read(message: &'m str) -> Result<Self, String> {
        // Of two equal names the last one counts.
        let last = |fields: &[(Cow<'_, str>, &'m str)], name: &str| {
            fields.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
        };
        let wrong = |error: String| format!("it is not one JSON object: {error}");
        let mut fields = pairs(message).map_err(wrong)?;
        if let (None, Some(payload)) = (last(&fields, "op"), last(&fields, "payload")) {
            fields = pairs(payload).map_err(|error| format!("its payload is no JSON object: {error}"))?;
        }
        let op = last(&fields, "op").filter(|op| Kind::of(op) == Kind::Text);
        let op = op.ok_or("it is no change event of Debezium: it has no text `op`")?;
        let row = |name: &str| match last(&fields, name) {
            Some(row) if Kind::of(row) == Kind::Object => Ok(Some(row)),
            Some(row) if Kind::of(row) != Kind::Null => Err(format!("its `{name}` is no JSON object")),
            _ => Ok(None),
        };
        Ok(Self { op: text(op)?, before: row("before")?, after: row("after")? })
    }

    /// The row that the event tells of: after the change, or before it where there is none after it.
    pub(super) fn row(&self) -> Option<&'m str> {
        self.after.or(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_with_and_without_their_schema() {
        let plain = r#"{"op":"u","before":{"id":1},"after":{"id":2},"ts_ms":5}"#;
        let with_schema = format!("{{\"schema\":{{\"type\":\"struct\"}},\"payload\":{plain}}}");
        let expected = Event { op: "u".into(), before: Some("{\"id\":1}"), after: Some("{\"id\":2}") };
        assert_eq!(Event::read(plain), Ok(expected.clone()));
        assert_eq!(Event::read(&with_schema), Ok(expected.clone()));
        assert_eq!(expected.row(), Some("{\"id\":2}"));
        let deleted = Event::read(r#"{"op":"d","before":{"id":1},"after":null}"#).unwrap();
        assert_eq!(deleted.row(), Some("{\"id\":1}"));
        assert_eq!(Event::read(r#"{"op":"t"}"#).unwrap().row(), None);
        for (message, part) in [
            ("", "not one JSON object"),
            ("{\"op\":\"c\"", "not one JSON object"),
            ("{\"op\":\"c\"}{}", "trailing"),
            ("{\"id\":1}", "no text `op`"),
            ("{\"op\":1}", "no text `op`"),
            ("{\"payload\":7}", "its payload is no JSON object"),
            ("{\"op\":\"c\",\"after\":[]}", "its `after` is no JSON object"),
        ] {
            let error = Event::read(message).unwrap_err();
            assert!(error.contains(part), "{message}: {error}");
        }
    }
}
