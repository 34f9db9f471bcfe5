//! Which files a scan of a table reads: those that its filters keep, all of them from before or after each write that is
//! committed while they are listed.

use std::sync::Arc;

use portolan_connector::{ConnectorError, PlanContext, Result, ScanRequest};

use super::HiveTable;
use crate::row_groups::row_groups;
use crate::rules::any_column;
use crate::scan::{Found, Walk};
use crate::snapshot::HiveSnapshot;
use crate::write::{Log, Settled, busy};

/// How often a table is listed for one scan that is written meanwhile.
const LISTINGS_MAX: usize = 5;

impl HiveTable {
    /// The partitions and files that the request keeps, as the query's snapshot has them.
    pub(super) async fn find<'a>(
        &self,
        request: &ScanRequest,
        context: &'a PlanContext<'_>,
    ) -> Result<(Found, &'a HiveSnapshot)> {
        let snapshot = context
            .snapshot
            .downcast_ref::<HiveSnapshot>()
            .ok_or_else(|| ConnectorError::internal("the snapshot is of another connector").in_table(&self.name))?;
        snapshot.adopt(&self.opening);
        let found = self.settled(request, snapshot, context).await;
        let mut found = found.map_err(|error| error.in_table(&self.name))?;
        if let Some(at) = self.row_group_column(request) {
            let filters = self.constant_filters(request);
            let constants = self.columns.iter().skip(self.files.columns.len());
            let columns = constants.map(|column| Arc::clone(&column.field)).collect();
            let files = std::mem::take(&mut found.files);
            let (store, session, at_once) = (snapshot.files(), context.session, self.settings.list_concurrency);
            let (kept, total) = row_groups(files, at, columns, &filters, session, store, at_once)
                .await
                .map_err(|error| error.in_table(&self.name))?;
            (found.files, found.row_groups_total) = (kept, Some(total));
        }
        Ok((found, snapshot))
    }

    /// The place of `$row_group` among the columns behind those of the files, where the request names it.
    fn row_group_column(&self, request: &ScanRequest) -> Option<usize> {
        let hidden = self.hidden.iter().find(|hidden| !hidden.is_of_file())?;
        let index = self.columns.iter().position(|column| column.name() == hidden.name())?;
        let filtered =
            request.filters.iter().any(|filter| any_column(&filter.expression, |name| name == hidden.name()));
        (filtered || request.projection.contains(&index)).then(|| index - self.files.columns.len())
    }

    /// The files of a scan, all of them from before or after each write that is committed meanwhile.
    async fn settled(
        &self,
        request: &ScanRequest,
        snapshot: &HiveSnapshot,
        context: &PlanContext<'_>,
    ) -> Result<Found> {
        let filters = self.constant_filters(request);
        let known = self.metastore.as_ref().and_then(|table| table.partitions.as_ref());
        // The partitions of a metastore may be listed without the table's directory, which would show the log.
        let mut said = self.metastore.as_ref().filter(|table| table.partitions.is_some()).map(|table| table.has_log());
        let log = match &self.metastore {
            Some(table) => Log::of_metastore(&self.store, &self.directory).registered_by(table.made_by()),
            None => Log::new(&self.store, &self.directory),
        };
        for _ in 0..LISTINGS_MAX {
            let view = snapshot.view(&log, said).await?;
            let walk = Walk {
                store: &self.store,
                settings: &self.settings,
                subdirectories: self.subdirectories,
                table: &self.name,
                directory: &self.directory,
                columns: &self.partition_columns,
                hidden: &self.hidden,
                filters: &filters,
                snapshot,
                view: &view,
                session: context.session,
                check_absent: self.metastore.is_some() && !self.settings.absent_partitions,
            };
            let mut found = match known {
                Some(partitions) => walk.over(partitions).await?,
                None => walk.run().await?,
            };
            let settled = view.settle(&log, &mut found.files).await?;
            if let Some(table) = self.metastore.as_ref().filter(|_| view.hides_another)
                && !table.is_same().await?
            {
                return Err(ConnectorError::source("the table was replaced while the query was planned")
                    .hint("run the query again"));
            }
            match settled {
                Settled::Yes if snapshot.take(&self.directory, &view) => return Ok(found),
                // Another scan of the query reads what was there before.
                Settled::Changed if !snapshot.leave(&self.directory, &view, known) => break,
                Settled::Yes | Settled::Changed => said = said.map(|_| true),
            }
        }
        Err(busy(&log))
    }
}
