//! Tells a call's story: an event, and the exact list of what the call wants done about it, and nothing else.
//!
//! Actions are compared as short lines. `~` marks what is only published. The words of prompts are short ones of
//! the test's own, so that a better sentence in the product breaks no story.

use std::{fmt::Write, sync::Arc, time::Duration};

use segue_acd::{AgentId, Language, Notice, QueueId, ReservationId, TicketId, Unqueued, WaitEstimate};
use segue_call::{
    Action, AgentChoice, AttemptId, Call, CallId, CallStart, CallerIdentity, ConversationNews, Declared,
    Destination, DialFailure, Entry, Event, HandoffOrder, LegEnd, Milestone, Party, PlaybackId, PlayedHow,
    Policy, Prompts, Source, Style,
};
use segue_trigger::{Advice, Rule, RuleSet, Rules, Speaker, Stage, Utterance, UtteranceId};

/// When every story begins, in seconds since the Unix epoch.
pub(crate) const BEGIN: Duration = Duration::from_secs(1_800_000_000);

pub(crate) struct Story {
    pub(crate) call: Call,
    now: Duration,
    said: u32,
    last: Vec<String>,
    /// Everything that was given, for rules over a whole story.
    pub(crate) all: Vec<Action>,
}

pub(crate) fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.speech.prompts.insert(Language::from("en"), Arc::new(short_prompts()));
    policy.times.details_pause = Duration::ZERO;
    policy.routes.keywords.insert("bill".into(), QueueId::from("billing"));
    policy.routes.reasons.insert("legal".into(), QueueId::from("legal"));
    policy
}

fn short_prompts() -> Prompts {
    serde_json::from_str(
        r#"{
        "reasons": {"explicit_request": "asked", "dtmf_zero": "pressed", "bot_failed": "broken", "agent_lost": "lost",
                    "transferred": "transferred",
                    "default": "because"},
        "queues": {"billing": "B", "default": "G"},
        "messages": {
            "greeting": "greeting", "announcement": "announce {why} {queue}",
            "announcement_apology": "sorry announce {why} {queue}", "details_offer": "+details",
            "waiting_short": "soon", "waiting": "place {position} wait {wait}",
            "waiting_overtaken": "overtaken {position} wait {wait}", "waiting_long": "long",
            "wait_between": "{least}-{most}", "wait_up_to": "0-{most}", "wait_unknown": "?",
            "still_connecting": "still {queue}", "introduction": "meet {agent}", "agent_lost": "lost {queue}",
            "sorry_full": "full {queue}", "sorry_away": "away {queue}", "sorry_closed": "closed {queue}",
            "sorry_timeout": "timeout {queue}", "sorry_limit": "limit", "sorry_broken": "broken",
            "recalled": "recalled", "then_bot": "then bot", "then_end": "then end", "goodbye": "goodbye",
            "shutting_down": "shutdown", "whisper_keys": "keys", "whisper_missing": "screen"
        }}"#,
    )
    .expect("the story's prompts are right")
}

pub(crate) fn rules() -> Arc<RuleSet> {
    thread_local! {
        static RULES: Arc<RuleSet> = Arc::new(RuleSet::new(&Rules::default()).expect("the default rules are right"));
    }
    RULES.with(Arc::clone)
}

pub(crate) fn start() -> CallStart {
    CallStart {
        id: CallId("c1".into()),
        at: BEGIN,
        caller: CallerIdentity { number: "+15550100".into(), ..CallerIdentity::default() },
        language: Language::from("en-US"),
        first_ticket: TicketId(100),
        transcribed: true,
    }
}

impl Story {
    /// A call that has just arrived.
    pub(crate) fn arrive() -> Self {
        Self::arrive_with(|_| {})
    }

    pub(crate) fn arrive_with(change: impl FnOnce(&mut Policy)) -> Self {
        Self::arrive_under(rules(), change)
    }

    fn arrive_under(rules: Arc<RuleSet>, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = policy();
        change(&mut policy);
        let call = Call::new(start(), Arc::new(policy), rules);
        let mut story = Self { call, now: BEGIN, said: 0, last: Vec::new(), all: Vec::new() };
        story.drain();
        story
    }

