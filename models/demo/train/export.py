"""Writes the trained weights as a ggml file that whisper.cpp loads: q8_0 matrices, f16 convolutions, f32 the rest."""

import gzip
import struct
from pathlib import Path

import numpy as np

from features import filters

N_VOCAB, EOT, SOT, PLAIN = 51864, 50256, 50257, 50362
"""The ids of an English-only model; `PLAIN` is NOTIMESTAMPS."""
BLANK = " "
"""whisper.cpp looks this token up by its text when it suppresses blanks, so it must be there."""
F32, F16, Q8_0 = 0, 1, 8
FTYPE_Q8_0 = 2007


def write_model(path, shape, weights, words):
    """Row 0 of the embedding is the unwritten word, then the vocabulary, then EOT, SOT and NOTIMESTAMPS."""
    weights = {name: value.float().cpu().numpy() for name, value in weights.items()}
    weights["decoder.token_embedding.weight"] = spread(weights["decoder.token_embedding.weight"], len(words))
    short = weights["decoder.positional_embedding"]
    weights["decoder.positional_embedding"] = np.pad(short, ((0, shape.text_context - len(short)), (0, 0)))
    with open(path, "wb") as file:
        ints(file, 0x67676D6C, N_VOCAB, shape.audio_context, shape.state, shape.heads, shape.audio_layers,
             shape.text_context, shape.state, shape.heads, shape.text_layers, shape.mels, FTYPE_Q8_0)
        ints(file, shape.mels, filters().shape[1])
        file.write(filters().tobytes())
        texts = token_texts(words)
        ints(file, len(texts))
        for text in texts:
            ints(file, len(text.encode()))
            file.write(text.encode())
        for name, value in weights.items():
            tensor(file, name, value)


def token_texts(words):
    """The text of each token id from 0: nothing for the unwritten word, a space and the word for the others."""
    return [""] + [" " + word for word in words] + [BLANK]


def spread(rows, words):
    """Puts the live rows at their ids in the full vocabulary; all others are nought."""
    full = np.zeros((N_VOCAB, rows.shape[1]), np.float32)
    full[:words + 1] = rows[:words + 1]
    full[[EOT, SOT, PLAIN]] = rows[words + 1:]
    return full


def tensor(file, name, value):
    if value.ndim == 1 and name.endswith(("conv1.bias", "conv2.bias")):
        value = value[:, None]
    matrix = value.ndim == 2 and name.endswith(".weight")
    kind = Q8_0 if matrix else F16 if value.ndim == 3 else F32
    ints(file, value.ndim, len(name), kind, *reversed(value.shape))
    file.write(name.encode())
    file.write(q8_0(value) if kind == Q8_0 else value.astype("<f2" if kind == F16 else "<f4").tobytes())


def q8_0(matrix):
    """Blocks of 32: an f16 scale and 32 signed bytes."""
    blocks = matrix.reshape(-1, 32).astype(np.float32)
    scale = np.abs(blocks).max(1) / 127
    whole = np.round(blocks / np.where(scale == 0, 1, scale)[:, None]).astype(np.int8)
    packed = np.empty((len(blocks), 34), np.uint8)
    packed[:, :2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    packed[:, 2:] = whole.view(np.uint8)
    return packed.tobytes()


def ints(file, *values):
    file.write(struct.pack(f"<{len(values)}i", *values))


def packed(path):
    """Writes `path`.gz, the same bytes every time, and gives its path."""
    out = Path(f"{path}.gz")
    out.write_bytes(gzip.compress(Path(path).read_bytes(), 9, mtime=0))
    return out
