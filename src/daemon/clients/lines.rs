//! What is a line of a client?
//!
//! What stands before a run of carriage returns and line feeds. Lines that came together are
//! given one after the other, also when the client has closed its side; what stands behind the
//! last line end then is no request. Nothing is read ahead while a request is carried out.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::protocol::LINE_MAX;

/// Nearly all requests are shorter, in bytes; so much is read at once.
pub(super) const SHORT_MAX: usize = 2 * 1024;

/// A line that is longer than [`SHORT_MAX`] has to be there within this time, counted from when
/// there was a place for it: who drips would else keep its place from the others.
pub(super) const LONG_LIMIT: Duration = Duration::from_secs(10);

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A request, without its line end.
    Whole(Vec<u8>),
    /// More than [`LINE_MAX`] bytes without a line end.
    TooLong,
    /// The client has closed, was silent for too long, or took too long for a long line.
    End,
}

/// What was received and is not a request yet.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    buffer: Vec<u8>,
    /// The last line ended with a carriage return: a line feed behind it belongs to it.
    skips_line_feed: bool,
    long: &'a Semaphore,
    limit: Duration,
    place: Option<Place<'a>>,
}

/// Of a long line.
#[derive(Debug)]
struct Place<'a> {
    _permit: SemaphorePermit<'a>,
    since: Stopwatch,
}

impl<'a> Lines<'a> {
    /// `long` has a permit for each line at once that may be longer than [`SHORT_MAX`], and
    /// `limit` is the time for one, usually [`LONG_LIMIT`].
    pub(super) const fn new(long: &'a Semaphore, limit: Duration) -> Self {
        Self {
            buffer: Vec::new(),
            skips_line_feed: false,
            long,
            limit,
            place: None,
        }
    }

    /// The next line. `patience` is how long the client may be silent.
    pub(super) async fn next<R>(&mut self, reader: &mut R, patience: Duration) -> Line
    where
        R: AsyncRead + Unpin,
    {
        loop {
            if let Some(line) = self.take() {
                return Line::Whole(line);
            }
            if self.buffer.len() > LINE_MAX {
                return Line::TooLong;
            }
            if self.place.is_none() && self.buffer.len() > SHORT_MAX {
                // A step of its own: the time for the line begins with the place.
                match timeout(patience, self.long.acquire()).await {
                    Ok(Ok(permit)) => {
                        self.place = Some(Place {
                            _permit: permit,
                            since: Stopwatch::start(),
                        });
                    }
                    Ok(Err(_)) | Err(_) => return Line::End,
                }
            }
            let patience = match &self.place {
                Some(place) => patience.min(self.limit.saturating_sub(place.since.elapsed())),
                None => patience,
            };
            match timeout(patience, self.fill(reader)).await {
                Ok(Ok(length)) if length > 0 => {}
                Ok(Ok(_) | Err(_)) | Err(_) => return Line::End,
            }
        }
    }

    async fn fill<R>(&mut self, reader: &mut R) -> io::Result<usize>
    where
        R: AsyncRead + Unpin,
    {
        self.buffer.reserve(SHORT_MAX);
        let most = u64::try_from(SHORT_MAX).unwrap_or(u64::MAX);
        (&mut *reader).take(most).read_buf(&mut self.buffer).await
    }

