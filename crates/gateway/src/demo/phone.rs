//! A phone of the demo: one SIP user agent and one media leg on loopback, as real as any other.

use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::Context;
use segue_media::{Codec, Command, Direction, MediaDescription, OpusWishes, PlayId, Report, Sound, Source};
use segue_sip::{Answer, Caller, DialEvent, DialRequest, Leg, Sip, SipConfig, SipEvent, Target, Trunk};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::ear::Ear;
use crate::media::{CallMedia, MediaPlane, OpenLeg};

/// A phone that is plugged in.
pub(super) struct Phone {
    sip: Sip,
    events: mpsc::Receiver<SipEvent>,
    /// What it hears.
    pub(super) ear: Ear,
    /// Its address for others.
    pub(super) uri: String,
    media: CallMedia,
    leg: OpenLeg,
    ended: watch::Receiver<BTreeSet<PlayId>>,
    /// Owned here so that they end with the phone.
    _tasks: JoinSet<()>,
}

impl Phone {
    /// Plugs a phone in under a name.
    ///
    /// # Errors
    /// No port can be had.
    pub(super) async fn plug_in(
        name: &str,
        plane: &MediaPlane,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let local = "127.0.0.0/8".parse()?;
        let config = SipConfig {
            udp: vec![(Ipv4Addr::LOCALHOST, 0).into()],
            trunks: vec![Trunk { name: "segue".to_owned(), sources: vec![local], credentials: None }],
            ..SipConfig::default()
        };
        let (sip, driver, events) = Sip::bind(config, cancel.clone()).await?;
        let address = sip.addresses().udp.first().copied().context("a phone has no address")?;
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.run());
        let (reports, reported) = mpsc::channel(64);
        let mut media = plane.place().context("no media thread")?;
        let leg = media.open(Codec::Pcmu, false, reports)?;
        let (ear, listener, listening) = Ear::new();
        tasks.spawn(listening);
        media.listen(leg.leg, listener)?;
        media.command(Command::Wire(vec![(leg.leg, Source::Quiet)]))?;
        let (played, ended) = watch::channel(BTreeSet::new());
        tasks.spawn(note_ends(reported, played));
        Ok(Self { sip, events, ear, uri: format!("sip:{name}@{address}"), media, leg, ended, _tasks: tasks })
    }

    fn offer(&self) -> MediaDescription {
        MediaDescription {
            rtp: self.leg.rtp,
            rtcp: self.leg.rtcp,
            codecs: vec![(Codec::Pcmu, 0)],
            telephone_event: Some(101),
            ptime_ms: 20,
            direction: Direction::SendRecv,
            security: Vec::new(),
            opus: OpusWishes::default(),
        }
    }

    fn connect(&self, description: MediaDescription) -> anyhow::Result<()> {
        Ok(self.media.command(Command::Remote { leg: self.leg.leg, description, signalling: None })?)
    }

    /// Says something and waits until it is said.
    pub(super) async fn say(&mut self, sound: &Sound) -> anyhow::Result<()> {
        let play = self.media.play_id();
        self.media.command(Command::Play { leg: self.leg.leg, play, sound: Arc::clone(sound) })?;
        self.ended.wait_for(|ended| ended.contains(&play)).await.context("the phone's media has ended")?;
        Ok(())
    }

    /// Presses a key.
    pub(super) fn press(&self, key: char) -> anyhow::Result<()> {
        Ok(self.media.command(Command::SendKeys { leg: self.leg.leg, keys: vec![key] })?)
    }

    /// Answers the next call and waits until it is up.
    ///
    /// # Errors
    /// The phone is unplugged, or the caller gave up.
    pub(super) async fn answer(&mut self, before: impl AsyncFnOnce()) -> anyhow::Result<Leg> {
        let incoming = loop {
            match self.events.recv().await.context("the phone is unplugged")? {
                SipEvent::Incoming(incoming) => break incoming,
                SipEvent::Registered { .. } | SipEvent::Unregistered { .. } => {}
            }
        };
        incoming.ring().await;
        before().await;
        let leg = incoming.answer(Answer { local: self.offer(), handoff_allowed: false }).await?;
        self.connect(leg.remote().cloned().context("no media was agreed")?)?;
        Ok(leg)
    }

    /// Calls somebody and waits for the answer.
    ///
    /// # Errors
    /// Nobody answers.
    pub(super) async fn call(&mut self, uri: &str) -> anyhow::Result<Leg> {
        let request = DialRequest {
            to: Target::Uri(uri.to_owned()),
            from: Caller { user: "+15550100".to_owned(), display: None },
            headers: Vec::new(),
            offer: self.offer(),
            ring_max: Duration::from_secs(10),
            handoff_allowed: false,
            credentials: None,
            options: segue_sip::DialOptions::default(),
        };
        let mut dialing = self.sip.dial(request).await;
        while let Some(event) = dialing.next().await {
            match event {
                DialEvent::Ringing | DialEvent::EarlyMedia { .. } => {}
                DialEvent::Answered(leg) => {
                    self.connect(leg.remote().cloned().context("no media was agreed")?)?;
                    return Ok(*leg);
                }
                DialEvent::Failed(failure) => anyhow::bail!("the call failed: {}", failure.reason),
            }
        }
        anyhow::bail!("the call went nowhere")
    }
}

async fn note_ends(mut reports: mpsc::Receiver<Box<Report>>, ended: watch::Sender<BTreeSet<PlayId>>) {
    while let Some(report) = reports.recv().await {
        if let Report::Played { play, .. } = *report {
            ended.send_modify(|ended| {
                ended.insert(play);
            });
        }
    }
}
