//! What we offer and answer: codecs such that little is transcoded, keys as the rules for SRTP say.

use segue_call::Party;
use segue_media::{
    Codec, Direction, MediaDescription, OpusWishes,
    security::{SrtpKey, Suite},
};
use segue_sip::Source;

use crate::{
    config::{CodecName, Settings, SrtpRule},
    media::OpenLeg,
};

/// What we say to one party.
pub(super) struct Terms {
    /// The codecs that we speak with them, most wanted first.
    codecs: Vec<Codec>,
    /// Those of them that need no transcoding, as far as we know.
    suited: Vec<Codec>,
    /// Keys of ours, one for each suite; none for plain RTP alone.
    keys: Vec<SrtpKey>,
    opus: OpusWishes,
}

/// No randomness can be had: a call without it would have keys that can be guessed.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers for SRTP keys: {0}")]
pub(super) struct NoRandom(#[from] getrandom::Error);

impl Terms {
    /// For a caller: what the bot speaks too goes first.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub(super) fn caller(settings: &Settings, source: &Source) -> Result<Self, NoRandom> {
        let own = match source {
            Source::Trunk(name) => {
                settings.sip.trunks.iter().find(|trunk| trunk.name == *name).and_then(|trunk| trunk.srtp)
            }
            Source::User(user) => user_rule(settings, user),
        };
        let media = &settings.media;
        let mut terms = Self::new(settings, &media.codecs.callers, own.unwrap_or(media.srtp.callers))?;
        terms.suited = codecs(&media.codecs.bot);
        terms.codecs.sort_by_key(|codec| !terms.suited.contains(codec));
        Ok(terms)
    }

    /// For a party that is dialled: the caller's codec goes first, then what sounds as good.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub(super) fn dialled(
        settings: &Settings,
        (party, user): (Party, Option<&str>),
        caller: Codec,
    ) -> Result<Self, NoRandom> {
        let media = &settings.media;
        let (names, rule) = match party {
            Party::Bot => (&media.codecs.bot, media.srtp.bot),
            Party::Agent | Party::Caller => (&media.codecs.agents, media.srtp.agents),
        };
        let own = user.and_then(|user| user_rule(settings, user));
        let mut terms = Self::new(settings, names, own.unwrap_or(rule))?;
        terms.codecs.sort_by_key(|codec| (*codec != caller, codec.sound_hz() != caller.sound_hz()));
        Ok(terms)
    }

    fn new(settings: &Settings, names: &[CodecName], rule: SrtpRule) -> Result<Self, NoRandom> {
        let opus = OpusWishes {
            fec: true,
            dtx: false,
            bitrate_max: Some(settings.media.opus.bitrate),
            playback_hz: 16_000,
        };
        Ok(Self { codecs: codecs(names), suited: Vec::new(), keys: keys(rule)?, opus })
    }

    /// The codec that an offer will be answered with, if one is in common.
    pub(super) fn choice(&self, offer: &MediaDescription) -> Option<Codec> {
        let offered = offer.codecs.iter().map(|(codec, _)| *codec);
        offered.filter(|codec| self.codecs.contains(codec)).min_by_key(|codec| !self.suited.contains(codec))
    }

    /// What we offer.
    pub(super) fn offer(self, media: OpenLeg) -> MediaDescription {
        MediaDescription {
            rtp: media.rtp,
            rtcp: media.rtcp,
            codecs: self.codecs.iter().map(|codec| (*codec, codec.payload_type())).collect(),
            telephone_event: Some(101),
            ptime_ms: 20,
            direction: Direction::SendRecv,
            security: self.keys,
            opus: self.opus,
        }
    }

    /// What we answer to an offer: its payload types, in the order in which they suit us. Their own order counts
    /// among those that suit us alike.
    pub(super) fn answer(self, media: OpenLeg, offer: &MediaDescription) -> MediaDescription {
        let muxed = offer.rtp == offer.rtcp;
        let mut codecs = offer.codecs.clone();
        codecs.retain(|(codec, _)| self.codecs.contains(codec));
        codecs.sort_by_key(|(codec, _)| !self.suited.contains(codec));
        MediaDescription {
            rtcp: if muxed { media.rtp } else { media.rtcp },
            codecs,
            telephone_event: offer.telephone_event,
            ..self.offer(media)
        }
    }
}

fn codecs(names: &[CodecName]) -> Vec<Codec> {
    names.iter().map(|name| name.codec()).collect()
}

