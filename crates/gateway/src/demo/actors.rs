//! The three people of the demo. Each waits for what it hears or sees, as people do; nobody counts seconds.

use anyhow::Context;
use segue_media::Sound;
use segue_sip::{HangUp, LegEvent};
use segue_speech::{Flite, Pace, Synthesizer, Voice, VoiceStyle, normalise};
use tokio::sync::watch;

use super::{phone::Phone, story::Progress};

/// What the bot says, one line each time the caller has finished.
const BOT_LINES: &[&str] = &[
    "welcome to the help line how can i help you today",
    "i am sorry i can not find that order",
    "i am sorry i did not catch that",
];
/// What the caller says to the bot, unless told otherwise.
const CALLER_LINES: &[&str] =
    &["i want a refund of five hundred dollars for order one two three four", "i want to talk to a human"];
/// What the caller answers to the agent.
const CALLER_REPLIES: &[&str] = &["yes please", "thank you goodbye"];
/// What the agent says after the bridge.
const AGENT_LINES: &[&str] = &[
    "hello this is alex i see you have been asking about a refund for order one two three four",
    "let me look at that for you",
];

/// What a party says, rendered.
pub(super) struct Script {
    lines: Vec<Sound>,
}

impl Script {
    /// Renders lines in a voice.
    ///
    /// # Errors
    /// The synthesiser cannot speak one.
    fn new<'a>(lines: impl IntoIterator<Item = &'a str>, voice: Voice) -> anyhow::Result<Self> {
        let style = VoiceStyle { voice, pace: Pace::Normal };
        let lines: Result<_, _> =
            lines.into_iter().map(|line| Flite.speak(&normalise(line), style).map(Sound::from)).collect();
        Ok(Self { lines: lines? })
    }

    /// The bot's.
    ///
    /// # Errors
    /// As for `new`.
    pub(super) fn bot() -> anyhow::Result<Self> {
        Self::new(BOT_LINES.iter().copied(), Voice::Awb)
    }

    /// The agent's.
    ///
    /// # Errors
    /// As for `new`.
    pub(super) fn agent() -> anyhow::Result<Self> {
        Self::new(AGENT_LINES.iter().copied(), Voice::Rms)
    }

    /// The caller's words to the bot, then to the agent.
    ///
    /// # Errors
    /// As for `new`.
    pub(super) fn caller(instead: &[String]) -> anyhow::Result<(Self, Self)> {
        let lines: Vec<&str> = if instead.is_empty() {
            CALLER_LINES.to_vec()
        } else {
            instead.iter().map(String::as_str).collect()
        };
        Ok((Self::new(lines, Voice::Slt)?, Self::new(CALLER_REPLIES.iter().copied(), Voice::Slt)?))
    }
}

/// When the caller had finished asking for a human.
pub(super) type AskedAt = std::time::Duration;

/// The caller: listens to the bot, answers, asks for a human, talks to the agent, hangs up.
///
/// # Errors
/// The call cannot be made or is lost.
pub(super) async fn caller(
    phone: &mut Phone,
    gateway: &str,
    (to_bot, to_agent): (Script, Script),
    mut progress: watch::Receiver<Progress>,
    now: impl Fn() -> AskedAt,
) -> anyhow::Result<AskedAt> {
    let leg = phone.call(gateway).await?;
    let mut asked = now();
    reached(&mut progress, |progress| progress.with_bot).await?;
    for line in &to_bot.lines {
        let heard = phone.ear.utterances();
        phone.ear.utterance_after(heard).await;
        phone.say(line).await?;
        asked = now();
    }
    reached(&mut progress, |progress| progress.bridged).await?;
    for line in &to_agent.lines {
        let heard = phone.ear.utterances();
        phone.ear.utterance_after(heard).await;
        phone.say(line).await?;
    }
    leg.hang_up(HangUp::default()).await;
    reached(&mut progress, |progress| progress.ended).await?;
    Ok(asked)
}

/// The bot: answers, greets, and says its next line whenever the caller has finished.
///
/// # Errors
/// Nobody calls.
pub(super) async fn bot(phone: &mut Phone, script: Script) -> anyhow::Result<()> {
    let mut leg = phone.answer(async || {}).await?;
    tokio::select! {
        outcome = recite(phone, &script) => outcome,
        () = ended(&mut leg) => Ok(()),
    }
}

/// Says one line after the other, each when the other side has finished, and then keeps the line open.
async fn recite(phone: &mut Phone, script: &Script) -> anyhow::Result<()> {
    for line in &script.lines {
        phone.say(line).await?;
        let heard = phone.ear.utterances();
        phone.ear.utterance_after(heard).await;
    }
    std::future::pending().await
}

/// The agent: lets it ring, answers, hears the whisper out, presses 1, talks.
///
/// # Errors
/// Nobody calls, or the call is lost.
pub(super) async fn agent(
    phone: &mut Phone,
    script: Script,
    mut progress: watch::Receiver<Progress>,
) -> anyhow::Result<()> {
    let mut ringing = progress.clone();
    let mut leg =
        phone.answer(async || drop(reached(&mut ringing, |progress| progress.ringing).await)).await?;
    let talk = async {
        reached(&mut progress, |progress| progress.briefed).await?;
        phone.press('1')?;
        reached(&mut progress, |progress| progress.bridged).await?;
        recite(phone, &script).await
    };
    tokio::select! {
        outcome = talk => outcome,
        () = ended(&mut leg) => Ok(()),
    }
}

async fn ended(leg: &mut segue_sip::Leg) {
    while !matches!(leg.next().await, LegEvent::Ended(_)) {}
}

async fn reached(
    progress: &mut watch::Receiver<Progress>,
    wanted: impl Fn(&Progress) -> bool,
) -> anyhow::Result<()> {
    let now = progress
        .wait_for(|progress| wanted(progress) || progress.ended)
        .await
        .context("the story has ended")?;
    if wanted(&now) { Ok(()) } else { anyhow::bail!("the call ended too early") }
}
