//! Azure and Google Cloud Storage: what the catalog file says of them, and what is told where it is wrong.

use portolan_connector::ConnectorFactory;
use portolan_hive::HiveFactory;

use crate::support::{Lake, catalog};

fn refused(settings: &str) -> String {
    match HiveFactory.create(catalog(settings)) {
        Ok(_) => panic!("{settings} is taken"),
        Err(error) => error.to_string(),
    }
}

/// What a query is told.
async fn told(settings: &str) -> String {
    let connector = HiveFactory.create(catalog(settings)).unwrap_or_else(|error| panic!("{settings}: {error}"));
    connector.table("s", "t").await.unwrap_err().to_string()
}

/// A port on which nobody listens.
fn nobody() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn locations_and_settings_that_do_not_go_together() {
    for (settings, said) in [
        ("location = 'az://c/x'", "in which Azure account c is"),
        ("location = 'abfss://@a.dfs.core.windows.net/x'", "names no container"),
        ("location = 'gs:///x'", "names no bucket"),
        ("location = 'hdfs://h/x'", "unknown scheme `hdfs://`"),
        ("location = 'gs://b/x'\nazure_access_key = 'k'", "azure_access_key is a setting for Azure"),
        ("location = 's3://b/x'\ngcs_service_account_key = 'k'", "is a setting for Google Cloud Storage"),
        ("location = 'gs://b/x'\naccess_key_id = 'k'\nsecret_access_key = 's'", "access_key_id is a setting for S3"),
        ("location = '/lake'\nazure_account = 'a'", "azure_account is a setting for Azure"),
        ("location = 'az://c/x'\nazure_account = 'a'\nazure_client_id = 'i'", "belong together: one is missing"),
        (
            "location = 'az://c/x'\nazure_account = 'a'\nazure_access_key = 'k'\nazure_sas_token = 's=1'",
            "several kinds of credentials for Azure",
        ),
        ("location = 'gs://b/x'\nendpoint = 'http://h'", "endpoint is not encrypted"),
    ] {
        let text = refused(settings);
        assert!(text.contains(said) && text.contains("catalog lake"), "{settings}: {text}");
    }
    let text = refused("location = 'hdfs://h/x'");
    assert!(text.contains("gs://bucket/prefix") && text.contains("abfss://container@account"), "{text}");
}

#[tokio::test]
async fn credentials_that_are_none_are_told_without_showing_them() {
    let azure = "location = 'abfss://c@a.dfs.core.windows.net/lake'\nmax_retries = 0\n";
    let text = told(&format!("{azure}azure_access_key = 'no base64 at all!'")).await;
    assert!(text.contains("cannot use abfss://c@a.dfs.core.windows.net/"), "{text}");
    assert!(text.contains("check azure_access_key") && !text.contains("no base64"), "{text}");
    let text = told(&format!("{azure}azure_sas_token = 'nonsense'")).await;
    assert!(text.contains("azure_sas_token is no shared access signature") && !text.contains("nonsense"), "{text}");
    let text = told("location = 'gs://b/lake'\ngcs_service_account_key = 'a secret that is no JSON'").await;
    assert!(text.contains("cannot use gs://b/") && text.contains("check gcs_service_account_key"), "{text}");
    assert!(!text.contains("a secret that"), "{text}");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_named() {
    let port = nobody();
    let network = format!(
        "endpoint = 'http://127.0.0.1:{port}'\nallow_http = true\nconnect_timeout_seconds = 1\nmax_retries = 0\n"
    );
    let key = "azure_account = 'a'\nazure_access_key = 'c2VjcmV0'";
    let text = told(&format!("location = 'az://c/lake'\n{network}{key}")).await;
    assert!(text.contains("table s.t: cannot list abfss://c@a.dfs.core.windows.net/lake/s/t"), "{text}");
    assert!(text.contains("check location, endpoint"), "{text}");
    let text = told(&format!("location = 'gs://b/lake'\n{network}anonymous = true")).await;
    assert!(text.contains("table s.t: cannot list gs://b/lake/s/t") && text.contains("check location"), "{text}");
}

#[tokio::test]
async fn a_table_is_in_the_store_of_its_catalog() {
    let lake = Lake::new();
    std::fs::create_dir_all(lake.path("s")).unwrap();
    let section = "[tables.'s.t']\nlocation = 'gs://b/t'";
    let text = lake.connector(section).unwrap().table("s", "t").await.unwrap_err().to_string();
    assert!(text.contains("gs://b/t is in another store than the catalog"), "{text}");
    let text = told(&format!("location = 'gs://a/lake'\nanonymous = true\n{section}")).await;
    assert!(text.contains("gs://b/t is not in gs://a/"), "{text}");
}
