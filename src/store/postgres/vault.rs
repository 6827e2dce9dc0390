//! Secrets at rest, sealed as in SQLite; the key comes from the host, never from a file beside the database.

use ring::aead::{LessSafeKey, NONCE_LEN};
use zeroize::Zeroizing;

use super::conn::Conn;
use super::fault::Sql;
use super::row::{get, text};
use super::text::stored;
use crate::connector::SecretField;
use crate::error::{Error, ErrorKind, Result};
use crate::outbox::ConnectorId;
use crate::store::sqlite::KeySource;
use crate::store::sqlite::key::{KEY_VARIABLE, Key, read_key};
use crate::store::sqlite::vault::{CHECK, CHECK_DATA, damaged, data, open, seal, unbound};

/// A key that is read when it is needed, so that a missing one stops nothing but secrets.
pub(super) enum KeyHolder {
    Given(Key),
    Variable(Zeroizing<String>),
    Nowhere,
}

impl KeyHolder {
    pub(super) fn new(source: KeySource) -> KeyHolder {
        let variable = match source {
            KeySource::Given(key) => return KeyHolder::Given(key),
            KeySource::Default => std::env::var_os(KEY_VARIABLE).filter(|text| !text.is_empty()),
        };
        // Text that is not UTF-8 becomes text that is no key: told when the key is needed.
        variable.map_or(KeyHolder::Nowhere, |text| {
            KeyHolder::Variable(Zeroizing::new(text.to_string_lossy().into_owned()))
        })
    }

    pub(super) fn get(&self) -> Result<Key> {
        let refused = |message: String| Error::new(ErrorKind::Key, message);
        match self {
            KeyHolder::Given(key) => Ok(key.clone()),
            KeyHolder::Variable(text) => read_key(text).ok_or_else(|| {
                refused(format!(
                    "{KEY_VARIABLE} is not a key; set it to 64 hex digits or to base64 of 32 bytes"
                ))
            }),
            KeyHolder::Nowhere => Err(refused(format!(
                "secrets in PostgreSQL need a key that every host has: give the same 32 bytes to each, as an option or \
                 in {KEY_VARIABLE}"
            ))),
        }
    }
}

/// Puts these secrets in the place of the connector's.
pub(super) fn replace(conn: &Conn, id: ConnectorId, secrets: &[SecretField], key: Option<&Key>) -> Sql<()> {
    // Hosts that store their first secrets at once would each seal a check value of their own.
    conn.run("LOCK TABLE vault IN SHARE ROW EXCLUSIVE MODE", &[])?;
    let used = conn
        .one("SELECT 1 FROM secrets LIMIT 1", &[], |_| Ok(()))?
        .is_some();
    erase(conn, id)?;
    let Some(key) = key else {
        return Ok(());
    };
    let key = &unbound(key)?;
    if used {
        check(conn, key)?;
    } else {
        put_check(conn, key)?;
    }
    for (field, plaintext) in secrets {
        let (nonce, ciphertext) = seal(key, &data(id, field), plaintext.as_bytes())?;
        conn.run(
            "INSERT INTO secrets (connector_id, field, nonce, ciphertext) VALUES ($1, $2, $3, $4)",
            &[&id.0, &stored(field), &nonce.as_slice(), &ciphertext],
        )?;
    }
    Ok(())
}

/// Forgets the connector's secrets.
pub(super) fn erase(conn: &Conn, id: ConnectorId) -> Sql<()> {
    conn.run("DELETE FROM secrets WHERE connector_id = $1", &[&id.0])
        .map(drop)
}

