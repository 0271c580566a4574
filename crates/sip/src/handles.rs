//! What the gateway holds: the door, a call that rings, a call that is being made, a leg that is up.
//!
//! Each handle is the one owner of its leg. Dropping it ends the leg: a ringing call is refused, a dialled one
//! cancelled, an answered one hung up. All waits are safe to cancel.

use segue_media::MediaDescription;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    config::SipError,
    stack::LegNews,
    transport::{Tls, TlsFiles},
    trunks::TrunkStatus,
    words::{
        AnswerError, DialRequest, Ended, FailureKind, HangUp, Invitation, LegEvent, Referral, Refusal,
        SipCounts, SipFailure, SipLegId, UnregisteredWhy,
    },
};

/// News of one leg on their way to its owner. Boxed: a channel reserves room for 32 of them, and a call has several.
pub(crate) type NewsSender = mpsc::Sender<Box<LegNews>>;
/// The owner's end.
pub(crate) type NewsReceiver = mpsc::Receiver<Box<LegNews>>;

/// What the driver is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    Ring(SipLegId),
    Answer { leg: SipLegId, answer: Box<Answer>, reply: oneshot::Sender<AnswerResult> },
    Early { leg: SipLegId, answer: Box<Answer>, reply: oneshot::Sender<AnswerResult> },
    Reoffer(SipLegId, Box<MediaDescription>),
    Refer(SipLegId, Box<Referral>),
    AllowTransfer(SipLegId, bool),
    Refuse(SipLegId, Refusal),
    Dial { request: Box<DialRequest>, news: NewsSender, reply: oneshot::Sender<SipLegId> },
    HangUp(SipLegId, Box<HangUp>),
    Dropped(SipLegId),
    Certificates(Box<Tls>),
}

/// Remote side, if it is known already, and ours.
pub(crate) type AnswerResult = Result<(Option<MediaDescription>, MediaDescription), AnswerError>;

/// How to answer a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Our side: address, codecs and telephone-event as far as we speak them. The codec in use follows from the offer.
    pub local: MediaDescription,
    /// Whether the caller may ask for a handoff by REFER.
    pub handoff_allowed: bool,
}

/// What happens at the door.
#[derive(Debug)]
pub enum SipEvent {
    /// Somebody calls.
    Incoming(Box<IncomingCall>),
    /// A user has a phone now, who had none.
    Registered {
        /// Who.
        user: String,
        /// The URI of the phone.
        contact: String,
    },
    /// A user's last phone is gone.
    Unregistered {
        /// Who.
        user: String,
        /// Why.
        why: UnregisteredWhy,
    },
}

/// The SIP part of the gateway; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sip {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) counts: watch::Receiver<SipCounts>,
    pub(crate) trunks: watch::Receiver<Vec<TrunkStatus>>,
    pub(crate) addresses: std::sync::Arc<Addresses>,
}

/// Where we listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// UDP sockets, as others are told them.
    pub udp: Vec<std::net::SocketAddr>,
    /// TCP sockets, as others are told them.
    pub tcp: Vec<std::net::SocketAddr>,
    /// TLS sockets, as others are told them.
    pub tls: Vec<std::net::SocketAddr>,
    /// WebSocket sockets, as others are told them.
    pub ws: Vec<std::net::SocketAddr>,
    /// WebSocket sockets over TLS, as others are told them.
    pub wss: Vec<std::net::SocketAddr>,
}

