//! Descriptions as the trade sends them, and hostile ones.

use super::*;

const SIGNALLING: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));
const ORIGIN: Origin = Origin { session: 7, version: 1 };

fn local() -> MediaDescription {
    MediaDescription {
        rtp: "10.0.0.1:4000".parse().unwrap(),
        rtcp: "10.0.0.1:4001".parse().unwrap(),
        codecs: vec![(Codec::Pcmu, 0), (Codec::Pcma, 8)],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        security: Vec::new(),
        opus: OpusWishes::default(),
    }
}

fn read(lines: &str) -> Result<Session, SdpError> {
    let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{lines}");
    Session::read(text.as_bytes(), SIGNALLING)
}

#[test]
fn the_offerers_first_codec_that_we_want_is_taken() {
    let session = read("m=audio 5000 RTP/AVP 9 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\n").unwrap();
    let agreed = session.agree(&local()).unwrap();
    assert_eq!(agreed.local.codecs, [(Codec::Pcma, 8)]);
    assert_eq!(agreed.remote.codecs, [(Codec::Pcma, 8), (Codec::G722, 9), (Codec::Pcmu, 0)]);
    assert_eq!(agreed.local.telephone_event, Some(96));
    assert_eq!(agreed.remote.rtp, "192.0.2.1:5000".parse().unwrap());
    assert_eq!(agreed.remote.rtcp, "192.0.2.1:5001".parse().unwrap());
    let answer = session.answer(&agreed, ORIGIN);
    assert!(answer.contains("m=audio 4000 RTP/AVP 8 96\r\n"), "{answer}");
}

#[test]
fn a_hold_is_answered_from_the_other_side() {
    for (theirs, ours) in [
        ("a=sendonly", Direction::RecvOnly),
        ("a=recvonly", Direction::SendOnly),
        ("a=inactive", Direction::Inactive),
        ("a=sendrecv", Direction::SendRecv),
        ("c=IN IP4 0.0.0.0", Direction::RecvOnly),
    ] {
        let session = read(&format!("m=audio 5000 RTP/AVP 0\r\n{theirs}\r\n")).unwrap();
        assert_eq!(session.agree(&local()).unwrap().local.direction, ours, "{theirs}");
    }
}

#[test]
fn other_streams_are_rejected_in_their_place() {
    let session =
        read("m=video 5002 RTP/AVP 96\r\nm=audio 5000 RTP/AVP 0\r\nm=audio 5004 RTP/AVP 8\r\nm=application 9 UDP/BFCP *\r\n").unwrap();
    let answer = session.answer(&session.agree(&local()).unwrap(), ORIGIN);
    let streams: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        streams,
        [
            "m=video 0 RTP/AVP 96",
            "m=audio 4000 RTP/AVP 0",
            "m=audio 0 RTP/AVP 8",
            "m=application 0 UDP/BFCP *"
        ]
    );
}

#[test]
fn rtcp_follows_its_attributes() {
    let session = read("m=audio 5000 RTP/AVP 0\r\na=rtcp:6000 IN IP4 192.0.2.7\r\n").unwrap();
    assert_eq!(session.media.rtcp, "192.0.2.7:6000".parse().unwrap());
    let session = read("m=audio 5000 RTP/AVP 0\r\na=rtcp-mux\r\n").unwrap();
    assert_eq!(session.agree(&local()).unwrap().remote.rtcp, "192.0.2.1:5001".parse().unwrap());
    let muxed = MediaDescription { rtcp: local().rtp, ..local() };
    let agreed = session.agree(&muxed).unwrap();
    assert_eq!(agreed.remote.rtcp, agreed.remote.rtp);
    assert!(session.answer(&agreed, ORIGIN).contains("a=rtcp-mux"));
}

#[test]
fn odd_but_usual_forms_are_read() {
    let session = Session::read(
        b"v=0\nm=audio 5000/1 RTP/AVP 97 101\na=ptime:30.0\na=maxptime:20\na=rtpmap:97 pcma/8000/1\n\
          a=rtpmap:101 Telephone-Event/8000\nc=IN IP4 host.example\n",
        SIGNALLING,
    )
    .unwrap();
    assert_eq!(session.media.codecs, [(Codec::Pcma, 97)]);
    assert_eq!(session.media.telephone_event, Some(101));
    assert_eq!(session.media.ptime_ms, 20);
    assert_eq!(session.media.rtp.ip(), SIGNALLING);
    let v6 = read("m=audio 5000 RTP/AVP 0\r\nc=IN IP6 2001:db8::7\r\n").unwrap();
    assert_eq!(v6.media.rtp, "[2001:db8::7]:5000".parse().unwrap());
}

