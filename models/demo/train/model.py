"""A small Whisper: the published shape and tensor names, so that whisper.cpp loads it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from examples import TEXT_LIMIT


@dataclass
class Shape:
    """The header of the ggml file; `live` is how many tokens have a meaning here."""

    live: int
    state: int = 192
    heads: int = 3
    audio_layers: int = 4
    text_layers: int = 2
    audio_context: int = 1500
    text_context: int = 448
    mels: int = 80


def positions(length, width):
    """Whisper's sines, rounded to 1/256 so that the file packs well."""
    scale = torch.exp(-torch.arange(width // 2) * (torch.log(torch.tensor(10000.0)) / (width // 2 - 1)))
    angle = torch.arange(length)[:, None] * scale[None]
    return (torch.cat([angle.sin(), angle.cos()], 1) * 256).round() / 256


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x, source=None, causal=False):
        source = x if source is None else source
        split = lambda y: y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        y = F.scaled_dot_product_attention(
            split(self.query(x)), split(self.key(source)), split(self.value(source)), is_causal=causal)
        return self.out(y.transpose(1, 2).flatten(-2))


class Block(nn.Module):
    def __init__(self, width, heads, cross, drop):
        super().__init__()
        self.attn, self.attn_ln = Attention(width, heads), nn.LayerNorm(width)
        if cross:
            self.cross_attn, self.cross_attn_ln = Attention(width, heads), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        self.mlp_ln = nn.LayerNorm(width)
        self.drop = nn.Dropout(drop)

    def forward(self, x, source=None):
        x = x + self.drop(self.attn(self.attn_ln(x), causal=source is not None))
        if source is not None:
            x = x + self.drop(self.cross_attn(self.cross_attn_ln(x), source))
        return x + self.drop(self.mlp(self.mlp_ln(x)))


class Encoder(nn.Module):
    def __init__(self, shape, drop):
        super().__init__()
        self.conv1 = nn.Conv1d(shape.mels, shape.state, 3, padding=1)
        self.conv2 = nn.Conv1d(shape.state, shape.state, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", positions(shape.audio_context, shape.state))
        self.blocks = nn.ModuleList(Block(shape.state, shape.heads, False, drop) for _ in range(shape.audio_layers))
        self.ln_post = nn.LayerNorm(shape.state)

    def forward(self, mel):
        x = F.gelu(self.conv1(mel), approximate="tanh")
        x = F.gelu(self.conv2(x), approximate="tanh").transpose(1, 2)
        x = x + self.positional_embedding[:x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x)


class Decoder(nn.Module):
    """Logits over the live tokens only; the rest of the vocabulary has a logit of nought, always."""

    def __init__(self, shape, drop):
        super().__init__()
        self.token_embedding = nn.Embedding(shape.live, shape.state)
        self.positional_embedding = nn.Parameter(torch.zeros(TEXT_LIMIT, shape.state))
        self.blocks = nn.ModuleList(Block(shape.state, shape.heads, True, drop) for _ in range(shape.text_layers))
        self.ln = nn.LayerNorm(shape.state)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)

    def forward(self, tokens, source):
        x = self.token_embedding(tokens) + self.positional_embedding[:tokens.shape[1]]
        for block in self.blocks:
            x = block(x, source)
        return self.ln(x) @ self.token_embedding.weight.T


class Whisper(nn.Module):
    def __init__(self, shape, drop=0.0):
        super().__init__()
        self.shape = shape
        self.encoder, self.decoder = Encoder(shape, drop), Decoder(shape, drop)

    def forward(self, mel, tokens):
        return self.decoder(tokens, self.encoder(mel))
