//! Our own corpus of hostile and broken messages over real sockets: what is answered, with what, and what is not.
//! Each finding of a mutation run becomes a line here.

use std::time::Duration;

use segue_sip::{SipConfig, SipLimits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    task::JoinSet,
};

use super::common::{End, config, end};

/// A good request; the tables below break it.
const OPTIONS: &str = "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKq\r\n\
    From: <sip:x@127.0.0.1>;tag=1\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: q@h\r\nCSeq: 7 OPTIONS\r\n\
    Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

/// Message, and the code of the answer; 0 for none.
fn corpus() -> Vec<(Vec<u8>, u16)> {
    let change = |from: &str, to: &str| OPTIONS.replacen(from, to, 1).into_bytes();
    let octets = |from: &str, to: &[u8]| {
        let at = OPTIONS.find(from).unwrap();
        [&OPTIONS.as_bytes()[..at], to, &OPTIONS.as_bytes()[at + from.len()..]].concat()
    };
    vec![
        (change("q@h", "plain"), 200),
        (octets("<sip:x@127.0.0.1>", b"\"J\xfcrgen\" <sip:x@127.0.0.1>"), 200),
        (octets("<sip:x@127.0.0.1>", b"\"\xff\xfe\xc0\xaf\" <sip:x@127.0.0.1>"), 200),
        (octets("Max-Forwards: 70", b"Max-Forwards: 70\r\nX-\xff: y"), 200),
        (octets("q@h", b"\xc3\x28"), 200),
        (octets("OPTIONS sip", b"OPT\xffONS sip"), 400),
        (change("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"), 505),
        (change("OPTIONS sip:a@127.0.0.1 SIP/2.0", "OPTIONS sip:a@127.0.0.1"), 400),
        (change("sip:a@127.0.0.1 SIP", "mailto:a@127.0.0.1 SIP"), 416),
        (change("sip:a@127.0.0.1 SIP", &format!("sip:{}@127.0.0.1 SIP", "a".repeat(4_000))), 414),
        (change("Max-Forwards: 70", "Max-Forwards: 0"), 483),
        (change("Max-Forwards: 70", "Max-Forwards: 70\r\nRequire: telepathy"), 420),
        (change("CSeq: 7 OPTIONS", "CSeq: 7 FROB"), 400),
        (OPTIONS.replace("OPTIONS", "FROB").into_bytes(), 501),
        (OPTIONS.replace("OPTIONS", "MESSAGE").into_bytes(), 405),
        (OPTIONS.replace("OPTIONS", "BYE").into_bytes(), 481),
        (OPTIONS.replace("OPTIONS", "CANCEL").into_bytes(), 481),
        (OPTIONS.replace("OPTIONS", "ACK").into_bytes(), 0),
        (change("Content-Length: 0", "Content-Length: 10"), 400),
        (change("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 10"), 400),
        (change("Max-Forwards: 70", &format!("Max-Forwards: 70\r\n{}", "X: y\r\n".repeat(400))), 513),
        (change("Max-Forwards: 70", &format!("Max-Forwards: 70\r\nX: {}", "y".repeat(20_000))), 513),
        (change("z9hG4bKq", "z9hG4bKq, SIP/2.0"), 400),
        (b"\r\n\r\n".to_vec(), 0),
        (Vec::new(), 0),
        (vec![0; 64], 0),
        (vec![0xff; 60_000], 0),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 0),
        (b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKq\r\n\r\n".to_vec(), 0),
        (OPTIONS.as_bytes()[..40].to_vec(), 400),
        (OPTIONS.as_bytes()[..30].to_vec(), 0),
    ]
}

async fn endpoint(tasks: &mut JoinSet<()>) -> End {
    let limits = SipLimits { per_source_per_second: 10_000, ..SipLimits::default() };
    end(tasks, SipConfig { limits, ..config() }).await
}

fn code(answer: &[u8]) -> u16 {
    String::from_utf8_lossy(answer.get(8..11).unwrap_or_default()).parse().unwrap()
}

/// Asks something that is always answered: what came before has been dealt with by then.
async fn marker(socket: &UdpSocket, buffer: &mut [u8]) -> Vec<Vec<u8>> {
    let text = OPTIONS.replace("q@h", "marker").replace("z9hG4bKq", "z9hG4bKmarker");
    socket.send(text.as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    loop {
        let length =
            tokio::time::timeout(Duration::from_secs(5), socket.recv(buffer)).await.unwrap().unwrap();
        let answer = buffer[..length].to_vec();
        if answer.windows(6).any(|window| window == b"marker") {
            return answers;
        }
        answers.push(answer);
    }
}

#[tokio::test]
async fn every_datagram_gets_the_answer_that_it_should_and_none_kills() {
    let mut tasks = JoinSet::new();
    let end = endpoint(&mut tasks).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(end.udp()).await.unwrap();
    let mut buffer = vec![0; 65_535];
    for (place, (message, expected)) in corpus().into_iter().enumerate() {
        socket.send(&message).await.unwrap();
        let answers = marker(&socket, &mut buffer).await;
        let codes: Vec<u16> = answers.iter().map(|answer| code(answer)).collect();
        let wanted: Vec<u16> = (expected != 0).then_some(expected).into_iter().collect();
        let beginning = String::from_utf8_lossy(&message[..message.len().min(120)]).into_owned();
        assert_eq!(codes, wanted, "message {place}: {beginning}");
        for answer in &answers {
            let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
            assert!(!text.contains("\r\nserver:") && !text.contains("\r\nuser-agent:"), "{text}");
        }
    }
    let counts = end.sip.counts();
    assert_eq!((counts.dialogs, counts.transactions), (0, 0));
}

/// What a stream answers until it is closed.
async fn stream(end: &End, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(end.sip.addresses().tcp[0]).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(5), read).await.expect("the stream stays open").unwrap();
    answer
}

#[tokio::test]
async fn a_stream_that_cannot_be_cut_is_answered_and_then_closed() {
    let mut tasks = JoinSet::new();
    let end = endpoint(&mut tasks).await;
    let good = OPTIONS.replace("/UDP", "/TCP");
    for (from, to, expected) in [
        ("Content-Length: 0", "Content-Length: 9999999", 513),
        ("Content-Length: 0", "Content-Length: -1", 400),
        ("Content-Length: 0", "Content-Length: 0\r\nl: 5", 400),
        ("Content-Length: 0\r\n\r\n", &format!("X: {}", "y".repeat(20_000)), 513),
    ] {
        let bytes = [good.as_bytes(), good.replace(from, to).as_bytes()].concat();
        let answers = stream(&end, &bytes).await;
        let text = String::from_utf8_lossy(&answers).into_owned();
        let codes: Vec<&str> = text.split("SIP/2.0 ").skip(1).filter_map(|rest| rest.get(..3)).collect();
        assert_eq!(codes, ["200", &expected.to_string()], "{to:.60}");
    }
}