impl Sip {
    /// Begins a call. It goes on while the [`Dialing`] lives; what becomes of it comes as its events.
    pub async fn dial(&self, request: DialRequest) -> Dialing {
        let (news_sender, news) = mpsc::channel(NEWS_MAX);
        let (reply, answer) = oneshot::channel();
        let order = Order::Dial { request: Box::new(request), news: news_sender, reply };
        let leg = match self.orders.send(order).await {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        let tether = leg.map(|leg| Tether { leg, orders: self.orders.clone(), over: false });
        Dialing { tether, news: Some(news) }
    }

    /// Reads the certificates again and uses them for every connection from now on; those that are up go on.
    ///
    /// # Errors
    /// A file cannot be used. Then everything stays as it was.
    pub async fn reload_certificates(&self, files: &TlsFiles) -> Result<(), SipError> {
        let listens = !self.addresses.tls.is_empty() || !self.addresses.wss.is_empty();
        let tls = Tls::read(files, listens).await?;
        if self.orders.send(Order::Certificates(Box::new(tls))).await.is_err() {
            tracing::debug!("certificates came after the SIP part had ended");
        }
        Ok(())
    }

    /// What exists right now.
    #[must_use]
    pub fn counts(&self) -> SipCounts {
        *self.counts.borrow()
    }

    /// Waits until the counts are as wanted; gives the last ones if the SIP part ends first.
    pub async fn counts_when(&self, mut wanted: impl FnMut(&SipCounts) -> bool) -> SipCounts {
        let mut counts = self.counts.clone();
        match counts.wait_for(|counts| wanted(counts)).await {
            Ok(counts) => *counts,
            Err(_) => self.counts(),
        }
    }

    /// How the trunks that calls go out by stand, in the order of the configuration.
    #[must_use]
    pub fn trunks(&self) -> Vec<TrunkStatus> {
        self.trunks.borrow().clone()
    }

    /// Waits until the trunks stand as wanted; gives how they stood last if the SIP part ends first.
    pub async fn trunks_when(&self, mut wanted: impl FnMut(&[TrunkStatus]) -> bool) -> Vec<TrunkStatus> {
        let mut trunks = self.trunks.clone();
        match trunks.wait_for(|trunks| wanted(trunks)).await {
            Ok(trunks) => trunks.clone(),
            Err(_) => self.trunks(),
        }
    }

    /// Where we listen; with port 0 in the configuration, the ports that were taken.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// News that wait to be taken for one leg; a leg whose owner leaves more than this waiting is ended.
pub(crate) const NEWS_MAX: usize = 32;

/// Ties a leg to the handle that owns it.
#[derive(Debug)]
pub(crate) struct Tether {
    pub(crate) leg: SipLegId,
    pub(crate) orders: mpsc::Sender<Order>,
    /// The leg has ended by itself, so there is nothing to end.
    pub(crate) over: bool,
}

impl Drop for Tether {
    fn drop(&mut self) {
        if !self.over && self.orders.try_send(Order::Dropped(self.leg)).is_err() {
            // The driver finds legs without an owner by itself within a second.
            tracing::debug!(leg = %self.leg, "the order queue was full when a leg was dropped");
        }
    }
}

/// A call that rings here.
#[derive(Debug)]
pub struct IncomingCall {
    pub(crate) invitation: Invitation,
    pub(crate) tether: Tether,
    pub(crate) news: NewsReceiver,
}

impl IncomingCall {
    /// What the caller's INVITE says.
    #[must_use]
    pub const fn invitation(&self) -> &Invitation {
        &self.invitation
    }

    /// Tells the caller that it rings (180). The caller has been told 100 already.
    pub async fn ring(&self) {
        self.order(Order::Ring(self.tether.leg)).await;
    }

    /// Lets the caller hear us before we answer (183 with a session description, reliable if the caller can: RFC 3262).
    /// What is agreed here stays so for [`answer`](Self::answer). The remote side is `None` if we offered; the answer
    /// is with the leg then.
    ///
    /// # Errors
    /// The caller gave up, speaks no codec that we speak (and was told 488), or can hear nothing before the answer: then
    /// the call still rings.
    pub async fn early(
        &mut self,
        answer: Answer,
    ) -> Result<(Option<MediaDescription>, MediaDescription), AnswerError> {
        let (reply, result) = oneshot::channel();
        self.order(Order::Early { leg: self.tether.leg, answer: Box::new(answer), reply }).await;
        let result = result.await.unwrap_or(Err(AnswerError::Closed));
        self.tether.over =
            matches!(result, Err(AnswerError::Canceled | AnswerError::NoCommonCodec | AnswerError::Closed));
        result
    }

    /// Answers, and gives the leg. The far side's media is known at once, unless the caller wanted our offer.
    ///
    /// # Errors
    /// The caller gave up first, or speaks no codec that we speak; then the call is over and the caller was told.
    pub async fn answer(mut self, answer: Answer) -> Result<Leg, AnswerError> {
        let (reply, result) = oneshot::channel();
        self.order(Order::Answer { leg: self.tether.leg, answer: Box::new(answer), reply }).await;
        match result.await.unwrap_or(Err(AnswerError::Closed)) {
            Ok((remote, local)) => Ok(Leg {
                tether: self.tether,
                news: self.news,
                remote,
                local,
                signalling: self.invitation.signalling,
                sip_call_id: self.invitation.sip_call_id,
            }),
            Err(error) => {
                self.tether.over = true;
                Err(error)
            }
        }
    }

    /// Refuses the call.
    pub async fn refuse(mut self, refusal: Refusal) {
        self.order(Order::Refuse(self.tether.leg, refusal)).await;
        self.tether.over = true;
    }

    /// Waits for news of a call that was let hear us early: the caller's media, when the answer to our offer comes or
    /// it changes. `None` when the caller gave up, or it has rung too long. For use beside other waits.
    pub async fn changed(&mut self) -> Option<(MediaDescription, MediaDescription)> {
        while let Some(news) = self.news.recv().await {
            match *news {
                LegNews::Event(LegEvent::MediaChanged { remote, local }) => return Some((remote, local)),
                LegNews::Withdrawn | LegNews::Event(LegEvent::Ended(_)) => break,
                LegNews::Ringing
                | LegNews::Early { .. }
                | LegNews::Answered { .. }
                | LegNews::Failed(_)
                | LegNews::Event(_) => {}
            }
        }
        self.tether.over = true;
        None
    }

    /// Waits until the caller gives up, or it has rung too long. For use beside other waits.
    pub async fn withdrawn(&mut self) {
        while self.changed().await.is_some() {}
    }

    async fn order(&self, order: Order) {
        if self.tether.orders.send(order).await.is_err() {
            tracing::debug!(leg = %self.tether.leg, "an order came after the SIP part had ended");
        }
    }
}

/// A call that is being made.
#[derive(Debug)]
pub struct Dialing {
    /// None if the SIP part had ended before.
    tether: Option<Tether>,
    /// None after the last event.
    news: Option<NewsReceiver>,
}

/// What becomes of a call that is being made.
#[derive(Debug)]
pub enum DialEvent {
    /// It rings.
    Ringing,
    /// The far side sends media before it answers.
    EarlyMedia {
        /// Their side.
        remote: MediaDescription,
        /// Which of several that ring for one INVITE (RFC 3261 §12.1), in the order in which they were heard of.
        fork: u32,
    },
    /// They answered. Nothing comes after this.
    Answered(Box<Leg>),
    /// It failed. Nothing comes after this.
    Failed(SipFailure),
}

impl Dialing {
    /// The leg's name; none if the SIP part had ended before.
    #[must_use]
    pub fn id(&self) -> Option<SipLegId> {
        self.tether.as_ref().map(|tether| tether.leg)
    }

    /// The next event; `None` after `Answered` or `Failed`.
    pub async fn next(&mut self) -> Option<DialEvent> {
        let news = self.news.as_mut()?;
        let event = loop {
            match news.recv().await.map(|news| *news) {
                Some(LegNews::Ringing) => return Some(DialEvent::Ringing),
                Some(LegNews::Early { remote, fork }) => return Some(DialEvent::EarlyMedia { remote, fork }),
                Some(LegNews::Answered { remote, local, signalling, sip_call_id }) => {
                    let (news, tether) = (self.news.take()?, self.tether.take()?);
                    let leg = Leg { tether, news, remote: Some(remote), local, signalling, sip_call_id };
                    return Some(DialEvent::Answered(Box::new(leg)));
                }
                Some(LegNews::Failed(failure)) => break failure,
                Some(LegNews::Withdrawn | LegNews::Event(_)) => {}
                None => {
                    let reason = "the SIP part has ended".to_owned();
                    break SipFailure { kind: FailureKind::Canceled, code: None, reason };
                }
            }
        };
        self.news = None;
        if let Some(tether) = &mut self.tether {
            tether.over = true;
        }
        Some(DialEvent::Failed(event))
    }

    /// Gives up. `Failed` with `Canceled` follows, unless an answer was on its way: then the leg comes and is yours.
    pub async fn cancel(&self) {
        if let Some(tether) = &self.tether
            && tether.orders.send(Order::HangUp(tether.leg, Box::default())).await.is_err()
        {
            tracing::debug!(leg = %tether.leg, "a cancel came after the SIP part had ended");
        }
    }
}

/// A leg that is up.
#[derive(Debug)]
pub struct Leg {
    tether: Tether,
    news: NewsReceiver,
    remote: Option<MediaDescription>,
    local: MediaDescription,
    signalling: std::net::SocketAddr,
    sip_call_id: String,
}

/// Hangs up a leg from elsewhere.
#[derive(Clone, Debug)]
pub struct LegControl {
    leg: SipLegId,
    orders: mpsc::Sender<Order>,
}

impl Leg {
    /// Its name.
    #[must_use]
    pub const fn id(&self) -> SipLegId {
        self.tether.leg
    }

    /// Their side as agreed; the first codec is the one in use. `None` until the answer to a late offer comes.
    #[must_use]
    pub const fn remote(&self) -> Option<&MediaDescription> {
        self.remote.as_ref()
    }

    /// Our side as agreed.
    #[must_use]
    pub const fn local(&self) -> &MediaDescription {
        &self.local
    }

    /// Where their signalling came from, for the media source lock.
    #[must_use]
    pub const fn signalling(&self) -> std::net::SocketAddr {
        self.signalling
    }

    /// The SIP Call-ID.
    #[must_use]
    pub fn sip_call_id(&self) -> &str {
        &self.sip_call_id
    }

    /// A handle to hang up with while another task waits for events.
    #[must_use]
    pub fn control(&self) -> LegControl {
        LegControl { leg: self.tether.leg, orders: self.tether.orders.clone() }
    }

    /// The next event. After `Ended` it gives `Ended` again.
    pub async fn next(&mut self) -> LegEvent {
        loop {
            match self.news.recv().await.map(|news| *news) {
                Some(LegNews::Event(event)) => {
                    match &event {
                        LegEvent::MediaChanged { remote, local } => {
                            self.remote = Some(remote.clone());
                            self.local = local.clone();
                        }
                        LegEvent::Ended(_) => self.tether.over = true,
                        LegEvent::HandoffRequested { .. }
                        | LegEvent::Key(_)
                        | LegEvent::OfferRefused { .. }
                        | LegEvent::Transferred { .. }
                        | LegEvent::ReferProgress { .. } => {}
                    }
                    return event;
                }
                Some(
                    LegNews::Ringing
                    | LegNews::Early { .. }
                    | LegNews::Answered { .. }
                    | LegNews::Failed(_)
                    | LegNews::Withdrawn,
                ) => {}
                None => {
                    self.tether.over = true;
                    return LegEvent::Ended(Ended::Error("the leg's events are over".to_owned()));
                }
            }
        }
    }

    /// Hangs up. `Ended` with `Local` follows, unless the far side was first.
    pub async fn hang_up(&self, how: HangUp) {
        self.control().hang_up(how).await;
    }
}

impl LegControl {
    /// Hangs up. `Ended` with `Local` follows at the leg, unless the far side was first.
    pub async fn hang_up(&self, how: HangUp) {
        if self.orders.send(Order::HangUp(self.leg, Box::new(how))).await.is_err() {
            tracing::debug!(leg = %self.leg, "a hang-up came after the SIP part had ended");
        }
    }

    /// Offers new media (re-INVITE): another address, other codecs, hold and resume. `MediaChanged` follows at the leg,
    /// or `OfferRefused` and everything stays as it was. A newer offer takes the place of one that still waits.
    pub async fn reoffer(&self, local: MediaDescription) {
        self.order(Order::Reoffer(self.leg, Box::new(local))).await;
    }

    /// Asks the far side to call somebody else (REFER). `ReferProgress` follows at the leg.
    pub async fn refer(&self, referral: Referral) {
        self.order(Order::Refer(self.leg, Box::new(referral))).await;
    }

    /// Allows or forbids the party to give its side of the call to somebody else. It is forbidden at first.
    pub async fn allow_transfer(&self, allowed: bool) {
        self.order(Order::AllowTransfer(self.leg, allowed)).await;
    }

    async fn order(&self, order: Order) {
        if self.orders.send(order).await.is_err() {
            tracing::debug!(leg = %self.leg, "an order came after the SIP part had ended");
        }
    }
}
