//! `segue demo`: one process, one whole call handed over, with real SIP and RTP on loopback.
//!
//! The gateway is the one that `serve` runs. Three phones call each other through it; the words are recognised from
//! their sound. What is printed is what the gateway tells its subscribers; what is judged is what the phones heard.

mod actors;
mod ear;
mod phone;
mod story;
mod summary;

use std::{net::Ipv4Addr, path::Path, process::ExitCode, time::Duration};

use anyhow::Context;
use segue_acd::{AcdConfig, AgentConfig, AgentId, Language, QueueConfig, QueueId};
use segue_api::{Feed, News as Told};
use segue_call::{Prompt, Style};
use segue_media::EngineConfig;
use segue_store::{CallFilter, Store, StoreConfig};
use segue_trigger::Rules;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::{
    actors::Script,
    phone::Phone,
    story::{Progress, Story},
    summary::Heard,
};
use crate::{
    call::Parts,
    cli::DemoArgs,
    clock::Clock,
    config::{Config, Media, RecognitionEngine, Settings},
    gateway::{Gateway, Knock},
    media::MediaPlane,
    telemetry::{self, say},
};

/// The demo takes less than a minute; one that takes longer hangs.
const DEMO_MAX: Duration = Duration::from_secs(120);

/// The demo's event log, made anew each time.
const LOG: &str = "demo.db";

/// Runs the demo. Exit code 0 means that every invariant held.
///
/// # Errors
/// Something cannot be opened; the text says what to do.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    telemetry::start(if args.log { "info" } else { "error" }, false)?;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("demo").build()?;
    let sound = runtime.block_on(perform(args))?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn perform(args: &DemoArgs) -> anyhow::Result<bool> {
    let clock = Clock::start();
    let cancel = CancellationToken::new();
    let engine = EngineConfig { watchdog: Duration::ZERO, ..EngineConfig::default() };
    let plane = MediaPlane::start(&ports(42_000), &engine, clock)?;
    let mut phones = Phones {
        caller: Phone::plug_in("caller", &plane, &cancel).await?,
        bot: Phone::plug_in("bot", &plane, &cancel).await?,
        agent: Phone::plug_in("alex", &plane, &cancel).await?,
    };
    let gateway = Gateway::start(config(args, &phones)?, clock).await?;
    let (parts, door) = (gateway.parts(), gateway.door());
    let mut running = JoinSet::new();
    running.spawn(gateway.run());
    say(
        "One call is handed over on this machine. The demo's speech model knows a thousand words of synthetic voices.\n",
    );

    let (told, progress) = watch::channel(Progress::default());
    let done = CancellationToken::new();
    let acting = async {
        let asked = tokio::time::timeout(DEMO_MAX, act(&mut phones, args, &parts, progress)).await;
        done.cancel();
        asked.context("the demo takes too long and is stopped").flatten()
    };
    let (asked, story) = tokio::join!(acting, tell(&parts.feed, &told, &done));
    if let Err(error) = &asked {
        say(&format!("\nthe call did not go as planned: {error:#}"));
    }
    let whisper = story.whisper.as_ref().and_then(|(_, text)| {
        let prompt = Prompt { text: text.clone(), language: "en".to_owned(), style: Style::Whisper };
        parts.voice.cached(&prompt)
    });
    let heard = Heard {
        caller: phones.caller.ear.recording(),
        bot: phones.bot.ear.recording(),
        agent: phones.agent.ear.recording(),
        whisper,
        asked: asked.ok(),
    };
    drop(door.send(Knock::Stop).await);
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    cancel.cancel();
    let replayed = replay(&args.out).await?;
    let sound = summary::conclude(&story, &heard, replayed, &args.out)?;
    drop(phones);
    plane.finish();
    Ok(sound && heard.asked.is_some())
}

