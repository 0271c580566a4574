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
fn the_first_of_our_codecs_that_the_offerer_has_is_taken() {
    let session = read("m=audio 5000 RTP/AVP 9 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\n").unwrap();
    let agreed = session.agree(&local()).unwrap();
    assert_eq!(agreed.local.codecs, [(Codec::Pcmu, 0)]);
    assert_eq!(agreed.remote.codecs, [(Codec::Pcmu, 0), (Codec::G722, 9), (Codec::Pcma, 8)]);
    assert_eq!(agreed.local.telephone_event, Some(96));
    assert_eq!(agreed.remote.rtp, "192.0.2.1:5000".parse().unwrap());
    assert_eq!(agreed.remote.rtcp, "192.0.2.1:5001".parse().unwrap());
    let answer = session.answer(&agreed, ORIGIN);
    assert!(answer.contains("m=audio 4000 RTP/AVP 0 96\r\n"), "{answer}");
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
    assert_eq!(read("m=audio 5000 UDP/TLS/RTP/SAVPF 0\r\n").unwrap_err(), SdpError::NoAudio);
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

const LINE: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

fn keys(optional: bool) -> Vec<SrtpKey> {
    let key = |(tag, suite): (u32, segue_media::security::Suite)| {
        let master = vec![tag as u8; suite.key_length() + suite.salt_length()];
        SrtpKey { tag, suite, master, lifetime: None, mki: None, optional }
    };
    (1..).zip(segue_media::security::Suite::ALL).map(key).collect()
}

fn secured(optional: bool) -> MediaDescription {
    MediaDescription { security: keys(optional), ..local() }
}

#[test]
fn an_offer_of_srtp_is_answered_with_our_key_of_the_first_suite_in_common() {
    let text = format!(
        "m=audio 5000 RTP/SAVP 0\r\na=crypto:5 F8_128_HMAC_SHA1_80 {LINE}\r\n\
         a=crypto:7 AES_CM_128_HMAC_SHA1_32 {LINE}\r\na=crypto:8 AES_CM_128_HMAC_SHA1_80 {LINE}\r\n"
    );
    let session = read(&text).unwrap();
    let agreed = session.agree(&secured(true)).unwrap();
    let [ours] = &agreed.local.security[..] else { panic!("one key") };
    let [theirs] = &agreed.remote.security[..] else { panic!("one key") };
    assert_eq!((ours.tag, theirs.tag, ours.suite), (7, 7, theirs.suite));
    assert_eq!(ours.master, vec![3; 30]);
    let answer = session.answer(&agreed, ORIGIN);
    assert!(answer.contains("m=audio 4000 RTP/SAVP 0"), "{answer}");
    assert!(answer.contains("a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:"), "{answer}");
    assert_eq!(session.agree(&local()).unwrap_err(), SdpError::NoCommonKey, "we have no key");
}

#[test]
fn nothing_goes_down_to_plain_rtp_where_a_key_is_demanded() {
    let plain = read("m=audio 5000 RTP/AVP 0\r\n").unwrap();
    assert_eq!(plain.agree(&secured(false)).unwrap_err(), SdpError::NoCommonKey);
    assert_eq!(plain.agree_to_offer(&secured(false)).unwrap_err(), SdpError::NoCommonKey);
    assert_eq!(plain.agree(&secured(true)).unwrap().local.security, []);
    assert_eq!(plain.agree_to_offer(&secured(true)).unwrap().local.security, []);
    assert_eq!(read("m=audio 5000 RTP/SAVP 0\r\n").unwrap_err(), SdpError::NoCommonKey);
    let unknown = "m=audio 5000 RTP/SAVP 0\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n";
    assert_eq!(read(unknown).unwrap_err(), SdpError::NoCommonKey);
}

#[test]
fn srtp_may_be_offered_beside_plain_rtp() {
    let text = format!("m=audio 5000 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {LINE}\r\n");
    let session = read(&text).unwrap();
    assert_eq!(session.agree(&local()).unwrap().remote.security, []);
    let agreed = session.agree(&secured(true)).unwrap();
    assert!(
        session.answer(&agreed, ORIGIN).contains("RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=crypto:1 AES_CM")
    );
}

#[test]
fn our_offer_of_srtp_is_answered_by_its_tag() {
    for (optional, protocol) in [(true, "RTP/AVP"), (false, "RTP/SAVP")] {
        let text = offer(&secured(optional), ORIGIN);
        assert!(text.contains(&format!("m=audio 4000 {protocol} 0")), "{text}");
        assert_eq!(Session::read(text.as_bytes(), SIGNALLING).unwrap().media.security, keys(optional));
        let answer = |tag| {
            let text =
                format!("m=audio 5000 {protocol} 0\r\na=crypto:{tag} AES_CM_128_HMAC_SHA1_80 {LINE}\r\n");
            read(&text).unwrap().agree_to_offer(&secured(optional))
        };
        let agreed = answer(2).unwrap();
        assert_eq!(agreed.local.security[0].master, vec![2; 30]);
        assert_eq!(agreed.remote.security[0].master.len(), 30);
        assert_eq!(answer(3).is_err(), !optional, "tag 3 was of another suite");
    }
}

#[test]
fn opus_and_g722_are_read_and_offered_as_their_rfcs_say() {
    let session = read(
        "m=audio 5000 RTP/AVP 111 9 101\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
         a=rtpmap:101 telephone-event/8000\r\n",
    )
    .unwrap();
    assert_eq!(session.media.codecs, [(Codec::Opus, 111), (Codec::G722, 9)]);
    assert!(session.media.opus.fec);
    let wishes = OpusWishes { fec: true, playback_hz: 16_000, ..OpusWishes::default() };
    let wide =
        MediaDescription { codecs: vec![(Codec::Opus, 96), (Codec::G722, 9)], opus: wishes, ..local() };
    let text = offer(&wide, ORIGIN);
    assert!(text.contains("a=rtpmap:96 opus/48000/2\r\na=fmtp:96 maxplaybackrate=16000;"), "{text}");
    assert!(text.contains("a=rtpmap:9 G722/8000\r\n"), "{text}");
    assert_eq!(Session::read(text.as_bytes(), SIGNALLING).unwrap().media, wide);
}
