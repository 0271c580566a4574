"""Speaks the corpus on every core and writes it in shards: sound, labels and the times of the words."""

import argparse
import multiprocessing
import os
import random
import time
from pathlib import Path

import numpy as np

import noises
from corpus import NOTHING, Corpus
from voices import Voices

SHARD = 500
NOISE_SHARE = 0.03


def shard(number, seed):
    """`SHARD` utterances as one dictionary of flat arrays."""
    rng = random.Random(f"{seed}-{number}")
    noise = np.random.default_rng([seed, number])
    sounds, labels, begins, ends, sizes, counts = [], [], [], [], [], []
    while len(sizes) < SHARD:
        if rng.random() < NOISE_SHARE:
            sound, words = noises.draw(noise), [NOTHING]
            marks = [0], [len(sound)]
        else:
            text, words = CORPUS.draw(rng)
            speech, _ = VOICES.trained(text, rng)
            if speech is None or len(speech.sound) > 11 * 8000:
                continue
            sound, marks = speech.sound, (speech.begins, speech.ends)
        sounds.append(sound)
        sizes.append(len(sound))
        counts.append(len(words))
        labels += [NUMBERS[word] for word in words]
        begins += marks[0]
        ends += marks[1]
    return dict(sound=np.concatenate(sounds), sizes=np.array(sizes, np.int32), counts=np.array(counts, np.int16),
                labels=np.array(labels, np.int16), begins=np.array(begins, np.int32), ends=np.array(ends, np.int32))


def start():
    """Voices and corpus of one worker."""
    global CORPUS, VOICES, NUMBERS
    CORPUS, VOICES = Corpus(), Voices()
    NUMBERS = {word: at for at, word in enumerate([NOTHING] + CORPUS.vocabulary)}


def write(job):
    number, seed, folder, until = job
    if until and time.time() > until:
        return
    path = folder / f"{number:05d}.npz"
    if not path.exists():
        part = folder / f"{number:05d}.part.npz"
        np.savez(part, **shard(number, seed))
        os.rename(part, path)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--utterances", type=int, default=200_000)
    options.add_argument("--seconds", type=float, help="stop after so long, with what there is")
    options.add_argument("--workers", type=int, default=os.cpu_count())
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    until = given.seconds and time.time() + given.seconds
    jobs = [(number, given.seed, given.folder, until) for number in range(given.utterances // SHARD)]
    start()
    with multiprocessing.Pool(given.workers, start) as pool:
        for _ in pool.imap_unordered(write, jobs):
            pass
