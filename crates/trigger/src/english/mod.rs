//! What is listened for in English, as shipped. Configuration may replace any of it.

mod sentiment;
mod talk;
mod topics;

use std::collections::BTreeMap;

use crate::rules::{GuardRules, LanguageRules, RequestRules};

/// The English rules.
pub(crate) fn rules() -> LanguageRules {
    LanguageRules {
        expansions: pairs(EXPANSIONS),
        noise: list(NOISE),
        request: RequestRules {
            classes: CLASSES.iter().map(|(name, phrases)| ((*name).to_owned(), list(phrases))).collect(),
            tolerant: list("talk, connect, kind, human, one, place"),
            distinct: list(DISTINCT),
            patterns: lines(PATTERNS),
            whole: lines(WHOLE),
            refusals: lines(REFUSALS),
            around: list(AROUND),
            complete: list("please, now"),
            compounds: lines(COMPOUNDS),
            determiners: list("a, an, the, some, any, another, your, real, actual, live"),
            guards: GuardRules {
                negations: list(NEGATIONS),
                exceptions: list(EXCEPTIONS),
                reports: list(REPORTS),
                own: list("i, we, have, just, already, am, keep, kept"),
                subjects: list("i, we, you, he, she, they, somebody, someone"),
                conditions: list(CONDITIONS),
                transparent: list(TRANSPARENT),
            },
        },
        frustration: list(FRUSTRATION),
        profanity: list(PROFANITY),
        urgency: list(URGENCY),
        sentiment: sentiment::rules(),
        talk: talk::rules(),
        topics: topics::sets(),
    }
}

/// Phrases between commas.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|phrase| !phrase.is_empty()).map(str::to_owned).collect()
}

/// One pattern a line; a line that begins with `#` is a heading.
fn lines(text: &str) -> Vec<String> {
    let told = |line: &&str| !line.is_empty() && !line.starts_with('#');
    text.lines().map(str::trim).filter(told).map(str::to_owned).collect()
}

/// `short: long` between commas.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |entry: &str| {
        let (short, long) = entry.split_once(':')?;
        Some((short.trim().to_owned(), long.trim().to_owned()))
    };
    text.split(',').filter_map(pair).collect()
}

const EXPANSIONS: &str = "\
    i'd: i would, i'm: i am, im: i am, i've: i have, ive: i have, i'll: i will, we'd: we would, \
    we're: we are, we've: we have, you'd: you would, you're: you are, there's: there is, it's: it is, \
    that's: that is, who's: who is, he's: he is, she's: she is, they're: they are, let's: let us, \
    wanna: want to, gonna: going to, gotta: got to, gimme: give me, lemme: let me, cannot: cant, \
    pls: please, plz: please";

const NOISE: &str = "\
    um, uh, uhm, umm, er, erm, ah, hmm, mm, please, just, really, actually, simply, kindly, maybe, \
    perhaps, literally, honestly, seriously, directly, immediately, quickly, now, fucking, freaking, \
    fricking, bloody, damn, goddamn, damned, effing, stupid, already, still, finally";

