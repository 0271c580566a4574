"""Sentences: the grammar, the vocabulary, what is outside it, and which sentences are held out."""

import random
import re
import zlib
from pathlib import Path

HERE = Path(__file__).parent
HELD_OUT_ONE_IN = 25
NOTHING = "~"
"""Stands in a transcript for words that are not in the vocabulary; its token text is empty."""


class Grammar:
    """Draws sentences from `grammar.txt`."""

    def __init__(self, path=HERE / "grammar.txt"):
        self.slots, self.topics = {}, {}
        forms = None
        for line in path.read_text().splitlines():
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("== "):
                _, name, weight = line.split()
                forms = []
                self.topics[name] = (float(weight), forms)
            elif forms is None:
                name, _, rest = line.partition(" = ")
                self.slots[name] = parse(rest)
            elif re.match(r"^\w+ = ", line):
                name, _, rest = line.partition(" = ")
                self.slots[name] = parse(rest)
            else:
                forms.append(parse(line))
        self.words = sorted(self._words())

    def _words(self):
        nodes = list(self.slots.values()) + [f for _, forms in self.topics.values() for f in forms]
        words = set()
        while nodes:
            node = nodes.pop()
            if isinstance(node, str):
                words.update([] if node.startswith("{") else node.split())
            else:
                nodes.extend(node[1])
        return words

    def sentence(self, rng, topic=None):
        """One sentence; without a topic, one is drawn by weight."""
        if topic is None:
            names = list(self.topics)
            topic = rng.choices(names, [self.topics[n][0] for n in names])[0]
        return self.expand(rng.choice(self.topics[topic][1]), rng)

    def expand(self, node, rng):
        if isinstance(node, str):
            if node.startswith("{"):
                return self.expand(self.slots[node[1:-1]], rng)
            return node
        kind, parts = node
        if kind == "any":
            return self.expand(rng.choice(parts), rng)
        return " ".join(filter(None, (self.expand(part, rng) for part in parts)))


def parse(text):
    """A tree of ("any", alternatives) and ("all", sequence) over words and {slots}."""
    tokens = re.findall(r"[()|]|\{\w+\}|[^\s()|{}]+", text)
    tree, rest = parse_choice(tokens)
    assert not rest, text
    return tree


def parse_choice(tokens):
    alternatives, sequence = [], []
    while tokens:
        token, tokens = tokens[0], tokens[1:]
        if token == "(":
            inner, tokens = parse_choice(tokens)
            sequence.append(inner)
            assert tokens[0] == ")"
            tokens = tokens[1:]
        elif token == "|":
            alternatives.append(("all", sequence))
            sequence = []
        elif token == ")":
            tokens = [")"] + tokens
            break
        else:
            sequence.append(token)
    alternatives.append(("all", sequence))
    return ("any", alternatives), tokens


def held_out(sentence):
    """True for the sentences that no training sees: one in 25 of those with three words or more."""
    return len(sentence.split()) > 2 and zlib.crc32(sentence.encode()) % HELD_OUT_ONE_IN == 0


class Outside:
    """Draws speech that is not to be written down."""

    def __init__(self, vocabulary, path=HERE / "outside.txt"):
        self.kinds, known = {}, set(vocabulary)
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                kind, _, words = line.partition(":")
                self.kinds[kind] = words.split()
        for kind in ("nouns", "verbs", "adjectives"):
            self.kinds[kind] = [w for w in self.kinds[kind] if w not in known]
        self.known = known

    def word(self, rng):
        """A word outside the vocabulary: a real one, or one that never was."""
        if rng.random() < 0.35:
            word = "".join(
                rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)
                for _ in range(rng.choice([1, 2, 2, 2, 3]))
            )
            return word if word not in self.known else self.word(rng)
        return rng.choice(self.kinds[rng.choice(["nouns", "nouns", "verbs", "adjectives"])])

    def sentence(self, rng):
        """Three to sixteen words, at least half of them outside the vocabulary."""
        words = []
        for _ in range(rng.choice([1, 1, 2, 2, 3, 4])):
            for kind in rng.choice(SHAPES):
                anything = kind != "glue" and rng.random() < 0.2
                words.append(self.word(rng) if anything else rng.choice(self.kinds[kind]))
        return " ".join(words[:16])


ONSETS = "b bl br d dr f fl fr g gl gr h j k kl kr l m n p pl pr r s sk sl sm sn sp st str sw t tr th sh v w y z".split()
VOWELS = "a e i o u ai ee oa ou ar er or".split()
CODAS = ["", "", "b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "x", "nd", "nt", "st", "sk", "lt", "mp"]
SHAPES = [
    ["glue", "adjectives", "nouns", "verbs"],
    ["glue", "nouns", "verbs", "glue", "nouns"],
    ["nouns", "verbs", "glue", "glue", "adjectives", "nouns"],
    ["glue", "glue", "adjectives", "nouns", "verbs", "nouns"],
    ["adjectives", "nouns"],
    ["verbs", "glue", "nouns"],
    ["nouns", "glue", "nouns"],
    ["nouns"],
]


class Corpus:
    """Draws (spoken text, labels) for training; one label a spoken word, `NOTHING` for what is not written."""

    def __init__(self):
        self.grammar = Grammar()
        self.vocabulary = self.grammar.words
        self.outside = Outside(self.vocabulary)

    def trained(self, rng):
        while True:
            sentence = self.grammar.sentence(rng)
            if not held_out(sentence):
                return sentence

    def draw(self, rng):
        chance = rng.random()
        if chance < 0.18:
            spoken = self.outside.sentence(rng)
            return spoken, [NOTHING] * len(spoken.split())
        if chance < 0.27:
            return self.with_stranger(rng)
        if chance < 0.39:
            spoken = self.shuffled(rng)
        elif chance < 0.50:
            spoken = self.trained(rng) + rng.choice([", ", ". ", " "]) + self.trained(rng)
        else:
            spoken = self.trained(rng)
        return spoken, [word.strip(",.") for word in spoken.split()]

    def shuffled(self, rng):
        """Known words in an order that no form gives, so that words are learnt and not only sentences."""
        if rng.random() < 0.4:
            return " ".join(rng.choice(self.vocabulary) for _ in range(rng.randint(1, 7)))
        first, second = self.trained(rng).split(), self.trained(rng).split()
        words = first[: rng.randint(1, len(first))] + second[rng.randrange(len(second)):]
        return " ".join(words[:16])

    def with_stranger(self, rng):
        """A sentence with one or two words replaced by words from outside."""
        words = self.trained(rng).split()[:14]
        labels = list(words)
        for _ in range(1 if len(words) < 6 else rng.choice([1, 2])):
            at = len(words) - 1 if rng.random() < 0.4 else rng.randrange(len(words))
            words[at], labels[at] = self.outside.word(rng), NOTHING
        return " ".join(words), labels


if __name__ == "__main__":
    rng = random.Random(1)
    corpus = Corpus()
    print(len(corpus.vocabulary), "words")
    for topic in corpus.grammar.topics:
        for _ in range(4):
            print(f"{topic:12s} {corpus.grammar.sentence(rng, topic)}")
    for _ in range(25):
        print(corpus.draw(rng))
