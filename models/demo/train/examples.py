"""Examples drawn from the synthesised shards: what is cut, how fast, what comes before and after, and the labels."""

import math
import multiprocessing
from dataclasses import dataclass

import numpy as np

RATE = 8000
FRAME = 160
STRANGE = 0
TEXT_LIMIT = 64
SECONDS_MAX = 12
COLUMNS = ("at", "size", "speed", "lead", "length", "mixed", "backward")


class Shards:
    """Labels and word times of the shards taken so far, as flat arrays."""

    def __init__(self):
        self.sizes, self.counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.labels, self.begins, self.ends = (np.zeros(0, np.int64) for _ in range(3))

    def take(self, paths):
        """Appends these shards; what was there keeps its place."""
        shards = [np.load(path) for path in paths]
        for name in ("sizes", "counts", "labels", "begins", "ends"):
            new = [shard[name].astype(np.int64) for shard in shards]
            setattr(self, name, np.concatenate([getattr(self, name)] + new))
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)])
        self.firsts = np.concatenate([[0], np.cumsum(self.counts)])


@dataclass
class Example:
    """The samples it takes, its speed, the silence around it, its words and the encoder frame amid each."""

    at: int
    size: int
    speed: float
    lead: int
    length: int
    mixed: bool
    backward: bool
    labels: np.ndarray
    frames: np.ndarray


def example(shards, index, rng):
    """Draws from utterance `index`; about one in three is cut off, as streaming partials are."""
    words = slice(shards.firsts[index], shards.firsts[index] + shards.counts[index])
    labels, begins, ends = shards.labels[words], shards.begins[words], shards.ends[words]
    at, size = int(shards.starts[index]), int(shards.sizes[index])
    strange = bool((labels == STRANGE).all())
    lead = int((rng.uniform(0.02, 0.25) if rng.random() < 0.93 else rng.uniform(0.25, 0.8)) * RATE)
    tail = int(rng.uniform(0.0, 0.6) * RATE)
    if rng.random() < 0.3 and size > 2400:
        size, heard, tail = *cut(begins, ends, size, rng), 0
        labels, begins, ends = labels[:heard], begins[:heard], ends[:heard]
    clip = 0
    if rng.random() < 0.06:
        clip = min(int(rng.uniform(0.005, 0.05) * RATE), size // 4)
        lead = 0
    chance = rng.random()
    speed = rng.uniform(0.72, 1.4) if strange and chance < 0.35 else rng.uniform(0.9, 1.1)
    backward = not strange and chance < 0.02
    mixed = not strange and 0.02 <= chance < 0.035
    if backward or mixed:
        labels = labels * 0
    amid = begins + (ends - begins) * rng.uniform(0.3, 0.7, len(begins)) - clip
    frames = (np.maximum(amid, 0) / speed + lead) / FRAME
    size -= clip
    length = lead + int(size / speed) + tail
    return Example(at + clip, size, speed, lead, length, mixed, backward, labels, frames)


def cut(begins, ends, size, rng):
    """Ends the utterance about a word's beginning; gives the new size and how many words are heard whole."""
    after = rng.integers(0, len(begins))
    begin, end = int(begins[after]), int(ends[after])
    stop = int(np.clip(begin + int((end - begin) * rng.uniform(-0.1, 0.4)), 800, size))
    return stop, int((ends <= stop + FRAME).sum())


def collapsed(labels):
    """Neighbouring unknown words become one."""
    return [int(l) for i, l in enumerate(labels) if l != STRANGE or i == 0 or labels[i - 1] != STRANGE]


def context_of(samples):
    """Encoder positions that the runtime gives to so many samples: 50 s + 64 in steps of 64, 192 at least."""
    return max(192, 64 * math.ceil((50 * samples / RATE + 64) / 64 - 0.5))


def batch(examples, live):
    """Arrays of a batch. Of the `live` rows the last three are EOT, SOT and NOTIMESTAMPS; -1 is no target."""
    eot, sot, plain = live - 3, live - 2, live - 1
    texts = [collapsed(e.labels)[:TEXT_LIMIT - 3] for e in examples]
    width = max(map(len, texts)) + 2
    given = np.full((len(texts), width), eot, np.int64)
    wanted = np.full((len(texts), width), -1, np.int64)
    spoken = max(max(len(e.labels) for e in examples), 1)
    frames, spots = np.zeros((len(texts), spoken), np.int64), np.full((len(texts), spoken), -1, np.int64)
    context = context_of(max(e.length for e in examples))
    for row, (e, text) in enumerate(zip(examples, texts)):
        given[row, :2 + len(text)] = [sot, plain] + text
        wanted[row, 1:2 + len(text)] = text + [eot]
        frames[row, :len(e.labels)] = np.minimum(e.frames, context - 1)
        spots[row, :len(e.labels)] = e.labels
    columns = np.array([[getattr(e, name) for name in COLUMNS] for e in examples], np.float64)
    return context, columns, given, wanted, frames, spots


class Drawers:
    """Processes that draw batches ahead of the trainer; start them before the device is first used."""

    def __init__(self, seed, size, live, count):
        self.queue = multiprocessing.Queue(maxsize=6 * count)
        self.inboxes = [multiprocessing.Queue() for _ in range(count)]
        for number, inbox in enumerate(self.inboxes):
            work = (inbox, np.random.default_rng([seed, number]), size, live)
            multiprocessing.Process(target=self.draw, args=work, daemon=True).start()

    def take(self, paths):
        """Adds shards to draw from; the first make the drawing begin."""
        for inbox in self.inboxes:
            inbox.put(paths)

    def next(self):
        return self.queue.get()

    def draw(self, inbox, rng, size, live):
        shards = Shards()
        while True:
            while not len(shards.sizes) or not inbox.empty():
                shards.take(inbox.get())
            for group in groups(shards, rng, size):
                self.queue.put(batch(group, live))


def groups(shards, rng, size):
    """Sixteen lists of examples; within one, all have about the same length."""
    pool = [example(shards, index, rng) for index in rng.integers(0, len(shards.sizes), size * 16)]
    pool = sorted((e for e in pool if 2400 <= e.length <= SECONDS_MAX * RATE), key=lambda e: e.length)
    lists = [pool[at:at + size] for at in range(0, len(pool) - size // 2, size)]
    return [lists[at] for at in rng.permutation(len(lists))]
