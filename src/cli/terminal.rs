//! What the terminal can do: whether there is one, how large it is, colours.

use std::io::{self, IsTerminal};

use crate::{ConnectorHealth, PushState};

/// Lines of text for people are laid out for a terminal of so many columns.
pub(super) const COLUMNS: usize = 80;
/// Lines of a terminal that does not tell.
const ROWS: usize = 24;

/// What a text says, and so how it is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    /// Under way, or waiting by itself.
    Busy,
    /// Somebody has to look.
    Bad,
    Head,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    /// Colours where standard output is a terminal that knows them and nobody objects (`NO_COLOR`, any text but the empty
    /// one).
    pub(super) fn for_stdout() -> Paint {
        let objects = std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        Paint(io::stdout().is_terminal() && !objects && !dumb)
    }

    pub(super) const fn none() -> Paint {
        Paint(false)
    }

    /// The text, which must be escaped already, in the colour of its tone.
    pub(super) fn apply(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => "",
            Tone::Good => "32",
            Tone::Busy => "33",
            Tone::Bad => "31",
            Tone::Head => "1",
        };
        if self.0 && !code.is_empty() && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The tone of a push's state.
pub(super) fn tone_of(state: PushState) -> Tone {
    match state {
        PushState::Delivered => Tone::Good,
        PushState::Sending | PushState::Waiting => Tone::Busy,
        PushState::Held | PushState::Failed => Tone::Bad,
        PushState::Queued | PushState::Superseded | PushState::Cancelled => Tone::Plain,
    }
}

/// The tone of a connector's health.
pub(super) fn tone_of_health(health: &ConnectorHealth) -> Tone {
    match health {
        ConnectorHealth::Ok => Tone::Good,
        ConnectorHealth::Offline { .. } | ConnectorHealth::Blocked { .. } => Tone::Bad,
        ConnectorHealth::Throttled { .. } | ConnectorHealth::Paused => Tone::Busy,
    }
}

/// Columns and lines of the terminal at standard output; 80 by 24 where it does not tell.
pub(super) fn size() -> (usize, usize) {
    let told = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let or = |number: Option<u16>, other: usize| match number {
        Some(number) if number > 0 => usize::from(number),
        _ => other,
    };
    (
        or(told.map(|size| size.ws_col), COLUMNS),
        or(told.map(|size| size.ws_row), ROWS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(Paint(true).apply(Tone::Bad, "held"), "\u{1b}[31mheld\u{1b}[0m");
        assert_eq!(Paint(true).apply(Tone::Plain, "queued"), "queued");
        assert_eq!(Paint(true).apply(Tone::Bad, ""), "");
        assert_eq!(Paint::none().apply(Tone::Bad, "held"), "held");
    }
}
