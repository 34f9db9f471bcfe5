use super::*;
use crate::cli::shell::variables::Variables;

fn parse(line: &str) -> Result<Command, String> {
    Command::parse(line, &Variables::default())
}

fn list(what: ListedKind, pattern: Option<&str>) -> Command {
    Command::List(Listed { what, pattern: pattern.map(str::to_owned) })
}

fn file(name: &str) -> Option<Destination> {
    Some(Destination::File(PathBuf::from(name)))
}

fn pipe(command: &str) -> Option<Destination> {
    Some(Destination::Pipe(command.to_owned()))
}

#[test]
fn commands_are_read_as_psql_reads_them() {
    let some = |text: &str| Some(text.to_owned());
    for (line, expected) in [
        ("l", list(ListedKind::Catalogs, None)),
        ("l+", list(ListedKind::Catalogs, None)),
        ("dt pg.*", list(ListedKind::Tables, Some("pg.*"))),
        ("dv", list(ListedKind::Views, None)),
        ("df reg*", list(ListedKind::Functions, Some("reg*"))),
        ("d", list(ListedKind::Tables, None)),
        ("d+ pg.public.\"My Table\";", Command::Describe { name: "pg.public.\"My Table\"".to_owned() }),
        ("x", Command::Expanded(None)),
        ("x AUTO", Command::Expanded(Some(Expanded::Auto))),
        ("timing on", Command::Timing(Some(true))),
        ("format csv", Command::Format(Some(Format::Csv))),
        ("pset null '(none)'", Command::Display { name: some("null"), value: some("(none)") }),
        ("o 'a file.csv'", Command::Output(file("a file.csv"))),
        ("o |sort -r | head", Command::Output(pipe("sort -r | head"))),
        ("o", Command::Output(None)),
        ("i x.sql", Command::Include { path: PathBuf::from("x.sql"), relative: false }),
        ("ir x.sql", Command::Include { path: PathBuf::from("x.sql"), relative: true }),
        ("g", Command::Run { expanded: false, to: None }),
        ("gx out.txt", Command::Run { expanded: true, to: file("out.txt") }),
        ("gset my_", Command::RunIntoVariables { prefix: "my_".to_owned() }),
        ("watch 0.5", Command::Watch { interval: Duration::from_millis(500) }),
        ("watch", Command::Watch { interval: Duration::from_secs(2) }),
        ("set a b 'c d'", Command::Set { name: some("a"), value: "bc d".to_owned() }),
        ("echo -n 'a  b' c", Command::Echo { text: "a  b c".to_owned(), line_feed: false }),
        ("prompt 'Who? ' who", Command::Prompt { text: "Who? ".to_owned(), name: "who".to_owned() }),
        ("!ls -l", Command::Shell(some("ls -l"))),
        ("! ls", Command::Shell(some("ls"))),
        ("cd", Command::ChangeDirectory(None)),
        ("h show tables", Command::SqlHelp(some("show tables"))),
        ("?", Command::Help),
        ("q", Command::Quit),
    ] {
        assert_eq!(parse(line), Ok(expected), "{line}");
    }
}

#[test]
fn copies_know_their_format() {
    for (line, sql, to, format) in [
        ("(SELECT 1 AS \"to\") to 'a b.parquet'", "SELECT 1 AS \"to\"", file("a b.parquet"), Format::Parquet),
        ("(SELECT ')' FROM t) TO x.json", "SELECT ')' FROM t", file("x.json"), Format::Json),
        ("pg.public.t to x.dat format csv", "SELECT * FROM pg.public.t", file("x.dat"), Format::Csv),
        ("t to 'x' with (format tsv)", "SELECT * FROM t", file("x"), Format::Tsv),
        ("t to stdout", "SELECT * FROM t", None, Format::Csv),
        ("t to program 'gzip > x.gz' csv", "SELECT * FROM t", pipe("gzip > x.gz"), Format::Csv),
    ] {
        let expected = Command::Copy(CopyTo { sql: sql.to_owned(), to, format });
        assert_eq!(parse(&format!("copy {line}")), Ok(expected), "{line}");
    }
    for line in ["copy", "copy t", "copy t to", "copy t from x.csv", "copy t to x", "copy to x.csv"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn mistakes_say_what_is_right() {
    for (line, expected) in [
        ("timng", "there is no command \\timng: did you mean \\timing? \\? lists the commands"),
        ("zzzzzz", "there is no command \\zzzzzz: \\? lists the commands"),
        ("i", "\\i needs FILE"),
        ("x maybe", "\\x is on, off or auto, not \"maybe\""),
        ("q now", "\\q takes no argument, not \"now\""),
        ("watch often", "\\watch takes a number of seconds, not \"often\""),
        ("set a-b c", "\"a-b\" cannot be a variable's name: it has letters, digits and _"),
    ] {
        assert_eq!(parse(line), Err(expected.to_owned()), "{line}");
    }
    assert!(parse("format xml").unwrap_err().starts_with("there is no format \"xml\": it is table, "));
}

#[test]
fn every_command_of_the_help_exists() {
    for spec in COMMANDS {
        let argument = match spec.argument {
            Argument::OneOf(words) => words[0],
            Argument::None => "",
            _ if spec.name == "watch" => "1",
            _ if spec.name == "copy" => "t to stdout",
            _ => "x",
        };
        assert!(parse(&format!("{} {argument}", spec.name)).is_ok(), "{}", spec.name);
    }
}

#[test]
fn every_statement_of_the_help_is_found() {
    for spec in STATEMENTS {
        assert!(statement_help(&spec.name.to_lowercase()).unwrap().contains(spec.syntax.lines().next().unwrap()));
    }
    assert!(statement_help("with").unwrap().starts_with("SELECT"));
    assert_eq!(statement_help("vacuum"), None);
}
