//! A live table of the connectors: redrawn in place on a terminal, one table each time elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::Session;
use super::connectors::{health_word, now, trouble};
use super::database;
use super::duration;
use super::failure::{self, Failure};
use super::out::{COLUMNS, Table, count, cut, cut_front, escape};
use super::terminal::{self, Paint, Tone};
use crate::{Agent, ConnectorStats, Filter, PushState, Stats, Timestamp};

/// How soon a stop or another size of the terminal is noticed.
const SLICE: Duration = Duration::from_millis(100);
/// How far back the rate looks.
const RATE_OVER: Duration = Duration::from_secs(60);

/// Shows the connectors until it is stopped, or so many times.
pub(super) fn watch(
    session: &mut Session<'_>,
    agent: &Agent,
    interval: Duration,
    times: Option<u64>,
) -> Result<i32, Failure> {
    let screen = (!session.out.is_json() && io::stdout().is_terminal()).then(Screen::enter);
    let mut rates = Rates::default();
    let mut shown: u64 = 0;
    while !session.stop.is_stopped() {
        let stats = agent.stats()?;
        rates.note(&stats);
        let errors = last_errors(agent, &stats)?;
        shown += 1;
        let begin = Instant::now();
        match &screen {
            None => {
                if shown > 1 {
                    session.out.text("");
                }
                let view = view(session, &stats, &rates, &errors, COLUMNS, Paint::none());
                session.out.text(&view.join("\n"));
                session.out.json(&stats);
                if session.out.is_gone() {
                    break;
                }
                session.stop.wait(if Some(shown) == times {
                    Duration::ZERO
                } else {
                    interval
                });
            }
            Some(screen) => {
                let paint = session.out.paint();
                let mut size = (0, 0);
                while !session.stop.is_stopped() && begin.elapsed() < interval {
                    if size != terminal::size() {
                        size = terminal::size();
                        screen.draw(&view(session, &stats, &rates, &errors, size.0, paint), size.1);
                    }
                    session.stop.wait(SLICE.min(interval));
                }
            }
        }
        if Some(shown) == times {
            break;
        }
    }
    Ok(failure::OK)
}

/// The lines of one picture.
fn view(
    session: &Session<'_>,
    stats: &Stats,
    rates: &Rates,
    errors: &HashMap<String, String>,
    columns: usize,
    paint: Paint,
) -> Vec<String> {
    let now = now();
    let tone = if stats.drained_by.is_some() {
        Tone::Head
    } else {
        Tone::Bad
    };
    let database = session
        .global
        .db
        .as_deref()
        .map_or_else(String::new, |path| escape(&database::shown(path)));
    let title = title(&database, stats, now, columns);
    let mut lines = vec![paint.apply(tone, &title), String::new()];
    if stats.connectors.is_empty() {
        lines.push("No connectors yet.".to_owned());
        return lines;
    }
    let mut table = Table::new(&[
        "CONNECTOR",
        "STATE",
        "OPEN",
        "HELD",
        "FAILED",
        "OLDEST",
        "PER MIN",
    ]);
    for own in &stats.connectors {
        table.row(vec![
            own.connector.clone(),
            health_word(&own.health).to_owned(),
            (own.queued + own.sending + own.waiting).to_string(),
            own.held.to_string(),
            own.failed.to_string(),
            own.oldest_at.map_or_else(|| "-".to_owned(), |at| age(at, now)),
            rates
                .per_minute(own)
                .map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")),
        ]);
        table.tone(1, terminal::tone_of_health(&own.health));
        if own.held > 0 {
            table.tone(3, Tone::Bad);
        }
        if own.failed > 0 {
            table.tone(4, Tone::Bad);
        }
    }
    let mut rows = table.drawn(columns, paint).into_iter();
    lines.extend(rows.next());
    for (row, own) in rows.zip(&stats.connectors) {
        lines.push(row);
        // The last error stands below its row: beside it there is no room at 80 columns.
        let error = trouble(&own.health, now).or_else(|| errors.get(&own.connector).cloned());
        lines.extend(error.map(|error| cut(&format!("  {}", escape(&error)), columns)));
    }
    lines
}

/// What matters first, and the end of the database's path in what room is left: long paths differ at their ends.
fn title(database: &str, stats: &Stats, now: Timestamp, columns: usize) -> String {
    let who = match stats.drained_by {
        Some(pid) => format!("process {pid} delivers"),
        None => "NO PROCESS DELIVERS".to_owned(),
    };
    let connectors = count(stats.connectors.len() as u64, "connector", "connectors");
    let facts = format!("{who}, {connectors}, {}", clock(now));
    let room = columns.saturating_sub(facts.chars().count() + 2);
    if room == 0 {
        return cut(&facts, columns);
    }
    format!("{facts}  {}", cut_front(database, room))
}

