//! One table of a lake.

mod find;
mod partitions;

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema};
use async_trait::async_trait;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use object_store::path::Path;
use portolan_connector::{
    Capabilities, Column, ConnectorError, ConnectorTable, Estimate, Fold, PlanContext, Reason, Result, RowOrder, Scan,
    ScanRequest, SourcePlan, TableKind, TableName, TableStatistics, Units, UnsupportedColumn, Verdict,
};

use crate::adapter::LakeAdapterFactory;
use crate::expect::expected;
use crate::factory::{ColumnRules, DeclaredColumn, Settings, Subdirectories};
use crate::format::{Format, Kind, check_kinds};
use crate::hidden::Hidden;
use crate::metastore::MetastoreTable;
use crate::partition::PartitionColumn;
use crate::portion::Portions;
use crate::prune::ConstantFilter;
use crate::row_groups::only;
use crate::rules::{FILE, FLOAT, HIDDEN, Judge, NESTED, PARTITION, any_column, constant_part};
use crate::scan::{Found, common_directory};
use crate::schema::{FileColumn, FileSchema};
use crate::snapshot::HiveSnapshot;
use crate::source::{LakeSource, ScanContext};
use crate::statistics::statistics;
use crate::store::{Files, Store};
use crate::types::sql_name;
use crate::write::Definition;

pub(crate) use self::partitions::{PARTITIONS_SUFFIX, PartitionsTable};

/// Files in a directory, with or without partitions, or in the directories that a metastore names.
#[derive(Debug)]
pub(crate) struct HiveTable {
    name: TableName,
    store: Arc<Store>,
    settings: Arc<Settings>,
    capabilities: Arc<Capabilities>,
    subdirectories: Subdirectories,
    directory: Path,
    partition_columns: Vec<PartitionColumn>,
    format: Format,
    /// The kind of the files, where it goes by their extensions.
    detected: Option<Kind>,
    files: FileSchema,
    /// About how many bytes all files have.
    bytes: u64,
    hidden: Vec<Hidden>,
    /// Columns of the files, then partition columns, then hidden columns.
    columns: Vec<Column>,
    schema: DFSchema,
    /// Of a table that a metastore describes.
    metastore: Option<MetastoreTable>,
    /// What was listed and read to open the table.
    opening: HiveSnapshot,
    column_rules: ColumnRules,
    /// What the table is, where its log says so.
    definition: Option<Definition>,
}

/// What a write needs to know of a table.
pub(crate) struct Written<'a> {
    pub(crate) name: &'a TableName,
    pub(crate) root: &'a Path,
    pub(crate) format: &'a Format,
    pub(crate) file_columns: &'a [FileColumn],
    pub(crate) partition_columns: &'a [PartitionColumn],
    pub(crate) metastore: Option<&'a MetastoreTable>,
    pub(crate) definition: Option<&'a Definition>,
}

/// What [`HiveTable::new`] puts together.
pub(crate) struct TableParts {
    pub(crate) name: TableName,
    pub(crate) store: Arc<Store>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) subdirectories: Subdirectories,
    pub(crate) directory: Path,
    pub(crate) partition_columns: Vec<PartitionColumn>,
    pub(crate) format: Format,
    pub(crate) detected: Option<Kind>,
    pub(crate) files: FileSchema,
    pub(crate) bytes: u64,
    pub(crate) declared: Vec<DeclaredColumn>,
    pub(crate) metastore: Option<MetastoreTable>,
    pub(crate) opening: HiveSnapshot,
    pub(crate) column_rules: ColumnRules,
    pub(crate) definition: Option<Definition>,
}

