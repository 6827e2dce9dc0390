//! Taking over a whole outbox from another store: all of it or nothing, once.

use tokio_postgres::types::ToSql;

use super::conn::Conn;
use super::fault::{Fault, Sql};
use super::row::get;
use super::text::stored;
use crate::error::{Error, ErrorKind};
use crate::store::transfer::{Cell, Give, Kind, Origin, TABLES, Table};

/// Fills the empty schema with what `give` gives out. An outbox that was taken over already is left as it is.
pub(super) fn import(conn: &Conn, origin: &Origin, give: &mut Give<'_>) -> Sql<()> {
    conn.batch("LOCK TABLE meta IN EXCLUSIVE MODE")?;
    let known = conn.one("SELECT value FROM meta WHERE name = 'moved_from'", &[], |row| {
        get::<String>(row, 0)
    })?;
    if known.as_ref() == Some(&origin.instance) {
        return Ok(());
    }
    let used = conn.one("SELECT 1 FROM connectors LIMIT 1", &[], |_| Ok(()))?;
    if used.is_some() || known.is_some() {
        return Err(Error::new(
            ErrorKind::State,
            "the schema holds connectors already; give one that is empty, with ?schema=",
        )
        .into());
    }
    let mut fault = None;
    let given = give(&mut |table, cells| {
        put(conn, table, cells).map_err(|found| {
            // Kept whole, since it says whether to try again.
            fault = Some(found);
            Error::internal("a row could not be stored")
        })
    });
    if let Some(fault) = fault {
        return Err(fault);
    }
    given?;
    // Whoever drained is gone: what was on its way is judged as after any death.
    conn.batch(
        "UPDATE pushes SET owner = 0 WHERE state = 'sending'; \
         INSERT INTO gates (connector_id) SELECT id FROM connectors; \
         SELECT setval(pg_get_serial_sequence('connectors', 'id'), greatest((SELECT max(id) FROM connectors), 1)); \
         SELECT setval(pg_get_serial_sequence('attempts', 'id'), greatest((SELECT max(id) FROM attempts), 1))",
    )?;
    // Above every number that was ever given, since a link and a push that took another's place name pushes that are gone.
    conn.run(
        "SELECT setval(pg_get_serial_sequence('pushes', 'id'), greatest($1, (SELECT max(id) FROM pushes), \
         (SELECT max(superseded_by) FROM pushes), (SELECT max(last_push) FROM links), 1))",
        &[&origin.last_push],
    )?;
    conn.run(
        "INSERT INTO meta (name, value) VALUES ('moved_from', $1)",
        &[&origin.instance],
    )?;
    Ok(())
}

fn put(conn: &Conn, table: &'static Table, cells: &[Cell]) -> Sql<()> {
    let params = table.columns.iter().zip(cells).map(|((name, kind), cell)| {
        let param: Box<dyn ToSql + Sync + '_> = match (kind, cell) {
            (Kind::Int, Cell::Null) => Box::new(None::<i64>),
            (Kind::Flag, Cell::Null) => Box::new(None::<bool>),
            (Kind::Text, Cell::Null) => Box::new(None::<&str>),
            (Kind::Bytes, Cell::Null) => Box::new(None::<&[u8]>),
            (Kind::Int, Cell::Int(value)) => Box::new(*value),
            (Kind::Flag, Cell::Int(value)) => Box::new(*value != 0),
            (Kind::Text, Cell::Text(value)) => Box::new(stored(value)),
            (Kind::Bytes, Cell::Bytes(value)) => Box::new(value.as_slice()),
            _ => return Err(Fault::Row(format!("{}.{name} is of another kind", table.name))),
        };
        Ok(param)
    });
    let params = params.collect::<Sql<Vec<_>>>()?;
    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(AsRef::as_ref).collect();
    conn.run(statement(table), &params)?;
    Ok(())
}

/// The statement that stores a row of the table, made once.
fn statement(table: &'static Table) -> &'static str {
    static STATEMENTS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let statements = STATEMENTS.get_or_init(|| TABLES.iter().map(insert).collect());
    let place = TABLES.iter().position(|known| known.name == table.name);
    place
        .and_then(|place| statements.get(place))
        .map_or("", String::as_str)
}

fn insert(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let places: Vec<String> = (1..=names.len()).map(|place| format!("${place}")).collect();
    format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table.name,
        names.join(", "),
        places.join(", ")
    )
}
