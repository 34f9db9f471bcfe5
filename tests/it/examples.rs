//! Every statement of sql-examples runs as it stands.

use std::path::Path;

use portolan::session::Script;

use crate::{shop, table};

#[test]
fn every_example_runs() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql-examples");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5);
    shop::block_on(async {
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let session = shop::session();
            for part in Script::split(&text) {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                let answer = session.execute(part.sql).await;
                let answer = answer.unwrap_or_else(|error| panic!("{name}: {}\n{}", part.sql, error.render(part.sql)));
                let has_columns = !answer.schema.fields().is_empty();
                let batches: Vec<_> = futures::TryStreamExt::try_collect(answer.rows)
                    .await
                    .unwrap_or_else(|error| panic!("{name}: {}\n{error}", part.sql));
                assert!(!has_columns || !table::format(&batches).is_empty(), "{name}: no rows\n{}", part.sql);
            }
        }
    });
}
