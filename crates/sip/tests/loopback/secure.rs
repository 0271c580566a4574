//! TLS, WebSocket and IPv6 on real sockets: our own endpoints against each other, and a hand-made client.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use segue_media::MediaDescription;
use segue_sip::{
    DialEvent, DialRequest, Ended, FailureKind, HangUp, LegEvent, SipConfig, SipError, SipTimers, Target,
    TlsFiles, Trunk,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};

use super::common::{End, Net, config, end, join, media, quick, request};

/// An authority that signs certificates for this test alone.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes a certificate for these names and its key.
    pub(crate) fn sign(&self, folder: &Path, file: &str, names: &[&str]) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| folder.join(format!("{file}.{end}"));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        std::fs::write(path("ca"), &self.pem).unwrap();
        TlsFiles {
            certificate: Some(path("pem")),
            key: Some(path("key")),
            ca: Some(path("ca")),
            ..TlsFiles::default()
        }
    }
}

/// Every transport, on IPv4 and IPv6.
pub(crate) fn everywhere(certificates: TlsFiles) -> SipConfig {
    let both = || vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
    let loopback = Trunk {
        name: "loopback".into(),
        sources: vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
        credentials: None,
    };
    SipConfig {
        udp: both(),
        tcp: both(),
        tls: both(),
        ws: both(),
        wss: both(),
        certificates,
        trunks: vec![loopback],
        ..config()
    }
}

pub(crate) const OURS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

pub(crate) fn media_of(address: SocketAddr) -> MediaDescription {
    let rtp = SocketAddr::new(address.ip(), 6_000);
    MediaDescription { rtp, rtcp: SocketAddr::new(address.ip(), 6_001), ..media(6_000) }
}

async fn a_call_goes_both_ways(net: &mut Net, uri: String, address: SocketAddr) {
    let request = DialRequest { offer: media_of(address), ..request(Target::Uri(uri.clone())) };
    let (dialing, call) = net.ringing(request).await;
    assert_eq!(call.invitation().offer.as_ref().unwrap().rtp.ip(), address.ip(), "{uri}");
    let (mut caller, mut called) = join(dialing, call).await;
    // The called side hangs up: its BYE has to find the way back.
    called.hang_up(HangUp::default()).await;
    assert!(matches!(caller.next().await, LegEvent::Ended(Ended::Remote { .. })), "{uri}");
    assert_eq!(called.next().await, LegEvent::Ended(Ended::Local), "{uri}");
}

#[tokio::test]
async fn a_call_works_on_every_transport_and_both_families() {
    let folder = tempfile::tempdir().unwrap();
    let files = Authority::new().sign(folder.path(), "both", &OURS);
    let mut net = Net::with(everywhere(files.clone()), everywhere(files)).await;
    let addresses = net.b.sip.addresses().clone();
    for (list, scheme, parameter) in [
        (addresses.udp, "sip", ""),
        (addresses.tcp, "sip", ";transport=tcp"),
        (addresses.tls.clone(), "sip", ";transport=tls"),
        (addresses.tls, "sips", ""),
        (addresses.ws, "sip", ";transport=ws"),
        (addresses.wss, "sips", ";transport=ws"),
    ] {
        for address in list {
            a_call_goes_both_ways(&mut net, format!("{scheme}:bot@{address}{parameter}"), address).await;
        }
    }
    net.nothing_is_left().await;
    // TCP, TLS, WS and WSS, each by both families; a second call took the connection that was there.
    assert_eq!((net.a.sip.counts().connections, net.b.sip.counts().connections), (8, 8));
}

