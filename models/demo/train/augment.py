"""From synthesised words to a telephone call: stretched, mixed, filtered and sent through G.711, on the device."""

import random

import torch
import torch.nn.functional as F

RATE = 8000


class Telephone:
    """Makes a batch of 16 kHz sound from plans."""

    def __init__(self, device, seed):
        self.device = device
        self.chance = torch.Generator(device).manual_seed(seed)
        self.turn = random.Random(seed)
        self.upsamplers = [sinc(taps).to(device) for taps in (4, 8, 16, 32)]
        self.upsamplers.append(torch.tensor([0.5, 1.0, 0.5], device=device))

    def uniform(self, low, high, *shape):
        return torch.rand(*shape, generator=self.chance, device=self.device) * (high - low) + low

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.chance, device=self.device)

    def __call__(self, store, columns, samples):
        """[batch, 2 * samples], the sound of each example (`examples.COLUMNS`) at 16 kHz followed by zeros."""
        at, size, speed, lead, length, mixed, backward = columns.T[:, :, None]
        time = torch.arange(samples, device=self.device, dtype=torch.float32)[None]
        sound = gather(store, time, at.long(), size.long(), speed.float(), lead.float(), backward > 0)
        sound = sound + mixed.float() * (sound.roll(1, 0) + sound.roll(2, 0) * 0.7)
        sound = self.equalised(sound)
        power = (sound ** 2).sum(1, keepdim=True) / (size / speed).float()
        sound = sound / power.sqrt().clamp(min=1) * 10 ** (self.uniform(-38, -14, len(columns), 1) / 20) * 32768
        level = sound.std(1, keepdim=True).clamp(min=10)
        sound = sound + self.noise(sound.shape) * level * 10 ** (-self.uniform(14, 48, len(columns), 1) / 20)
        sound = torch.where(self.uniform(0, 1, len(columns), 1) < 0.06, sound.clamp(-6000, 6000) * 2, sound)
        sound = self.coded(sound.round().clamp(-32768, 32767))
        sound = torch.where(time < length.float(), sound, 0) / 32768
        return self.upsampled(sound)

    def equalised(self, sound):
        """A random tilt of some decibels over twelve points of the spectrum, and a telephone's low cut at times."""
        spectrum = torch.fft.rfft(sound)
        points = self.normal(len(sound), 1, 12) * self.uniform(0, 4, len(sound), 1, 1)
        gain = F.interpolate(points, spectrum.shape[1], mode="linear", align_corners=True)[:, 0]
        hertz = torch.linspace(0, RATE / 2, spectrum.shape[1], device=self.device)
        low = self.uniform(-150, 300, len(sound), 1).clamp(min=1)
        gain = gain - 10 * torch.log10(1 + (low / hertz.clamp(min=1)) ** 4)
        high = self.uniform(3200, 4400, len(sound), 1)
        gain = gain - 10 * torch.log10(1 + (hertz / high) ** 16)
        return torch.fft.irfft(spectrum * 10 ** (gain / 20), sound.shape[1])

    def noise(self, shape):
        """White to pink, one slope an example, of unit power."""
        spectrum = torch.fft.rfft(self.normal(*shape))
        place = torch.arange(spectrum.shape[1], device=self.device).clamp(min=shape[1] // 160).float()
        colour = place ** -self.uniform(0, 0.8, shape[0], 1)
        colour = colour / (colour ** 2).mean(1, keepdim=True).sqrt()
        return torch.fft.irfft(spectrum * colour, shape[1])

    def coded(self, sound):
        """A third each of µ-law and A-law, µ-law again for most of the rest."""
        chance = self.uniform(0, 1, len(sound), 1)
        return torch.where(chance < 0.3, alaw(sound), torch.where(chance < 0.95, mulaw(sound), sound))

    def upsampled(self, sound):
        """To 16 kHz with an interpolator drawn for the batch, from a straight line to a long sinc."""
        filter_ = self.upsamplers[self.turn.randrange(len(self.upsamplers))]
        wide = torch.stack([sound, torch.zeros_like(sound)], 2).flatten(1)
        return F.conv1d(wide[:, None], filter_[None, None], padding=len(filter_) // 2)[:, 0]


def gather(sound, time, at, size, speed, lead, backward):
    """Reads each stretch at its speed by cubic interpolation."""
    place = (time - lead) * speed
    place = torch.where(backward, size - 1 - place, place)
    whole = place.floor()
    part = place - whole
    whole = whole.long()
    tap = lambda shift: sound[at + (whole + shift).clamp(min=0).minimum(size - 1)].float()
    a, b, c, d = tap(-1), tap(0), tap(1), tap(2)
    value = b + 0.5 * part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)))
    return torch.where((place >= 0) & (place < size), value, 0)


def sinc(zeros):
    """A half-band interpolator with `zeros` crossings on each side."""
    place = torch.arange(-2 * zeros + 1, 2 * zeros, dtype=torch.float32)
    return torch.sinc(place / 2) * torch.cos(torch.pi * place / (4 * zeros)) ** 2


def mulaw(sound):
    """There and back through G.711 µ-law."""
    size = sound.abs().clamp(max=32635) + 132
    step = 2.0 ** (size.log2().floor() - 4)
    return sound.sign() * ((size / step).floor() * step + step / 2 - 132)


def alaw(sound):
    """There and back through G.711 A-law."""
    size = sound.abs().clamp(max=32767)
    step = 2.0 ** ((size.clamp(min=256).log2().floor()) - 4)
    return torch.where(sound < 0, -1.0, 1.0) * ((size / step).floor() * step + step / 2)