/// Of each connector with pushes in need of something: why the newest of them is.
fn last_errors(agent: &Agent, stats: &Stats) -> Result<HashMap<String, String>, Failure> {
    let mut errors = HashMap::new();
    for own in &stats.connectors {
        let states = [
            (own.failed, PushState::Failed),
            (own.held, PushState::Held),
            (own.waiting, PushState::Waiting),
        ];
        let mut newest = None;
        for (_, state) in states.iter().filter(|(number, _)| *number > 0) {
            let filter = Filter::new().connector(&own.connector).state(*state).limit(1);
            for status in agent.pushes(&filter)? {
                let error = status
                    .error
                    .map(|error| (status.updated_at, status.id, error.message));
                newest = newest.into_iter().chain(error).max();
            }
        }
        if let Some((_, id, message)) = newest {
            errors.insert(own.connector.clone(), format!("push {id}: {message}"));
        }
    }
    Ok(errors)
}

/// Deliveries of the last minute, or since the first look where that is shorter.
#[derive(Default)]
struct Rates(HashMap<String, Vec<(Instant, u64)>>);

impl Rates {
    fn note(&mut self, stats: &Stats) {
        let now = Instant::now();
        for own in &stats.connectors {
            let looks = self.0.entry(own.connector.clone()).or_default();
            looks.push((now, own.delivered_total));
            // One look from before the span stays, so that the span is covered.
            while looks
                .get(1)
                .is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER)
            {
                looks.remove(0);
            }
        }
    }

    fn per_minute(&self, own: &ConnectorStats) -> Option<f64> {
        let looks = self.0.get(&own.connector)?;
        let ((first, from), (last, to)) = (looks.first()?, looks.last()?);
        let span = last.duration_since(*first).as_secs_f64();
        // Counts of this size are exact in a float.
        (span > 0.0).then(|| to.saturating_sub(*from) as f64 * 60.0 / span)
    }
}

/// How long ago.
fn age(at: Timestamp, now: Timestamp) -> String {
    let millis = u64::try_from(now.as_millis().saturating_sub(at.as_millis())).unwrap_or(0);
    duration::show(Duration::from_secs((millis / 1_000).max(1)))
}

/// The time of day of a moment, in UTC.
fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    let time = text.split_once('T').map_or(text.as_str(), |(_, time)| time);
    format!("{} UTC", time.split(['.', 'Z']).next().unwrap_or_default())
}

/// The terminal's other screen, left when this goes.
struct Screen;

impl Screen {
    fn enter() -> Screen {
        write("\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J");
        Screen
    }

    /// Draws over what was there; lines that there is no room for are left out.
    fn draw(&self, lines: &[String], rows: usize) {
        let mut picture = String::from("\u{1b}[H");
        let room = rows.max(1);
        for (place, line) in lines.iter().take(room).enumerate() {
            if place > 0 {
                picture.push_str("\r\n");
            }
            picture.push_str(line);
            picture.push_str("\u{1b}[K");
        }
        picture.push_str("\u{1b}[J");
        write(&picture);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write("\u{1b}[?25h\u{1b}[?1049l");
    }
}

/// Nobody is left to tell when the terminal is gone.
fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_leaves_who_delivers_to_be_seen() {
        let stats = |drained_by| Stats {
            connectors: Vec::new(),
            draining: false,
            drained_by,
        };
        let now = Timestamp::from_millis(0);
        let path = format!("/{}/cases.db", "folder/".repeat(30));
        let line = title(&path, &stats(None), now, 80);
        assert!(
            line.starts_with("NO PROCESS DELIVERS, 0 connectors, 00:00:00 UTC  …"),
            "{line}"
        );
        assert!(line.ends_with("/cases.db"), "{line}");
        assert_eq!(line.chars().count(), 80);
        assert_eq!(
            title("cases.db", &stats(Some(7)), now, 80),
            "process 7 delivers, 0 connectors, 00:00:00 UTC  cases.db"
        );
        for columns in 0..80 {
            assert!(title(&path, &stats(None), now, columns).chars().count() <= columns.max(1));
        }
    }

    #[test]
    fn the_time_of_day_is_short() {
        assert_eq!(clock(Timestamp::from_millis(0)), "00:00:00 UTC");
    }
}
