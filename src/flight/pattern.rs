//! The patterns of metadata calls: `%` for any text, `_` for one character, `\` before either for itself.

/// Whether a name matches a pattern. Without a pattern every name does.
pub(super) fn matches(pattern: Option<&str>, name: &str) -> bool {
    pattern.is_none_or(|pattern| walk(&parts(pattern), &name.chars().collect::<Vec<_>>()))
}

#[derive(Clone, Copy)]
enum Part {
    Any,
    One,
    Literal(char),
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut chars = pattern.chars();
    let mut parts = Vec::new();
    while let Some(char) = chars.next() {
        parts.push(match char {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Literal(chars.next().unwrap_or('\\')),
            other => Part::Literal(other),
        });
    }
    parts
}

/// Matches from the left. On a mismatch the last `%` takes one character more, so that the work is at most the
/// product of both lengths, whatever the pattern.
fn walk(parts: &[Part], name: &[char]) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (parts.get(part), name.get(at)) {
            (None, None) => return true,
            (Some(Part::Any), _) => {
                retry = Some((part, at));
                part += 1;
            }
            (Some(Part::One), Some(_)) => (part, at) = (part + 1, at + 1),
            (Some(Part::Literal(literal)), Some(char)) if literal == char => (part, at) = (part + 1, at + 1),
            _ => match retry {
                Some((any, start)) if start < name.len() => {
                    retry = Some((any, start + 1));
                    (part, at) = (any + 1, start + 1);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_specification_says() {
        for (pattern, name, expected) in [
            (None, "", true),
            (Some("orders"), "orders", true),
            (Some("orders"), "Orders", false),
            (Some("ord%"), "orders", true),
            (Some("%d%s"), "orders", true),
            (Some("%d%x"), "orders", false),
            (Some("_rders"), "orders", true),
            (Some("_"), "é", true),
            (Some("a\\_b"), "a_b", true),
            (Some("a\\_b"), "axb", false),
            (Some("100\\%"), "100%", true),
            (Some("\\"), "\\", true),
            (Some(""), "orders", false),
            (Some("%"), "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        assert!(!matches(Some(&format!("{}b", "%a".repeat(200))), &"a".repeat(2000)));
    }
}