/// Whether every call in the demo's event log makes the same decisions again.
async fn replay(out: &Path) -> anyhow::Result<bool> {
    let store = Store::open_to_read(out.join(LOG), StoreConfig::default()).await?;
    let calls = store.calls(&CallFilter::default()).await?.calls;
    let mut same = !calls.is_empty();
    for call in calls {
        same &= store.replay(&call.call, None).await?.is_some_and(|replay| replay.same());
    }
    Ok(same)
}

struct Phones {
    caller: Phone,
    bot: Phone,
    agent: Phone,
}

/// Lets the three talk; gives the moment at which the caller had finished asking for a human.
async fn act(
    phones: &mut Phones,
    args: &DemoArgs,
    parts: &Parts,
    progress: watch::Receiver<Progress>,
) -> anyhow::Result<Duration> {
    let address = parts.sip.addresses().udp.first().copied().context("the gateway has no address")?;
    let gateway = format!("sip:help@{address}");
    let clock = parts.clock;
    let (asked, (), ()) = tokio::try_join!(
        actors::caller(
            &mut phones.caller,
            &gateway,
            Script::caller(&args.say)?,
            progress.clone(),
            move || clock.now()
        ),
        actors::bot(&mut phones.bot, Script::bot()?),
        actors::agent(&mut phones.agent, Script::agent()?, progress),
    )?;
    Ok(asked)
}

/// Follows the gateway's news until the call is over or the demo is done.
async fn tell(feed: &Feed, told: &watch::Sender<Progress>, done: &CancellationToken) -> Story {
    let mut story = Story::default();
    let mut seen = feed.newest();
    loop {
        match feed.after(seen, usize::MAX) {
            Ok(items) => {
                for item in items {
                    seen = item.sequence;
                    if let Told::Call(_, milestone) = &item.news {
                        story.tell(item.at, milestone);
                    }
                }
            }
            Err(gap) => seen = gap.resume,
        }
        told.send_replace(story.progress);
        if story.progress.ended || done.is_cancelled() {
            return story;
        }
        tokio::select! {
            _more = feed.wait_beyond(seen) => {}
            () = done.cancelled() => {}
        }
    }
}

/// A gateway as `serve` runs it, with one bot and one agent, and the demo model.
fn config(args: &DemoArgs, phones: &Phones) -> anyhow::Result<Config> {
    for ending in ["", "-wal", "-shm"] {
        let stale = args.out.join(format!("{LOG}{ending}"));
        if stale.exists() {
            std::fs::remove_file(&stale).with_context(|| stale.display().to_string())?;
        }
    }
    let mut settings = Settings::default();
    settings.sip.udp = vec![(Ipv4Addr::LOCALHOST, 0).into()];
    settings.sip.tcp = Vec::new();
    settings.media = ports(43_000);
    settings.bot.uri.clone_from(&phones.bot.uri);
    settings.recognition.engine = RecognitionEngine::Whisper;
    settings.recognition.model = "demo".to_owned();
    settings.recognition.models.clone_from(&args.models);
    settings.recognition.allow_demo_model = true;
    settings.store.path = args.out.join(LOG);
    let agent = AgentConfig {
        id: AgentId::from("alex"),
        name: "Alex".to_owned(),
        address: Some(phones.agent.uri.clone()),
        user: None,
        skills: std::collections::BTreeSet::new(),
        languages: [Language::from("en")].into(),
        starts_away: false,
    };
    let queue = QueueConfig {
        id: QueueId::from("general"),
        spoken: "a member of our team".to_owned(),
        skills: std::collections::BTreeSet::new(),
        size_limit: 10,
        handle_time: Duration::from_secs(60),
        fallback: Vec::new(),
        hours: None,
    };
    let people = AcdConfig { agents: vec![agent], queues: vec![queue], ..AcdConfig::default() };
    Ok(Config { settings, rules: Rules::default(), people, warnings: Vec::new() })
}

fn ports(first: u16) -> Media {
    Media { port_first: first, port_last: first + 99, threads: 1, ..Media::default() }
}