    /// A line that is there already.
    fn take(&mut self) -> Option<Vec<u8>> {
        let is_end = |byte: u8| byte == b'\n' || byte == b'\r';
        if self.skips_line_feed && !self.buffer.is_empty() {
            self.skips_line_feed = false;
            if self.buffer.first() == Some(&b'\n') {
                self.buffer.remove(0);
            }
        }
        let length = self.buffer.iter().position(|&byte| is_end(byte))?;
        let ends = self.buffer.iter().skip(length);
        let ends = ends.take_while(|&&byte| is_end(byte)).count();
        let rest = self.buffer.split_off(length + ends);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        self.skips_line_feed = self.buffer.is_empty() && line.last() == Some(&b'\r');
        line.truncate(length);
        if self.buffer.len() <= SHORT_MAX {
            self.buffer.shrink_to(0);
            self.place = None;
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);
    /// For what does not happen.
    const SHORT: Duration = Duration::from_millis(20);

    /// What is read where these pieces arrive one after the other, up to the end.
    fn read(pieces: &[&[u8]]) -> Vec<Line> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut script = tokio_pieces(pieces);
            let long = Semaphore::new(1);
            let mut lines = Lines::new(&long, LONG_LIMIT);
            let mut all = Vec::new();
            loop {
                let line = lines.next(&mut script, PATIENCE).await;
                let is_last = matches!(line, Line::End | Line::TooLong);
                all.push(line);
                if is_last {
                    return all;
                }
            }
        })
    }

    /// A reader that gives one piece at each call.
    struct Pieces(std::collections::VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            out: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            if let Some(mut piece) = self.0.pop_front() {
                let rest = piece.split_off(piece.len().min(out.remaining()));
                out.put_slice(&piece);
                if !rest.is_empty() {
                    self.0.push_front(rest);
                }
            }
            std::task::Poll::Ready(Ok(()))
        }
    }

    fn tokio_pieces(pieces: &[&[u8]]) -> Pieces {
        // No bytes at all would be the end.
        let pieces = pieces.iter().filter(|piece| !piece.is_empty());
        Pieces(pieces.map(|piece| piece.to_vec()).collect())
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_that_came_together_are_given_in_order_also_at_the_end() {
        let lines = read(&[b"list state\nversion\r\n\r\nquit\n"]);
        let expected = [
            whole("list state"),
            whole("version"),
            whole("quit"),
            Line::End,
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_empty_first_line_is_a_request_and_what_has_no_end_is_none() {
        assert_eq!(
            read(&[b"\n\n", b"a\nb"]),
            [whole(""), whole("a"), Line::End]
        );
    }

    #[test]
    fn a_line_end_in_two_pieces_is_one() {
        assert_eq!(
            read(&[b"li", b"st\r", b"\nquit\r", b"\n"]),
            [whole("list"), whole("quit"), Line::End]
        );
    }

    #[test]
    fn a_line_may_have_so_many_bytes_and_no_more() {
        let mut longest = vec![b'a'; LINE_MAX];
        longest.push(b'\n');
        assert_eq!(read(&[&longest]).len(), 2);
        let longer = vec![b'a'; LINE_MAX + SHORT_MAX];
        assert_eq!(read(&[&longer]), [Line::TooLong]);
    }

    #[test]
    fn a_client_that_says_nothing_is_left_after_its_time() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let line = runtime.block_on(async {
            let (mut near, _far) = tokio::io::duplex(64);
            let long = Semaphore::new(1);
            Lines::new(&long, LONG_LIMIT).next(&mut near, SHORT).await
        });
        assert_eq!(line, Line::End);
    }

    #[test]
    fn a_second_long_line_waits_until_the_first_one_ended() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let long = Semaphore::new(1);
            let text = vec![b'a'; SHORT_MAX * 2];
            let mut first = Lines::new(&long, LONG_LIMIT);
            let (mut near, mut far) = tokio::io::duplex(SHORT_MAX * 4);
            tokio::io::AsyncWriteExt::write_all(&mut far, &text)
                .await
                .unwrap();
            let waits = timeout(SHORT, first.next(&mut near, PATIENCE)).await;
            assert!(waits.is_err());
            let mut ended = text.clone();
            ended.push(b'\n');
            let mut second = Lines::new(&long, LONG_LIMIT);
            let mut pieces = tokio_pieces(&[&ended]);
            assert_eq!(second.next(&mut pieces, SHORT).await, Line::End);
            drop(first);
            let mut second = Lines::new(&long, LONG_LIMIT);
            let mut pieces = tokio_pieces(&[&ended]);
            let line = second.next(&mut pieces, PATIENCE).await;
            assert_eq!(line, Line::Whole(text));
        });
    }

    #[test]
    fn peers_that_drip_a_long_line_or_fall_silent_keep_its_place_no_longer_than_their_time() {
        use tokio::io::AsyncWriteExt as _;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let long = Semaphore::new(2);
            let text = vec![b'a'; SHORT_MAX * 2];
            let (sides, mut far): (Vec<tokio::io::DuplexStream>, Vec<_>) =
                (0..4).map(|_| tokio::io::duplex(SHORT_MAX * 4)).unzip();
            for far in &mut far {
                far.write_all(&text).await.unwrap();
            }
            let drips = async {
                loop {
                    // The others say nothing more.
                    for far in far.iter_mut().take(2) {
                        // It may have been closed.
                        let _ = far.write_all(b"a").await;
                    }
                    tokio::time::sleep(SHORT / 4).await;
                }
            };
            let end = async |mut near: tokio::io::DuplexStream| {
                let mut lines = Lines::new(&long, SHORT * 2);
                // Only the limit of the line ends it.
                assert_eq!(lines.next(&mut near, Duration::MAX).await, Line::End);
            };
            let [first, second, third, fourth] = sides.try_into().unwrap();
            let ends = async {
                tokio::join!(end(first), end(second), end(third), end(fourth));
            };
            let proper = async {
                let ended = [text.as_slice(), b"\n"].concat();
                let mut pieces = tokio_pieces(&[&ended]);
                let mut lines = Lines::new(&long, LONG_LIMIT);
                lines.next(&mut pieces, PATIENCE).await
            };
            let all = async { tokio::join!(ends, proper).1 };
            let line = tokio::select! {
                line = timeout(PATIENCE, all) => line.unwrap(),
                () = drips => unreachable!(),
            };
            assert_eq!(line, Line::Whole(text.clone()));
        });
    }

    proptest! {
        #[test]
        fn no_pieces_lose_or_double_a_line(
            lines in proptest::collection::vec("[a-c]{1,5}", 0..5),
            ends in proptest::collection::vec("(\n|\r\n|\r)", 5),
            cut in 0_usize..40,
        ) {
            let mut text = Vec::new();
            for (line, end) in lines.iter().zip(&ends) {
                text.extend(line.bytes().chain(end.bytes()));
            }
            let (first, second) = text.split_at(cut.min(text.len()));
            let mut expected: Vec<Line> = lines.iter().map(|line| whole(line)).collect();
            expected.push(Line::End);
            prop_assert_eq!(read(&[first, second]), expected);
        }
    }
}
