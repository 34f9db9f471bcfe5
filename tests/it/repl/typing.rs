//! Typing: lines, history, completion, Ctrl-C and Ctrl-D, and the person's own file.

use super::terminal::{CTRL_A, CTRL_C, CTRL_D, Setting, TAB, UP, write};

#[test]
fn a_statement_may_take_several_lines() {
    let terminal = Setting::new(&[]).start();
    terminal.line("SELECT 'a;b' AS text,");
    terminal.line("  40 + 2 AS answer");
    let shown = terminal.run(";");
    assert!(shown.contains(" text | answer\n------+--------\n a;b  |     42\n(1 row)"), "{shown}");
}

#[test]
fn earlier_inputs_come_back_also_in_the_next_session() {
    let setting = Setting::new(&[]);
    let mut terminal = setting.start();
    terminal.line("SELECT 1");
    terminal.press(CTRL_C);
    terminal.run("SELECT 11 AS eleven;");
    terminal.run("SELECT 12 AS twelve;");
    terminal.keys(UP);
    terminal.keys(UP);
    terminal.wait_until("the earlier input", |shown| shown.trim_end().ends_with("portolan> SELECT 11 AS eleven;"));
    assert!(terminal.run("").contains("--------\n     11\n(1 row)\n\nportolan> "));
    terminal.line("\\q");
    assert_eq!(terminal.ended(), Some(0));

    let terminal = setting.start();
    terminal.keys(UP);
    terminal.wait_until("what was typed last", |shown| shown.trim_end().ends_with("portolan> \\q"));
    terminal.keys(UP);
    terminal.keys(CTRL_A);
    terminal.keys("EXPLAIN ");
    let shown = terminal.run("");
    assert!(shown.contains("portolan> EXPLAIN SELECT 11 AS eleven;"), "{shown}");
    let shown = terminal.run("\\s");
    assert!(shown.contains("\nSELECT 12 AS twelve;\nSELECT 11 AS eleven;\n\\q"), "{shown}");
}

#[test]
fn the_tab_key_completes_names_that_are_there() {
    let terminal = Setting::shop().start();
    terminal.keys("SELECT * FROM pg.pub");
    terminal.keys(TAB);
    terminal.wait_for("pg.public");
    terminal.keys(".prod");
    terminal.keys(TAB);
    terminal.wait_for("pg.public.products");
    terminal.keys(" WHERE categ");
    terminal.keys(TAB);
    terminal.wait_for(" WHERE category");
    terminal.press(CTRL_C);
    terminal.keys("\\timi");
    terminal.keys(TAB);
    terminal.wait_for("\\timing");
    terminal.press(CTRL_C);
    terminal.keys("SET SESSION push");
    terminal.keys(TAB);
    terminal.wait_for("SET SESSION pushdown");
}

#[test]
fn what_is_typed_ahead_is_not_lost() {
    let terminal = Setting::new(&[]).start();
    // Pasted into a terminal that does not tell pasted text from typed text.
    terminal.keys("SELECT 1 AS first;\rSELECT 2 AS second;\rSELECT 3 AS third;\r");
    terminal.wait_until("three answers", |shown| {
        ["first\n-------\n     1", "second\n--------\n      2", "third\n-------\n     3"]
            .iter()
            .all(|answer| shown.contains(answer))
    });
}

#[test]
fn ctrl_c_drops_what_is_typed_and_ctrl_d_leaves() {
    let mut terminal = Setting::new(&[]).start();
    terminal.line("SELECT 1 AS never,");
    terminal.keys("  2 AS");
    terminal.press(CTRL_C);
    let shown = terminal.run("SELECT 3 AS b;");
    assert!(shown.contains(" b\n---\n 3\n"), "{shown}");
    assert!(!shown.contains("(2 rows)") && !shown.contains("error"), "{shown}");
    terminal.keys(CTRL_D);
    assert_eq!(terminal.ended(), Some(0));
}

#[test]
fn the_persons_own_file_is_run_first() {
    let setting = Setting::new(&["-v", "who=anna"]);
    write(setting.home.path(), ".portolanrc", "\\pset null '(none)'\n\\set hello 'hello, '\nSELECT oops;\n\\x off\n");
    let terminal = setting.start();
    let shown = terminal.run("SELECT :'hello' || :'who' AS greeting, CAST(NULL AS int) AS n;");
    assert!(shown.contains(".portolanrc:3: column oops does not exist"), "{shown}");
    assert!(shown.contains(" hello, anna | (none)\n"), "{shown}");
    drop(terminal);

    let other = Setting::new(&["-X"]);
    write(other.home.path(), ".portolanrc", "SELECT oops;\n");
    assert!(!other.start().shown().contains("oops"));
}

#[test]
fn a_variable_is_asked_for() {
    let terminal = Setting::new(&[]).start();
    terminal.line("\\prompt 'Which number? ' n");
    // On a line of its own: what was typed has the words too.
    terminal.wait_for("\nWhich number?");
    terminal.press("41\r");
    let shown = terminal.run("SELECT :n + 1 AS next;");
    assert!(shown.contains("   42\n"), "{shown}");
}

#[test]
fn a_statement_is_edited_in_the_persons_editor() {
    let setting = Setting::new(&[]).with("EDITOR", "sed -i s/1/77/");
    let terminal = setting.start();
    terminal.run("SELECT 1 AS a;");
    let shown = terminal.run("\\e");
    assert!(!shown.contains("error"), "{shown}");
    let shown = terminal.run(";");
    assert!(shown.contains(" a\n----\n 77\n(1 row)"), "{shown}");
}