    /// Caller and bot talk (bot is attempt 1, the greeting was playback 1). The clock stands at 10 s.
    pub(crate) fn with_bot() -> Self {
        Self::with_bot_and(|_| {})
    }

    pub(crate) fn with_bot_and(change: impl FnOnce(&mut Policy)) -> Self {
        let mut story = Self::arrive_with(change);
        story.at(3.0).played(1).at(4.0).answered(1).at(10.0);
        story
    }

    /// Caller and bot talk, and one rule more than the default ones holds: its row, when, and what then.
    pub(crate) fn with_rule(id: &str, when: &str, then: Advice) -> Self {
        let rule =
            Rule { id: id.to_owned(), code: id.to_lowercase(), when: when.to_owned(), then, weight: 0.0 };
        let rules = Rules { rules: vec![rule], ..Rules::default() };
        let mut story =
            Self::arrive_under(Arc::new(RuleSet::new(&rules).expect("the rule is right")), |_| {});
        story.at(3.0).played(1).at(4.0).answered(1).at(10.0);
        story
    }

    /// A handoff was asked for by key at 10 s (announcement is playback 2, ticket 100).
    pub(crate) fn requested() -> Self {
        Self::requested_with(|_| {})
    }

    pub(crate) fn requested_with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut story = Self::with_bot_and(change);
        story.key(0, '0');
        story
    }

    /// Waiting at place 2, the announcement is over, the waiting message (playback 3) too. The clock stands at 20 s.
    pub(crate) fn queued() -> Self {
        let mut story = Self::requested();
        story.waiting(2, 60, 180).at(16.0).played(2).at(20.0).played(3);
        story
    }

    /// Alex is held (reservation 7) and dialled (attempt 2); the announcement is over. The clock stands at 16 s.
    pub(crate) fn offered() -> Self {
        Self::offered_with(|_| {})
    }

    pub(crate) fn offered_with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut story = Self::requested_with(change);
        story.reserved(7, "alex").at(16.0).played(2);
        story
    }

    /// Alex answered and hears the whisper (playback 3). The clock stands at 20 s.
    pub(crate) fn briefing() -> Self {
        Self::briefing_with(|_| {})
    }

    pub(crate) fn briefing_with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut story = Self::offered_with(change);
        story.ringing(2).at(20.0).answered(2);
        story
    }

    /// Alex accepted and is being introduced (playback 4). The clock stands at 25 s.
    pub(crate) fn introducing() -> Self {
        let mut story = Self::briefing();
        story.at(25.0).key(2, '1');
        story
    }

    /// Caller and Alex talk. The clock stands at 27 s.
    pub(crate) fn bridged() -> Self {
        let mut story = Self::introducing();
        story.at(27.0).played(4);
        story
    }

    /// Back with the bot after a handoff that came to nothing (playbacks 2 announcement, 3 apology). At 20 s.
    pub(crate) fn fallen_back() -> Self {
        let mut story = Self::requested();
        story.unqueued(Unqueued::EverybodyAway).at(20.0).played(3);
        story
    }

    /// Moves the clock to so many seconds after the call's beginning.
    pub(crate) fn at(&mut self, seconds: f64) -> &mut Self {
        self.now = BEGIN + Duration::from_secs_f64(seconds);
        self
    }

    pub(crate) fn on(&mut self, event: Event) -> &mut Self {
        self.call.handle(self.now, event);
        self.drain();
        self
    }

    /// Waits for the next alarm, which has to be due so many seconds after the call's beginning.
    pub(crate) fn alarm_at(&mut self, seconds: f64) -> &mut Self {
        let due = self.call.poll_timeout().expect("a call that is not over has a deadline");
        assert_eq!((due - BEGIN).as_secs_f64(), seconds, "the alarm is due at another time");
        self.at(seconds).on(Event::Alarm)
    }

    /// Compares with what the last event gave, and nothing else.
    #[track_caller]
    pub(crate) fn gives(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(self.last, expected, "\ngiven:\n{}", listed(&self.last));
        self
    }

    #[track_caller]
    pub(crate) fn gives_nothing(&mut self) -> &mut Self {
        self.gives(&[])
    }

    /// Compares without what is only published.
    #[track_caller]
    pub(crate) fn does(&mut self, expected: &[&str]) -> &mut Self {
        let done: Vec<&String> = self.last.iter().filter(|line| !line.starts_with('~')).collect();
        assert_eq!(done, expected, "\ngiven:\n{}", listed(&self.last));
        self
    }

    /// What was given last.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.last.clone()
    }

    fn drain(&mut self) {
        self.last.clear();
        while let Some(action) = self.call.poll_action() {
            let whisper = self.call.view().brief.map(|brief| brief.whisper.clone()).unwrap_or_default();
            self.last.push(line(&action, &whisper));
            self.all.push(action);
        }
    }
}