/// The connector's secrets. The key is asked for only when there are any.
pub(super) fn read(conn: &Conn, id: ConnectorId, key: &KeyHolder) -> Sql<Vec<SecretField>> {
    let rows = conn.all(
        "SELECT field, nonce, ciphertext FROM secrets WHERE connector_id = $1 ORDER BY field",
        &[&id.0],
        |row| Ok((text(row, 0)?, get::<Vec<u8>>(row, 1)?, get::<Vec<u8>>(row, 2)?)),
    )?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let key = &unbound(&key.get()?)?;
    check(conn, key)?;
    let mut secrets = Vec::with_capacity(rows.len());
    for (field, nonce, ciphertext) in rows {
        let plaintext = <[u8; NONCE_LEN]>::try_from(nonce)
            .ok()
            .and_then(|nonce| open(key, &data(id, &field), nonce, ciphertext))
            .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
            .ok_or_else(|| damaged(&format!("the stored secret `{field}`")))?;
        secrets.push((field, Zeroizing::new(plaintext)));
    }
    Ok(secrets)
}

/// Seals every secret anew with `new`; nothing is changed when the present key is wrong or any secret is damaged.
pub(super) fn rekey(conn: &Conn, holder: &KeyHolder, new: &Key) -> Sql<()> {
    conn.run("LOCK TABLE vault IN SHARE ROW EXCLUSIVE MODE", &[])?;
    let sealing = unbound(new)?;
    let rows = conn.all(
        "SELECT s.connector_id, s.field, s.nonce, s.ciphertext, c.name FROM secrets AS s \
         JOIN connectors AS c ON c.id = s.connector_id ORDER BY s.connector_id, s.field",
        &[],
        |row| {
            let sealed = (get::<Vec<u8>>(row, 2)?, get::<Vec<u8>>(row, 3)?);
            Ok((ConnectorId(get(row, 0)?), text(row, 1)?, sealed, text(row, 4)?))
        },
    )?;
    if !rows.is_empty() {
        let old = unbound(&holder.get()?)?;
        check(conn, &old)?;
        for (id, field, (nonce, ciphertext), name) in rows {
            let plaintext = <[u8; NONCE_LEN]>::try_from(nonce)
                .ok()
                .and_then(|nonce| open(&old, &data(id, &field), nonce, ciphertext))
                .ok_or_else(|| damaged(&format!("the stored secret `{field}` of connector {name:?}")))?;
            let (nonce, ciphertext) = seal(&sealing, &data(id, &field), &plaintext)?;
            conn.run(
                "UPDATE secrets SET nonce = $3, ciphertext = $4 WHERE connector_id = $1 AND field = $2",
                &[&id.0, &stored(&field), &nonce.as_slice(), &ciphertext],
            )?;
        }
    }
    put_check(conn, &sealing)
}

fn put_check(conn: &Conn, key: &LessSafeKey) -> Sql<()> {
    let (nonce, ciphertext) = seal(key, CHECK_DATA, CHECK)?;
    conn.run(
        "INSERT INTO vault (id, nonce, ciphertext) VALUES (1, $1, $2) \
         ON CONFLICT (id) DO UPDATE SET nonce = $1, ciphertext = $2",
        &[&nonce.as_slice(), &ciphertext],
    )?;
    Ok(())
}

/// Refuses a key other than the one that what is stored was sealed with.
fn check(conn: &Conn, key: &LessSafeKey) -> Sql<()> {
    let row = conn.one("SELECT nonce, ciphertext FROM vault WHERE id = 1", &[], |row| {
        Ok((get::<Vec<u8>>(row, 0)?, get::<Vec<u8>>(row, 1)?))
    })?;
    let sealed = row.and_then(|(nonce, text)| Some((<[u8; NONCE_LEN]>::try_from(nonce).ok()?, text)));
    let Some((nonce, ciphertext)) = sealed else {
        return Err(damaged("the check value of the stored secrets").into());
    };
    match open(key, CHECK_DATA, nonce, ciphertext) {
        Some(text) if *text == CHECK => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Key,
            "the key is not the one that the stored secrets were sealed with; give every host the same key (option or \
             CASEHOOK_KEY)",
        )
        .into()),
    }
}
