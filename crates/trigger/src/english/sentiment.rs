//! What English words say about the caller's mood: weights from −4 to 4.

use std::collections::BTreeMap;

use super::list;
use crate::rules::SentimentRules;

pub(super) fn rules() -> SentimentRules {
    let weigh = |classes: &[(f64, &str)]| -> BTreeMap<String, f64> {
        classes
            .iter()
            .flat_map(|(weight, phrases)| list(phrases).into_iter().map(|phrase| (phrase, *weight)))
            .collect()
    };
    SentimentRules {
        weights: weigh(WEIGHTS),
        strength: weigh(STRENGTH),
        negations: list(NEGATIONS),
        turns: list("but, however, although"),
    }
}

const WEIGHTS: &[(f64, &str)] = &[
    (
        -4.0,
        "furious, disgusting, disgusted, outrageous, livid, enraged, hate, hate you, worst, scam, scammed, fraud, \
         sue, sue you, fuck, fuck you, fucking, bullshit, nightmare, despise, appalling, atrocious, abysmal, criminal",
    ),
    (
        -3.5,
        "horrible, terrible, awful, pathetic, ridiculous, unacceptable, incompetent, idiot, idiots, moron, morons, \
         shit, crap, garbage, rubbish, useless, worthless, insulting, rip off, ripped off, robbery, screw you, \
         waste of time, wasting my time, sick of, fed up, sick and tired, had enough, hopeless, dreadful",
    ),
    (
        -3.0,
        "angry, mad, frustrated, frustrating, frustration, annoying, annoyed, infuriating, hell, damn, damn it, stupid, \
         joke, liar, liars, lying, lied, cheat, cheated, stole, shocking, disgrace, disgraceful, shameful, insane, \
         not listening, going in circles, over and over, how many times, never again, losing my patience, \
         unbelievable, bloody",
    ),
    (
        -2.5,
        "bad, poor, disappointed, disappointing, upset, upsetting, unhappy, unfair, complain, complaint, complaining, \
         broken, wrong, fail, failed, fails, failure, failing, mess, messed up, disaster, ruined, tired of, crazy, \
         nonsense, rude, dishonest, absurd, desperate, stressed, stressful, dissatisfied, unprofessional",
    ),
    (
        -2.0,
        "problem, problems, issue, issues, error, errors, trouble, worried, worry, concerned, confused, confusing, \
         stuck, difficult, hard, lost, missing, damaged, empty, cancelled, refused, ignored, \
         overcharged, charged twice, not working, doesnt work, didnt work, still waiting, nobody, sorry, sad, afraid, \
         scared, cant believe, hung up on, no answer, give up, forget it, never mind, pointless",
    ),
    (
        -1.5,
        "late, delayed, delay, slow, long time, too long, expensive, too expensive, too much, unclear, strange, weird, \
         complicated, already told, keep, keeps, unfortunately, inconvenient, nothing, worse, lousy, bother",
    ),
    (
        1.5,
        "fine, okay, clear, easy, fair, correct, right, quick, quickly, useful, interested, hope, hopefully, sure",
    ),
    (
        2.0,
        "good, nice, thanks, thank you, glad, happy, pleased, helpful, works, working, worked, fixed, solved, \
         better, polite, friendly, kind, appreciate, appreciate it, welcome, enjoy, satisfied, relief, relieved",
    ),
    (
        3.0,
        "great, wonderful, excellent, perfect, perfectly, amazing, awesome, fantastic, love, love it, lovely, brilliant, \
         thank you so much, thanks a lot, best, delighted, superb, very helpful, terrific, outstanding",
    ),
];

const STRENGTH: &[(f64, &str)] = &[
    (1.5, "absolutely, extremely, incredibly, completely, totally, utterly, insanely, fucking, bloody, damn"),
    (1.3, "very, really, so, too, such, quite, seriously, truly, deeply, beyond, most"),
    (0.6, "bit, little, slightly, somewhat, kind, sort, fairly, rather, mildly, kinda"),
];

const NEGATIONS: &str = "\
    not, no, never, none, dont, doesnt, didnt, isnt, wasnt, arent, werent, wont, wouldnt, cant, couldnt, \
    shouldnt, hasnt, havent, hadnt, aint, without, hardly, barely, nothing, neither, nor";
