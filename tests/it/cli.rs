//! The binary as a person runs it: output, messages and exit status.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::shop;

fn portolan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portolan")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn sql(arguments: &[&str]) -> Output {
    let catalogs = shop::SHOP.catalogs_file().to_str().unwrap();
    let mut all = vec!["sql", "--catalogs", catalogs];
    all.extend(arguments);
    portolan(&all)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const PRODUCTS: &str =
    "SELECT product_id, category, price FROM pg.public.products WHERE product_id IN (1, 2) ORDER BY 1";

#[test]
fn results_go_to_standard_output_in_every_format() {
    let lines = |format: &str| {
        let output = sql(&["-c", PRODUCTS, "--format", format]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output), "", "{format}");
        stdout(&output).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let csv = lines("csv");
    assert_eq!(csv[0], "product_id,category,price");
    assert_eq!(csv.len(), 3);
    assert!(csv[1].starts_with("1,"), "{csv:?}");
    assert_eq!(lines("tsv")[0], "product_id\tcategory\tprice");
    let ndjson = lines("ndjson");
    let row: serde_json::Value = serde_json::from_str(&ndjson[0]).unwrap();
    assert_eq!(row["product_id"], 1);
    let json: serde_json::Value = serde_json::from_str(&lines("json").join("\n")).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert!(lines("table").iter().any(|line| line.contains("category")));
}

#[test]
fn columns_without_a_name_are_named_as_they_were_written() {
    for (query, header) in [
        ("SELECT 1, 1, lower('A')", "1,1_1,lower('A')"),
        ("SELECT count(*), sum(x + 1.5) FROM (VALUES (1)) t(x)", "count(*),sum(x + 1.5)"),
        (
            "SELECT upper(s), count(*) FROM (VALUES ('a')) t(s) GROUP BY upper(s) ORDER BY upper(s), count(*) DESC",
            "upper(s),count(*)",
        ),
        ("SELECT DISTINCT x + 1 FROM (VALUES (1)) t(x) ORDER BY x + 1", "x + 1"),
        ("SELECT x % 2, sum(x) OVER (ORDER BY x) FROM (VALUES (1)) t(x) ORDER BY 2", "x % 2,sum(x) OVER (ORDER BY x)"),
        ("SELECT max(x) + 1 FROM (VALUES (1)) t(x) GROUP BY x HAVING max(x) + 1 > 0", "max(x) + 1"),
        ("SELECT x + 1 FROM (VALUES (1)) t(x) UNION ALL SELECT 7 ORDER BY 1", "x + 1"),
        ("SELECT * FROM (SELECT -x FROM (VALUES (1)) t(x)) s", "-x"),
        ("SELECT x, t.x FROM (VALUES (1)) t(x)", "x,x_1"),
        ("SELECT x FROM (SELECT (X) FROM (VALUES (1)) t(x)) s", "x"),
    ] {
        let output = sql(&["-c", query, "--format", "csv"]);
        let text = stdout(&output);
        let names = text.lines().next().map(|line| line.replace('"', ""));
        assert_eq!(names.as_deref(), Some(header), "{query}: {}", stderr(&output));
    }
}

#[test]
fn statements_come_from_arguments_files_and_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("q.sql");
    std::fs::write(&file, "SELECT 1 AS a; -- two statements\nSELECT 2 AS b;").unwrap();
    let output = sql(&["-f", file.to_str().unwrap(), "--format", "csv"]);
    assert_eq!(stdout(&output).replace("\r\n", "\n").trim(), "a\n1\nb\n2", "{}", stderr(&output));

    let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["sql", "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT 3 AS c;").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(stdout(&output).trim(), "c\n3", "{}", stderr(&output));
}

#[test]
fn the_exit_status_says_what_happened() {
    let failed = sql(&["-c", "SELECT * FROM pg.public.nothing_like_it"]);
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(stdout(&failed), "");
    assert!(stderr(&failed).contains("does not exist"), "{}", stderr(&failed));
    assert!(stderr(&failed).contains("LINE 1:"), "{}", stderr(&failed));

    // A statement that fails after its first rows does not look whole.
    let late = sql(&["-c", "SELECT 10 / (5000 - value) AS x FROM generate_series(1, 100000)", "--format", "json"]);
    assert_eq!(late.status.code(), Some(1));
    assert!(stderr(&late).contains("division by zero"), "{}", stderr(&late));
    assert!(serde_json::from_str::<serde_json::Value>(&stdout(&late)).is_err());

    assert_eq!(portolan(&["sql", "--no-such-option"]).status.code(), Some(2));
    assert_eq!(portolan(&["sql", "--catalogs", "/no/such/file.toml", "-c", "SELECT 1"]).status.code(), Some(1));
}

