"""Makes a held-out test set of telephone calls and scores what a recogniser wrote for it.

    python evaluate.py make test/            # wav files at 8 kHz and test/truth.tsv
    python evaluate.py score test/ said.tsv  # said.tsv: file name without .wav, tab, text
    python evaluate.py decode test/ model.pt > said.tsv   # without whisper.cpp: the same weights in PyTorch
"""

import random
import sys
import wave
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import noises
from augment import alaw, mulaw, sinc
from corpus import Corpus, held_out
from examples import context_of
from features import LogMel
from model import Shape, Whisper
from voices import ESPEAK_HELD_OUT, FLITE_HELD_OUT, Voices

RATE = 8000
REQUEST_VOICES = ["rms", "slt", "awb"] + FLITE_HELD_OUT + ESPEAK_HELD_OUT[:2]
PEOPLE = set("human person agent representative operator manager supervisor specialist advisor somebody someone "
             "anyone anybody colleague technician boss".split())
"""A transcript with one of these words could be taken for a request; counted in sounds that hold none."""


class Maker:
    """Draws held-out sentences and writes them as calls."""

    def __init__(self, folder, seed=77):
        self.folder, self.rows = Path(folder), []
        self.folder.mkdir(parents=True, exist_ok=True)
        self.corpus, self.voices = Corpus(), Voices()
        self.rng, self.chance = random.Random(seed), np.random.default_rng(seed)

    def sentence(self, topic=None):
        """A sentence of the grammar that no training saw."""
        while True:
            sentence = self.corpus.grammar.sentence(self.rng, topic)
            if held_out(sentence):
                return sentence

    def add(self, group, speech, voice, text, tail=None):
        if speech is not None:
            name = f"{group}-{len(self.rows):04d}"
            write(self.folder / f"{name}.wav", self.call(speech.sound, tail))
            self.rows.append((name, group, voice, text))

    def call(self, sound, tail):
        """Level -30 to -18 dBov, noise 18 to 40 dB below, silence around it, G.711."""
        uniform = self.chance.uniform
        sound = sound / np.sqrt((sound.astype(float) ** 2).mean()) * 32768 * 10 ** (uniform(-30, -18) / 20)
        tail = uniform(0.1, 0.4) if tail is None else tail
        sound = np.pad(sound, (int(uniform(0.05, 0.25) * RATE), int(tail * RATE)))
        noise = self.chance.standard_normal(len(sound)) * sound.std() * 10 ** (-uniform(18, 40) / 20)
        law = self.rng.choice([mulaw, alaw])
        return law(torch.tensor(sound + noise).float().round().clamp(-32768, 32767)).numpy()

    def make(self):
        for group, speak, count in (("voices-held-out", self.voices.held_out, 300), ("voices-trained", self.voices.trained, 200)):
            for _ in range(count):
                text = self.sentence()
                self.add(group, *speak(text, self.rng), text)
        for voice in REQUEST_VOICES:
            for _ in range(24):
                text = self.sentence("human")
                own = self.voices.espeak if "+" in voice else self.voices.flite
                self.add(f"request-{voice}", own.say(text, voice), voice, text)
        for at in range(100):
            speak = self.voices.held_out if at % 2 else self.voices.trained
            text = self.sentence("notahuman")
            self.add("no-request", *speak(text, self.rng), text)
            self.add("outside", *speak(self.corpus.outside.sentence(self.rng), self.rng), "")
            text = self.sentence()
            self.add("cut-off", *shortened(*speak(text, self.rng), text, self.rng), tail=0.0)
        for at in range(50):
            write(self.folder / f"noise-{at:04d}.wav", noises.draw(self.chance))
            self.rows.append((f"noise-{at:04d}", "noise", "-", ""))
        (self.folder / "truth.tsv").write_text("".join("\t".join(row) + "\n" for row in self.rows))


def shortened(speech, voice, text, rng):
    """The utterance up to a fifth into one of its later words, and the words heard whole."""
    if speech is None or len(speech.begins) < 3:
        return None, voice, text
    after = rng.randrange(2, len(speech.begins))
    stop = speech.begins[after] + (speech.ends[after] - speech.begins[after]) // 5
    speech.sound = speech.sound[:stop]
    return speech, voice, " ".join(text.split()[:after])


def write(path, sound):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.clip(sound, -32768, 32767).astype("<i2").tobytes())


def distance(truth, said):
    """Words to change, add or leave out."""
    row = list(range(len(said) + 1))
    for i, a in enumerate(truth, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def score(folder, path):
    said = dict(line.split("\t")[:2] for line in Path(path).read_text().splitlines())
    groups = defaultdict(list)
    for line in (Path(folder) / "truth.tsv").read_text().splitlines():
        name, group, _, text = line.split("\t")
        groups[group].append((text, said.get(name, "").strip()))
    for group, pairs in groups.items():
        words = sum(len(text.split()) for text, _ in pairs)
        wrong = sum(distance(text.split(), heard.split()) for text, heard in pairs)
        exact = sum(text == heard for text, heard in pairs)
        people = sum(bool(PEOPLE & set(heard.split())) for _, heard in pairs)
        errors = f"{100 * wrong / words:5.1f} %" if words else "      -"
        print(f"{group:30s} word errors {errors}   exact {exact}/{len(pairs)}   names a person {people}")


def decode(folder, path):
    """Greedy decoding in PyTorch, as whisper.cpp does it but without its 8-bit matrices."""
    saved = torch.load(path, map_location="cpu")
    model = Whisper(Shape(**saved["shape"]))
    model.load_state_dict(saved["weights"])
    model.eval()
    eot, mel, filter_ = model.shape.live - 3, LogMel(), sinc(12)
    for file in sorted(Path(folder).glob("*.wav")):
        with wave.open(str(file)) as opened:
            sound = np.frombuffer(opened.readframes(1 << 30), "<i2").astype(np.float32) / 32768
        context = context_of(len(sound))
        sound = F.pad(torch.from_numpy(sound), (0, context * 160))[None, :context * 160]
        wide = torch.stack([sound, torch.zeros_like(sound)], 2).flatten(1)
        sound = F.conv1d(wide[:, None], filter_[None, None], padding=len(filter_) // 2)[:, 0]
        print(file.stem, text_of(model, mel(sound)[..., :context * 2], eot, saved["words"]), sep="\t")


@torch.no_grad()
def text_of(model, pictures, eot, words):
    heard, tokens = model.encoder(pictures), [eot + 1, eot + 2]
    while len(tokens) < 60:
        best = int(model.decoder(torch.tensor([tokens]), heard)[0, -1, :eot + 1].argmax())
        if best == eot:
            break
        tokens.append(best)
    return " ".join(words[token - 1] for token in tokens[2:] if token)


if __name__ == "__main__":
    verb, folder, *rest = sys.argv[1:]
    {"make": lambda: Maker(folder).make(), "score": lambda: score(folder, *rest), "decode": lambda: decode(folder, *rest)}[verb]()
