"""A spoken word found in a recording: as a wave, and in its spectrogram. Words are synthetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter, stft

from lab.drawing import GREEN, panels, save
from lab.tables import Table, percent
from scs.matching.scores import score_map

Wave = NDArray[np.float64]

RATE = 8_000  # samples a second
SYLLABLE = 0.16  # seconds
WINDOW, HOP = 256, 64  # samples of a spectrum, and from one to the next
# Formants of vowels in Hz, as averages of men have them (Peterson and Barney, 1952).
VOWELS = {"a": (730, 1090, 2440), "e": (530, 1840, 2480), "i": (270, 2290, 3010), "o": (570, 840, 2410)}
WORDS = ("aei", "oia", "eoa", "iae", "oei", "aoi")
WORD = "eai"  # that is looked for
SPEAKERS = {
    "the same recording": (110.0, 1.0, 1.0),
    "at a fifth of the level": (110.0, 1.0, 0.2),
    "spoken 15 % higher": (126.5, 1.0, 1.0),
    "spoken 10 % faster": (110.0, 0.9, 1.0),
}  # pitch in Hz, duration, level
NEAR = 0.05  # seconds that a place may be off


def word(vowels: str, pitch: float, duration: float = 1.0) -> Wave:
    """Synthesise a word: pulses of a pitch through three resonances for each vowel, a syllable each."""
    count = int(RATE * SYLLABLE * duration)
    parts = []
    for vowel in vowels:
        pulses = np.diff(np.floor(pitch * np.arange(count + 1) / RATE))
        for formant in VOWELS[vowel]:
            radius = np.exp(-np.pi * 80 / RATE)  # bandwidth of 80 Hz
            pulses = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * formant / RATE), radius**2], pulses)
        parts.append(pulses / np.abs(pulses).max() * np.hanning(count) ** 0.5)
    return np.concatenate(parts)


def recording(speaker: str, random: np.random.Generator) -> tuple[Wave, float]:
    """Make a recording of the word among six others, with noise, and return the second at which it begins."""
    pitch, duration, level = SPEAKERS[speaker]
    spoken = [word(each, random.uniform(95, 140)) for each in random.permutation(WORDS)]
    before = int(random.integers(1, len(spoken)))
    pause = np.zeros(RATE // 8)
    parts = [part for each in spoken[:before] for part in (each, pause)]
    start = sum(map(len, parts)) / RATE
    parts += [level * word(WORD, pitch, duration), pause, *(part for each in spoken[before:] for part in (each, pause))]
    wave = np.concatenate(parts)
    return wave + random.normal(0, 0.01, wave.size), start


def spectrogram(wave: Wave) -> NDArray[np.float64]:
    """Return the logarithm of the power by frequency and time ``(129, T)``, blurred over the pitch's harmonics."""
    power = np.abs(stft(wave, RATE, nperseg=WINDOW, noverlap=WINDOW - HOP, boundary=None)[2]) ** 2
    smooth = np.apply_along_axis(np.convolve, 0, power, np.hanning(11)[1:-1], "same")
    return np.asarray(10 * np.log10(smooth + 1e-8))


def found_at(wave: Wave, how: str) -> float:
    """Return the second at which the word is likeliest, by waves or by spectrograms, Pearson's r."""
    wanted = word(WORD, 110.0)
    if how == "wave":
        return float(np.abs(score_map(wave, wanted).scores).argmax() / RATE)
    scores = score_map(spectrogram(wave), spectrogram(wanted)).scores
    return float(scores.argmax() * HOP / RATE)


def run(quick: bool) -> dict[str, Any]:
    """Look for the word in many recordings."""
    count = 5 if quick else 50
    found = {}
    for speaker in SPEAKERS:
        random = np.random.default_rng(0)
        made = [recording(speaker, random) for _ in range(count)]
        found[speaker] = {
            how: float(np.mean([abs(found_at(wave, how) - start) < NEAR for wave, start in made]))
            for how in ("wave", "spectrogram")
        }
    return {"recordings": count, "found": found}


def table(figures: dict[str, Any]) -> Table:
    """Make the table: how often the word is found."""
    rows = [[speaker, *(percent(share) for share in each.values())] for speaker, each in figures["found"].items()]
    return Table(["the word, in the recording", "by its wave", "by its spectrogram"], rows)


def draw(figures: dict[str, Any], path: Path) -> Path:
    """Draw a recording, its spectrogram with the word, and the score by time."""
    wave, start = recording("spoken 15 % higher", np.random.default_rng(2))
    plane, wanted = spectrogram(wave), spectrogram(word(WORD, 110.0))
    scores = score_map(plane, wanted).scores[0]
    seconds = np.arange(scores.size) * HOP / RATE
    figure, axes = panels(3, 1, 4.6)
    axes[0].plot(np.arange(wave.size) / RATE, wave, color="black", lw=0.4)
    axes[0].set_title("recording; the word is spoken 15 % higher than the template", fontsize=10)
    axes[1].imshow(plane, origin="lower", aspect="auto", cmap="gray_r", extent=(0, wave.size / RATE, 0, RATE / 2000))
    axes[1].set_title("spectrogram, kHz", fontsize=10)
    axes[2].plot(seconds, scores, color="black", lw=1)
    axes[2].set_title("Pearson's r of the spectrograms, by the second at which the word begins", fontsize=10)
    for each in axes:
        each.axvspan(start, start + wanted.shape[1] * HOP / RATE, color=GREEN, alpha=0.25)
        each.set_xlim(0, wave.size / RATE)
    return save(figure, path)