/// The events, in few words.
impl Story {
    pub(crate) fn answered(&mut self, attempt: u32) -> &mut Self {
        self.on(Event::Answered { attempt: AttemptId(attempt) })
    }

    pub(crate) fn ringing(&mut self, attempt: u32) -> &mut Self {
        self.on(Event::Ringing { attempt: AttemptId(attempt) })
    }

    pub(crate) fn failed(&mut self, attempt: u32, failure: DialFailure) -> &mut Self {
        self.on(Event::Failed { attempt: AttemptId(attempt), failure })
    }

    pub(crate) fn ended(&mut self, attempt: u32, cause: LegEnd) -> &mut Self {
        self.on(Event::Ended { attempt: AttemptId(attempt), cause, declared: None })
    }

    /// Nothing was heard of a leg for six seconds.
    pub(crate) fn dead(&mut self, attempt: u32) -> &mut Self {
        self.on(Event::Dead { attempt: AttemptId(attempt), silent: Duration::from_secs(6) })
    }

    pub(crate) fn hung_up(&mut self, attempt: u32) -> &mut Self {
        self.ended(attempt, LegEnd::HungUp)
    }

    pub(crate) fn ended_declaring(&mut self, attempt: u32, declared: Declared) -> &mut Self {
        let (attempt, cause) = (AttemptId(attempt), LegEnd::HungUp);
        self.on(Event::Ended { attempt, cause, declared: Some(declared) })
    }

    pub(crate) fn played(&mut self, playback: u32) -> &mut Self {
        self.on(Event::Played { playback: PlaybackId(playback), how: PlayedHow::Finished })
    }

    pub(crate) fn key(&mut self, attempt: u32, key: char) -> &mut Self {
        self.on(Event::Key { attempt: AttemptId(attempt), key })
    }

    pub(crate) fn chose(&mut self, attempt: u32, choice: AgentChoice) -> &mut Self {
        self.on(Event::AgentChose { attempt: AttemptId(attempt), choice })
    }

    /// A finished utterance with the next number.
    pub(crate) fn says(&mut self, speaker: Speaker, text: &str) -> &mut Self {
        self.said += 1;
        let utterance = self.utterance(self.said, speaker, text, Stage::Final);
        self.on(Event::Heard(utterance))
    }

    /// The beginning of an utterance that gets the next number, and keeps it until it is final.
    pub(crate) fn begins_to_say(&mut self, speaker: Speaker, text: &str) -> &mut Self {
        let utterance = self.utterance(self.said + 1, speaker, text, Stage::Partial);
        self.on(Event::Heard(utterance))
    }

    pub(crate) fn utterance(&self, id: u32, speaker: Speaker, text: &str, stage: Stage) -> Utterance {
        let (start, end) = (self.now.saturating_sub(Duration::from_secs(1)), self.now);
        Utterance {
            id: UtteranceId(id),
            speaker,
            text: text.into(),
            start,
            end,
            confidence: 0.9,
            stage,
            level: None,
        }
    }

    pub(crate) fn waiting(&mut self, position: u32, least: u64, most: u64) -> &mut Self {
        self.waiting_as(100, position, (least, most))
    }

