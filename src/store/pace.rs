//! How many bytes go to destinations and come from them in a second, for the whole process.
//!
//! A bucket that holds nothing: time in which nothing went is not made up for, so that there is never a burst over the
//! limit. What is sent waits its turn in pieces of [`PIECE_BYTES`], however large the part is that they are of.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// A part; what is no larger is sent at once.
pub(super) const PART_BYTES: u64 = 8 << 20;
/// Parts on their way at a time.
pub(super) const PARALLEL: usize = 4;
/// What may be on its way at a time.
pub(super) const LONGEST_BYTES: u64 = PART_BYTES * PARALLEL as u64;
/// What goes at once.
const PIECE_BYTES: usize = 16 << 10;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

static LIMIT: OnceLock<Pace> = OnceLock::new();

/// From now on, so many bytes go and come in a second at most. The first limit of a process counts.
pub fn limit_bandwidth(bytes_per_second: u64) {
    LIMIT.get_or_init(|| Pace::new(bytes_per_second));
}

/// The limit of this process, if there is one.
pub(super) fn limit() -> Option<&'static Pace> {
    LIMIT.get()
}

/// Waits until so many bytes may go to a folder.
pub(super) fn wait(bytes: usize) {
    if let Some(turn) = limit().map(|pace| pace.turn(Instant::now(), bytes)) {
        std::thread::sleep(turn.saturating_duration_since(Instant::now()));
    }
}

/// How many bytes are written to a folder at once, where that many are without a limit.
pub(super) fn block_bytes(usual: usize) -> usize {
    limit().map_or(usual, |_| PIECE_BYTES.min(usual))
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    /// When what was let go has gone.
    free_at: Mutex<Option<Instant>>,
}

impl Pace {
    fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), free_at: Mutex::default() }
    }

    /// How long so many bytes take.
    pub(super) fn duration(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * NANOS_PER_SECOND / u128::from(self.bytes_per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When the next so many bytes may go.
    fn turn(&self, now: Instant, bytes: usize) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = free_at.map_or(now, |free_at| free_at.max(now));
        *free_at = Some(turn + self.duration(bytes as u64));
        turn
    }
}

/// A body in pieces that wait their turns.
pub(super) struct PacedBody<B> {
    body: B,
    pace: &'static Pace,
    held: Bytes,
    /// Until when the next piece waits.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<B> PacedBody<B> {
    pub(super) fn new(body: B, pace: &'static Pace) -> Self {
        Self { body, pace, held: Bytes::new(), waits: None }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PacedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.held.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.held = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = self.held.len().min(PIECE_BYTES);
        let pace = self.pace;
        let waits = self
            .waits
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(pace.turn(Instant::now(), piece).into())));
        ready!(waits.as_mut().poll(cx));
        self.waits = None;
        let data = self.held.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (held, rest) = (self.held.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + held);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine;
    use http_body_util::{BodyExt as _, Full};

    #[test]
    fn turns_follow_each_other_at_the_limit_and_idle_time_is_not_made_up_for() {
        let pace = Pace::new(1000);
        let start = Instant::now();
        let after = |millis: u64| start + Duration::from_millis(millis);
        assert_eq!(pace.turn(start, 500), start);
        assert_eq!(pace.turn(start, 100), after(500));
        assert_eq!(pace.turn(after(10), 100), after(600));
        // An idle hour, and not a byte more at once than before it.
        assert_eq!(pace.turn(after(3_600_000), 500), after(3_600_000));
        assert_eq!(pace.turn(after(3_600_000), 1), after(3_600_500));
    }

    #[test]
    fn a_body_goes_in_small_pieces_and_whole() {
        static PACE: OnceLock<Pace> = OnceLock::new();
        let bytes: Vec<u8> = (0..100_000_u32).map(|nth| nth.to_le_bytes()[0]).collect();
        let body = PacedBody::new(Full::new(Bytes::from(bytes.clone())), PACE.get_or_init(|| Pace::new(1 << 40)));
        assert_eq!(body.size_hint().exact(), Some(100_000));
        let (pieces, whole) = engine::run(async move {
            let (mut body, mut pieces, mut whole) = (body, Vec::new(), Vec::new());
            while let Some(frame) = body.frame().await {
                let data = frame.unwrap().into_data().unwrap();
                pieces.push((data.len(), body.size_hint().exact()));
                whole.extend(data);
            }
            (pieces, whole)
        })
        .unwrap();
        assert_eq!(whole, bytes);
        assert_eq!((pieces.len(), pieces[0], pieces[6]), (7, (PIECE_BYTES, Some(83_616)), (1_696, Some(0))));
    }
}
