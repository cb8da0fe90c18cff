//! What tests do to a ledger that nobody else may.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use sqlx::Row;
use sqlx::any::AnyPoolOptions;

use super::{Dialect, SqlLedger, sql};
use crate::ledger::LedgerUrl;
use crate::upload::UploadId;

impl SqlLedger {
    /// Makes it look like a later version's.
    pub(crate) async fn pretend_version_99(&self) {
        let nothing = if self.dialect == Dialect::Sqlite { "x'00'" } else { "''::bytea" };
        let statement = format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (99, 'x', true, {nothing}, 0)"
        );
        sqlx::query(sql(statement)).execute(&self.writer).await.unwrap();
    }

    /// Every `table.column`, and whether it may be NULL.
    pub(crate) async fn columns(&self) -> BTreeSet<(String, bool)> {
        let query = match self.dialect {
            Dialect::Sqlite => {
                "SELECT t.name || '.' || c.name AS place, 1 - max(c.\"notnull\", c.pk) AS maybe
                 FROM sqlite_master AS t, pragma_table_info(t.name) AS c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '_sqlx%'"
            }
            Dialect::Postgres => {
                "SELECT table_name || '.' || column_name AS place,
                        CAST(CASE is_nullable WHEN 'YES' THEN 1 ELSE 0 END AS BIGINT) AS maybe
                 FROM information_schema.columns
                 WHERE table_schema = current_schema() AND table_name NOT LIKE '_sqlx%'"
            }
        };
        let rows = sqlx::query(query).fetch_all(&self.readers).await.unwrap();
        rows.iter().map(|row| (row.get("place"), row.get::<i64, _>("maybe") == 1)).collect()
    }

    /// What a page that rotted does to the jobs of an upload.
    pub(crate) async fn break_jobs_of(&self, id: &UploadId) {
        let statement = "UPDATE jobs SET event = 'rot' WHERE upload_id = $1";
        sqlx::query(statement).bind(id.as_str()).execute(&self.writer).await.unwrap();
    }

    /// A ledger as version 1 left it, with an upload that has two outcomes to tell.
    pub(crate) async fn of_first_version(url: &LedgerUrl) {
        let LedgerUrl::Sqlite(file) = url else { panic!("the first version knew SQLite alone") };
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(1);
        let pool = pool.connect(&format!("sqlite:{}?mode=rwc", file.display())).await.unwrap();
        super::schema::migrate_to(&pool, Dialect::Sqlite, 1).await.unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        for number in [10, 9] {
            sqlx::query(sql(format!(
                "INSERT INTO deliveries (id, upload_id, url, method, body, status, due_at, created_at)
                 VALUES ('msg_{id}_{number}', '{id}', 'http://localhost/', 'PUT', '{{}}', 'pending', 0, 0)"
            )))
            .execute(&pool)
            .await
            .unwrap();
        }
        pool.close().await;
    }
}
