//! The report as a graph in the DOT language.

use std::fmt::Write as _;

use super::model::{Node, Report};

/// One document.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::from("digraph plan {\n  rankdir = BT\n  node [shape = box, fontname = monospace]\n");
    let mut next = 0;
    write_node(report, &report.plan, &mut next, &mut text);
    text.push('}');
    text
}

/// Writes a node and what is below it; returns the node's number.
fn write_node(report: &Report, node: &Node, next: &mut usize, text: &mut String) -> usize {
    let id = *next;
    *next += 1;
    let mut label = match node.source.and_then(|source| report.sources.get(source)) {
        Some(source) => format!("{}\n({})", node.detail, source.connector),
        None => format!("{}\n{}", node.operator, node.detail),
    };
    if let Some(source) = node.source.and_then(|source| report.sources.get(source)) {
        for filter in &source.filters {
            let _ = write!(label, "\n{} {}", filter.verdict, filter.expression);
        }
    }
    let shape = if node.source.is_some() { ", style = filled, fillcolor = lightgrey" } else { "" };
    let _ = writeln!(text, "  n{id} [label = \"{}\"{shape}]", escaped(&label));
    for child in &node.children {
        let below = write_node(report, child, next, text);
        let rows = child.actual.as_ref().map(|actual| format!(" [label = \"{}\"]", actual.rows)).unwrap_or_default();
        let _ = writeln!(text, "  n{below} -> n{id}{rows}");
    }
    id
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
