//! Serves the interface on a listener: a limited number of connections, each with a limited time for the head of a
//! request, so that neither many nor slow clients can take it away from the others.

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use futures::future::{Either, select};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::sleep,
};
use tower::ServiceExt;

use crate::{config::ApiConfig, desk::Desk, routes::router};

/// Bytes that the head of a request may have.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// How long to wait when the system has no connection to give, because it is out of file handles.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves the interface until `end`, then lets the requests under way be answered. The future is the owner of every
/// connection: dropping it ends them all. Subscribers of the event stream are told by [`Feed::close`](crate::Feed).
pub async fn serve(
    listener: TcpListener,
    desk: Arc<dyn Desk>,
    config: ApiConfig,
    end: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(config.connections_max.max(1)));
    let head_wait_max = config.head_wait_max;
    let router = router(desk, config);
    let (ending, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut end = pin!(end);
    loop {
        let accepted = pin!(accept(&listener, &places));
        let (stream, peer, place) = match select(end.as_mut(), accepted).await {
            Either::Left(((), _)) => break,
            Either::Right((accepted, _)) => accepted,
        };
        let (router, ended) = (router.clone(), ending.subscribe());
        connections.spawn(async move {
            if let Err(error) = connection(stream, peer, router, (head_wait_max, ended)).await {
                tracing::debug!(%error, %peer, "a connection of the API ended badly");
            }
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    ending.send_replace(true);
    while connections.join_next().await.is_some() {}
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<tokio::sync::OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a place in the end.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) if gone(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "the API cannot take a connection");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// The client was gone before it was taken: nothing is wrong with us.
fn gone(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    (head_wait_max, mut ended): (Duration, watch::Receiver<bool>),
) -> Result<(), hyper::Error> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers to this client may be slow");
    }
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_wait_max)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    {
        let ending = pin!(ended.wait_for(|ended| *ended));
        if let Either::Left((outcome, _)) = select(served.as_mut(), ending).await {
            return outcome;
        }
    }
    served.as_mut().graceful_shutdown();
    served.await
}
