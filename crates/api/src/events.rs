//! The event stream: one WebSocket per subscriber, resumed by sequence, never waited for.
//!
//! Each message is one CloudEvent. The first is `segue.stream.opened`; its sequence is where the stream begins, so
//! that a subscriber can resume even before the first news. Nothing is expected from the subscriber but pongs.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code},
    http::{HeaderMap, StatusCode},
};
use futures::{Sink, SinkExt, Stream, StreamExt, future::Either};
use serde::Deserialize;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::{IntoParams, ToSchema};

use crate::{
    desk::Desk,
    feed::{FeedItem, Gap, News},
    problem::Problem,
    wire,
};

/// Messages that are sent before the socket is flushed.
const BATCH: usize = 64;

/// Pings that may go unanswered.
const PINGS_MISSED_MAX: u32 = 2;

/// The private close code of a subscriber that fell behind what is kept (its reason names the sequence).
pub(crate) const CLOSE_BEHIND: u16 = 4410;

/// Where a stream begins and what it holds.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Read on after this sequence; without it, the stream begins now. `Last-Event-ID` does the same.
    #[param(example = 1795180000000017u64)]
    pub(crate) after: Option<u64>,
    /// Only news of this call.
    pub(crate) call: Option<String>,
    /// What to do if news after `after` is gone.
    pub(crate) on_gap: Option<OnGap>,
}

/// What to do if the news that is asked for is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnGap {
    /// Answer 410 with `resume_after`.
    #[default]
    Refuse,
    /// Begin with the oldest news there is, after a `segue.stream.gap` message.
    Skip,
}

/// A stream that may begin.
#[derive(Debug)]
pub(crate) struct Opening {
    after: u64,
    gap: Option<Gap>,
    call: Option<String>,
}

/// Finds where a stream begins.
pub(crate) fn opening(desk: &dyn Desk, query: EventsQuery, headers: &HeaderMap) -> Result<Opening, Problem> {
    let header =
        match headers.get("last-event-id") {
            None => None,
            Some(value) => {
                let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
                Some(number.ok_or_else(|| {
                    Problem::bad_request("invalid-query", "Last-Event-ID is not a sequence")
                })?)
            }
        };
    let feed = desk.feed();
    let Some(after) = query.after.or(header) else {
        return Ok(Opening { after: feed.newest(), gap: None, call: query.call });
    };
    match feed.after(after, 0) {
        Ok(_) => Ok(Opening { after, gap: None, call: query.call }),
        Err(gap) => match query.on_gap.unwrap_or_default() {
            OnGap::Skip => Ok(Opening { after: gap.resume, gap: Some(gap), call: query.call }),
            OnGap::Refuse => {
                Err(Problem::new(StatusCode::GONE, "events-gone", gap.to_string()).resume_after(gap.resume))
            }
        },
    }
}

/// How subscribers are treated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) ping: Duration,
    pub(crate) send_wait_max: Duration,
}

/// Serves one subscriber until it goes, or has to.
pub(crate) async fn serve(socket: WebSocket, desk: Arc<dyn Desk>, opening: Opening, pace: Pace) {
    let (mut sink, stream) = socket.split();
    let unanswered = AtomicU32::new(0);
    let end = {
        let told = pin!(tell(&mut sink, &*desk, opening, pace, &unanswered));
        let heard = pin!(listen(stream, &unanswered));
        match futures::future::select(told, heard).await {
            Either::Left((end, _)) | Either::Right((end, _)) => end,
        }
    };
    let frame = match end {
        End::Gone => return,
        End::GoingAway => CloseFrame { code: close_code::AWAY, reason: "the gateway goes away".into() },
        End::Behind(gap) => {
            CloseFrame { code: CLOSE_BEHIND, reason: format!("too slow: resume after {}", gap.resume).into() }
        }
        End::Misbehaved => {
            CloseFrame { code: close_code::POLICY, reason: "nothing but pongs is expected".into() }
        }
    };
    let closed = in_time(pace.send_wait_max, sink.send(Message::Close(Some(frame)))).await;
    tracing::debug!(closed = closed.is_ok(), "a subscriber was closed");
}

/// Why a stream ends.
#[derive(Debug)]
enum End {
    /// The subscriber went away, or cannot be written to.
    Gone,
    /// The gateway goes down.
    GoingAway,
    /// The subscriber was too slow.
    Behind(Gap),
    /// The subscriber sent something.
    Misbehaved,
}

async fn listen(
    mut stream: impl Stream<Item = Result<Message, axum::Error>> + Unpin,
    unanswered: &AtomicU32,
) -> End {
    loop {
        match stream.next().await {
            None | Some(Err(_) | Ok(Message::Close(_))) => return End::Gone,
            Some(Ok(Message::Pong(_) | Message::Ping(_))) => unanswered.store(0, Relaxed),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => return End::Misbehaved,
        }
    }
}

async fn tell(
    sink: &mut (impl Sink<Message, Error = axum::Error> + Unpin),
    desk: &dyn Desk,
    opening: Opening,
    pace: Pace,
    unanswered: &AtomicU32,
) -> End {
    let feed = desk.feed();
    let mut after = opening.after;
    let first = Message::Text(wire::stream_text(after, opening.gap).into());
    if in_time(pace.send_wait_max, sink.send(first)).await.is_err() {
        return End::Gone;
    }
    let mut ping_at = Instant::now() + pace.ping;
    loop {
        if Instant::now() >= ping_at {
            ping_at += pace.ping;
            let missed = unanswered.fetch_add(1, Relaxed);
            let ping = in_time(pace.send_wait_max, sink.send(Message::Ping(Bytes::new()))).await;
            if missed >= PINGS_MISSED_MAX || ping.is_err() {
                return End::Gone;
            }
        }
        match timeout_at(ping_at, feed.wait_beyond(after)).await {
            Err(_) => continue,
            Ok(false) => return End::GoingAway,
            Ok(true) => {}
        }
        let items = match feed.after(after, BATCH) {
            Ok(items) => items,
            Err(gap) => return End::Behind(gap),
        };
        after = items.last().map_or(after, |item| item.sequence);
        let texts = items.iter().filter(|item| wanted(item, opening.call.as_deref())).map(|item| item.text());
        if in_time(pace.send_wait_max, send(sink, texts)).await.is_err() {
            return End::Gone;
        }
    }
}

fn wanted(item: &FeedItem, call: Option<&str>) -> bool {
    let Some(call) = call else { return true };
    matches!(&item.news, News::Call(of, _) if of.0 == call)
}

async fn send(
    sink: &mut (impl Sink<Message, Error = axum::Error> + Unpin),
    texts: impl Iterator<Item = Utf8Bytes>,
) -> Result<(), axum::Error> {
    for text in texts {
        sink.feed(Message::Text(text)).await?;
    }
    sink.flush().await
}

/// Something that was not sent: the subscriber is gone, or takes nothing.
#[derive(Debug)]
struct Unsent;

async fn in_time(
    wait_max: Duration,
    sending: impl Future<Output = Result<(), axum::Error>>,
) -> Result<(), Unsent> {
    timeout(wait_max, sending).await.map_err(|_| Unsent)?.map_err(|_| Unsent)
}