const CLASSES: &[(&str, &str)] = &[
    ("i", "i, we, id, ill"),
    ("me", "me, us, my call, this call, the call, this"),
    ("to", "to, with, too, two, 2"),
    (
        "talk",
        "talk, tawk, tok, tock, speak, speaking, talking, chat, converse, communicate, have a word, \
         have a conversation, get in touch, be in touch, be speaking, be talking",
    ),
    (
        "det",
        "a, an, the, uh, some, any, another, your, one of your, one of the, some kind of, some sort of, \
         somebody, someone, an other, more, at least a, whoever is the, their",
    ),
    (
        "kind",
        "real, really, actual, live, life, alive, living, human, physical, genuine, proper, different, \
         senior, competent, other, customer service, customer support, customer care, \
         customer relations, customer, service, support, technical support, tech support, technical, \
         tech, billing, sales, account, accounts, claims, call center, call centre, phone, \
         flesh and blood, breathing, english speaking, higher up, first available, next available, \
         available, team, floor, shift, duty, complaints, refunds, returns, trained, qualified, \
         knowledgeable, good, normal, single, helpful",
    ),
    (
        "human",
        "agent, agents, a gent, human, humans, human being, human beings, representative, \
         representatives, rep, reps, operator, operators, manager, managers, supervisor, supervisors, \
         advisor, adviser, associate, attendant, receptionist, consultant, specialist, csr, team member, \
         staff member, member of staff, member of your team, member of the team, member of your staff, \
         person in charge, real people, real person, team leader, team lead, colleague, employee, \
         support team, service team, support staff, customer service, customer support, customer care, \
         customer relations, tech support, technical support, help desk, helpdesk, service desk, \
         front desk, switchboard, superior, boss, higher up, live support, human support, real human, \
         living soul, someone real, \
         somebody real, anyone real",
    ),
    (
        "one",
        "person, people, someone, somebody, some one, some body, anyone, anybody, any one, any body, \
         someone else, somebody else, individual, guy, lady, soul, human voice",
    ),
    (
        "place",
        "billing, sales, accounting, accounts, claims, retention, retentions, cancellations, returns, \
         refunds, complaints, support, fraud, collections, reservations, loyalty, shipping, payments",
    ),
    (
        "connect",
        "connect, transfer, put, patch, pass, hand, switch, redirect, forward, direct, route, send, \
         move, link, hook, refer, escalate, take, get, bring, reconnect, \
         connecting, transferring, putting, handing, passing",
    ),
    (
        "connected",
        "connected, transferred, put, patched, passed, handed, switched, redirected, forwarded, routed, \
         moved, escalated",
    ),
    (
        "through",
        "through, over, on, across, up, back, straight, right, on the phone, on the line, off, in touch, \
         right through, straight through, thru, in contact",
    ),
    (
        "want",
        "want, need, require, demand, prefer, request, would like, like, would prefer, would love, \
         would rather have, rather have, must have, want to have, need to have, would like to have, \
         insist on, ask for, asking for, asked for, looking for, requesting, want to see, want to get, \
         need to get, would like to get, need to find, want to reach, need to reach, \
         would like to reach, trying to reach, trying to get, got to have, have to have, \
         want to ask for, would like to request, want to request, calling for, wanted",
    ),
    ("get", "get, give, bring, find, fetch, send, grab, pull, let me have, let me get, page"),
    (
        "can",
        "can, could, may, might, how do, how can, how could, how would, where do, where can, cant, \
         couldnt, do",
    ),
    (
        "reach",
        "have, get, reach, contact, see, find, get hold of, get a hold of, get to, get through to, \
         request, ask for, call, get you to get me, dial",
    ),
    (
        "machine",
        "robot, robots, bot, bots, machine, machines, computer, computers, chat bot, chatbot, voice bot, \
         automated system, automated voice, ai, a i, recording, recordings, automaton, \
         virtual assistant, virtual agent, voice assistant, automated assistant, answering machine",
    ),
];

const DISTINCT: &str = "\
    agency, agencies, agenda, agents, urgent, manage, manages, managed, managing, management, operate, \
    operated, operating, operation, operations, operates, personal, personally, personals, represent, \
    representation, represented, representing, represents, supervise, supervision, supervised, advice, \
    advise, advised, associated, association, special, specialty, specially, specialists, attend, \
    attended, attendance, consult, consulting, employ, employed, employer, customs, custom, lived, \
    lives, leave, love, line, read, red, rail, role, rule, meal, deal, boat, passed, past, path, paste, \
    pets, hands, sand, sent, bend, lend, lift, transferred, transfers, connection, connects, forwards, \
    afford, reason, persons, humor, humane, peoples, purple, switched, directs, direction, directions, \
    movie, moved, route, router, routers, speaker, speakers, peak, sneak, chats, chart, charts, cheat, \
    service, services, server, supports, supported, building, sale, sails, account, accounted, amount, \
    amounts, claim, claimed, received, refund, refunded, return, returned, complaint, support, patches, \
    batch, match, catch, watch, sooner, someday, somewhere, anyway, anywhere, bossy, loss, toss, \
    collage, college, teams, term, them, time, floors, flour, shift, shirt, physically, technically, \
    technique, billion, living, giving, leaving, leading, actually, prison, prisons, parsing";