#[test]
fn what_leads_to_no_call_says_why() {
    assert_eq!(read("m=audio 5000 RTP/AVP 3 18\r\n").unwrap_err(), SdpError::NoCommonCodec);
    assert_eq!(read("m=audio 5000 RTP/SAVP 0\r\n").unwrap_err(), SdpError::NoAudio);
    assert_eq!(read("m=audio 0 RTP/AVP 0\r\n").unwrap_err(), SdpError::NoAudio);
    assert_eq!(read("m=audio x RTP/AVP 0\r\n").unwrap_err(), SdpError::NotSdp);
    assert_eq!(read("").unwrap_err(), SdpError::NoAudio);
    for many in ["255.255.255.255", "224.2.1.1/127"] {
        let session = read(&format!("m=audio 5000 RTP/AVP 0\r\nc=IN IP4 {many}\r\n"));
        assert_eq!(session.unwrap_err(), SdpError::BadAddress);
    }
    assert_eq!(Session::read(b"hello", SIGNALLING).unwrap_err(), SdpError::NotSdp);
    assert_eq!(read(&"m=audio 5000 RTP/AVP 9\r\n".repeat(17)).unwrap_err(), SdpError::TooManyStreams);
    let only_pcma = MediaDescription { codecs: vec![(Codec::Pcma, 8)], ..local() };
    let session = read("m=audio 5000 RTP/AVP 0\r\n").unwrap();
    assert_eq!(session.agree(&only_pcma).unwrap_err(), SdpError::NoCommonCodec);
}

#[test]
fn our_offer_is_read_back_as_we_meant_it() {
    for description in [
        local(),
        MediaDescription { telephone_event: None, direction: Direction::SendOnly, ..local() },
        MediaDescription { rtcp: "10.0.0.1:9000".parse().unwrap(), ptime_ms: 40, ..local() },
        MediaDescription {
            rtp: "[::1]:6000".parse().unwrap(),
            rtcp: "[::1]:6001".parse().unwrap(),
            ..local()
        },
    ] {
        let text = offer(&description, ORIGIN);
        assert_eq!(Session::read(text.as_bytes(), SIGNALLING).unwrap().media, description, "{text}");
    }
}

#[test]
fn an_answer_decides_the_codec_of_our_offer() {
    let session = read("m=audio 5000 RTP/AVP 8 0\r\na=sendonly\r\n").unwrap();
    let agreed = session.agree_to_offer(&local()).unwrap();
    assert_eq!(agreed.local.codecs, [(Codec::Pcma, 8)]);
    assert_eq!(agreed.local.direction, Direction::RecvOnly);
    assert_eq!(agreed.remote.codecs.first(), Some(&(Codec::Pcma, 8)));
    assert_eq!(agreed.local.telephone_event, None);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(lines in "([vmcatos]=[ -~]{0,60}\r?\n){0,30}") {
        if let Ok(session) = Session::read(lines.as_bytes(), SIGNALLING)
            && let Ok(agreed) = session.agree(&local())
        {
            let answer = session.answer(&agreed, ORIGIN);
            let again = Session::read(answer.as_bytes(), SIGNALLING).unwrap();
            proptest::prop_assert_eq!(again.media, agreed.local);
        }
    }

    #[test]
    fn hostile_audio_lines_are_answered_in_order(
        payloads in proptest::collection::vec(0u16..300, 1..20),
        port in 0u32..70_000,
        ptime in proptest::prelude::any::<i64>(),
    ) {
        let formats: Vec<_> = payloads.iter().map(u16::to_string).collect();
        let text = format!("m=video 1 RTP/AVP 3\r\nm=audio {port} RTP/AVP {}\r\na=ptime:{ptime}\r\na=rtcp:{port}\r\n", formats.join(" "));
        if let Ok(session) = read(&text)
            && let Ok(agreed) = session.agree(&local())
        {
            proptest::prop_assert!((10..=60).contains(&agreed.remote.ptime_ms));
            proptest::prop_assert_eq!(session.answer(&agreed, ORIGIN).matches("m=").count(), 2);
        }
    }
}
