//! Reading a call: `CALL catalog.schema.procedure('value', name => 'value')`.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Call, Given, Literal};
use crate::error::Result;
use crate::session::words::Words;

impl Call {
    /// Reads the whole statement.
    pub(in crate::session) fn parse(mut words: Words<'_>) -> Result<Self> {
        words.tokens.next();
        let name = words.name("a procedure", 3)?;
        if !words.take_token(&Token::LParen) {
            return Err(words.unexpected("("));
        }
        let mut arguments = Vec::new();
        while !words.take_token(&Token::RParen) {
            if !arguments.is_empty() && !words.take_token(&Token::Comma) {
                return Err(words.unexpected("a comma or a closing parenthesis"));
            }
            arguments.push(argument(&mut words)?);
        }
        words.end()?;
        Ok(Self { name, arguments })
    }
}

fn argument(words: &mut Words<'_>) -> Result<Given> {
    let is_named = words.tokens.clone().nth(1).is_some_and(|token| token.token == Token::RArrow);
    let name = match is_named {
        true => {
            let name = words.ident("the name of an argument")?;
            words.take_token(&Token::RArrow);
            Some(name)
        }
        false => None,
    };
    Ok(Given { name, value: literal(words)? })
}

fn literal(words: &mut Words<'_>) -> Result<Literal> {
    for (word, value) in [("TRUE", Literal::Boolean(true)), ("FALSE", Literal::Boolean(false)), ("NULL", Literal::Null)]
    {
        if words.take_word(word) {
            return Ok(value);
        }
    }
    let sign = if words.take_token(&Token::Minus) { "-" } else { "" };
    match words.tokens.peek().map(|token| &token.token) {
        Some(Token::Number(number, _)) => {
            words.tokens.next();
            Ok(Literal::Number(format!("{sign}{number}")))
        }
        Some(Token::SingleQuotedString(text)) if sign.is_empty() => {
            words.tokens.next();
            Ok(Literal::Text(text.clone()))
        }
        _ => Err(words.unexpected("a value: a text in single quotes, a number, TRUE, FALSE or NULL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Statement;

    fn parsed(sql: &str) -> Result<Call, String> {
        match Statement::parse(sql) {
            Ok(Statement::Call(call)) => Ok(call),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn names_and_values() {
        let call =
            parsed("call system.runtime.kill_query('q', Message => 'it''s', \"N\" => -5, b => true, c => NULL);");
        let call = call.unwrap();
        assert_eq!(call.name, ["system", "runtime", "kill_query"]);
        let arguments: Vec<_> =
            call.arguments.iter().map(|given| (given.name.as_deref(), given.value.clone())).collect();
        assert_eq!(
            arguments,
            [
                (None, Literal::Text("q".to_owned())),
                (Some("message"), Literal::Text("it's".to_owned())),
                (Some("N"), Literal::Number("-5".to_owned())),
                (Some("b"), Literal::Boolean(true)),
                (Some("c"), Literal::Null),
            ]
        );
        assert!(parsed("CALL lake.system.flush_cache()").unwrap().arguments.is_empty());
    }

    #[test]
    fn mistakes() {
        for (sql, message) in [
            ("CALL p", "expected (, found the end of the statement"),
            ("CALL p('a' 'b')", "expected a comma or a closing parenthesis, found 'b'"),
            ("CALL p('a',)", "expected a value"),
            ("CALL p(a)", "expected a value: a text in single quotes, a number, TRUE, FALSE or NULL, found a"),
            ("CALL p(-'a')", "expected a value"),
            ("CALL p() x", "expected the end of the statement, found x"),
        ] {
            let error = parsed(sql).unwrap_err();
            assert!(error.contains(message), "{sql}: {error}");
        }
    }
}
