//! REST load: requests at their scheduled moments, whatever the answers (open loop), over connections that are kept.
//!
//! Of twenty requests ten list calls, six read one, two open the event stream and two ask for a handoff under an
//! idempotency key, each key twice, as a client does whose answer was lost. With `--api-posts 0` nobody is handed over.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clap::Args;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{nanos, now, sleep_until},
    measure::Times,
    options::target,
    schedule::{Plan, Profile, Schedule},
    words::LoadError,
};

/// Requests to an API.
#[derive(Clone, Debug, Args)]
pub(crate) struct RestArgs {
    /// Load this API too, such as 127.0.0.1:8080.
    #[arg(long)]
    pub(crate) api: Option<String>,
    /// Requests a second.
    #[arg(long, default_value_t = 250.0)]
    pub(crate) api_rate: f64,
    /// The API's key, sent as a bearer token.
    #[arg(long, env = "SEGUE_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
    /// Of twenty requests, how many ask for a handoff.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=10))]
    pub(crate) api_posts: u32,
}

/// What is asked, checked.
#[derive(Clone, Debug)]
pub(crate) struct RestPlan {
    address: SocketAddr,
    rate: f64,
    key: Option<String>,
    posts: u32,
    time: Duration,
}

impl RestArgs {
    /// What to ask; `None` if no API is named.
    ///
    /// # Errors
    /// An address that cannot be read, is not on this machine, or a rate that makes no sense.
    pub(crate) fn plan(&self, time: Duration, owned: bool) -> Result<Option<RestPlan>, LoadError> {
        let Some(api) = &self.api else { return Ok(None) };
        let address = target(api.trim_start_matches("http://").trim_end_matches('/'), owned)?;
        if !(self.api_rate > 0.0 && self.api_rate <= 20_000.0) {
            return Err(LoadError::Option(
                "--api-rate must be between 0 and 20000 requests a second".to_owned(),
            ));
        }
        let key = self.api_key.clone().filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
        Ok(Some(RestPlan { address, rate: self.api_rate, key, posts: self.api_posts, time }))
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RestScores {
    /// Requests whose moment came.
    pub(crate) asked: u64,
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Requests without an answer, by the reason.
    pub(crate) failed: BTreeMap<String, u64>,
    /// From the scheduled moment to the whole answer.
    pub(crate) times: Times,
    /// The same by kind.
    pub(crate) kinds: BTreeMap<&'static str, Times>,
}

/// Requests under way at the same time; at the limit a request fails without being sent.
const UNDERWAY_MAX: usize = 4_000;
/// Connections that are kept.
const KEPT_MAX: usize = 256;
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Bytes of an answer; a longer one is an error.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Calls whose ids are remembered.
const IDS_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    List,
    One,
    Events,
    Handoff,
}

impl Kind {
    /// What the `number`th request is.
    const fn of(number: u64, posts: u32) -> Self {
        let turn = number % 20;
        // Handoffs first, in pairs, so that a key is used again at once.
        match turn {
            turn if turn < posts as u64 => Self::Handoff,
            10 | 11 => Self::Events,
            12..=17 => Self::One,
            _ => Self::List,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::List => "list calls",
            Self::One => "read a call",
            Self::Events => "open events",
            Self::Handoff => "ask for a handoff",
        }
    }
}

struct Client {
    plan: RestPlan,
    kept: Mutex<Vec<TcpStream>>,
    ids: Mutex<Vec<String>>,
    scores: Mutex<RestScores>,
    run: u64,
}

/// Asks until the time is over or somebody stops it.
pub(crate) async fn run(plan: RestPlan, stop: CancellationToken) -> RestScores {
    let shape = Plan {
        profile: Profile::Soak,
        calls: None,
        rate: plan.rate,
        hold: Duration::ZERO,
        time: plan.time,
        steps: 1,
        total_max: u64::MAX,
    };
    let client = Arc::new(Client {
        plan,
        kept: Mutex::default(),
        ids: Mutex::default(),
        scores: Mutex::default(),
        run: now(),
    });
    let begin = now();
    let mut underway = JoinSet::new();
    for (number, moment) in (0_u64..).zip(Schedule::new(shape)) {
        let due = begin + nanos(moment);
        tokio::select! {
            () = sleep_until(due) => {}
            () = stop.cancelled() => break,
        }
        while underway.try_join_next().is_some() {}
        client.scores().asked += 1;
        if underway.len() < UNDERWAY_MAX {
            underway.spawn(Arc::clone(&client).ask(number, due));
        } else {
            client.fail("too many requests are under way");
        }
    }
    let rest = async { while underway.join_next().await.is_some() {} };
    if tokio::time::timeout(ANSWER_MAX, rest).await.is_err() {
        client.fail("no answer at the end of the run");
    }
    drop(underway);
    std::mem::take(&mut *client.scores())
}

impl Client {
    fn scores(&self) -> MutexGuard<'_, RestScores> {
        lock(&self.scores)
    }

    fn fail(&self, reason: impl Into<String>) {
        *self.scores().failed.entry(reason.into()).or_default() += 1;
    }

