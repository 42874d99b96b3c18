//! Statements over many rows.
//!
//! A caller names the columns, says how a row fills them, and writes one statement that finds the
//! rows as the table `v`. Postgres gets each column as one array, so that the text, and with it
//! the prepared plan, is the same for any number of rows. SQLite has no arrays: it gets the rows
//! one by one, in pages of few sizes, so that their plans are found again too.
//!
//! **Invariant:** rows are written in the order in which they are given. Writers that may meet in
//! the same rows give them in the order of their keys; then none waits for one that waits for it.

use super::{Conn, on_db};
use crate::Result;
use sqlx::{
    Arguments, Encode, FromRow, Postgres, QueryBuilder, Sqlite, Type, TypeInfo,
    error::BoxDynError,
    postgres::{PgArguments, PgHasArrayType, PgRow},
    sqlite::{SqliteArguments, SqliteRow},
};
use std::marker::PhantomData;

/// The rows of one statement; see the module.
pub(super) struct Rows<'a, T> {
    rows: &'a [T],
    columns: Vec<(&'static str, Box<dyn Column<'a, T> + 'a>)>,
}

/// Rows per statement on SQLite, which takes 32,766 binds.
const PAGES: [usize; 5] = [256, 64, 16, 4, 1];

/// What a column can hold on both engines.
pub(super) trait Value<'a>:
    Encode<'a, Postgres> + Type<Postgres> + PgHasArrayType + Encode<'a, Sqlite> + Type<Sqlite> + 'a
{
}

impl<'a, V> Value<'a> for V where
    V: Encode<'a, Postgres>
        + Type<Postgres>
        + PgHasArrayType
        + Encode<'a, Sqlite>
        + Type<Sqlite>
        + 'a
{
}

trait Column<'a, T>: Send + Sync {
    /// As Postgres calls it.
    fn type_name(&self) -> String;
    fn bind_all(&self, rows: &'a [T], arguments: &mut PgArguments) -> Result<(), BoxDynError>;
    fn bind(&self, row: &'a T, arguments: &mut SqliteArguments) -> Result<(), BoxDynError>;
}

struct Read<F, V> {
    value: F,
    of: PhantomData<fn() -> V>,
}

impl<'a, T: 'a, V, F> Column<'a, T> for Read<F, V>
where
    V: Value<'a>,
    F: Fn(&'a T) -> V + Send + Sync,
{
    fn type_name(&self) -> String {
        <V as Type<Postgres>>::type_info().name().to_owned()
    }

    fn bind_all(&self, rows: &'a [T], arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        arguments.add(rows.iter().map(&self.value).collect::<Vec<V>>())
    }

    fn bind(&self, row: &'a T, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add((self.value)(row))
    }
}

impl<'a, T: Sync> Rows<'a, T> {
    pub(super) fn new(rows: &'a [T]) -> Self {
        Rows { rows, columns: Vec::new() }
    }

    pub(super) fn column<V: Value<'a>>(
        mut self,
        name: &'static str,
        value: impl Fn(&'a T) -> V + Send + Sync + 'a,
    ) -> Self {
        self.columns.push((name, Box::new(Read { value, of: PhantomData })));
        self
    }

    /// Adds the rows to a table whose columns have the names given here. `end` is what follows the
    /// rows: `ON CONFLICT …`, or nothing.
    pub(super) async fn insert(self, conn: &mut Conn, insert: &str, end: &str) -> Result<u64> {
        let statement = self.insert_statement(insert, end);
        self.execute(conn, &statement).await
    }

    /// Like [`Rows::insert`], for an `end` with `RETURNING`.
    pub(super) async fn insert_returning<R: Found>(
        self,
        conn: &mut Conn,
        insert: &str,
        end: &str,
    ) -> Result<Vec<R>> {
        let statement = self.insert_statement(insert, end);
        self.fetch(conn, &statement).await
    }

    /// Runs a statement that reads the rows from `v`; returns how many rows it changed.
    pub(super) async fn execute(self, conn: &mut Conn, statement: &str) -> Result<u64> {
        if self.rows.is_empty() {
            return Ok(0);
        }
        on_db!(conn,
        postgres: |c| Ok(self.postgres(statement)?.build().execute(c).await?.rows_affected()),
        sqlite: |c| {
            let mut changed = 0;
            for page in pages(self.rows) {
                let mut sql = self.sqlite(statement, page)?;
                changed += sql.build().execute(&mut *c).await?.rows_affected();
            }
            Ok(changed)
        })
    }

    /// Runs a statement that reads the rows from `v` and returns rows.
    pub(super) async fn fetch<R: Found>(self, conn: &mut Conn, statement: &str) -> Result<Vec<R>> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        on_db!(conn,
        postgres: |c| Ok(self.postgres(statement)?.build_query_as().fetch_all(c).await?),
        sqlite: |c| {
            let mut found = Vec::with_capacity(self.rows.len());
            for page in pages(self.rows) {
                let mut sql = self.sqlite(statement, page)?;
                found.extend(sql.build_query_as::<R>().fetch_all(&mut *c).await?);
            }
            Ok(found)
        })
    }

    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    fn insert_statement(&self, insert: &str, end: &str) -> String {
        // Without WHERE, SQLite takes ON CONFLICT for a join.
        format!("{insert} ({}) SELECT * FROM v WHERE TRUE {end}", self.names())
    }

    fn postgres(&self, statement: &str) -> Result<QueryBuilder<Postgres>> {
        let mut arguments = PgArguments::default();
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (number, (_, column)) in self.columns.iter().enumerate() {
            arrays.push(format!("${}::{}[]", number + 1, column.type_name()));
            column.bind_all(self.rows, &mut arguments).map_err(sqlx::Error::Encode)?;
        }
        let (names, arrays) = (self.names(), arrays.join(", "));
        let sql = format!("WITH v ({names}) AS (SELECT * FROM UNNEST({arrays})) {statement}");
        Ok(QueryBuilder::with_arguments(sql, arguments))
    }

    fn sqlite(&self, statement: &str, page: &'a [T]) -> Result<QueryBuilder<Sqlite>> {
        let mut arguments = SqliteArguments::default();
        for row in page {
            for (_, column) in &self.columns {
                column.bind(row, &mut arguments).map_err(sqlx::Error::Encode)?;
            }
        }
        let row = format!("({})", vec!["?"; self.columns.len()].join(","));
        let (names, rows) = (self.names(), vec![row; page.len()].join(","));
        let sql = format!("WITH v ({names}) AS (VALUES {rows}) {statement}");
        Ok(QueryBuilder::with_arguments(sql, arguments))
    }
}

/// What a statement over many rows returns, on either engine.
pub(super) trait Found:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<R> Found for R where
    R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

fn pages<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = PAGES.into_iter().find(|size| *size <= rows.len())?;
        let (page, rest) = rows.split_at(size);
        rows = rest;
        Some(page)
    })
}

#[cfg(test)]
mod tests {
    use super::pages;

    #[test]
    fn any_number_of_rows_is_cut_into_pages_of_few_sizes() {
        for count in [0, 1, 3, 4, 5, 255, 256, 700] {
            let rows: Vec<usize> = (0..count).collect();
            assert_eq!(pages(&rows).flatten().count(), count);
        }
        let rows = [0; 700];
        let sizes: Vec<_> = pages(&rows).map(<[_]>::len).collect();
        assert_eq!(sizes, [256, 256, 64, 64, 16, 16, 16, 4, 4, 4]);
    }
}
