//! The chart for a person: operators as a tree whose leaves are sources.

use super::model::{Actual, Charge, Filter, Node, Report, RequestKind, Requests, Source, Unfolded, Unit};

/// Where the notes beside filters begin, unless a filter is longer.
const NOTE_COLUMN: usize = 40;

/// Below this the choice between a source and the engine is not worth a line.
const COST_SHOWN_SECONDS: f64 = 0.05;

/// How many times too large or too small an estimate is that is worth telling.
const MISJUDGED: f64 = 3.0;

/// The most estimates that are told of.
const MISJUDGED_SHOWN: usize = 5;

/// The lines of a report.
pub(super) fn render(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    node(report, &report.plan, "", "", &mut lines);
    lines.extend(report.requests.iter().filter_map(requests));
    lines.extend(misjudged(report));
    lines
}

/// What was sent to a catalog's source; of what is only expected, a line where it has a price.
fn requests(requests: &Requests) -> Option<String> {
    let (about, kinds, cost) = match &requests.actual {
        Some(actual) => ("", actual, &requests.actual_cost),
        None => ("about ", &requests.expected, &requests.expected_cost),
    };
    if requests.actual.is_none() && cost.is_none() {
        return None;
    }
    let of_kind = |kind: &RequestKind| format!("{} {}", grouped(kind.count), kind.kind);
    let mut parts: Vec<String> = kinds.iter().map(of_kind).collect();
    parts.push(size(kinds.iter().map(|kind| kind.bytes).sum()));
    parts.extend(cost.as_ref().map(money));
    Some(format!("requests to {}  {about}{}", requests.catalog, parts.join(" · ")))
}

