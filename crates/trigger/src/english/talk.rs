//! English phrases by which a conversation shows that it gets nowhere, or that it got there.

use super::list;
use crate::rules::TalkRules;

pub(super) fn rules() -> TalkRules {
    TalkRules {
        clarifying: list(CLARIFYING),
        vague: list(VAGUE),
        wrong: list(WRONG),
        resolved: list(RESOLVED),
        unimportant: list(UNIMPORTANT),
    }
}

const CLARIFYING: &str = "\
    could you repeat, can you repeat, could you say that again, can you say that again, say that again, \
    could you rephrase, can you rephrase, please rephrase, try rephrasing, could you clarify, can you clarify, \
    please clarify, what do you mean, did you mean, do you mean, i didnt catch that, i did not catch that, \
    i didnt get that, i did not get that, didnt quite catch, did not quite catch, i am not sure i understand, \
    i dont understand, i do not understand, i didnt understand, i did not understand, could you be more specific, \
    can you be more specific, tell me more about, could you spell, one more time, pardon, please try again, \
    let us try again, please say it again, i am having trouble understanding";

const VAGUE: &str = "\
    i am not sure, i am not certain, i dont know, i do not know, i am unable to, i cant help with that, \
    i cannot help with that, i can not help with that, i am not able to, it depends, i dont have that information, \
    i do not have that information, i dont have access, i do not have access, check our website, visit our website, \
    please visit, refer to our website, our policy states, as i mentioned, as mentioned before, i am just a, \
    i am only a, i cant answer, i cannot answer, i am sorry i cant, i am sorry i cannot, that is beyond";

const WRONG: &str = "\
    that is wrong, that is not right, that is incorrect, that is not correct, that is not what i, \
    not what i said, not what i asked, not what i meant, no that is not, you misunderstood, you got it wrong, \
    you are wrong, wrong answer, you dont understand, you do not understand, you are not understanding, \
    you are not listening, i already told you, i already said, i just told you, i just said, i told you, \
    that doesnt help, that does not help, that didnt help, that did not help, that didnt work, that did not work, \
    it didnt work, it did not work, doesnt answer my question, does not answer my question, still not working, \
    still doesnt work, i tried that, already tried that, no i said, no i meant";

const RESOLVED: &str = "\
    that worked, it worked, it works, it works now, that works, that helps, that helped, problem solved, \
    that solved it, that fixed it, that is fixed, it is fixed, perfect thank you, perfect thanks, great thank you, \
    great thanks, that is all i needed, that is what i needed, that answers my question, that is correct, \
    that is right, yes exactly";

const UNIMPORTANT: &str = "\
    i, you, he, she, it, we, they, me, him, her, us, them, my, your, his, its, our, their, mine, yours, this, that, \
    these, those, there, here, a, an, the, and, or, but, if, so, because, as, of, at, by, for, with, about, to, from, \
    in, on, off, out, over, up, down, am, is, are, was, were, be, been, being, have, has, had, do, does, did, doing, \
    can, could, will, would, shall, should, may, might, must, not, no, yes, yeah, okay, ok, well, just, really, very, \
    too, also, then, than, now, please, want, wanted, need, like, know, think, tell, say, said, get, got, let, help, \
    um, uh, er, hmm, oh, hello, hi, hey, thanks, thank, sorry, what, when, where, who, which, why, how, again, still, \
    already, going, go, some, any, all, one, dont, didnt, cant, wont, im, ive, ill, actually, maybe, sure, right";
