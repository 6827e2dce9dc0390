//! HTTP/1.1 to the byte: reading requests as they stood on the wire, writing answers, broken ones too.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

/// The largest request head that is read; a test that needs more has gone wrong.
const HEAD_BYTES: u64 = 1 << 20;

/// One request as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub method: String,
    /// The request target, untouched.
    pub target: String,
    /// The `Host` header.
    pub host: String,
    /// Lower-case names, values as latin-1; repeated ones joined with `, `. `host` is among them.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// The common name of the client's certificate, where it sent one.
    pub client_cn: Option<String>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

/// Reads one request; none when the client closed instead.
pub fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Received>> {
    let mut reader = reader;
    let Some(first) = read_line(&mut reader)? else {
        return Ok(None);
    };
    let mut words = first.splitn(3, ' ');
    let (Some(method), Some(target), Some(_version)) = (words.next(), words.next(), words.next()) else {
        return Err(invalid("no request line"));
    };
    let mut headers = BTreeMap::<String, String>::new();
    loop {
        let line = read_line(&mut reader)?.ok_or_else(|| invalid("the head ends early"))?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid("no colon in a header"))?;
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(value.trim());
            })
            .or_insert_with(|| value.trim().to_owned());
    }
    let body = if headers
        .get("transfer-encoding")
        .is_some_and(|v| v.eq_ignore_ascii_case("chunked"))
    {
        read_chunks(&mut reader)?
    } else {
        let length = match headers.get("content-length") {
            Some(text) => text.parse().map_err(|_| invalid("odd content length"))?,
            None => 0,
        };
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        body
    };
    Ok(Some(Received {
        method: method.to_owned(),
        target: target.to_owned(),
        host: headers.get("host").cloned().unwrap_or_default(),
        headers,
        body,
        client_cn: None,
    }))
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or_else(|| invalid("the chunks end early"))?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or(""), 16)
            .map_err(|_| invalid("odd chunk size"))?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        read_line(reader)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// One line without its end, as latin-1.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.take(HEAD_BYTES).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(invalid("a line ends early"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(line.into_iter().map(char::from).collect()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// One answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub chunked: bool,
    /// Promise ten bytes more than there are, then close.
    pub truncate: bool,
}

impl Reply {
    pub fn json(status: u16, body: &serde_json::Value) -> Reply {
        Reply {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.to_string().into_bytes(),
            ..Reply::default()
        }
    }

    pub fn empty(status: u16) -> Reply {
        Reply {
            status,
            ..Reply::default()
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the answer in one piece; whether the connection may be used again.
    pub fn write(&self, stream: &mut impl Write) -> io::Result<bool> {
        let bodyless = matches!(self.status, 204 | 304);
        let mut out = latin1(&format!("HTTP/1.1 {} {}\r\n", self.status, self.reason));
        for (name, value) in &self.headers {
            out.extend(latin1(&format!("{name}: {value}\r\n")));
        }
        if self.truncate {
            out.extend(latin1(&format!("content-length: {}\r\n", self.body.len() + 10)));
        } else if self.chunked {
            out.extend(latin1("transfer-encoding: chunked\r\n"));
        } else if !bodyless {
            out.extend(latin1(&format!("content-length: {}\r\n", self.body.len())));
        }
        out.extend(b"\r\n");
        if self.chunked && !self.truncate {
            // Two chunks where there is enough, so that the reader has to put them together.
            let (first, second) = self.body.split_at(self.body.len() / 2);
            for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
                out.extend(format!("{:x}\r\n", part.len()).bytes());
                out.extend(part);
                out.extend(b"\r\n");
            }
            out.extend(b"0\r\n\r\n");
        } else if !bodyless {
            out.extend(&self.body);
        }
        stream.write_all(&out)?;
        stream.flush()?;
        Ok(!self.truncate)
    }
}

/// Latin-1 where it fits, UTF-8 where it does not.
fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .try_fold(Vec::with_capacity(text.len()), |mut out, c| {
            out.push(u8::try_from(c).ok()?);
            Some(out)
        })
        .unwrap_or_else(|| text.as_bytes().to_vec())
}
