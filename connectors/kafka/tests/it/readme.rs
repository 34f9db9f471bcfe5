//! README's way from messages to an answer: its messages, its catalog file and its query.

use super::engine::Engine;
use super::topics::{Sent, create, produce};

const README: &str = include_str!("../../../../README.md");

/// What stands between two marks.
fn between(text: &'static str, start: &str, end: &str) -> &'static str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("README has no {start}"));
    rest.split_once(end).unwrap().0
}

#[tokio::test]
async fn messages_of_the_readme_are_joined_as_it_says() {
    let section = between(README, "## From messages to an answer\n", "\n## ");
    let lines = section.lines().filter_map(|line| line.strip_prefix('>')?.split_once('|'));
    let sent: Vec<Sent> = lines.map(|(key, value)| Sent { key: Some(key.into()), ..Sent::value(value) }).collect();
    assert!(sent.len() > 1);
    create("web.clicks", 1).await;
    produce("web.clicks", &sent);
    let catalog = between(README, "[events]\nconnector = \"kafka\"\n", "```");
    let (brokers, tables) = catalog.split_once('\n').unwrap();
    assert!(brokers.starts_with("brokers"), "{brokers}");
    let engine = Engine::new(&tables.replace("[events.", "["));
    // The customers are a few rows here, instead of a table of PostgreSQL.
    let query = between(section, "```sql\n", ";\n```");
    let customers = "(VALUES (7, 'Ada'), (8, 'Grace'), (9, 'Edsger')) AS c (customer_id, name)";
    let here = query.replace("pg.public.customers AS c", customers);
    assert_ne!(here, query);
    assert_eq!(engine.rows(&here).await, ["Ada|/pricing|2026-11-21T08:35:00", "Grace|/|2026-11-21T08:36:10"]);
}
