//! Secrets at rest: sealed with AES-256-GCM, each to its connector and field.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, params};
use zeroize::{Zeroize, Zeroizing};

use super::db::{all, one, run};
use super::fault::Sql;
use super::key::Key;
use crate::connector::SecretField;
use crate::error::{Error, ErrorKind, Result};
use crate::outbox::ConnectorId;

pub(in crate::store) const CHECK: &[u8] = b"casehook";
pub(in crate::store) const CHECK_DATA: &str = "casehook:check:1";

/// Whether any secret is stored, of whatever connector.
pub(super) fn in_use(conn: &Connection) -> Sql<bool> {
    Ok(one(conn, "SELECT 1 FROM secrets LIMIT 1", [], |_| Ok(()))?.is_some())
}

/// Puts these secrets in the place of the connector's.
pub(super) fn replace(
    conn: &Connection,
    id: ConnectorId,
    secrets: &[SecretField],
    key: Option<&Key>,
) -> Sql<()> {
    let used = in_use(conn)?;
    erase(conn, id)?;
    let Some(key) = key else {
        return Ok(());
    };
    let key = &unbound(key)?;
    if used {
        check(conn, key)?;
    } else {
        let (nonce, ciphertext) = seal(key, CHECK_DATA, CHECK)?;
        run(
            conn,
            "INSERT OR REPLACE INTO vault (id, nonce, ciphertext) VALUES (1, ?1, ?2)",
            params![nonce, ciphertext],
        )?;
    }
    for (field, plaintext) in secrets {
        let (nonce, ciphertext) = seal(key, &data(id, field), plaintext.as_bytes())?;
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
    run(conn, "DELETE FROM secrets WHERE connector_id = ?1", [id.0])?;
    Ok(())
}

/// The connector's secrets. The key is asked for only when there are any.
pub(super) fn read(
    conn: &Connection,
    id: ConnectorId,
    key: impl FnOnce() -> Result<Key>,
) -> Sql<Vec<SecretField>> {
    let rows: Vec<(String, [u8; NONCE_LEN], Vec<u8>)> = all(
        conn,
        "SELECT field, nonce, ciphertext FROM secrets WHERE connector_id = ?1 ORDER BY field",
        [id.0],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let key = &unbound(&key()?)?;
    check(conn, key)?;
    let mut secrets = Vec::with_capacity(rows.len());
    for (field, nonce, ciphertext) in rows {
        let plaintext = open(key, &data(id, &field), nonce, ciphertext)
            .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
            .ok_or_else(|| damaged(&format!("the stored secret `{field}`")))?;
        secrets.push((field, Zeroizing::new(plaintext)));
    }
    Ok(secrets)
}

/// Refuses a key other than the one that what is stored was sealed with.
fn check(conn: &Connection, key: &LessSafeKey) -> Sql<()> {
    let row: Option<([u8; NONCE_LEN], Vec<u8>)> = one(
        conn,
        "SELECT nonce, ciphertext FROM vault WHERE id = 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((nonce, ciphertext)) = row else {
        return Err(damaged("the check value of the stored secrets").into());
    };
    match open(key, CHECK_DATA, nonce, ciphertext) {
        Some(text) if *text == CHECK => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Key,
            "the key is not the one that the stored secrets were sealed with; give the right key \
             (option, CASEHOOK_KEY or key file)",
        )
        .into()),
    }
}

pub(in crate::store) fn seal(
    key: &LessSafeKey,
    data: &str,
    plaintext: &[u8],
) -> Result<([u8; NONCE_LEN], Vec<u8>)> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| Error::internal("the system gives no random numbers"))?;
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