    async fn ask(self: Arc<Self>, number: u64, due: u64) {
        let kind = Kind::of(number, self.plan.posts);
        let request = self.request(kind, number);
        let answer = tokio::time::timeout(ANSWER_MAX, self.send(kind, &request)).await;
        let took = now().saturating_sub(due);
        match answer {
            Ok(Ok((status, body))) => {
                if kind == Kind::List && status == 200 {
                    self.learn(&body);
                }
                let mut scores = self.scores();
                *scores.statuses.entry(status).or_default() += 1;
                scores.times.record(took);
                scores.kinds.entry(kind.name()).or_default().record(took);
            }
            Ok(Err(error)) => self.fail(error.to_string()),
            Err(_elapsed) => self.fail("no answer in 10 s"),
        }
    }

    /// Remembers calls that can be asked for.
    fn learn(&self, body: &[u8]) {
        let Ok(page) = serde_json::from_slice::<serde_json::Value>(body) else { return };
        let calls = page.get("calls").and_then(serde_json::Value::as_array);
        let found = calls.into_iter().flatten().filter_map(|call| Some(call.get("id")?.as_str()?.to_owned()));
        let found: Vec<String> = found.take(IDS_MAX).collect();
        if !found.is_empty() {
            *lock(&self.ids) = found;
        }
    }

    fn id(&self, number: u64) -> Option<String> {
        let ids = lock(&self.ids);
        ids.get(usize::try_from(number).unwrap_or(0) % ids.len().max(1)).cloned()
    }

    fn request(&self, kind: Kind, number: u64) -> String {
        let host = self.plan.address;
        let key =
            self.plan.key.as_ref().map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{key}\r\n");
        // Both of a pair of requests name the same call.
        match (kind, self.id(number / 2)) {
            (Kind::One, Some(id)) => get(&format!("/v1/calls/{id}")),
            (Kind::Handoff, Some(id)) => {
                let body = r#"{"reason":"load test"}"#;
                format!(
                    "POST /v1/calls/{id}/handoff HTTP/1.1\r\nHost: {host}\r\n{key}Idempotency-Key: load-{}-{}-{id}\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    self.run,
                    number / 2,
                    body.len()
                )
            }
            (Kind::Events, _) => format!(
                "GET /v1/events HTTP/1.1\r\nHost: {host}\r\n{key}Connection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2VndWUgbG9hZCB0ZXN0IQ==\r\n\r\n"
            ),
            (Kind::List | Kind::One | Kind::Handoff, _) => get("/v1/calls?limit=20"),
        }
    }

    /// Sends a request on a kept connection, or a new one if that was closed meanwhile.
    async fn send(&self, kind: Kind, request: &str) -> std::io::Result<(u16, Vec<u8>)> {
        let kept = if kind == Kind::Events { None } else { lock(&self.kept).pop() };
        if let Some(mut stream) = kept
            && let Ok(answer) = exchange(&mut stream, request).await
        {
            self.keep(stream);
            return Ok(answer);
        }
        let mut stream = TcpStream::connect(self.plan.address).await?;
        stream.set_nodelay(true)?;
        let answer = exchange(&mut stream, request).await?;
        if kind != Kind::Events {
            self.keep(stream);
        }
        Ok(answer)
    }

    fn keep(&self, stream: TcpStream) {
        let mut kept = lock(&self.kept);
        if kept.len() < KEPT_MAX {
            kept.push(stream);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request and its whole answer; of a switch to WebSocket, the head and the first bytes.
async fn exchange(stream: &mut TcpStream, request: &str) -> std::io::Result<(u16, Vec<u8>)> {
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::with_capacity(4_096);
    loop {
        if let Some(answer) = read_answer(&bytes)? {
            return Ok(answer);
        }
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(std::io::Error::other("the answer is too long"));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::Error::other("the API closed the connection"));
        }
    }
}

/// An answer if it is whole: status and body.
fn read_answer(bytes: &[u8]) -> std::io::Result<Option<(u16, Vec<u8>)>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = bytes.split_at(end + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let status: u16 = head
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| std::io::Error::other("the answer is not HTTP"))?;
    if status == 101 {
        return Ok((!rest.is_empty()).then(|| (status, Vec::new())));
    }
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if let Some(length) = field("content-length:") {
        let length: usize = length.parse().map_err(|_| std::io::Error::other("the answer has no length"))?;
        return Ok(rest.get(..length).map(|body| (status, body.to_vec())));
    }
    if field("transfer-encoding:").is_some_and(|coding| coding.contains("chunked")) {
        return Ok(rest.ends_with(b"0\r\n\r\n").then(|| (status, rest.to_vec())));
    }
    Ok(Some((status, Vec::new())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for length in 0..whole.len() {
            assert_eq!(read_answer(&whole[..length]).unwrap(), None, "{length}");
        }
        assert_eq!(read_answer(whole).unwrap(), Some((200, b"hello".to_vec())));
        assert_eq!(read_answer(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), Some((204, Vec::new())));
        assert!(read_answer(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn a_switch_to_websocket_is_whole_with_its_first_message() {
        let head = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        assert_eq!(read_answer(head).unwrap(), None);
        assert_eq!(read_answer(&[head, &b"\x81"[..]].concat()).unwrap(), Some((101, Vec::new())));
    }

    #[test]
    fn of_twenty_requests_each_kind_has_its_share() {
        let count = |kind, posts| (0..20).filter(|number| Kind::of(*number, posts) == kind).count();
        assert_eq!(
            [Kind::List, Kind::One, Kind::Events, Kind::Handoff].map(|kind| count(kind, 2)),
            [10, 6, 2, 2]
        );
        assert_eq!(count(Kind::Handoff, 0), 0);
    }
}
