//! Secrets at rest: sealed with AES-256-GCM, each to its connector and field.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rusqlite::{Connection, params};
use zeroize::{Zeroize, Zeroizing};

use super::db::{all, one, run};
use super::fault::Sql;
use super::key::{Key, KeyHolder, randomize};
use crate::connector::SecretField;
use crate::error::{Error, ErrorKind, Result};
use crate::outbox::ConnectorId;

pub(in crate::store) const CHECK: &[u8] = b"casehook";
pub(in crate::store) const CHECK_DATA: &str = "casehook:check:1";

/// Whether any secret is stored, of whatever connector.
pub(super) fn in_use(conn: &Connection) -> Sql<bool> {
    Ok(one(conn, "SELECT 1 FROM secrets LIMIT 1", &[], |_| Ok(()))?.is_some())
}

/// Puts these secrets in the place of the connector's. The key is asked for only when there are any.
pub(super) fn replace(
    conn: &Connection,
    id: ConnectorId,
    secrets: &[SecretField],
    holder: &KeyHolder,
) -> Sql<()> {
    let used = in_use(conn)?;
    erase(conn, id)?;
    if secrets.is_empty() {
        return Ok(());
    }
    settle(conn, holder)?;
    let key = if used {
        unlock(conn, holder)?
    } else {
        let key = unbound(&holder.get_or_make()?)?;
        put_check(conn, &key)?;
        key
    };
    for (field, plaintext) in secrets {
        let (nonce, ciphertext) = seal(&key, &data(id, field), plaintext.as_bytes())?;
        run(
            conn,
            "INSERT INTO secrets (connector_id, field, nonce, ciphertext) VALUES (?1, ?2, ?3, ?4)",
            params![id.0, field, nonce, ciphertext],
        )?;
    }
    Ok(())
}

/// Forgets the connector's secrets.
pub(super) fn erase(conn: &Connection, id: ConnectorId) -> Sql<()> {
    run(conn, "DELETE FROM secrets WHERE connector_id = ?1", params![id.0])?;
    Ok(())
}

