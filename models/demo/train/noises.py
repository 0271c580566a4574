"""Sounds that are no speech: tones, ringing, keys, music, hiss and clicks, at 8 kHz."""

import numpy as np

RATE = 8000
KEYS = [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477)]


def draw(rng):
    """One to six seconds of something, 16-bit; `rng` is numpy's."""
    seconds = rng.uniform(0.4, 6.0)
    kind = rng.choice([tones, keys, ringing, music, music, hiss, clicks, hum, quiet])
    sound = kind(rng, int(seconds * RATE))
    peak = np.abs(sound).max()
    level = rng.uniform(300, 16000) if kind is not quiet else 30
    return (sound * (level / max(peak, 1e-9))).astype(np.int16)


def wave(frequency, count, phase=0.0):
    return np.sin(2 * np.pi * frequency * np.arange(count) / RATE + phase)


def tones(rng, count):
    return sum(wave(rng.uniform(200, 3400), count) * rng.uniform(0.2, 1) for _ in range(rng.integers(1, 4)))


def keys(rng, count):
    sound = np.zeros(count)
    for at in range(0, count, int(rng.uniform(0.12, 0.5) * RATE)):
        low, high = KEYS[rng.integers(len(KEYS))]
        length = min(int(rng.uniform(0.05, 0.2) * RATE), count - at)
        sound[at:at + length] = wave(low, length) + wave(high, length)
    return sound


def ringing(rng, count):
    low, high = [(440, 480), (400, 450), (480, 620), (350, 440), (425, 425)][rng.integers(5)]
    period, share = rng.uniform(0.5, 4.0), rng.uniform(0.3, 0.7)
    beat = (np.arange(count) / RATE % period) < period * share
    return (wave(low, count) + wave(high, count)) * beat


def music(rng, count):
    """Chords and a melody of decaying harmonics."""
    sound = np.zeros(count)
    root, step = rng.uniform(90, 300), rng.uniform(0.12, 0.6)
    for at in range(0, count, max(1, int(step * RATE))):
        for _ in range(rng.integers(1, 4)):
            note = root * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 19, 24]) / 12)
            length = min(int(rng.uniform(0.2, 2.0) * RATE), count - at)
            decay = np.exp(-np.arange(length) / RATE * rng.uniform(0.5, 6))
            vibrato = rng.uniform(0, 3) * wave(rng.uniform(4, 7), length)
            for harmonic in range(1, rng.integers(2, 9)):
                if note * harmonic < 3800:
                    sound[at:at + length] += wave(note * harmonic, length, vibrato * harmonic) * decay / harmonic ** rng.uniform(0.7, 2)
    return sound


def hiss(rng, count):
    """Noise with a slope in its spectrum that swells and fades."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum *= np.maximum(np.arange(len(spectrum)), 20) ** -rng.uniform(0, 1.2)
    swell = np.interp(np.arange(count), np.linspace(0, count, 8), rng.uniform(0.05, 1, 8))
    return np.fft.irfft(spectrum, count) * swell


def clicks(rng, count):
    """Knocks and crackle: short bursts of noise with a resonance."""
    sound = 0.01 * rng.standard_normal(count)
    for _ in range(rng.integers(1, 20)):
        at, length = rng.integers(count), rng.integers(40, 1200)
        burst = wave(rng.uniform(150, 3000), length) * np.exp(-np.arange(length) / rng.uniform(20, 300))
        burst += 0.3 * rng.standard_normal(length) * np.exp(-np.arange(length) / 60)
        part = sound[at:at + length]
        part += burst[:len(part)] * rng.uniform(0.2, 1)
    return sound


def hum(rng, count):
    base = rng.choice([50, 60, 100, 120]) * rng.uniform(0.98, 1.02)
    return sum(wave(base * h, count) / h for h in range(1, 12)) + 0.1 * rng.standard_normal(count)


def quiet(rng, count):
    return rng.standard_normal(count)
