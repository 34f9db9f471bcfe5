//! The walk over the declared rules, on files without statistics.

use datafusion::common::ScalarValue;
use portolan_connector::Domain;
use portolan_connector::testkit::{Subject, Walk, check_contract};
use portolan_hive::partition_directory;

use crate::support::Lake;

const NUMBERS: [&str; 6] = ["-9223372036854775808", "-1", "0", "1", "9223372036854775807", "null"];
const FLOATS: [&str; 6] = ["\"-Infinity\"", "-0.0", "0.0", "\"NaN\"", "1.5e300", "null"];
const TEXTS: [&str; 6] = ["\"\"", "\" \"", "\"a \"", "\"A\"", "\"\u{1f600}\"", "null"];

/// The same rows in partitions by a text with NULL, as JSON lines and as CSV.
fn lake() -> Lake {
    let lake = Lake::new();
    for part in [Some("a"), Some("A "), None] {
        let (mut json, mut csv) = (String::new(), String::from("whole,real,name\n"));
        for ((whole, real), name) in NUMBERS.iter().zip(FLOATS).zip(TEXTS) {
            json.push_str(&format!("{{\"whole\": {whole}, \"real\": {real}, \"name\": {name}}}\n"));
            let plain = |value: &str| value.replace("null", "").replace('"', "");
            csv.push_str(&format!("{},{},{}\n", plain(whole), plain(real), name.replace("null", "")));
        }
        let directory = partition_directory("part", part);
        lake.raw(&format!("s/json/{directory}/f.json"), json.as_bytes());
        lake.raw(&format!("s/csv/{directory}/f.csv"), csv.as_bytes());
    }
    lake
}

#[tokio::test]
async fn every_rule_holds() {
    let lake = lake();
    let columns = "columns = { whole = 'bigint', real = 'double', name = 'varchar' }";
    let settings = format!("[tables.'s.json']\n{columns}\n[tables.'s.csv']\n{columns}");
    for (name, domain) in [("json", "JSON column"), ("csv", "CSV column")] {
        let connector = lake.connector(&settings).unwrap();
        let table = connector.table("s", name).await.unwrap().unwrap();
        let subject = Subject::new(connector, table);
        check_contract(&subject).await.unwrap().assert_clean();
        let report = Walk::new(subject)
            .probe(Domain("partition column"), ["part"], ["a", "A ", "A"].map(ScalarValue::from))
            .probe(Domain("hidden column"), ["$file_size"], [0_i64, i64::MAX].map(ScalarValue::from))
            .probe(Domain(domain), ["whole"], [i64::MIN, 0, i64::MAX].map(ScalarValue::from))
            .probe(Domain(domain), ["real"], [0.0, f64::NAN, f64::INFINITY].map(ScalarValue::from))
            .probe(Domain(domain), ["name"], ["", "a", "a "].map(ScalarValue::from))
            .run()
            .await
            .unwrap();
        // The rules of other formats are beyond the reach of this table.
        let wrong: Vec<String> = report
            .violations
            .iter()
            .map(ToString::to_string)
            .filter(|violation| !violation.contains(" file column: no probe reaches the rule"))
            .collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
}