#[test]
fn check_prints_a_line_for_each_catalog() {
    let catalogs = shop::SHOP.catalogs_file();
    let output = portolan(&["check", catalogs.to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let text = stdout(&output);
    for (line, catalog) in text.lines().zip(["lake", "pg", "events", "mem", "own"]) {
        assert!(line.starts_with(catalog) && line.contains("ok"), "{text}");
    }
    assert_eq!(text.lines().count(), 5);

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.toml");
    let good = std::fs::read_to_string(catalogs).unwrap();
    std::fs::write(&file, format!("{good}\n[typo]\nconnector = 'hive'\nlocatoin = '/x'\n")).unwrap();
    let output = portolan(&["check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output) + &stderr(&output);
    let line = good.lines().count() + 4;
    assert!(
        text.contains(&format!("c.toml:{line}: catalog typo: unknown key `locatoin`: did you mean `location`?")),
        "{text}"
    );
    assert!(text.lines().any(|line| line.starts_with("pg") && line.contains("ok")), "{text}");
}

#[test]
fn a_password_never_shows() {
    let directory = shop::SHOP.catalogs_file().parent().unwrap();
    let password = std::fs::read_to_string(directory.join("postgres-password")).unwrap();
    for statement in [
        "SHOW CATALOGS",
        "SHOW CREATE TABLE pg.public.customers",
        "EXPLAIN VERBOSE SELECT * FROM pg.public.customers",
        "SELECT * FROM pg.public.nothing",
    ] {
        let output = sql(&["-c", statement]);
        assert!(!(stdout(&output) + &stderr(&output)).contains(password.trim()), "{statement}");
    }
}

#[test]
fn the_display_is_chosen_by_options() {
    let query = "SELECT 1 AS a, CAST(NULL AS varchar) AS b UNION ALL SELECT 2, 'x' ORDER BY 1";
    for (options, expected) in [
        (&["-At"][..], "1|\n2|x\n"),
        (&["-A", "-F", ";", "-P", "null=-"], "a;b\n1;-\n2;x\n(2 rows)\n"),
        (&["--csv", "-t"], "1,\n2,x\n"),
        (&["-xAt", "-P", "null=?"], "1\n?\n\n2\nx\n"),
        (&["--markdown"], "| a | b |\n|---:|---|\n| 1 |  |\n| 2 | x |\n"),
        (&["--format", "null"], ""),
        (&["-P", "footer=off", "-P", "border=0"], "a  b\n- ----\n1 NULL\n2 x\n\n"),
    ] {
        let output = sql(&[&["-X", "-c", query], options].concat());
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), (expected, ""), "{options:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out.csv");
    let output = sql(&["-X", "-c", query, "--csv", "-o", file.to_str().unwrap()]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), String::new()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a,b\n1,\n2,x\n");
    assert_eq!(portolan(&["sql", "-P", "boarder=1"]).status.code(), Some(2));
    assert_eq!(portolan(&["sql", "-v", "a-b=1"]).status.code(), Some(2));
}

#[test]
fn a_script_stops_at_the_first_failure_unless_it_is_told_not_to() {
    let script = ["-X", "--csv", "-c", "SELECT 1 AS a; SELECT nothing; SELECT :two AS b", "-v", "two=2"];
    for (options, expected) in
        [(&[][..], "a\n1\n"), (&["--keep-going"], "a\n1\nb\n2\n"), (&["-v", "ON_ERROR_STOP=0"], "a\n1\nb\n2\n")]
    {
        let output = sql(&[&script[..], options].concat());
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), expected), "{options:?}");
    }
}

#[test]
fn copies_can_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let lake = directory.path().join("lake");
    std::fs::create_dir_all(lake.join("copies/products")).unwrap();
    let file = lake.join("copies/products/part.parquet");
    let copy = format!("\\copy (SELECT product_id, price FROM pg.public.products) to '{}'", file.display());
    assert_eq!(sql(&["-X", "-c", &copy]).status.code(), Some(0));
    let catalogs = directory.path().join("catalogs.toml");
    std::fs::write(&catalogs, format!("[copy]\nconnector = 'hive'\nlocation = '{}'\n", lake.display())).unwrap();
    let sum = |arguments: &[&str], table: &str| {
        let sql = format!("SELECT count(*), sum(price) FROM {table}");
        stdout(&portolan(&[&["sql", "-XAt", "-c", sql.as_str()], arguments].concat()))
    };
    let source = sum(&["--catalogs", shop::SHOP.catalogs_file().to_str().unwrap()], "pg.public.products");
    assert_eq!(sum(&["--catalogs", catalogs.to_str().unwrap()], "copy.copies.products"), source);
    assert!(source.len() > 2, "{source}");
}

#[test]
fn a_table_that_is_not_read_does_not_hide_the_columns_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let lake = directory.path().join("lake");
    std::fs::create_dir_all(lake.join("s/good")).unwrap();
    let file = lake.join("s/good/part.parquet");
    let copy = format!("\\copy (SELECT 1 AS one) to '{}'", file.display());
    assert_eq!(sql(&["-X", "-c", &copy]).status.code(), Some(0));
    // The settings of a table are wrong: it has no such partitions.
    std::fs::create_dir_all(lake.join("s/wrong")).unwrap();
    std::fs::copy(&file, lake.join("s/wrong/part.parquet")).unwrap();
    let catalogs = directory.path().join("catalogs.toml");
    let text = format!(
        "[lake]\nconnector = 'hive'\nlocation = '{}'\n[lake.tables.'s.wrong']\npartition_columns = {{ day = 'date' }}\n",
        lake.display()
    );
    std::fs::write(&catalogs, text).unwrap();
    let run = |statement: &str| portolan(&["sql", "-XAt", "--catalogs", catalogs.to_str().unwrap(), "-c", statement]);
    let refused = run("SELECT * FROM lake.s.wrong");
    assert!(stderr(&refused).contains("partition_columns names `day`"), "{}", stderr(&refused));
    let columns = run("SELECT table_name, column_name FROM lake.information_schema.columns");
    assert_eq!(stdout(&columns), "good|one\n", "{}", stderr(&columns));
}