fn user_rule(settings: &Settings, user: &str) -> Option<SrtpRule> {
    settings.sip.users.iter().find(|known| known.user == user).and_then(|known| known.srtp)
}

/// A new key for each suite.
fn keys(rule: SrtpRule) -> Result<Vec<SrtpKey>, NoRandom> {
    let optional = match rule {
        SrtpRule::Never => return Ok(Vec::new()),
        SrtpRule::Offered => true,
        SrtpRule::Required => false,
    };
    let mut keys = Vec::with_capacity(Suite::ALL.len());
    for (tag, suite) in (1..).zip(Suite::ALL) {
        let mut master = vec![0; suite.key_length() + suite.salt_length()];
        getrandom::fill(&mut master)?;
        keys.push(SrtpKey { tag, suite, master, lifetime: None, mki: None, optional });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use segue_media::LegId;

    use super::*;

    fn media() -> OpenLeg {
        let rtp = "127.0.0.1:20000".parse().expect("an address");
        let rtcp = "127.0.0.1:20001".parse().expect("an address");
        OpenLeg { leg: LegId(1), rtp, rtcp }
    }

    fn names(description: &MediaDescription) -> Vec<Codec> {
        description.codecs.iter().map(|(codec, _)| *codec).collect()
    }

    /// All codecs with all but the bot.
    fn settings() -> Settings {
        let all = vec![CodecName::Pcmu, CodecName::Pcma, CodecName::G722, CodecName::Opus];
        let mut settings = Settings::default();
        (settings.media.codecs.callers, settings.media.codecs.agents) = (all.clone(), all);
        settings
    }

    fn trunk() -> Source {
        Source::Trunk("local".to_owned())
    }

    fn offer(codecs: &[(Codec, u8)]) -> MediaDescription {
        let plain =
            Terms { codecs: Vec::new(), suited: Vec::new(), keys: Vec::new(), opus: OpusWishes::default() };
        MediaDescription { codecs: codecs.to_vec(), telephone_event: Some(97), ..plain.offer(media()) }
    }

    #[test]
    fn a_dialled_party_is_offered_the_callers_codec_first_and_then_its_like() {
        let settings = settings();
        let agent = |caller| {
            let terms = Terms::dialled(&settings, (Party::Agent, None), caller).expect("random numbers");
            names(&terms.offer(media()))
        };
        assert_eq!(agent(Codec::Pcma), [Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::Opus]);
        assert_eq!(agent(Codec::Opus), [Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma]);
        let bot = Terms::dialled(&settings, (Party::Bot, None), Codec::Opus).expect("random numbers");
        assert_eq!(names(&bot.offer(media())), [Codec::Pcmu, Codec::Pcma]);
    }

    #[test]
    fn a_caller_gets_a_codec_that_the_bot_speaks_if_there_is_one() {
        let settings = settings();
        let answer = |codecs: &[(Codec, u8)]| {
            let terms = Terms::caller(&settings, &trunk()).expect("random numbers");
            terms.answer(media(), &offer(codecs))
        };
        let answered = answer(&[(Codec::Opus, 96), (Codec::G722, 9), (Codec::Pcma, 8)]);
        assert_eq!(answered.codecs, [(Codec::Pcma, 8), (Codec::Opus, 96), (Codec::G722, 9)]);
        assert_eq!(answered.telephone_event, Some(97));
        assert_eq!(answer(&[(Codec::Opus, 96)]).codecs, [(Codec::Opus, 96)]);
        let muxed = MediaDescription { rtcp: media().rtp, ..offer(&[(Codec::Pcmu, 0)]) };
        let terms = Terms::caller(&settings, &trunk()).expect("random numbers");
        assert_eq!(terms.answer(media(), &muxed).rtcp, media().rtp, "rtcp-mux is taken up");
    }

    #[test]
    fn keys_follow_the_rule_of_the_trunk_or_the_user_and_are_never_the_same() {
        let mut settings = settings();
        let keys = |settings: &Settings| {
            Terms::caller(settings, &trunk()).expect("random numbers").offer(media()).security
        };
        let [one, other] = [keys(&settings), keys(&settings)];
        assert!(one.iter().zip(&other).all(|(a, b)| a.optional && a.master != b.master && a.tag == b.tag));
        settings.sip.trunks[0].srtp = Some(SrtpRule::Required);
        assert!(keys(&settings).iter().all(|key| !key.optional));
        settings.sip.trunks[0].srtp = Some(SrtpRule::Never);
        assert_eq!(keys(&settings), []);
    }
}
