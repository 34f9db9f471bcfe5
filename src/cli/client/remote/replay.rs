//! The statements that made a session what it is, for a session that takes its place.

use crate::cli::shell::lex::{Kind, Token, tokens};

/// Statements that are kept.
const STATEMENTS_MAX: usize = 100;

/// USE and SET statements, without those that later ones undid.
#[derive(Debug, Default)]
pub(super) struct Replay {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    sql: String,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Place,
    Setting(String),
}

impl Replay {
    /// Keeps a statement that succeeded, if it changed the session.
    pub(super) fn note(&mut self, sql: &str) {
        let tokens: Vec<Token<'_>> =
            tokens(sql).filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment)).collect();
        let Some((first, rest)) = tokens.split_first() else { return };
        let name = rest
            .iter()
            .find(|token| token.kind == Kind::Word && !token.text.eq_ignore_ascii_case("SESSION"))
            .map(|token| token.text.to_lowercase());
        match (first.text.to_uppercase().as_str(), name.as_deref()) {
            ("USE", _) => {
                if rest.iter().any(|token| token.text == ".") {
                    // A whole place does not depend on the one before.
                    self.kept.retain(|kept| kept.what != What::Place);
                }
                self.keep(sql, What::Place);
            }
            ("SET", Some(name)) => {
                let what = What::Setting(name.to_owned());
                self.kept.retain(|kept| kept.what != what);
                self.keep(sql, what);
            }
            ("RESET", None | Some("all")) => self.kept.retain(|kept| kept.what == What::Place),
            ("RESET", Some(name)) => self.kept.retain(|kept| kept.what != What::Setting(name.to_owned())),
            _ => {}
        }
    }

    /// The statements in their order.
    pub(super) fn statements(&self) -> Vec<String> {
        self.kept.iter().map(|kept| kept.sql.clone()).collect()
    }

    fn keep(&mut self, sql: &str, what: What) {
        if self.kept.len() >= STATEMENTS_MAX {
            self.kept.remove(0);
        }
        self.kept.push(Kept { sql: sql.to_owned(), what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_still_counts_is_kept() {
        let mut replay = Replay::default();
        for sql in [
            "USE pg",
            "USE public",
            "SET SESSION batch_rows = 1",
            "set pushdown = 'none'",
            "SET SESSION batch_rows = 2",
            "SELECT 1",
        ] {
            replay.note(sql);
        }
        assert_eq!(
            replay.statements(),
            ["USE pg", "USE public", "set pushdown = 'none'", "SET SESSION batch_rows = 2"]
        );
        replay.note("use lake.sales");
        replay.note("RESET SESSION pushdown");
        assert_eq!(replay.statements(), ["SET SESSION batch_rows = 2", "use lake.sales"]);
        replay.note("RESET SESSION");
        assert_eq!(replay.statements(), ["use lake.sales"]);
        replay.note("SET pushdown = 'none'");
        replay.note("RESET ALL");
        assert_eq!(replay.statements(), ["use lake.sales"]);
    }
}
