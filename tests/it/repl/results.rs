//! What results look like on the screen.

use super::terminal::Setting;

#[test]
fn columns_stay_aligned_whatever_they_hold() {
    let terminal = Setting::new(&[]).start();
    let shown = terminal.run(
        "SELECT * FROM (VALUES ('漢字', 1, ''), ('café', 20, NULL), ('e' || chr(769) || 'x', 300, 'NULL')) t(name, n, note);",
    );
    let table = "  name | n  | note";
    assert!(!shown.contains(table), "the header is centred");
    assert!(shown.contains(" name |  n  | note\n------+-----+------\n 漢字 |   1 |\n café |  20 | NULL\n"), "{shown}");
    // NULL is dimmed, which tells it from the text.
    let written = terminal.written();
    assert!(written.contains("|  20 | \u{1b}[2mNULL\u{1b}[0m"), "{written}");
    assert!(written.contains("| 300 | NULL\r\n"), "{written}");
}

#[test]
fn rows_that_are_wider_than_the_screen_are_lists() {
    let terminal = Setting::new(&[]).sized(40, 30).start();
    let wide = "SELECT repeat('x', 30) AS first, 2 AS second;";
    let shown = terminal.run(wide);
    assert!(shown.contains("-[ RECORD 1 ]-"), "{shown}");
    terminal.run("\\x off");
    terminal.run("\\pset pager off");
    let shown = terminal.run(wide);
    assert!(shown.contains("first              | secon"), "{shown}");
    let shown = terminal.run("\\x auto");
    assert!(shown.contains("Expanded display is used"), "{shown}");
}

#[test]
fn an_error_shows_its_place() {
    let terminal = Setting::new(&[]).start();
    let shown = terminal.run("SELECT '漢字', nothing FROM (SELECT 1 AS noting) t;");
    assert!(shown.contains("LINE 1: SELECT '漢字', nothing FROM"), "{shown}");
    assert!(shown.contains("did you mean \"noting\"?"), "{shown}");
    let lines: Vec<&str> = shown.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("LINE 1:")).unwrap();
    assert!(lines[at + 1].trim_end().ends_with('^'), "{shown}");
}

#[test]
fn what_does_not_fit_the_screen_goes_to_the_pager() {
    let setting = Setting::new(&[]).sized(60, 12).with("PAGER", "sed 's/^/> /'; echo the pager ends");
    let terminal = setting.start();
    let shown = terminal.run("SELECT value FROM generate_series(1, 5);");
    assert!(shown.contains("(5 rows)") && !shown.contains("the pager"), "{shown}");
    let shown = terminal.run("SELECT value FROM generate_series(1, 50);");
    assert!(shown.contains("> (50 rows)\n> \nthe pager ends"), "{shown}");
    terminal.run("\\pset pager off");
    let shown = terminal.run("SELECT value FROM generate_series(1, 50);");
    // The prompt below it may not be drawn yet.
    assert!(shown.contains("\n(50 rows)"), "{shown}");
}

#[test]
fn a_pager_that_is_left_early_ends_the_query() {
    let setting = Setting::new(&[]).sized(60, 12).with("PAGER", "head -n 3");
    let terminal = setting.start();
    let shown = terminal.run("SELECT value AS endless FROM generate_series(1, 100000000000);");
    assert!(shown.contains("endless\n") && !shown.contains("error"), "{shown}");
    assert!(terminal.run("SELECT 5 AS five;").contains("    5\n(1 row)"));
}

#[test]
fn less_is_the_pager_when_no_other_is_named() {
    let terminal = Setting::new(&[]).sized(60, 12).start();
    terminal.line("SELECT value FROM generate_series(1, 50);");
    // It waits for a key at the end of the first screen.
    terminal.wait_until("a page of less", |shown| shown.trim_end().ends_with(':') && shown.contains("\n     9\n"));
    terminal.press("q");
    assert!(terminal.run("SELECT 5 AS five;").contains("    5\n(1 row)"));
}