    pub(crate) fn waiting_as(&mut self, ticket: u64, position: u32, (least, most): (u64, u64)) -> &mut Self {
        let wait = WaitEstimate { least: Duration::from_secs(least), most: Duration::from_secs(most) };
        self.on(Event::Notice(Notice::Waiting { ticket: TicketId(ticket), position, wait }))
    }

    pub(crate) fn reserved(&mut self, reservation: u64, agent: &str) -> &mut Self {
        self.reserved_as(100, reservation, agent)
    }

    pub(crate) fn reserved_as(&mut self, ticket: u64, reservation: u64, agent: &str) -> &mut Self {
        let mut name = agent.to_owned();
        name.get_mut(..1).expect("the agent has a name").make_ascii_uppercase();
        self.on(Event::Notice(Notice::Reserved {
            ticket: TicketId(ticket),
            reservation: ReservationId(reservation),
            agent: AgentId::from(agent),
            agent_name: name,
        }))
    }

    pub(crate) fn unqueued(&mut self, why: Unqueued) -> &mut Self {
        self.unqueued_as(100, why)
    }

    pub(crate) fn unqueued_as(&mut self, ticket: u64, why: Unqueued) -> &mut Self {
        self.on(Event::Notice(Notice::Unqueued { ticket: TicketId(ticket), why }))
    }

    pub(crate) fn asked(&mut self, queue: Option<&str>) -> &mut Self {
        let (by, reason, queue) = ("crm".into(), "vip".into(), queue.map(str::to_owned));
        self.on(Event::Asked(HandoffOrder { by, reason, queue }))
    }

    pub(crate) fn recalled(&mut self, handoff: u32) -> &mut Self {
        self.on(Event::Recalled { handoff })
    }
}

pub(crate) fn declared(reason: &str) -> Declared {
    Declared { reason: reason.into(), ..Declared::default() }
}

fn listed(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "    {line:?},").expect("a string can be written to");
        text
    })
}

/// One action in one line. `whisper` is the newest brief's.
fn line(action: &Action, whisper: &str) -> String {
    let words = |style: Style, text: &str| match style {
        Style::Whisper if text == whisper => "<whisper>".to_owned(),
        Style::Whisper | Style::Announcement => text.to_owned(),
    };
    match action {
        Action::AnswerCaller => "answer caller".into(),
        Action::RefuseCaller { why } => format!("refuse caller {why:?}"),
        Action::Dial { attempt, to: Destination::Bot } => format!("dial {} bot", attempt.0),
        Action::Dial { attempt, to: Destination::Agent(agent) } => format!("dial {} {agent}", attempt.0),
        Action::HangUp { attempt, why } => format!("hang up {} {why:?}", attempt.0),
        Action::Wire { ears } => {
            let ears: Vec<String> =
                ears.iter().map(|(ear, source)| format!("{}<-{}", party(*ear), heard(*source))).collect();
            format!("wire {}", ears.join(" "))
        }
        Action::Play { playback, ear, prompt } => {
            format!("play {} {}: {}", playback.0, party(*ear), words(prompt.style, &prompt.text))
        }
        Action::StopPlay { playback } => format!("stop {}", playback.0),
        Action::Prepare { prompt } => format!("prepare {}", words(prompt.style, &prompt.text)),
        Action::Enqueue { ticket } => {
            let waited = (ticket.since.saturating_sub(BEGIN)).as_secs_f64();
            format!("enqueue {} {} since {waited}", ticket.id, ticket.queue)
        }
        Action::Withdraw { ticket } => format!("withdraw {ticket}"),
        Action::AgentRefused { reservation, refusal } => format!("refused {reservation} {refusal:?}"),
        Action::AgentTook { reservation } => format!("took {reservation}"),
        Action::AgentFree { reservation } => format!("free {reservation}"),
        Action::AgentMoved { reservation, to } => {
            format!("moved {reservation} {}", to.as_ref().map_or("outside", |to| &to.0))
        }
        Action::ShowBrief { agent, .. } => format!("show brief {agent}"),
        Action::Promise(entry) => format!("promise {}", kept(entry)),
        Action::Note(entry) => format!("note {}", kept(entry)),
        Action::Publish(milestone) => format!("~ {}", told(milestone)),
        Action::Finished => "finished".into(),
    }
}

