//! The event stream over a real socket on loopback.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::HeaderValue;
use futures::{SinkExt, StreamExt};
use segue_api::{ApiConfig, Desk, router};
use segue_call::{Action, Milestone, Phase};
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::support::{Api, MemoryDesk};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Server {
    address: SocketAddr,
    desk: Arc<MemoryDesk>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(config: ApiConfig) -> Self {
        let desk = MemoryDesk::new();
        let shared: Arc<dyn Desk> = desk.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router(shared, config).into_make_service_with_connect_info::<SocketAddr>();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { address, desk, _tasks: tasks }
    }

    async fn connect(&self, query: &str) -> Result<Client, Error> {
        self.connect_with(query, &[]).await
    }

    async fn connect_with(&self, query: &str, headers: &[(&'static str, &str)]) -> Result<Client, Error> {
        let mut request = format!("ws://{}/v1/events{query}", self.address).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        Ok(tokio_tungstenite::connect_async(request).await?.0)
    }

    fn phase(&self, call: &str, phase: Phase) {
        self.desk.does(call, Action::Publish(Milestone::Phase { phase }));
    }
}

async fn next(client: &mut Client) -> Value {
    loop {
        let message = timeout(Duration::from_secs(20), client.next()).await.expect("a message comes");
        match message.expect("the stream goes on").expect("the stream is whole") {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn close_code(client: &mut Client) -> u16 {
    loop {
        match timeout(Duration::from_secs(20), client.next()).await.expect("the stream ends") {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn sequence(event: &Value) -> u64 {
    event["sequence"].as_str().unwrap().parse().unwrap()
}

fn refused(outcome: Result<Client, Error>) -> (u16, Value) {
    match outcome {
        Err(Error::Http(response)) => {
            let body = serde_json::from_slice(response.body().as_deref().unwrap_or_default()).unwrap();
            (response.status().as_u16(), body)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn news_comes_as_cloud_events_and_a_lost_stream_is_resumed_without_hole_or_double() {
    let server = Server::start(ApiConfig::default()).await;
    let mut client = server.connect("").await.unwrap();
    let opened = next(&mut client).await;
    assert_eq!(opened["type"], "segue.stream.opened");
    server.phase("one", Phase::WithBot);
    let event = next(&mut client).await;
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "segue.call.phase");
    assert_eq!((&event["source"], &event["subject"]), (&"/v1/calls/one".into(), &"one".into()));
    assert_eq!(event["time"], "2026-11-20T13:06:40.000Z");
    assert_eq!(event["data"], serde_json::json!({"phase": "with_bot"}));
    assert_eq!(event["sequence"].as_str().unwrap().len(), 20, "sorts as text");
    assert_eq!(sequence(&event), sequence(&opened) + 1);
    drop(client);
    for phase in [Phase::HandingOff, Phase::WithAgent, Phase::Ending] {
        server.phase("one", phase);
    }
    let after = sequence(&event);
    let mut client = server.connect(&format!("?after={after}")).await.unwrap();
    assert_eq!(next(&mut client).await["data"]["resume_after"], after);
    for (offset, phase) in ["handing_off", "with_agent", "ending"].into_iter().enumerate() {
        let event = next(&mut client).await;
        assert_eq!(sequence(&event), after + 1 + offset as u64);
        assert_eq!(event["data"]["phase"], phase);
    }
    let last = (after + 2).to_string();
    let mut client = server.connect_with("", &[("last-event-id", &last)]).await.unwrap();
    next(&mut client).await;
    assert_eq!(next(&mut client).await["data"]["phase"], "ending");
}

#[tokio::test]
async fn news_that_is_gone_is_told_by_410_or_skipped_on_wish() {
    let server = Server::start(ApiConfig::default()).await;
    let first = server.desk.feed.newest();
    for _ in 0..150 {
        server.phase("one", Phase::WithBot);
    }
    let (status, problem) = refused(server.connect(&format!("?after={first}")).await);
    assert_eq!((status, &problem["type"]), (410, &"urn:segue:problem:events-gone".into()));
    assert_eq!(problem["resume_after"], first + 50);
    let mut client = server.connect(&format!("?after={first}&on_gap=skip")).await.unwrap();
    let gap = next(&mut client).await;
    assert_eq!(gap["type"], "segue.stream.gap");
    assert_eq!(gap["data"], serde_json::json!({"resume_after": first + 50, "missed_after": first}));
    assert_eq!(sequence(&next(&mut client).await), first + 51);
    let (status, _) = refused(server.connect("?after=7").await);
    assert_eq!(status, 410, "a number of an earlier run");
    let (status, _) = refused(server.connect("?after=x").await);
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_subscriber_of_one_call_gets_nothing_of_others() {
    let server = Server::start(ApiConfig::default()).await;
    let mut client = server.connect("?call=two").await.unwrap();
    next(&mut client).await;
    server.phase("one", Phase::WithBot);
    server.phase("two", Phase::WithAgent);
    let event = next(&mut client).await;
    assert_eq!((&event["subject"], &event["data"]["phase"]), (&"two".into(), &"with_agent".into()));
}

#[tokio::test]
async fn there_are_only_as_many_subscribers_as_allowed_and_a_place_is_given_back() {
    let server = Server::start(ApiConfig { sockets_max: 2, ..ApiConfig::default() }).await;
    let mut first = server.connect("").await.unwrap();
    next(&mut first).await;
    let mut second = server.connect("").await.unwrap();
    next(&mut second).await;
    let (status, problem) = refused(server.connect("").await);
    assert_eq!((status, &problem["type"]), (503, &"urn:segue:problem:too-many-subscribers".into()));
    second.close(None).await.unwrap();
    let again = timeout(Duration::from_secs(20), async {
        loop {
            if let Ok(client) = server.connect("").await {
                return client;
            }
            tokio::task::yield_now().await;
        }
    });
    assert!(again.await.is_ok());
}

#[tokio::test]
async fn a_subscriber_that_sends_something_is_closed_and_one_that_sends_too_much_too() {
    let server = Server::start(ApiConfig::default()).await;
    let mut client = server.connect("").await.unwrap();
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(close_code(&mut client).await, 1008);
    let mut client = server.connect("").await.unwrap();
    client.send(Message::binary(vec![0; 100_000])).await.unwrap();
    let ended = timeout(Duration::from_secs(20), async {
        while let Some(Ok(message)) = client.next().await {
            if message.is_close() {
                break;
            }
        }
    });
    assert!(ended.await.is_ok());
}

#[tokio::test]
async fn subscribers_are_told_when_the_gateway_goes_away_after_the_last_news() {
    let server = Server::start(ApiConfig::default()).await;
    let mut client = server.connect("").await.unwrap();
    next(&mut client).await;
    server.phase("one", Phase::Ended);
    server.desk.feed.close();
    assert_eq!(next(&mut client).await["data"]["phase"], "ended");
    assert_eq!(close_code(&mut client).await, 1001);
}

#[tokio::test]
async fn a_subscriber_that_answers_no_pings_is_dropped() {
    let config = ApiConfig { socket_ping: Duration::from_millis(20), ..ApiConfig::default() };
    let server = Server::start(config).await;
    let mut living = server.connect("").await.unwrap();
    let mut pings = 0;
    while pings < 6 {
        if let Message::Ping(_) =
            timeout(Duration::from_secs(20), living.next()).await.unwrap().unwrap().unwrap()
        {
            pings += 1;
        }
    }
    // A peer that never reads, and so never answers, is cut off: its socket comes to an end.
    let mut dead = server.connect("").await.unwrap();
    let MaybeTlsStream::Plain(socket) = dead.get_mut() else { panic!("there is no TLS on loopback") };
    let mut seen = [0; 4_096];
    let ended = timeout(Duration::from_secs(20), async {
        while let Ok(1..) = tokio::io::AsyncReadExt::read(socket, &mut seen).await {}
    });
    assert!(ended.await.is_ok());
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_is_dropped_and_can_resume() {
    let config = ApiConfig { socket_send_wait_max: Duration::from_millis(100), ..ApiConfig::default() };
    let server = Server::start(config).await;
    let mut slow = server.connect("").await.unwrap();
    let opened = next(&mut slow).await;
    let long = "x".repeat(100_000);
    let ended = timeout(Duration::from_secs(30), async {
        // It reads nothing while news comes faster than its socket holds; then it looks.
        for _ in 0..400 {
            let ear = segue_call::Party::Caller;
            server.desk.does("one", Action::Publish(Milestone::Saying { ear, text: long.clone() }));
            tokio::task::yield_now().await;
        }
        while let Some(Ok(message)) = slow.next().await {
            if message.is_close() {
                break;
            }
        }
    });
    assert!(ended.await.is_ok(), "it was dropped");
    let newest = server.desk.feed.newest();
    assert_eq!(newest, sequence(&opened) + 400, "publishing went on");
    let mut again = server.connect(&format!("?after={newest}")).await.unwrap();
    assert_eq!(next(&mut again).await["type"], "segue.stream.opened");
}

#[tokio::test]
async fn the_stream_is_for_websockets_alone() {
    let reply = Api::new().ask("GET", "/v1/events").await;
    assert!(reply.status.is_client_error());
    assert_eq!(reply.header("content-type"), "application/problem+json");
}