/// An amount with two digits that say something: `12.50 USD`, `0.00013 USD`.
fn money(charge: &Charge) -> String {
    let zeros = if charge.amount > 0.0 { (-charge.amount.log10().floor()).clamp(1.0, 12.0) } else { 1.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
    let digits = zeros as usize + 1;
    format!("{:.digits$} {}", charge.amount, charge.currency)
}

/// The operators and sources of which the planner expected far more or far fewer rows than came, the worst first.
fn misjudged(report: &Report) -> Vec<String> {
    let mut found: Vec<(f64, &Node)> = Vec::new();
    let mut rest = vec![&report.plan];
    while let Some(node) = rest.pop() {
        found.extend(node.error().filter(|error| *error >= MISJUDGED).map(|error| (error, node)));
        rest.extend(&node.children);
    }
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let lines = found.iter().take(MISJUDGED_SHOWN).filter_map(|(error, node)| {
        let (expected, actual) = (node.estimate_rows?, node.actual.as_ref()?.rows);
        let name =
            if node.source.is_some() { node.detail.clone() } else { format!("{}  {}", node.operator, node.detail) };
        let rows = format!("about {} expected, {} came", counted(expected, "row"), grouped(actual));
        Some(format!("  {error:.0} times  {}: {rows}", name.trim_end()))
    });
    let lines: Vec<String> = lines.collect();
    match lines.is_empty() {
        true => lines,
        false => ["estimates that were wrong".to_owned()].into_iter().chain(lines).collect(),
    }
}

/// Writes a node: `first` leads its own line, `rest` the lines below it.
fn node(report: &Report, node_: &Node, first: &str, rest: &str, lines: &mut Vec<String>) {
    match node_.source.and_then(|id| report.sources.get(id)) {
        Some(source) => {
            lines.push(format!("{first}{}  ({})", node_.detail, source.connector));
            lines.extend(source_lines(source).into_iter().map(|line| format!("{rest}  {line}")));
        }
        None => {
            let mut line = format!("{first}{}", node_.operator);
            if !node_.detail.is_empty() {
                line = format!("{line}  {}", node_.detail);
            }
            let expected = node_.estimate_rows.map(|rows| format!("about {}", counted(rows, "row")));
            let notes = match (expected, &node_.actual) {
                (Some(expected), Some(actual)) => Some(format!("{expected} expected, {}", operator_actual(actual))),
                (None, Some(actual)) => Some(operator_actual(actual)),
                (expected, None) => expected,
            };
            if let Some(notes) = notes {
                line = format!("{line}  ({notes})");
            }
            lines.push(line);
        }
    }
    let last = node_.children.len().saturating_sub(1);
    for (index, child) in node_.children.iter().enumerate() {
        let (branch, below) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        node(report, child, &format!("{rest}{branch}"), &format!("{rest}{below}"), lines);
    }
}

fn source_lines(source: &Source) -> Vec<String> {
    let mut lines: Vec<String> = source.filters.iter().map(filter_line).collect();
    lines.push(match computes(source) {
        true => labelled("returns", &reads(source)),
        false => labelled("reads", &reads(source)),
    });
    let taken: Vec<&str> =
        source.folded.iter().map(String::as_str).filter(|fold| !matches!(*fold, "projection" | "filter")).collect();
    if !taken.is_empty() {
        lines.push(labelled("folds", &taken.join(", ")));
    }
    if let Some(cost) = source.cost.filter(|cost| cost.source_seconds.max(cost.engine_seconds) >= COST_SHOWN_SECONDS) {
        let (source, engine) = (cost.source_seconds, cost.engine_seconds);
        lines.push(labelled("cost", &format!("about {source:.2} s at the source · {engine:.2} s if fetched")));
    }
    lines.extend(source.unfolded.iter().map(unfolded_line));
    if let Some(request) = &source.request {
        lines.push(labelled("sends", request));
    }
    if let Some(position) = position(source) {
        lines.push(labelled("snapshot", &position));
    }
    if let Some(actual) = &source.actual {
        lines.push(labelled("actual", &source_actual(actual)));
    }
    lines
}

fn labelled(label: &str, text: &str) -> String {
    format!("{label:<8} {text}")
}

fn filter_line(filter: &Filter) -> String {
    let note = match (filter.verdict.as_str(), &filter.reason) {
        (_, Some(reason)) => reason.clone(),
        ("pruning", None) => "the engine checks again".to_owned(),
        ("dynamic", None) => filter.remote.clone().map(|now| format!("now {now}")).unwrap_or_default(),
        _ => String::new(),
    };
    let line = labelled(&filter.verdict, &filter.expression);
    if note.is_empty() { line } else { format!("{line:<NOTE_COLUMN$}  {note}") }
}

fn unfolded_line(unfolded: &Unfolded) -> String {
    let line = labelled("refused", format!("{}  {}", unfolded.operator, unfolded.detail).trim_end());
    format!("{line:<NOTE_COLUMN$}  {}", unfolded.reason)
}

/// Whether the source returns something else than columns of one table.
fn computes(source: &Source) -> bool {
    source.folded.iter().any(|fold| matches!(fold.as_str(), "aggregate" | "join" | "union"))
}

fn reads(source: &Source) -> String {
    let mut parts = vec![match source.columns.len() {
        count if count > 0 && computes(source) => counted(count as u64, "column"),
        0 => "no columns, only how many rows there are".to_owned(),
        count => format!("{count} of {}", counted(source.columns_total as u64, "column")),
    }];
    parts.extend(source.units.iter().map(unit));
    if let Some(rows) = source.estimate.rows {
        parts.push(format!("about {}", counted(rows, "row")));
    }
    if let Some(bytes) = source.estimate.bytes {
        parts.push(format!("about {}", size(bytes)));
    }
    parts.join(" · ")
}

fn unit(unit: &Unit) -> String {
    let kind = unit.kind.replace('_', " ");
    match unit.total {
        Some(total) => format!("{} of {} {kind}", grouped(unit.kept), grouped(total)),
        None => format!("{} {kind}", grouped(unit.kept)),
    }
}

fn position(source: &Source) -> Option<String> {
    source.snapshot.clone()
}

fn source_actual(actual: &Actual) -> String {
    let mut parts = vec![counted(actual.rows, "row")];
    parts.extend(actual.bytes.map(size));
    parts.push(format!("{} waiting", duration(actual.seconds)));
    parts.extend(actual.skipped.map(|count| format!("{} skipped", counted(count, "row"))));
    parts.extend(actual.lost.map(|count| format!("{} gone", counted(count, "offset"))));
    parts.join(" · ")
}

fn operator_actual(actual: &Actual) -> String {
    let mut parts = vec![counted(actual.rows, "row"), duration(actual.seconds)];
    parts.extend(actual.memory_bytes.map(|bytes| format!("{} of memory", size(bytes))));
    parts.extend(actual.spills.map(|spills| counted(spills, "spill")));
    parts.join(" · ")
}

fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in units of a thousand.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" || value >= 99.5 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

fn duration(seconds: f64) -> String {
    if seconds >= 1.0 { format!("{seconds:.2} s") } else { format!("{:.1} ms", seconds * 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_a_person() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(81_234), "81.2 kB");
        assert_eq!(size(999_950), "1.0 MB");
        assert_eq!(size(212_000_000), "212 MB");
        let usd = |amount| money(&Charge { amount, currency: "USD".to_owned() });
        assert_eq!(
            [usd(12.5), usd(0.5), usd(0.000_128), usd(0.0)],
            ["12.50 USD", "0.50 USD", "0.00013 USD", "0.00 USD"]
        );
        assert_eq!(duration(0.0123), "12.3 ms");
        assert_eq!(duration(2.5), "2.50 s");
    }
}