/// The connector's secrets. The key is asked for only when there are any.
pub(super) fn read(conn: &Connection, id: ConnectorId, holder: &KeyHolder) -> Sql<Vec<SecretField>> {
    let rows: Vec<(String, [u8; NONCE_LEN], Vec<u8>)> = all(
        conn,
        "SELECT field, nonce, ciphertext FROM secrets WHERE connector_id = ?1 ORDER BY field",
        params![id.0],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let key = &unlock(conn, holder)?;
    let mut secrets = Vec::with_capacity(rows.len());
    for (field, nonce, ciphertext) in rows {
        let plaintext = open(key, &data(id, &field), nonce, ciphertext)
            .and_then(into_text)
            .ok_or_else(|| damaged(&format!("the stored secret `{field}`")))?;
        secrets.push((field, plaintext));
    }
    Ok(secrets)
}

/// Seals every secret anew: with `new`, or else with a key that the holder makes and has on disk before anything changes
/// here. Returns that key. Nothing is changed when the present key is wrong or any secret is damaged.
pub(super) fn rekey(conn: &Connection, holder: &KeyHolder, new: Option<Key>) -> Sql<Key> {
    settle(conn, holder)?;
    let mut secrets = Vec::new();
    if in_use(conn)? {
        let old = unlock(conn, holder)?;
        for (id, field, nonce, ciphertext) in rows(conn)? {
            let plaintext = open(&old, &data(id, &field), nonce, ciphertext).ok_or_else(|| {
                let owner = name(conn, id).unwrap_or_default();
                damaged(&format!("the stored secret `{field}` of connector {owner:?}"))
            })?;
            secrets.push((id, field, plaintext));
        }
    }
    let key = match new {
        Some(key) => key,
        None => holder.make_next()?,
    };
    let sealing = unbound(&key)?;
    put_check(conn, &sealing)?;
    for (id, field, plaintext) in secrets {
        let (nonce, ciphertext) = seal(&sealing, &data(id, &field), &plaintext)?;
        run(
            conn,
            "UPDATE secrets SET nonce = ?3, ciphertext = ?4 WHERE connector_id = ?1 AND field = ?2",
            params![id.0, field, nonce, ciphertext],
        )?;
    }
    Ok(key)
}

/// Puts the next key in force where what is stored is sealed with it: after a change of keys, also one that was cut off.
/// Only inside a writing transaction, since another process may be about to do the same.
pub(super) fn settle(conn: &Connection, holder: &KeyHolder) -> Sql<()> {
    holder.sweep();
    if let (Some(next), Some(check)) = (holder.next(), check_value(conn)?)
        && opens(&unbound(&next)?, &check)
    {
        holder.promote_next()?;
    }
    Ok(())
}

type Row = (ConnectorId, String, [u8; NONCE_LEN], Vec<u8>);
pub(in crate::store) type Check = ([u8; NONCE_LEN], Vec<u8>);

fn rows(conn: &Connection) -> Sql<Vec<Row>> {
    all(
        conn,
        "SELECT connector_id, field, nonce, ciphertext FROM secrets ORDER BY connector_id, field",
        &[],
        |row| Ok((ConnectorId(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}

fn name(conn: &Connection, id: ConnectorId) -> Option<String> {
    one(
        conn,
        "SELECT name FROM connectors WHERE id = ?1",
        params![id.0],
        |row| row.get(0),
    )
    .unwrap_or(None)
}

/// The key that what is stored was sealed with; `Key` error when the holder has another one.
fn unlock(conn: &Connection, holder: &KeyHolder) -> Sql<LessSafeKey> {
    let Some(check) = check_value(conn)? else {
        return Err(damaged("the check value of the stored secrets").into());
    };
    let candidates: Vec<LessSafeKey> = holder.candidates()?.iter().map(unbound).collect::<Result<_>>()?;
    let any_secret = rows(conn)?.into_iter().next();
    for key in candidates {
        if opens(&key, &check) {
            return Ok(key);
        }
        if let Some((id, field, nonce, ciphertext)) = &any_secret
            && open(&key, &data(*id, field), *nonce, ciphertext.clone()).is_some()
        {
            return Err(damaged("the check value of the stored secrets").into());
        }
    }
    Err(Error::new(
        ErrorKind::Key,
        "the key is not the one that the stored secrets were sealed with (a rekey, by another process perhaps, changes \
         it); give the right key (option, CASEHOOK_KEY or key file)",
    )
    .into())
}

fn check_value(conn: &Connection) -> Sql<Option<Check>> {
    one(
        conn,
        "SELECT nonce, ciphertext FROM vault WHERE id = 1",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

fn put_check(conn: &Connection, key: &LessSafeKey) -> Sql<()> {
    let (nonce, ciphertext) = seal(key, CHECK_DATA, CHECK)?;
    run(
        conn,
        "INSERT OR REPLACE INTO vault (id, nonce, ciphertext) VALUES (1, ?1, ?2)",
        params![nonce, ciphertext],
    )?;
    Ok(())
}

pub(in crate::store) fn opens(key: &LessSafeKey, check: &Check) -> bool {
    open(key, CHECK_DATA, check.0, check.1.clone()).is_some_and(|text| *text == CHECK)
}

pub(in crate::store) fn seal(
    key: &LessSafeKey,
    data: &str,
    plaintext: &[u8],
) -> Result<([u8; NONCE_LEN], Vec<u8>)> {
    let mut nonce = [0; NONCE_LEN];
    randomize(&mut nonce)?;
    // Room for the tag, so that growing leaves no copy of the plaintext behind.
    let mut bytes = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
    bytes.extend_from_slice(plaintext);
    let sealed =
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(data), &mut bytes);
    if sealed.is_err() {
        bytes.zeroize();
        return Err(Error::internal("a secret could not be sealed"));
    }
    Ok((nonce, bytes))
}

pub(in crate::store) fn open(
    key: &LessSafeKey,
    data: &str,
    nonce: [u8; NONCE_LEN],
    ciphertext: Vec<u8>,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(ciphertext);
    let len = key
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(data), &mut bytes)
        .ok()?
        .len();
    bytes.truncate(len);
    Some(bytes)
}

pub(in crate::store) fn unbound(key: &Key) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key.as_ref())
        .map(LessSafeKey::new)
        .map_err(|_| Error::internal("the key has a wrong length"))
}

/// The text, without leaving a copy of the bytes behind.
pub(in crate::store) fn into_text(mut bytes: Zeroizing<Vec<u8>>) -> Option<Zeroizing<String>> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

/// What ties a secret to its row: moved to another one it does not open.
pub(in crate::store) fn data(id: ConnectorId, field: &str) -> String {
    format!("casehook:secret:1:{}:{field}", id.0)
}

pub(in crate::store) fn damaged(what: &str) -> Error {
    Error::new(
        ErrorKind::Key,
        format!("{what} is damaged; configure the connector again with its secrets"),
    )
}
