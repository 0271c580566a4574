//! Services that refuse: with a status, with a wait, with a certificate that nobody vouches for.

use std::{
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use segue_speech::{Authorities, Clock, DeepgramOptions, GapCause, SpeechConfig};
use segue_trigger::Speaker;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::{
    guest::{Guest, LAST, LONG, accept, frames, is_final, listen_with, options, result, serve, texts, until},
    support::{self, BEGIN, Line, PATIENCE, assert_whole, gaps, instant},
};

/// Ten seconds pass in one.
fn quick() -> Clock {
    let began = instant();
    Arc::new(move || BEGIN + began.elapsed() * 10)
}

#[test]
fn a_service_that_names_a_wait_is_not_asked_before() {
    let clock = quick();
    let its = Arc::clone(&clock);
    let (address, server) = serve(move |listener: &TcpListener| {
        let refuse = |_: &Request, _: Response| -> Result<Response, ErrorResponse> {
            let refusal = tungstenite::http::Response::builder().status(429).header("Retry-After", "4");
            Err(refusal.body(Some("too many".to_owned())).unwrap())
        };
        assert!(tungstenite::accept_hdr(listener.accept().unwrap().0, refuse).is_err());
        let refused = its();
        let mut guest = accept(listener);
        let waited = its() - refused;
        guest.hear(50);
        guest.say(result(&[("yes", 100, 900)], 1_000, LAST));
        guest.part(None);
        waited
    });
    let speech = listen_with(options(&address, LONG), SpeechConfig::new(clock));
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed_mulaw(&speech, &frames(0, 50));
    let mut heard = until(&line, is_final);
    heard.extend(line.end());
    assert_eq!((texts(&heard), gaps(&heard)), (vec!["yes".to_owned()], vec![]), "the sound waited too");
    let waited = server.join().unwrap();
    assert!(waited >= Duration::from_millis(3_900), "{waited:?}");
}

/// A certificate for localhost, and the file of its authority.
fn certified(folder: &std::path::Path) -> (Arc<ServerConfig>, Authorities) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let file = folder.join("authority.pem");
    std::fs::write(&file, authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &issuer).unwrap();
    let secret = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    (Arc::new(config), Authorities::read(&file).unwrap())
}

fn secure(stream: TcpStream, config: &Arc<ServerConfig>) -> StreamOwned<ServerConnection, TcpStream> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)
}

#[test]
fn a_service_under_tls_is_heard_if_its_authority_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, authorities) = certified(folder.path());
    let (address, server) = serve(move |listener: &TcpListener| {
        let mut guest = Guest::greet(secure(listener.accept().unwrap().0, &certificate));
        guest.hear(100);
        guest.say(result(&[("safe", 100, 900)], 2_000, LAST));
        guest.part(None).sound
    });
    let options = DeepgramOptions { authorities, ..options(&named(&address), LONG) };
    let speech = listen_with(options, support::config());
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed_mulaw(&speech, &frames(0, 100));
    let mut heard = until(&line, is_final);
    heard.extend(line.end());
    assert_eq!((texts(&heard), gaps(&heard)), (vec!["safe".to_owned()], vec![]));
    assert!(server.join().unwrap() == frames(0, 100));
}

#[test]
fn a_service_whose_authority_nobody_knows_hears_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, _) = certified(folder.path());
    let (address, server) = serve(move |listener: &TcpListener| {
        let mut stream = secure(listener.accept().unwrap().0, &certificate);
        // The client's alert instead of its greeting.
        std::io::Read::read(&mut stream, &mut [0; 1]).unwrap_err()
    });
    let speech = listen_with(options(&named(&address), LONG), support::config());
    let mut line = Line::open(&speech, Speaker::Caller, false);
    line.feed_mulaw(&speech, &frames(0, 100));
    let refused = server.join().unwrap().to_string();
    assert!(refused.contains("UnknownCA") || refused.contains("alert"), "{refused}");
    let heard = line.end();
    assert_whole(&heard);
    assert_eq!((texts(&heard), gaps(&heard)), (vec![], vec![GapCause::EngineFailed]));
}

/// By the name that the certificate is for.
fn named(address: &str) -> String {
    address.replace("ws://127.0.0.1", "wss://localhost")
}
