//! Buckets and containers of object stores, as locations name them.

use object_store::path::Path;
use portolan_connector::{ConnectorError, Result};

/// The host of an Azure storage account that a location does not name in full.
const AZURE_HOST: &str = "dfs.core.windows.net";

/// Schemes of locations that are read, for messages.
pub(super) const SCHEMES: &str = "s3://bucket/prefix, abfss://container@account.dfs.core.windows.net/prefix, az://container/prefix or gs://bucket/prefix";

/// A bucket or container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    S3(String),
    /// The host is that of the account, such as `account.dfs.core.windows.net`.
    Azure {
        host: String,
        container: String,
    },
    Gcs(String),
}

impl Bucket {
    /// The bucket of a URL, and the path in it; `None` for schemes of no object store. `account` is the Azure account of
    /// URLs that name none.
    pub(super) fn parse<'a>(scheme: &str, rest: &'a str, account: Option<&str>) -> Option<Result<(Self, &'a str)>> {
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = match scheme {
            "s3" | "s3a" | "s3n" => Self::named(place, "bucket", "s3://bucket/prefix").map(Self::S3),
            "gs" => Self::named(place, "bucket", "gs://bucket/prefix").map(Self::Gcs),
            "abfs" | "abfss" | "az" | "azure" => Self::azure(place, account),
            _ => return None,
        };
        Some(bucket.map(|bucket| (bucket, path)))
    }

    fn named(name: &str, what: &str, example: &str) -> Result<String> {
        match name.is_empty() {
            true => Err(ConnectorError::user(format!("location names no {what}")).hint(format!("write {example}"))),
            false => Ok(name.to_owned()),
        }
    }

    fn azure(place: &str, account: Option<&str>) -> Result<Self> {
        let (container, host) = match (place.split_once('@'), account) {
            (Some((container, host)), _) => (container, host.to_owned()),
            (None, Some(account)) => (place, format!("{account}.{AZURE_HOST}")),
            (None, None) => {
                return Err(ConnectorError::user(format!("it is not said in which Azure account {place} is"))
                    .hint("set azure_account, or write abfss://container@account.dfs.core.windows.net/prefix"));
            }
        };
        let container = Self::named(container, "container", "abfss://container@account.dfs.core.windows.net/prefix")?;
        Ok(Self::Azure { host, container })
    }

    /// A path in the bucket as people write it.
    pub(super) fn display(&self, path: &str) -> String {
        match self {
            Self::S3(bucket) => format!("s3://{bucket}/{path}"),
            Self::Gcs(bucket) => format!("gs://{bucket}/{path}"),
            Self::Azure { host, container } => format!("abfss://{container}@{host}/{path}"),
        }
    }

    /// What stands before the paths of the bucket where a catalog has several stores.
    pub(super) fn prefix(&self) -> String {
        match self {
            Self::S3(bucket) => format!("s3/{bucket}"),
            Self::Gcs(bucket) => format!("gs/{bucket}"),
            Self::Azure { host, container } => format!("abfs/{host}/{container}"),
        }
    }

    /// The bucket of a path that begins with a prefix, and the path in it.
    pub(super) fn of_path(path: &Path) -> Option<(Self, String)> {
        let mut parts = path.parts().map(|part| part.as_ref().to_owned());
        let kind = parts.next()?;
        let bucket = match (kind.as_str(), parts.next()?) {
            ("s3", bucket) => Self::S3(bucket),
            ("gs", bucket) => Self::Gcs(bucket),
            ("abfs", host) => Self::Azure { host, container: parts.next()? },
            _ => return None,
        };
        Some((bucket, parts.collect::<Vec<_>>().join("/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (scheme, rest, prefix, path) in [
            ("s3", "b/x/y", "s3/b", "x/y"),
            ("s3a", "b", "s3/b", ""),
            ("gs", "b/x", "gs/b", "x"),
            ("abfss", "c@a.dfs.core.windows.net/x", "abfs/a.dfs.core.windows.net/c", "x"),
            ("az", "c/x/y", "abfs/known.dfs.core.windows.net/c", "x/y"),
        ] {
            let (bucket, rest) = Bucket::parse(scheme, rest, Some("known")).unwrap().unwrap();
            assert_eq!((bucket.prefix().as_str(), rest), (prefix, path), "{scheme}");
            let whole = Path::parse(format!("{prefix}/{path}")).unwrap();
            assert_eq!(Bucket::of_path(&whole).unwrap(), (bucket, path.to_owned()));
        }
        assert!(Bucket::parse("hdfs", "name:8020/x", None).is_none());
        for (scheme, rest, said) in [
            ("s3", "/x", "names no bucket"),
            ("gs", "", "names no bucket"),
            ("az", "c/x", "in which Azure account c is"),
            ("abfss", "@a.dfs.core.windows.net/x", "names no container"),
        ] {
            let error = Bucket::parse(scheme, rest, None).unwrap().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
