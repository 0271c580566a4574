"""Debian's flite and espeak-ng as functions from text to 8 kHz sound with the times of its words.

Both are called in their shared libraries, which is many times faster than their programs.
"""

import ctypes as c
import os
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

RATE = 8000
FLITE_TRAINED = ["rms", "rms", "rms", "slt", "slt", "slt", "awb", "awb"]
FLITE_HELD_OUT = ["kal16", "kal"]
ACCENTS = ["en-us", "en-us", "en-us", "en", "en", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc"]
ESPEAK_TRAINED = (
    "f1 f2 f3 f5 m1 m2 m3 m5 m6 m7 m8 steph steph2 steph3 belinda linda adam david edward edward2 ed norbert robert "
    "iven iven2 iven3 max john paul travis klatt klatt2 klatt4 zac"
).split() + [""] * 4
ESPEAK_HELD_OUT = ["en-us+f4", "en+m4", "en-us+alex", "en-gb-x-gbclan+michael"]


@dataclass
class Speech:
    """Mono 16-bit sound at 8 kHz, cut to what is spoken, and each word's first and last sample."""

    sound: np.ndarray
    begins: list
    ends: list


class Flite:
    """The flite voices."""

    def __init__(self):
        self.lib = lib = load("libflite.so.1")
        for voice_part in ("libflite_usenglish.so.1", "libflite_cmulex.so.1"):
            load(voice_part)
        lib.flite_init()
        for name, result in (("flite_synth_text", c.c_void_p), ("utt_relation", c.c_void_p), ("relation_head", c.c_void_p),
                             ("item_next", c.c_void_p), ("flite_ffeature_string", c.c_char_p),
                             ("flite_ffeature_float", c.c_float), ("utt_wave", c.POINTER(Wave))):
            getattr(lib, name).restype = result
        self.voices = {}

    def voice(self, name):
        if name not in self.voices:
            register = getattr(load(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
            register.restype = c.c_void_p
            self.voices[name] = c.c_void_p(register(None))
        return self.voices[name]

    def say(self, text, name, stretch=1.0, pitch=1.0):
        """Speaks `text`; a stretch above 1 is slower, a pitch above 1 higher. None where the words do not line up."""
        voice = self.voice(name)
        features = c.c_void_p(c.cast(voice, c.POINTER(c.c_void_p))[1])
        self.lib.flite_feat_set_float(features, b"duration_stretch", c.c_float(stretch))
        if name in ("kal", "kal16"):
            self.lib.flite_feat_set_float(features, b"int_f0_target_mean", c.c_float(95 * pitch))
        else:
            self.lib.flite_feat_set_float(features, b"f0_shift", c.c_float(pitch))
        utterance = c.c_void_p(self.lib.flite_synth_text(text.encode(), voice))
        try:
            words = list(self.words(utterance))
            wave = self.lib.utt_wave(utterance).contents
            sound = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
            return lined_up(text, words, sound, wave.sample_rate)
        finally:
            self.lib.delete_utterance(utterance)

    def words(self, utterance):
        item = self.lib.relation_head(c.c_void_p(self.lib.utt_relation(utterance, b"Word")))
        while item:
            handle = c.c_void_p(item)
            name = (self.lib.flite_ffeature_string(handle, b"name") or b"").decode()
            begin = self.lib.flite_ffeature_float(handle, b"R:SylStructure.daughter1.daughter1.R:Segment.p.end")
            end = self.lib.flite_ffeature_float(handle, b"R:SylStructure.daughtern.daughtern.R:Segment.end")
            yield name, begin, end
            item = self.lib.item_next(handle)


class Wave(c.Structure):
    """flite's `cst_wave`."""

    _fields_ = [("type", c.c_char_p), ("sample_rate", c.c_int), ("num_samples", c.c_int),
                ("num_channels", c.c_int), ("samples", c.POINTER(c.c_short))]


def lined_up(text, words, sound, rate):
    """Joins what flite split ("i" + "'d") and checks that there is one time for each written word."""
    joined = []
    for name, begin, end in words:
        if name.startswith("'") and joined:
            joined[-1] = (joined[-1][0] + name, joined[-1][1], end)
        else:
            joined.append((name, begin, end))
    if len(joined) != len(text.split()) or not joined:
        return None
    if rate != RATE:
        sound = resample_poly(sound.astype(np.float32), 1, rate // RATE)
    return trimmed(sound, [b for _, b, _ in joined], [e for _, _, e in joined])


def trimmed(sound, begins, ends):
    """Cuts the silence around the words, 20 ms short of them; times in seconds become samples."""
    first = max(0, int((begins[0] - 0.02) * RATE))
    last = min(len(sound), int((ends[-1] + 0.02) * RATE))
    place = lambda seconds: int(np.clip(seconds * RATE - first, 0, last - first))
    sound = np.clip(np.round(sound[first:last]), -32768, 32767).astype(np.int16)
    return Speech(sound, [place(b) for b in begins], [place(e) for e in ends])


class Espeak:
    """The espeak-ng voices."""

    WORD = 1

    def __init__(self):
        self.lib = load("libespeak-ng.so.1")
        data = os.environ.get("ESPEAK_DATA")
        self.rate = self.lib.espeak_Initialize(2, 0, data.encode() if data else None, 0)
        assert self.rate > 0, "espeak-ng-data was not found"
        self.pieces, self.marks = [], []
        self.callback = CALLBACK(self.heard)
        self.lib.espeak_SetSynthCallback(self.callback)

    def heard(self, wave, count, events):
        if wave and count > 0:
            self.pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        at = 0
        while events[at].type:
            if events[at].type == self.WORD:
                self.marks.append((events[at].text_position - 1, events[at].audio_position / 1000))
            at += 1
        return 0

    def say(self, text, voice, rate=170, pitch=50, spread=50):
        """Speaks `text` at `rate` words a minute; pitch and its spread are 0 to 99."""
        self.pieces, self.marks = [], []
        if self.lib.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice}")
        for parameter, value in ((1, rate), (3, pitch), (4, spread)):
            self.lib.espeak_SetParameter(parameter, int(value), 0)
        data = text.encode()
        self.lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
        if not self.pieces:
            return None
        sound = np.concatenate(self.pieces).astype(np.float32)
        begins = self.begins(text)
        if begins is None:
            return None
        loud = np.flatnonzero(np.abs(sound) > 200)
        if not len(loud):
            return None
        ends = [b - 0.01 for b in begins[1:]] + [loud[-1] / self.rate]
        return trimmed(resample_poly(sound, 160, 441), begins, ends)

    def begins(self, text):
        """The second at which each word begins; words that espeak-ng speaks as one ("of a") share its time by letters."""
        known, places, at = {}, [], 0
        for position, second in self.marks:
            known.setdefault(position, second)
        for word in text.split():
            at = text.index(word, at)
            places.append(at)
            at += len(word)
        if places[0] not in known:
            return None
        marks = sorted((p, s) for p, s in known.items() if p in set(places))
        begins = list(np.interp(places, [p for p, _ in marks], [s for _, s in marks]))
        return begins if begins == sorted(begins) and len(marks) * 3 >= len(places) else None


class Event(c.Structure):
    """espeak-ng's `espeak_EVENT`."""

    _fields_ = [("type", c.c_int), ("id", c.c_uint), ("text_position", c.c_int), ("length", c.c_int),
                ("audio_position", c.c_int), ("sample", c.c_int), ("user", c.c_void_p), ("name", c.c_char * 8)]


CALLBACK = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(Event))


def load(name):
    return c.CDLL(name, mode=c.RTLD_GLOBAL)


class Voices:
    """Draws a voice and speaks with it."""

    def __init__(self):
        self.flite, self.espeak = Flite(), Espeak()

    def trained(self, text, rng):
        """`text` by a voice of the training set, (Speech or None, voice name)."""
        if rng.random() < 0.58:
            return self.with_flite(text, rng.choice(FLITE_TRAINED), rng)
        variant = rng.choice(ESPEAK_TRAINED)
        return self.with_espeak(text, rng.choice(ACCENTS) + (f"+{variant}" if variant else ""), rng)

    def held_out(self, text, rng):
        """`text` by a voice that no training hears."""
        if rng.random() < 0.5:
            return self.with_flite(text, rng.choice(FLITE_HELD_OUT), rng)
        return self.with_espeak(text, rng.choice(ESPEAK_HELD_OUT), rng)

    def with_flite(self, text, name, rng):
        plain = rng.random() < 0.3
        stretch = 1.0 if plain else rng.uniform(0.78, 1.25)
        pitch = 1.0 if plain else rng.uniform(0.82, 1.25)
        return self.flite.say(text, name, stretch, pitch), name

    def with_espeak(self, text, name, rng):
        return self.espeak.say(text, name, rng.randint(130, 215), rng.randint(25, 75), rng.randint(25, 70)), name