pub(crate) async fn fails_to_dial(end: &End, uri: String) -> FailureKind {
    let mut dialing = end.sip.dial(request(Target::Uri(uri))).await;
    loop {
        match dialing.next().await {
            Some(DialEvent::Failed(failure)) => return failure.kind,
            Some(DialEvent::Ringing | DialEvent::EarlyMedia { .. }) => {}
            other => panic!("not failed: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_a_stranger_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (known, stranger) = (Authority::new(), Authority::new());
    let caller = known.sign(folder.path(), "caller", &OURS);
    let mut tasks = JoinSet::new();
    let here = end(&mut tasks, everywhere(caller)).await;
    for files in [
        known.sign(folder.path(), "misnamed", &["sip.example.com"]),
        stranger.sign(folder.path(), "stranger", &OURS),
    ] {
        let there = end(&mut tasks, everywhere(files)).await;
        let address = there.sip.addresses().tls[0];
        let failure = fails_to_dial(&here, format!("sip:bot@{address};transport=tls")).await;
        assert_eq!(failure, FailureKind::Unreachable);
        assert_eq!(here.sip.counts_when(|counts| counts.connections == 0).await.connections, 0);
    }
}

#[tokio::test]
async fn a_trunk_that_wants_our_certificate_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let server = authority.sign(folder.path(), "server", &OURS);
    let strict = TlsFiles { client_ca: server.ca.clone(), client_required: true, ..server };
    let plain = authority.sign(folder.path(), "plain", &OURS);
    let shown = TlsFiles {
        client_certificate: plain.certificate.clone(),
        client_key: plain.key.clone(),
        ..plain.clone()
    };
    let mut net = Net::with(everywhere(shown), everywhere(strict)).await;
    let address = net.b.sip.addresses().tls[0];
    a_call_goes_both_ways(&mut net, format!("sips:bot@{address}"), address).await;
    let without = end(&mut net.tasks, everywhere(plain)).await;
    assert_eq!(fails_to_dial(&without, format!("sips:bot@{address}")).await, FailureKind::Unreachable);
}

async fn handshake(address: SocketAddr, ca: &Path) -> Vec<u8> {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_bad_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let files = authority.sign(folder.path(), "server", &OURS);
    let ca = files.ca.clone().unwrap();
    let mut tasks = JoinSet::new();
    let here = end(&mut tasks, everywhere(files.clone())).await;
    let address = here.sip.addresses().tls[0];
    let first = handshake(address, &ca).await;
    // A certificate with another one's key.
    let old_key = std::fs::read(files.key.as_ref().unwrap()).unwrap();
    authority.sign(folder.path(), "server", &OURS);
    let new_key = std::fs::read(files.key.as_ref().unwrap()).unwrap();
    std::fs::write(files.key.as_ref().unwrap(), old_key).unwrap();
    let error = here.sip.reload_certificates(&files).await.unwrap_err();
    assert!(error.to_string().starts_with("sip.tls.certificate "), "{error}");
    assert_eq!(handshake(address, &ca).await, first);
    std::fs::write(files.key.as_ref().unwrap(), "no key").unwrap();
    let error = here.sip.reload_certificates(&files).await.unwrap_err();
    assert!(error.to_string().starts_with("sip.tls.key "), "{error}");
    std::fs::write(files.key.as_ref().unwrap(), new_key).unwrap();
    here.sip.reload_certificates(&files).await.unwrap();
    assert_ne!(handshake(address, &ca).await, first);
    let missing = SipConfig { certificates: TlsFiles::default(), ..everywhere(files) };
    let refused = segue_sip::Sip::bind(missing, tokio_util::sync::CancellationToken::new()).await;
    assert!(matches!(refused, Err(SipError::Invalid { .. })));
}

const OPTIONS: &str = "OPTIONS sip:segue.invalid SIP/2.0\r\n\
    Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
    From: <sip:a@a.invalid>;tag=1\r\nTo: <sip:segue.invalid>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";

#[tokio::test]
async fn a_web_client_is_answered_on_its_own_connection() {
    let mut tasks = JoinSet::new();
    let web = SipConfig { ws: vec!["127.0.0.1:0".parse().unwrap()], ..config() };
    let here = end(&mut tasks, web).await;
    let url = format!("ws://{}/any/path", here.sip.addresses().ws[0]);
    let stream = async || TcpStream::connect(here.sip.addresses().ws[0]).await.unwrap();
    let refused = tokio_tungstenite::client_async(url.as_str(), stream().await).await;
    let Err(tungstenite::Error::Http(response)) = refused else { panic!("not refused: {refused:?}") };
    assert_eq!(response.status(), 400, "a client that names no subprotocol speaks something else");
    let mut upgrade = url.into_client_request().unwrap();
    upgrade.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().unwrap());
    let (mut socket, response) = tokio_tungstenite::client_async(upgrade, stream().await).await.unwrap();
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
    let mut answer = async |message: Message| {
        socket.send(message).await.unwrap();
        loop {
            // Pings of the WebSocket come in between.
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return text.to_string();
            }
        }
    };
    for message in [Message::text(OPTIONS), Message::binary(OPTIONS.as_bytes().to_vec())] {
        let text = answer(message).await;
        assert!(text.starts_with("SIP/2.0 200 ") && text.contains(";received=127.0.0.1"), "{text}");
    }
    assert_eq!(answer(Message::text("\r\n\r\n")).await, "\r\n", "a keep-alive of RFC 5626");
    assert_eq!(here.sip.counts().connections, 1);
    socket.send(Message::binary(vec![b'a'; 200_000])).await.unwrap();
    here.sip.counts_when(|counts| counts.connections == 0).await;
}

#[tokio::test]
async fn whoever_does_not_finish_what_they_begin_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let files = Authority::new().sign(folder.path(), "server", &OURS);
    let timers = SipTimers {
        connection_setup_max: Duration::from_millis(200),
        message_max: Duration::from_millis(300),
        ..quick()
    };
    let mut tasks = JoinSet::new();
    let here = end(&mut tasks, SipConfig { timers, ..everywhere(files) }).await;
    let addresses = here.sip.addresses();
    for (address, begin) in [
        (addresses.tls[0], ""),
        (addresses.tls[0], "\u{16}\u{3}\u{1}"),
        (addresses.ws[0], "GET / HTTP/1.1\r\nHost: a\r\n"),
        (addresses.wss[0], ""),
        (addresses.tcp[0], ""),
        (addresses.tcp[0], "OPTIONS sip:a SIP/2.0\r\nVia: "),
        (addresses.tcp[0], "\r\n\r\nOPTIONS"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let cut = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(cut.is_ok(), "{begin:?} at {address} is kept for ever");
    }
    here.sip.counts_when(|counts| counts.connections == 0).await;
}
