//! The listener's own limits, on real sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use segue_api::{ApiConfig, Desk, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
    time::timeout,
};

use crate::support::MemoryDesk;

const LONG: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

async fn start(config: ApiConfig) -> Server {
    let desk: Arc<dyn Desk> = MemoryDesk::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, desk, config, async {
        ended.await.unwrap_or_default();
    }));
    Server { address, end, tasks }
}

/// Sends something and reads until the other side ends the connection.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    timeout(LONG, stream.read_to_end(&mut text)).await.expect("the connection ends").unwrap();
    String::from_utf8(text).unwrap()
}

const ASK: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_request_is_answered_and_its_peer_is_known() {
    let server = start(ApiConfig::default()).await;
    let answer = exchange(server.address, ASK).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("{\"status\":\"ok\","), "{answer}");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_cut_off() {
    let server = start(ApiConfig { head_wait_max: Duration::from_millis(50), ..ApiConfig::default() }).await;
    let answer = exchange(server.address, "GET /healthz HTTP/1.1\r\nhost: local").await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(exchange(server.address, "").await, "", "nor is one that says nothing kept");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = start(ApiConfig::default()).await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n", "x".repeat(30_000));
    assert!(exchange(server.address, &(head + ASK)).await.starts_with("HTTP/1.1 200"));
    let head = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: {}", "x".repeat(32_768));
    assert!(exchange(server.address, &head).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let server = start(ApiConfig::default()).await;
    for nonsense in ["\r\n\r\n\0\0", "INVITE sip:x SIP/2.0\r\n\r\n", "GET /healthz HTTP/9.9\r\n\r\n"] {
        assert!(!exchange(server.address, nonsense).await.starts_with("HTTP/1.1 200"), "{nonsense:?}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let server = start(ApiConfig { connections_max: 1, ..ApiConfig::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    first.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let mut waiting = JoinSet::new();
    waiting.spawn(exchange(server.address, ASK));
    assert!(
        timeout(Duration::from_millis(50), waiting.join_next()).await.is_err(),
        "the first one has the place"
    );
    drop(first);
    let answer = timeout(LONG, waiting.join_next()).await.unwrap().unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn at_the_end_idle_connections_are_closed_and_no_new_ones_are_taken() {
    let Server { address, end, mut tasks } = start(ApiConfig::default()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).await.unwrap();
    end.send(()).unwrap();
    assert!(timeout(LONG, tasks.join_next()).await.is_ok(), "serving ends");
    let mut rest = Vec::new();
    timeout(LONG, idle.read_to_end(&mut rest)).await.expect("the idle connection is closed").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