fn party(party: Party) -> &'static str {
    match party {
        Party::Caller => "caller",
        Party::Bot => "bot",
        Party::Agent => "agent",
    }
}

fn heard(source: Source) -> &'static str {
    match source {
        Source::Quiet => "quiet",
        Source::Hold => "hold",
        Source::Voice(of) => party(of),
    }
}

fn kept(entry: &Entry) -> String {
    match entry {
        Entry::HandoffOpened { handoff, decision, .. } => {
            format!("opened {handoff} {} {}", decision.primary.rule, decision.primary.code)
        }
        Entry::Ticket { handoff, queue, .. } => format!("ticket {handoff} {queue}"),
        Entry::BriefDelivered { handoff, agent, .. } => format!("brief {handoff} {agent}"),
        Entry::Accepted { handoff, agent } => format!("accepted {handoff} {agent}"),
        Entry::Bridged { handoff, agent } => format!("bridged {handoff} {agent}"),
        Entry::HandoffClosed { handoff, state } => format!("closed {handoff} {state:?}"),
        Entry::Echo { utterance, rest } => {
            let rest = rest.as_deref().map(|rest| format!(", but {rest}")).unwrap_or_default();
            format!("echo {}{rest}", utterance.0)
        }
        Entry::TranscriptGap(gap) => format!("gap {:?}", gap.cause),
        Entry::LegMeasured(leg) => format!("measured {}", leg.attempt.0),
        Entry::CallRecord(record) => {
            let states: Vec<String> =
                record.handoffs.iter().map(|handoff| format!(" {:?}", handoff.state)).collect();
            format!("record by {:?}{}", record.ended_by, states.concat())
        }
    }
}

fn told(milestone: &Milestone) -> String {
    match milestone {
        Milestone::Phase { phase } => format!("{phase:?}"),
        Milestone::Heard(utterance) => format!("heard {:?} {}", utterance.speaker, utterance.text),
        Milestone::Decided(decision) => {
            format!("decided {} {}", decision.primary.rule, decision.primary.code)
        }
        Milestone::Handoff { handoff, state, agent } => {
            let agent = agent.as_ref().map(|agent| format!(" {agent}")).unwrap_or_default();
            format!("handoff {handoff} {state:?}{agent}")
        }
        Milestone::Waiting { position, .. } => format!("waiting {position}"),
        Milestone::Saying { ear, .. } => format!("saying to {}", party(*ear)),
        Milestone::Leg { party: whose, up, .. } => {
            format!("{} leg {}", party(*whose), if *up { "up" } else { "down" })
        }
        Milestone::Conversation(news) => conversation(news),
        Milestone::TranscriptGap(gap) => format!("gap {:?}", gap.cause),
        Milestone::Recording(news) => format!("recording {news:?}"),
        Milestone::Quality { attempt, .. } => format!("quality of {}", attempt.0),
        Milestone::Brief(brief) => format!("brief {}", brief.revision),
        Milestone::Ended { by } => format!("ended by {by:?}"),
    }
}

fn conversation(news: &ConversationNews) -> String {
    match news {
        ConversationNews::Language { language, prompts, queued_as, .. } => {
            let queued = queued_as.as_ref().map(|queued| format!(", queued as {queued}")).unwrap_or_default();
            format!("language {language}, prompts {prompts}{queued}")
        }
        ConversationNews::BargeIn { over, .. } => format!("barge in over {}", over.map_or("a prompt", party)),
        ConversationNews::TalkOver { with, length, .. } => {
            format!("talk over with {} for {} ms", party(*with), length.as_millis())
        }
        ConversationNews::Echo { party: whose, words, .. } => {
            format!("echo of {words} from {}", party(*whose))
        }
    }
}
