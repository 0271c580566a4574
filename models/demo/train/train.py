"""Trains the recogniser on synthesised shards; more shards may appear while it runs."""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from augment import Telephone
from corpus import Corpus
from examples import Drawers
from export import N_VOCAB, write_model
from features import LogMel
from model import Shape, Whisper

SPOT_SHARE = 0.5
"""Weight of the second loss: the word that is being said, read off one encoder frame amid it."""


class Data:
    """Sound on the device and the processes that draw batches from it."""

    def __init__(self, given, live):
        self.given, self.read, self.sound, self.count = given, set(), None, 0
        self.drawers = Drawers(given.seed, given.batch, live, given.drawers)

    def grow(self, device):
        """Takes in what was synthesised since."""
        paths = [p for p in sorted(self.given.data.glob("*.npz"))[:self.given.shards] if "part" not in p.name]
        paths = [p for p in paths if p not in self.read]
        self.read.update(paths)
        if paths:
            new = torch.from_numpy(np.concatenate([np.load(path)["sound"] for path in paths])).to(device)
            self.sound = new if self.sound is None else torch.cat([self.sound, new])
            self.drawers.take(paths)
        self.looked = time.time()
        print(f"{len(self.read)} shards, {len(self.sound) / 8000 / 3600:.1f} hours", flush=True)

    def next(self, device):
        context, *arrays = self.drawers.next()
        return context, *(moved(torch.from_numpy(array), device) for array in arrays)


def moved(tensor, device):
    return tensor.pin_memory().to(device, non_blocking=True) if device == "cuda" else tensor


def losses(model, spotter, pictures, given, wanted, frames, spots):
    """Cross-entropy of the tokens as the runtime sees it, and of the words spotted in the encoder's output."""
    heard = model.encoder(pictures)
    logits = model.decoder(given, heard)
    rest = torch.full_like(logits[..., :1], math.log(N_VOCAB - model.shape.live))
    text = entropy(torch.cat([logits, rest], -1), wanted)
    amid = heard.gather(1, frames[..., None].expand(-1, -1, heard.shape[2]))
    return text, entropy(spotter(amid), spots)


def entropy(logits, wanted):
    return F.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), ignore_index=-1)


def rate(done, warm=0.02):
    """Share of the full learning rate after `done` of the run: a short rise, then a cosine."""
    return done / warm if done < warm else 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm))) + 0.002


class Average:
    """An exponential average of the weights: what is written to the file."""

    def __init__(self, model):
        self.weights = {name: value.detach().clone().float() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def follow(self, model, keep):
        old = list(self.weights.values())
        torch._foreach_lerp_(old, [value.float() for value in model.state_dict().values()], 1 - keep)


def masked(pictures, rng):
    """Hides up to two bands of mel and two stretches of time, the same for the whole batch."""
    pictures = pictures.clone()
    low = pictures.amin()
    for _ in range(rng.integers(0, 3)):
        at = rng.integers(0, 72)
        pictures[:, at:at + rng.integers(1, 8)] = low
    for _ in range(rng.integers(0, 3)):
        at = rng.integers(0, pictures.shape[2] - 12)
        pictures[:, :, at:at + rng.integers(1, 8)] = low
    return pictures


def train(given):
    words = Corpus().vocabulary
    data = Data(given, len(words) + 4)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(given.seed)
    torch.set_float32_matmul_precision("high")
    rng = np.random.default_rng(given.seed)
    shape = Shape(live=len(words) + 4, state=given.state, heads=given.state // 64,
                  audio_layers=given.audio_layers, text_layers=given.text_layers)
    model, spotter = Whisper(shape, given.drop).to(device), nn.Linear(given.state, len(words) + 1).to(device)
    if given.begin:
        model.load_state_dict(torch.load(given.begin, map_location=device)["weights"])
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(words)} words", flush=True)
    data.grow(device)
    mel, telephone, average = LogMel().to(device), Telephone(device, given.seed), Average(model)
    parameters = list(model.parameters()) + list(spotter.parameters())
    optimiser = torch.optim.AdamW(
        [dict(params=[p for p in parameters if p.dim() > 1], weight_decay=0.03),
         dict(params=[p for p in parameters if p.dim() <= 1], weight_decay=0.0)],
        lr=given.rate, betas=(0.9, 0.98), fused=device == "cuda")
    begun = said = kept = time.time()
    recent, step, done = [], 0, 0.0
    while done < 1:
        if given.reload and time.time() - data.looked > given.reload and done < 0.85:
            data.grow(device)
        context, columns, *labels = data.next(device)
        with torch.no_grad():
            pictures = mel(telephone(data.sound, columns, context * 160))[..., :context * 2]
            pictures = masked(pictures, rng) if rng.random() < 0.3 else pictures
        for group in optimiser.param_groups:
            group["lr"] = given.rate * rate(done)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            text, spot = losses(model, spotter, pictures, *labels)
        optimiser.zero_grad(set_to_none=True)
        (text + SPOT_SHARE * spot).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        done = (time.time() - begun) / given.seconds if given.seconds else step / given.steps
        if step % 4 == 0:
            average.follow(model, min(0.9985, step / (step + 20)) ** 4)
        recent.append(torch.stack([text.detach(), spot.detach()]))
        if time.time() - said > 15:
            means = torch.stack(recent[-100:]).mean(0).tolist()
            print(f"{time.time() - begun:6.0f} s  step {step}  text {means[0]:.4f}  spot {means[1]:.4f}", flush=True)
            said, recent = time.time(), []
        if given.keep and time.time() - kept > given.keep:
            save(given.out, shape, average.weights, words)
            kept = time.time()
    save(given.out, shape, average.weights, words)
    print(f"{step} steps in {time.time() - begun:.0f} s", flush=True)


def save(path, shape, weights, words):
    torch.save(dict(shape=shape.__dict__, weights=weights, words=words), path.with_suffix(".pt"))
    write_model(path, shape, weights, words)


def options():
    o = argparse.ArgumentParser(description=__doc__)
    o.add_argument("data", type=Path)
    o.add_argument("out", type=Path, help="the ggml file; the weights go beside it")
    o.add_argument("--seconds", type=float, help="length of the run; without it, --steps")
    o.add_argument("--steps", type=int, default=30_000)
    o.add_argument("--batch", type=int, default=512)
    o.add_argument("--rate", type=float, default=1.5e-3)
    o.add_argument("--state", type=int, default=192)
    o.add_argument("--audio-layers", type=int, default=4)
    o.add_argument("--text-layers", type=int, default=2)
    o.add_argument("--drop", type=float, default=0.0)
    o.add_argument("--shards", type=int, help="use only so many")
    o.add_argument("--drawers", type=int, default=3, help="processes that draw batches")
    o.add_argument("--reload", type=float, help="look for new shards every so many seconds")
    o.add_argument("--keep", type=float, help="also save every so many seconds")
    o.add_argument("--begin", type=Path, help="weights to go on from")
    o.add_argument("--seed", type=int, default=1)
    return o.parse_args()


if __name__ == "__main__":
    train(options())