impl HiveTable {
    /// Settles the columns: a declared column replaces what the files say, a partition column hides a column of the
    /// files of the same name, and any column hides a hidden one.
    pub(crate) fn new(parts: TableParts) -> Result<Self> {
        let TableParts { mut files, partition_columns, .. } = parts;
        if !parts.declared.is_empty() {
            files.columns = parts.declared.iter().map(declared_column).collect();
        }
        if parts.column_rules.by_index && parts.declared.is_empty() && parts.metastore.is_none() {
            return Err(ConnectorError::user("columns_by = \"index\" needs columns whose places are known")
                .hint("declare them in the table's section of the catalog file: columns = { name = \"type\" }")
                .in_table(&parts.name));
        }
        let partition_names: Vec<&str> = partition_columns.iter().map(|column| column.name.as_str()).collect();
        parts.format.check(&files.columns, &partition_names).map_err(|error| error.in_table(&parts.name))?;
        files.columns.retain(|column| {
            !partition_columns.iter().any(|partition| partition.name.eq_ignore_ascii_case(column.field.name()))
        });
        let mut columns: Vec<Column> = files.columns.iter().map(|column| file_column(column, &parts.format)).collect();
        columns.extend(
            partition_columns.iter().map(|column| Column::new(column.field(), sql_name(&column.data_type), PARTITION)),
        );
        if let Some(table) = &parts.metastore {
            for column in &mut columns {
                column.comment = table.comments.get(column.name()).cloned();
                if let Some(hive_type) = table.hive_types.get(column.name()) {
                    column.source_type.clone_from(hive_type);
                }
            }
        }
        let hidden: Vec<Hidden> = Hidden::of(!partition_columns.is_empty(), parts.format == Format::Parquet)
            .into_iter()
            .filter(|hidden| columns.iter().all(|column| column.name() != hidden.name()))
            .collect();
        columns.extend(hidden.iter().map(|hidden| hidden.column()));
        let fields: Vec<FieldRef> = columns.iter().map(|column| Arc::clone(&column.field)).collect();
        let schema = DFSchema::try_from(Schema::new(fields)).map_err(|error| {
            ConnectorError::source("cannot use the table's columns").said(error).in_table(&parts.name)
        })?;
        Ok(Self {
            name: parts.name,
            store: parts.store,
            settings: parts.settings,
            capabilities: parts.capabilities,
            subdirectories: parts.subdirectories,
            directory: parts.directory,
            partition_columns,
            format: parts.format,
            detected: parts.detected,
            files,
            bytes: parts.bytes,
            hidden,
            columns,
            schema,
            metastore: parts.metastore,
            opening: parts.opening,
            column_rules: parts.column_rules,
            definition: parts.definition,
        })
    }

