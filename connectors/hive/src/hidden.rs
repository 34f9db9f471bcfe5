//! Hidden columns: what is true of all rows of a file.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::ScalarValue;
use object_store::ObjectMeta;
use object_store::path::Path;
use portolan_connector::Column;

use crate::rules::HIDDEN;
use crate::store::Store;

/// A hidden column, named as in Trino.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    Path,
    FileSize,
    FileModifiedTime,
    Partition,
    /// What is true of the rows of one row group of a file.
    RowGroup,
}

impl Hidden {
    /// Those of a table: `$partition` exists where there are partitions, `$row_group` where files have row groups.
    pub(crate) fn of(partitioned: bool, row_groups: bool) -> Vec<Self> {
        let mut columns = vec![Self::Path, Self::FileSize, Self::FileModifiedTime];
        if partitioned {
            columns.push(Self::Partition);
        }
        if row_groups {
            columns.push(Self::RowGroup);
        }
        columns
    }

    /// Whether a file's listing tells the value.
    pub(crate) fn is_of_file(self) -> bool {
        self != Self::RowGroup
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Path => "$path",
            Self::FileSize => "$file_size",
            Self::FileModifiedTime => "$file_modified_time",
            Self::Partition => "$partition",
            Self::RowGroup => "$row_group",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Path | Self::Partition => DataType::Utf8View,
            Self::FileSize | Self::RowGroup => DataType::Int64,
            Self::FileModifiedTime => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    pub(crate) fn field(self) -> FieldRef {
        Arc::new(Field::new(self.name(), self.data_type(), true))
    }

    pub(crate) fn column(self) -> Column {
        let help = match self {
            Self::Path => "full path or URL of the row's file",
            Self::FileSize => "size of the row's file in bytes",
            Self::FileModifiedTime => "when the row's file was last written",
            Self::Partition => "the row's partition as its directories are called, such as year=2026/month=10",
            Self::RowGroup => "the place of the row's row group in its file, from 0",
        };
        Column::new(self.field(), crate::types::sql_name(&self.data_type()), HIDDEN).hidden(help)
    }

    /// The value for a file of the partition of this name; NULL where it is not the same for all of the file.
    pub(crate) fn value(self, file: &ObjectMeta, partition: &str, store: &Store) -> ScalarValue {
        match self {
            Self::Path => ScalarValue::Utf8View(Some(store.display(&file.location))),
            Self::FileSize => ScalarValue::Int64(i64::try_from(file.size).ok()),
            Self::FileModifiedTime => {
                ScalarValue::TimestampMicrosecond(Some(file.last_modified.timestamp_micros()), Some("UTC".into()))
            }
            Self::Partition => ScalarValue::Utf8View(Some(partition.to_owned())),
            Self::RowGroup => ScalarValue::Int64(None),
        }
    }
}

/// The partition directories of a path, escaped as they are: `year=2026/month=10`.
pub(crate) fn partition_name(path: &Path, directory: &Path, levels: usize) -> String {
    let parts: Vec<String> = path
        .prefix_match(directory)
        .map(|parts| parts.take(levels).map(|part| part.as_ref().to_owned()).collect())
        .unwrap_or_default();
    parts.join("/")
}