const PATTERNS: &str = "
    # talk to a human
    <talk> <to> [<det>] [<kind>] [<kind>] [<kind>] <human>
    <talk> <to> [<det>] [<kind>] [<kind>] <one>
    <talk> <to> [<det>] <place> [department|team|office|desk|people]
    <talk> [<det>] [<kind>] real|live|human <one|human>
    # i need an agent
    <i> [am|have|do|would|will] [been] <want> [<det>] [<kind>] [<kind>] [<kind>] <human>
    <i> [am|have|do|would|will] [been] <want> [<det>] [<kind>] [<kind>] <one>
    ^ <want> [<det>] [<kind>] [<kind>] [<kind>] <human>
    ^ <want> [<det>] [<kind>] [<kind>] <one>
    <i> [would] <want> [<det>] human|live|in_person [customer] help|assistance|support|interaction|contact|service
    # get me a person
    <get> me|us [to] [on] [<det>] [<kind>] [<kind>] [<kind>] <human>
    <get> me|us [to] [on] [<det>] [<kind>] [<kind>] <one>
    get|put|bring|call|send [<det>] [<kind>] [<kind>] <human|one> on|over|in|here|involved
    waiting for|on a|an|another [<kind>] [<kind>] <human|one>
    complain to [<det>] [<kind>] [<kind>] <human|one>
    <one> [from|in|on] [your|the] [team|staff|company|support] <talk> <to> me|us
    ^ get|call|bring|fetch|page [<det>] [<kind>] [<kind>] <human>
    let me [have|get|see] <det> [<kind>] [<kind>] <human>
    # connect me with someone
    <connect> <me> [<through>] [<through>] <to> [<det>] [<kind>] [<kind>] [<kind>] <human>
    <connect> <me> [<through>] [<through>] <to> [<det>] [<kind>] [<kind>] <one>
    <connect> <me> [<through>] [<through>] <to> [<det>] <place> [department|team|office|desk|people]
    <connect> <me> [<through>] [<through>] <to> [<det>] customer|billing|technical|sales|support|right|correct|other department|team|office
    connect|transfer|escalate|reconnect <to> [<det>] [<kind>] [<kind>] <human|one>
    be|get <connected> [<through>] [<through>] <to> [<det>] [<kind>] [<kind>] <human|one|place>
    escalate this|it|my|me|the [call|case|issue|problem|to|ticket]
    # is there a human
    is|are there [<det>] [<kind>] [<kind>] <human>
    is|are there [<det>] real|live|human|actual <one>
    <human|one> [that|who|whom] i|we can|could|may|might <talk> <to>
    <human|one> [that|who|whom] i|we can|could|may|might <talk>
    <one> who|that can|could|might|will|knows [help|fix|understand|understands|assist|explain|answer]
    who can|could|do i|we <talk> <to>
    <can> i|we <reach> [me] [<det>] [<kind>] [<kind>] <human>
    can|could|would|will|cant you get|find|call|reach|page|bring [me|us] [<det>] [<kind>] [<kind>] <human>
    <can> i|we <reach> [<det>] real|live|human|actual|different <one>
    <can> i|we <reach> [<det>] <one>
    can|could|may|would <det> [<kind>] [<kind>] <human> help|call|assist|take|talk|speak
    <want> to be <connected>
    have|let|ask [<det>] [<kind>] [<kind>] <human|one> call|contact|ring|phone me|us
    prefer|rather [to] <talk> [to] <human|one>
";

const WHOLE: &str = "
    [<det>] [<kind>] <human> for|in|from [the] <place>
    i [have] said|asked [for] [<det>] [<kind>] [<kind>] <human>
    for <det> [<kind>] [<kind>] <human>
    [<det>] [<kind>] [<kind>] [<kind>] <human>
    [<det>] real|live|human|actual|living|physical <one>
    [<det>] person|someone_real|somebody_real|human_person|warm_body
    [<det>] <place> department|team
    [can|could|would|will] [you] transfer|connect|escalate [me|us|this] [to]
    someone|somebody else
    human|live|personal help|assistance|support|interaction|service|contact
    zero|press_zero|agent_zero
    put me through
";

const REFUSALS: &str = "
    dont|not|wont|cant|never|refuse|hate|no [to] [<want>] [to] [be] [<talk>] <to> [<det>] [<kind>] <machine>
    dont|not <want> [<det>] [<kind>] <machine>
    tired|sick|done [of] <talk> <to> [<det>] [<kind>] <machine>
    no more [<det>] <machine>
    stop <talk> <to> [<det>] <machine>
    get|take me off|away [of|from] [<det>|this] <machine>
";

const AROUND: &str = "\
    hello, hi, hey, yes, yeah, yep, no, nope, nah, okay, ok, so, well, right, look, listen, sorry, good, \
    morning, afternoon, evening, thanks, thank, you, oh, and, but, come, on, alright, all, like, then, maam, excuse, me, sir";

