//! `portolan serve` as a process: its HTTP port, reloading, and how it ends.

use std::process::Command;

use futures::StreamExt;

use crate::process::{Process, lines};
use crate::shop::block_on;

fn hive(name: &str, location: &str) -> String {
    format!("[{name}]\nconnector = \"hive\"\nlocation = \"{location}\"\n")
}

#[test]
fn operators_see_that_it_lives_and_what_it_does() {
    let server = Process::start("");
    assert_eq!(server.get("/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert_eq!(server.get("/readyz"), ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned()));
    block_on(async {
        assert_eq!(lines(&mut server.client().await, "SELECT 1 AS one").await, [["1"]]);
    });
    let (status, metrics) = server.get("/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(metrics.contains("portolan_ended_queries_total{state=\"finished\"} 1\n"), "{metrics}");
    assert!(server.get("/nothing").0.contains("404"));
}

#[test]
fn the_catalog_file_is_read_again_when_asked() {
    let server = Process::start(&hive("lake", "/tmp"));
    block_on(async {
        let mut client = server.client().await;
        let catalogs = "SHOW CATALOGS";
        assert_eq!(lines(&mut client, catalogs).await[0], ["lake", "hive", "ok"]);

        server.define(&(hive("lake", "/tmp") + &hive("second", "/tmp")));
        server.signal("-HUP");
        assert!(server.line("catalog second is").ends_with("added"));
        assert_eq!(lines(&mut client, catalogs).await[1], ["second", "hive", "ok"]);

        // One that is wrong goes on as it was, and says so.
        server.define(&(hive("lake", "/tmp") + "[second]\nconnector = \"hive\"\nlocatoin = \"/tmp\"\n"));
        let changed = lines(&mut client, "CALL system.reload_catalogs()").await;
        assert_eq!(changed[0][..2], ["second", "kept as it was"]);
        assert!(changed[0][2].contains("unknown key `locatoin`"), "{changed:?}");
        let second = &lines(&mut client, catalogs).await[1];
        assert!(second[2].starts_with("as before, not reloaded: "), "{second:?}");

        // The program itself can ask too, and shows the answer.
        server.define(&(hive("lake", "/tmp") + &hive("second", "/")));
        let address = format!("grpc://{}", server.flight);
        let reload =
            Command::new(env!("CARGO_BIN_EXE_portolan")).args(["reload", "--server", &address]).output().unwrap();
        let printed = String::from_utf8(reload.stdout).unwrap();
        assert!(reload.status.success() && printed.contains(" second  | changed"), "{printed}");

        // A file that is no TOML changes nothing.
        server.define("[lake\n");
        server.signal("-HUP");
        server.line("the catalogs go on as they were");
        assert_eq!(lines(&mut client, catalogs).await.len(), 3);
        server.define("");
        server.signal("-HUP");
        server.line("catalog second is removed");
        assert_eq!(lines(&mut client, catalogs).await, [["system", "system", "ok"]]);
    });
}

#[test]
fn asked_to_end_it_lets_results_end_and_is_not_ready_meanwhile() {
    let mut server = Process::start("");
    block_on(async {
        let mut client = server.client().await;
        let sql = "SELECT value FROM generate_series(1, 3000000)".to_owned();
        let info = client.execute(sql, None).await.unwrap();
        let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        let mut read = rows.next().await.unwrap().unwrap().num_rows();
        server.signal("-TERM");
        server.line("stopping");
        assert_eq!(server.get("/readyz").0, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(server.get("/healthz").0, "HTTP/1.1 200 OK");
        while let Some(batch) = rows.next().await {
            read += batch.unwrap().num_rows();
        }
        assert_eq!(read, 3_000_000);
    });
    assert_eq!(server.ended(), Some(0));
}
