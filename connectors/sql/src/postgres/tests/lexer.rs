//! A reader of PostgreSQL's lexical rules, written from the chapter "Lexical Structure" of its documentation and
//! knowing nothing of how the dialect writes.

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A quoted name.
    Name(String),
    /// A key word or an unquoted name, folded to lower case.
    Word(String),
    /// A string constant.
    Text(String),
    /// Anything else.
    Other(String),
}

/// The tokens of a statement; `conforming` is the setting `standard_conforming_strings`.
pub(super) fn tokens(sql: &str, conforming: bool) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = sql.chars().collect();
    let at = |i: usize| chars.get(i).copied();
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(c) = at(i) {
        match c {
            '\0' => return Err("a NUL ends the statement".into()),
            ' ' | '\t' | '\n' | '\r' => i += 1,
            '"' => {
                let (name, next) = doubled(&chars, i + 1, '"')?;
                if name.is_empty() {
                    return Err("a quoted name is empty".into());
                }
                found.push(Token::Name(name));
                i = next;
            }
            '\'' => {
                let (text, next) = if conforming { doubled(&chars, i + 1, '\'')? } else { escaped(&chars, i + 1)? };
                found.push(Token::Text(text));
                i = next;
            }
            'e' | 'E' if at(i + 1) == Some('\'') => {
                let (text, next) = escaped(&chars, i + 2)?;
                found.push(Token::Text(text));
                i = next;
            }
            '-' if at(i + 1) == Some('-') => return Err("a comment".into()),
            '/' if at(i + 1) == Some('*') => return Err("a comment".into()),
            '$' => return Err("a dollar quote or a parameter".into()),
            ':' if at(i + 1) == Some(':') => {
                found.push(Token::Other("::".into()));
                i += 2;
            }
            c if c.is_ascii_alphabetic() || c == '_' || !c.is_ascii() => {
                let start = i;
                while at(i).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()) {
                    i += 1;
                }
                found.push(Token::Word(chars[start..i].iter().collect::<String>().to_ascii_lowercase()));
            }
            c => {
                found.push(Token::Other(c.to_string()));
                i += 1;
            }
        }
    }
    Ok(found)
}

/// Up to the closing quote; two quotes are one.
fn doubled(chars: &[char], mut i: usize, quote: char) -> Result<(String, usize), String> {
    let mut text = String::new();
    loop {
        match (chars.get(i), chars.get(i + 1)) {
            (None, _) => return Err("an unterminated quote".into()),
            (Some('\0'), _) => return Err("a NUL ends the statement".into()),
            (Some(c), Some(next)) if *c == quote && *next == quote => {
                text.push(quote);
                i += 2;
            }
            (Some(c), _) if *c == quote => return Ok((text, i + 1)),
            (Some(c), _) => {
                text.push(*c);
                i += 1;
            }
        }
    }
}

/// Up to the closing quote of a string with C-style escapes.
fn escaped(chars: &[char], mut i: usize) -> Result<(String, usize), String> {
    let mut text = String::new();
    loop {
        match (chars.get(i), chars.get(i + 1)) {
            (None, _) | (Some('\\'), None) => return Err("an unterminated quote".into()),
            (Some('\0'), _) => return Err("a NUL ends the statement".into()),
            (Some('\''), Some('\'')) => {
                text.push('\'');
                i += 2;
            }
            (Some('\''), _) => return Ok((text, i + 1)),
            (Some('\\'), Some(c)) => {
                match c {
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    'x' | 'u' | 'U' | '0'..='7' => {
                        return Err("a numeric escape, which nothing here should need".into());
                    }
                    other => text.push(*other),
                }
                i += 2;
            }
            (Some(c), _) => {
                text.push(*c);
                i += 1;
            }
        }
    }
}

#[test]
fn reads_the_examples_of_the_documentation() {
    let text = |text: &str| Ok(vec![Token::Text(text.to_owned())]);
    assert_eq!(tokens("'Dianne''s horse'", true), text("Dianne's horse"));
    assert_eq!(tokens(r"'a\b'", true), text(r"a\b"));
    assert_eq!(tokens(r"'a\\b'", false), text(r"a\b"));
    assert_eq!(tokens(r"E'it\'s\n'", true), text("it's\n"));
    assert_eq!(tokens(r#""a""b""#, true), Ok(vec![Token::Name("a\"b".into())]));
    assert!(tokens("'open", true).is_err());
    assert!(tokens(r"'a\'", false).is_err());
}