    /// What a write needs to know of the table.
    pub(crate) fn written(&self) -> Written<'_> {
        Written {
            name: &self.name,
            root: &self.directory,
            format: &self.format,
            file_columns: &self.files.columns,
            partition_columns: &self.partition_columns,
            metastore: self.metastore.as_ref(),
            definition: self.definition.as_ref(),
        }
    }

    fn judge(&self) -> Judge<'_> {
        Judge { capabilities: &self.capabilities, columns: &self.columns, schema: &self.schema }
    }

    /// What the request's filters say of partitions and files.
    fn constant_filters(&self, request: &ScanRequest) -> Vec<ConstantFilter> {
        let judge = self.judge();
        request
            .filters
            .iter()
            .filter_map(|filter| {
                let expression = unnormalize_col(filter.expression.clone());
                Some(ConstantFilter {
                    expression: constant_part(&expression, &|expr| judge.is_constant(expr))?,
                    exact: filter.verdict == Verdict::Exact,
                })
            })
            .filter(|filter| any_column(&filter.expression, |_| true))
            .collect()
    }

    /// The filters by which row groups and pages are left out.
    fn predicates(
        &self,
        request: &ScanRequest,
        context: &PlanContext<'_>,
    ) -> datafusion::error::Result<Vec<Arc<dyn PhysicalExpr>>> {
        let judge = self.judge();
        request
            .filters
            .iter()
            .filter(|filter| filter.verdict == Verdict::Pruning)
            .map(|filter| unnormalize_col(filter.expression.clone()))
            .filter(|expression| !judge.is_constant(expression))
            .map(|expression| context.session.create_physical_expr(expression, &self.schema))
            .collect()
    }

    /// Where a pushed filter is applied, as EXPLAIN shows it.
    fn remote(&self, filter: &portolan_connector::PushedFilter) -> Option<String> {
        let expression = unnormalize_col(filter.expression.clone());
        let judge = self.judge();
        let constant = constant_part(&expression, &|expr| judge.is_constant(expr));
        let on_files = |expr: &Expr| any_column(expr, |name| self.hidden.iter().any(|hidden| hidden.name() == name));
        let mut places = Vec::new();
        if let Some(constant) = &constant {
            places.push(if on_files(constant) { "files" } else { "partitions" });
        }
        if !judge.is_constant(&expression) {
            places.extend(self.format.prunes_by());
        }
        let checked = if filter.verdict == Verdict::Exact { "" } else { "; checked again by the engine" };
        Some(format!("{}{checked}", places.join(", ")))
    }

    /// The places of the columns that have one value in a whole file.
    fn of_whole_files(&self, projection: &[usize]) -> Vec<usize> {
        let of_file =
            |at: &usize| self.columns.get(*at).is_some_and(|column| [PARTITION, HIDDEN].contains(&column.domain));
        projection.iter().enumerate().filter(|(_, at)| of_file(at)).map(|(place, _)| place).collect()
    }

    fn native(
        &self,
        found: &Found,
        request: &ScanRequest,
        context: &PlanContext<'_>,
        files: &Files,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let fields: Vec<FieldRef> = self.columns.iter().map(|column| Arc::clone(&column.field)).collect();
        let (file_fields, constant_fields) = fields.split_at(self.files.columns.len());
        let table_schema = TableSchema::builder(Arc::new(Schema::new(file_fields.to_vec())))
            .with_table_partition_cols(constant_fields.to_vec())
            .build();
        let failed = |error: datafusion::error::DataFusionError| {
            ConnectorError::internal("cannot plan the scan").said(error.strip_backtrace()).in_table(&self.name)
        };
        if found.files.is_empty() {
            let schema =
                table_schema.table_schema().project(&request.projection).map_err(|error| failed(error.into()))?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(schema))));
        }

        let url = self.store.register(context.session.runtime_env())?;
        let adapter = LakeAdapterFactory { instants: self.metastore.is_some(), rules: self.column_rules };
        let source = self.format.source(&table_schema, files, context.session, adapter)?;
        let scan = ScanContext {
            store: Arc::clone(&self.store),
            files: files.open()?,
            table: self.name.clone(),
            distinct: self.distinct(),
            advice: self.format.advice(),
            portions: Portions::new(Arc::clone(self.store.footers())),
        };
        let mut source: Arc<dyn FileSource> = Arc::new(LakeSource::new(source, Arc::new(scan)));
        let predicates = self.predicates(request, context).map_err(failed)?;
        if let Some(pruning) =
            source.try_pushdown_filters(predicates, context.session.config_options()).map_err(failed)?.updated_node
        {
            source = pruning;
        }

        let bytes: u64 = found.files.iter().map(|file| file.bytes).sum();
        let mut statistics = Statistics::new_unknown(table_schema.table_schema());
        // Without statistics of its own, even unknown ones, a file is not pruned by filters known only at run time.
        let unknown = Arc::new(statistics.clone());
        statistics.num_rows = self.rows(found).map_or(Precision::Absent, |rows| Precision::Inexact(size(rows)));
        statistics.total_byte_size = Precision::Inexact(size(bytes));
        let files: Vec<PartitionedFile> = found
            .files
            .iter()
            .map(|file| {
                let mut partitioned = PartitionedFile::new_from_meta(file.meta.clone());
                partitioned.partition_values.clone_from(&file.constants);
                partitioned.statistics = Some(Arc::clone(&unknown));
                only(partitioned, file.row_group)
            })
            .collect();
        let groups = FileGroup::new(files).split_files(context.session.config().target_partitions());

        let config = FileScanConfigBuilder::new(url, source)
            .with_projection_indices(Some(request.projection.clone()))
            .map_err(failed)?
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(request.limit)
            .with_expr_adapter(Some(Arc::new(adapter)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// How many values the columns of the files have, where that is known.
    fn distinct(&self) -> Vec<Option<u64>> {
        let known = statistics(&self.files, self.bytes, &self.partition_columns).map(|known| known.columns);
        let of = |column: &FileColumn| known.as_ref()?.get(column.field.name())?.distinct;
        self.files.columns.iter().map(of).collect()
    }

    fn units(&self, found: &Found) -> Vec<Units> {
        let mut units = Vec::new();
        if !self.partition_columns.is_empty() {
            units.push(Units {
                kind: "partitions",
                total: found.partitions_total,
                kept: found.directories.len() as u64,
            });
        }
        let all_listed =
            self.partition_columns.is_empty() || found.partitions_total == Some(found.directories.len() as u64);
        let mut files: Vec<&Path> = found.files.iter().map(|file| &file.meta.location).collect();
        files.dedup();
        let kept = files.len() as u64;
        units.push(Units { kind: "files", total: all_listed.then_some(found.files_listed), kept });
        if let Some(total) = found.row_groups_total {
            units.push(Units { kind: "row_groups", total: Some(total), kept: found.files.len() as u64 });
        }
        units
    }

    /// About how many rows the files have: what the metastore counted in the partitions, or an estimate from their size.
    fn rows(&self, found: &Found) -> Option<u64> {
        let bytes: u64 = found.files.iter().map(|file| file.bytes).sum();
        found.rows.or_else(|| self.files.rows_in(bytes))
    }

    fn estimate(&self, found: &Found, request: &ScanRequest) -> Estimate {
        let bytes: u64 = found.files.iter().map(|file| file.bytes).sum();
        let rows = self.rows(found);
        let names = request.projection.iter().filter_map(|index| self.files.columns.get(*index));
        let share = self.files.share(names.map(|column| column.field.name().as_str()));
        Estimate {
            rows: match (rows, request.limit) {
                (Some(rows), Some(limit)) => Some(rows.min(limit as u64)),
                (rows, _) => rows,
            },
            bytes: Some(share.map_or(bytes, |share| (bytes as f64 * share).round() as u64)),
            works: None,
        }
    }
}

#[async_trait]
impl ConnectorTable for HiveTable {
    fn name(&self) -> &TableName {
        &self.name
    }

    fn kind(&self) -> TableKind {
        TableKind::Table
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn unsupported_columns(&self) -> &[UnsupportedColumn] {
        match &self.metastore {
            Some(table) => &table.unsupported,
            None => &self.files.unsupported,
        }
    }

    async fn statistics(&self) -> Result<Option<TableStatistics>> {
        if let Some(table) = &self.metastore {
            let known = table.statistics(&self.columns, &self.store).await;
            return known.map_err(|error| error.in_table(&self.name));
        }
        Ok(statistics(&self.files, self.bytes, &self.partition_columns))
    }

    /// Partition by partition where the files are sorted, so that each is written from its beginning to its end.
    fn order_of_rows(&self, columns: &[usize]) -> RowOrder {
        let sorted = self.definition.as_ref().map(|definition| definition.sorted_by.as_slice()).unwrap_or_default();
        if sorted.is_empty() {
            return Vec::new();
        }
        let place = |name: &str| {
            let index = self.columns.iter().position(|column| column.name() == name)?;
            columns.iter().position(|given| *given == index)
        };
        let partitions = self.partition_columns.iter().map(|column| column.name.as_str());
        partitions.chain(sorted.iter().map(String::as_str)).filter_map(place).collect()
    }

    /// The statement with which Hive would know the table.
    fn definition(&self) -> Option<String> {
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let hive_types = self.metastore.as_ref().map(|table| &table.hive_types);
        let list = |columns: &mut dyn Iterator<Item = &Column>| {
            let lines: Vec<String> = columns
                .map(|column| {
                    let known = hive_types.and_then(|types| types.get(column.name()).cloned());
                    let hive_type = known.unwrap_or_else(|| hive_type(column.field.as_ref()));
                    format!("  {} {hive_type}", quoted(column.name()))
                })
                .collect();
            lines.join(",\n")
        };
        let files = list(&mut self.columns.iter().filter(|column| ![PARTITION, HIDDEN].contains(&column.domain)));
        let mut text =
            format!("CREATE EXTERNAL TABLE {}.{} (\n{files}\n)\n", quoted(&self.name.schema), quoted(&self.name.table));
        if !self.partition_columns.is_empty() {
            let partitions = list(&mut self.columns.iter().filter(|column| column.domain == PARTITION));
            text.push_str(&format!("PARTITIONED BY (\n{partitions}\n)\n"));
        }
        let location = self.store.display(&self.directory).replace('\'', "\\'");
        text.push_str(&format!("{}\nLOCATION '{location}'", self.format.hive_clause()));
        Some(text)
    }

    fn judge(&self, conjunct: &Expr) -> Verdict {
        Self::judge(self).verdict(&unnormalize_col(conjunct.clone()))
    }

    fn fold(&self, request: &ScanRequest, operator: &Fold) -> Result<ScanRequest, Reason> {
        match operator {
            Fold::Limit(limit) => {
                if request.filters.iter().any(|filter| filter.verdict != Verdict::Exact) {
                    return Err("rows are filtered again after they are read".into());
                }
                let limit = request.limit.map_or(*limit, |known| known.min(*limit));
                Ok(ScanRequest { limit: Some(limit), ..request.clone() })
            }
        }
    }

    async fn plan(&self, request: &ScanRequest, context: &PlanContext<'_>) -> Result<SourcePlan> {
        let (found, snapshot) = self.find(request, context).await?;
        if let Some(kind) = self.detected {
            let metas = || found.files.iter().map(|file| &file.meta);
            let example = metas().find(|file| Kind::of_file(file) == kind);
            check_kinds(kind, example, metas(), &self.store).map_err(|error| error.in_table(&self.name))?;
        }
        let native = self.native(&found, request, context, snapshot.files())?;
        let bytes: u64 = found.files.iter().map(|file| file.bytes).sum();
        let place = common_directory(&self.directory, &found.directories, &self.store);
        let plural = if found.files.len() == 1 { "" } else { "s" };
        let estimate = self.estimate(&found, request);
        let has_columns = request.projection.iter().any(|index| *index < self.files.columns.len());
        let read = estimate.bytes.unwrap_or(bytes);
        let requests = expected(&self.format, &self.store, &found.files, has_columns, read);
        Ok(SourcePlan {
            requests,
            filterable: self.of_whole_files(&request.projection),
            pauses: self.format.pauses(),
            schema: native.schema(),
            scan: Scan::Native(native),
            request: Some(format!("{} file{plural} · {} under {place}", found.files.len(), human_bytes(bytes))),
            remote_filters: request.filters.iter().map(|filter| self.remote(filter)).collect(),
            units: self.units(&found),
            estimate,
        })
    }
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn declared_column(column: &DeclaredColumn) -> FileColumn {
    FileColumn {
        field: Arc::new(Field::new(&column.name, column.data_type.clone(), true)),
        source_type: column.written.clone(),
    }
}

fn file_column(column: &FileColumn, format: &Format) -> Column {
    let data_type = column.field.data_type();
    let domain = if let Some(domain) = format.domain() {
        domain
    } else if data_type.is_floating() {
        FLOAT
    } else if data_type.is_nested() {
        NESTED
    } else {
        FILE
    };
    Column::new(Arc::clone(&column.field), column.source_type.clone(), domain)
}

/// Hive's name of a type, for [`ConnectorTable::definition`].
fn hive_type(field: &Field) -> String {
    match sql_name(field.data_type()).as_str() {
        "integer" => "int".to_owned(),
        "real" => "float".to_owned(),
        "varchar" => "string".to_owned(),
        "varbinary" => "binary".to_owned(),
        "timestamp with time zone" => "timestamp with local time zone".to_owned(),
        other => other.to_owned(),
    }
}

/// Bytes for people: `212 MB`, with decimal units.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::human_bytes;

    #[test]
    fn bytes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (12_345, "12 kB"),
            (999_500, "1.0 MB"),
            (212_345_678, "212 MB"),
            (3_200_000_000, "3.2 GB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
    }
}
