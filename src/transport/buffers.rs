//! The two buffers of a connection: small at rest, large where a head needs it.

use ureq::unversioned::transport::Buffers;

/// What a buffer holds normally, in bytes.
pub(super) const SIZE: usize = 16 * 1024;

/// ureq stops at a head larger than its own limit, so the input grows no further than that and one `SIZE`.
#[derive(Debug, Default)]
pub(super) struct WireBuffers {
    input: Vec<u8>,
    start: usize,
    end: usize,
    output: Vec<u8>,
    progress: bool,
}

impl WireBuffers {
    /// Makes the output large enough for a line of that many bytes: ureq writes a head in whole lines.
    pub(super) fn fit_line(&mut self, bytes: usize) {
        let wanted = SIZE.max(bytes);
        if self.output.len() < wanted {
            self.output.resize(wanted, 0);
        }
    }

    /// The first bytes of the output, written by ureq.
    pub(super) fn written(&self, amount: usize) -> &[u8] {
        &self.output[..amount.min(self.output.len())]
    }

    /// Makes at least that much room behind the input.
    fn make_room(&mut self, bytes: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.input.len() - self.end >= bytes {
            return;
        }
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.input.len() - self.end < bytes {
            let larger = (self.end + bytes).next_multiple_of(SIZE);
            self.input.resize(larger, 0);
        }
    }
}

impl Buffers for WireBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.fit_line(SIZE);
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.make_room(SIZE / 4);
        &mut self.input[self.end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.end = (self.end + amount).min(self.input.len());
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.start = (self.start + amount).min(self.end);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.make_room(SIZE);
        self.fit_line(SIZE);
        (&mut self.input[self.end..], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.start < self.end && self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_keeps_its_bytes_while_it_moves_and_grows() {
        let mut buffers = WireBuffers::default();
        let mut expected = Vec::new();
        for round in 0..40u8 {
            let room = buffers.input_append_buf();
            let amount = room.len().min(3000);
            assert!(amount > 0);
            room[..amount].fill(round);
            buffers.input_appended(amount);
            expected.extend(std::iter::repeat_n(round, amount));
            buffers.input_consume(700);
            expected.drain(..700);
            assert_eq!(buffers.input(), expected);
        }
        buffers.input_consume(expected.len());
        assert!(buffers.input().is_empty() && !buffers.can_use_input());
    }

    #[test]
    fn output_fits_the_longest_line() {
        let mut buffers = WireBuffers::default();
        assert_eq!(buffers.output().len(), SIZE);
        buffers.fit_line(SIZE * 3 + 1);
        assert_eq!(buffers.output().len(), SIZE * 3 + 1);
        assert_eq!(buffers.tmp_and_output().1.len(), SIZE * 3 + 1);
    }
}