const COMPOUNDS: &str = "
    human resources|resource|error|rights|nature|body|trafficking|readable|anatomy|made
    agent of record|orange
    agents of shield
    <human> number|numbers|name|names|id|ids|code|codes|position|positions|job|jobs|role|roles|fee|fees|password
    <human> portal|badge|login|license|licence|certificate|manual|training|salary|discount|handbook|app|status
    <human> email|address|extension|commission|contract|agreement|review|rating|level|access|account|dashboard
    need|want|get|send someone|somebody|people|anyone|anybody to come|fix|install|deliver|repair|pick|clean|sign|collect|drop|replace
    person to come|install|deliver|repair|pick|clean|sign|collect|replace
    need|want someone|somebody|anyone in my|our|his|her
    person at|from the|my|that store|shop|bank|office|desk|counter
    person of interest
    person name|names|id
    people search|finder
    two person|people
    manager of my|our
    agent smith
    talking to someone else
";

const NEGATIONS: &str = "\
    dont, not, never, didnt, doesnt, wont, wouldnt, cant, couldnt, shouldnt, neednt, isnt, no need, \
    no reason, no point, no desire, no wish, no interest, without, instead of, rather than, aint, \
    hardly, nobody, no one, refuse, stop, avoid, hate";

const EXCEPTIONS: &str = "\
    why not, what do i have to do, what do i need to do, is it possible, is it okay, is it ok, i wont to, \
    why dont, why cant, why wont, can you not, could you not, cant wait, not just, not only, \
    would you not, no you dont, if i may, if i could, if i can, if you could, if you can, if you would, \
    if you dont mind, dont mind, wouldnt mind, do not mind, would not mind, cant seem, dont care, \
    dont make me, i cant not, dont you, not going away until, not hanging up until, if possible";

const REPORTS: &str = "\
    said, says, say, saying, told, tells, telling, asked, asks, mentioned, claimed, claims, wrote, \
    writes, suggested, suggests, advised, recommended";

const CONDITIONS: &str = "\
    do i need, do i have, do we need, do we have, do i want, do you need, do you want, should i, \
    would i need, would i have, will i need, will i have, did i, did you, did we, if i, if we, if you, \
    if they, when i, when we, whenever i, before i, after i, until i, unless i, once i, last time i, \
    every time i, am i, are you, are we, is this, is it, you need, they need, you want, they want, \
    he wants, she wants, people need, you can, used to, while i, was i, were you, i was, we were, \
    i used, i might need, i may need, what happens if, supposed to be, why would i, why do i, \
    why should i, why do you, how often, how much, have to pay, cost to, he can, she can, they can, \
    he needs, she needs, as if, as though, about to";

const TRANSPARENT: &str = "\
    i, we, you, me, us, to, be, that, have, has, had, do, did, does, am, are, is, was, were, want, \
    wants, wanted, need, needs, needed, would, will, should, could, can, like, think, know, believe, \
    feel, care, mean, even, ever, necessarily, particularly, any, longer, wish, going, trying, looking, \
    asking, try, ask, get, getting, let, make, made, got, rather, being, having, for, of, in, no, a, \
    the, there, quite, interested, plan, planning, intend, able, might, may, must, go, call, it, much, \
    he, she, they, forced, force";

const FRUSTRATION: &str = "\
    this is ridiculous, this is frustrating, so frustrating, i am frustrated, so frustrated, fed up, \
    sick of this, tired of this, waste of time, wasting my time, you are not listening, not listening, \
    you dont understand, you do not understand, you are not helping, not helping, not helpful, useless, \
    this is not working, it is not working, doesnt work, not what i asked, not what i said, i told you, \
    i have told you, i said that, how many times, for the third time, for the last time, already told, \
    over and over, going in circles, going around in circles, this is a joke, unacceptable, \
    unbelievable, terrible service, worst service, horrible, this is crazy, give up, that is wrong, \
    that is not right, you keep, losing my patience, had enough, forget it, never mind, are you kidding, \
    are you serious, what is wrong with you, stop asking, not again, disappointed";

const PROFANITY: &str = "\
    fuck, fucking, fucked, fuck you, shit, shitty, bullshit, asshole, bastard, bitch, damn, damn it, \
    dammit, goddamn, goddamn it, crap, piss off, pissed, pissed off, screw you, what the hell, \
    go to hell, bloody hell, wtf, idiot, moron, freaking, effing, arsehole";

const URGENCY: &str = "\
    fraud, fraudulent, stolen, hacked, emergency, urgent, urgently, right away, as soon as possible, \
    outage, unauthorized, unauthorised, scam, scammed, locked out, identity theft, breach, ambulance, \
    police, bleeding, chest pain";
