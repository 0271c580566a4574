"""Whisper's log-mel spectrogram as whisper.cpp computes it, for a batch."""

import numpy as np
import torch

RATE, FFT, HOP, MELS = 16000, 400, 160, 80


def filters():
    """The Slaney mel filters, 80 x 201: linear below 1 kHz, logarithmic above, each of area one."""
    knee, step = 1000.0, 200.0 / 3
    log_step = np.log(6.4) / 27
    to_mel = lambda hz: np.where(hz < knee, hz / step, knee / step + np.log(np.maximum(hz, knee) / knee) / log_step)
    to_hz = lambda mel: np.where(mel < knee / step, mel * step, knee * np.exp(log_step * (mel - knee / step)))
    edges = to_hz(np.linspace(to_mel(np.array(0.0)), to_mel(np.array(RATE / 2)), MELS + 2))
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return weights.astype(np.float32)


class LogMel(torch.nn.Module):
    """[batch, samples at 16 kHz] to [batch, 80, frames]; what follows the speech must be zeros."""

    def __init__(self):
        super().__init__()
        self.register_buffer("filters", torch.from_numpy(filters()), persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)

    def forward(self, sound):
        front = sound[:, 1:FFT // 2 + 1].flip(1)
        sound = torch.nn.functional.pad(torch.cat([front, sound], 1), (0, FFT // 2))
        spectrum = torch.stft(sound, FFT, HOP, window=self.window, center=False, return_complex=True)
        power = spectrum.real ** 2 + spectrum.imag ** 2
        logs = (self.filters @ power).clamp(min=1e-10).log10()
        top = logs.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(logs, top - 8) + 4) / 4
