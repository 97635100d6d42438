"""Source-filter speech synthesis.

Public names: SAMPLE_RATE, Utterance, synthesise.
After Fant's source-filter model (1960) and Klatt's cascade of formants (1980): a band-limited pulse train and noise are
filtered every 5 ms by a spectral envelope, the product of the source's tilt and the resonances of the vocal tract.
"""

import dataclasses

import numpy as np
from scipy.ndimage import gaussian_filter1d

from datasets.synthetic.phones import PHONES, SILENT
from datasets.synthetic.prosody import Prosody
from datasets.synthetic.speakers import Voice

SAMPLE_RATE = 16_000
"""Samples per second."""

_HOP = 80
_WINDOW = 320
_FFT = 512
_HIGHER_FORMANTS_HZ = (3500.0, 4500.0, 5600.0)
_PITCH_LIMITS_HZ = (65.0, 520.0)
_ACCENT_SEMITONES = 2.2
_JITTER_SHARE = 0.006
_TREMOR_HZ = 6.0
_MARGINS_SECONDS = 0.35


@dataclasses.dataclass(frozen=True, kw_only=True)
class Utterance:
    """Audio and mouth movement of one clip.

    Attributes:
        samples: float32 [n] in [-1, 1], at SAMPLE_RATE.
        opening: opening of the mouth, 0 to 1, float64 [n / 80], one value every 5 ms.
        pitch_hz: fundamental frequency, float64 [n / 80], hertz.
        voiced: where the voiced source is within 6 dB of its maximum, bool [n / 80].
    """

    samples: np.ndarray
    opening: np.ndarray
    pitch_hz: np.ndarray
    voiced: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Tracks:
    """Parameters of the synthesiser, one value every 5 ms: formants [frames, 3], the rest [frames]."""

    formants: np.ndarray
    voicing_db: np.ndarray
    noise_db: np.ndarray
    noise_hz: np.ndarray
    vowels: list[float]
    """Middles of the vowels, frames."""


def _plan(phones: str, rate: float, seconds: tuple[float, float], rng: np.random.Generator) -> _Tracks:
    """Places the phones in time: each is steady over its middle 40%, with glides between, and silence before and after."""
    sounds = [PHONES[symbol] for symbol in phones.split()]
    durations = np.array([sound.seconds for sound in sounds]) / rate * np.exp(0.1 * rng.normal(size=len(sounds)))
    margins = _MARGINS_SECONDS * rng.uniform(0.6, 1.4, 2)
    total = float(np.clip(durations.sum() + margins.sum(), *seconds))
    durations *= min(1.0, (total - 0.2) / durations.sum())
    frames = round(total * SAMPLE_RATE / _HOP)
    starts = (total - durations.sum()) * margins[0] / margins.sum() + np.cumsum(durations) - durations
    knots = np.ravel(np.column_stack([starts + 0.3 * durations, starts + 0.7 * durations]))
    times = np.arange(frames) * _HOP / SAMPLE_RATE

    def track(values: list[float]) -> np.ndarray:
        return gaussian_filter1d(np.interp(times, knots, np.repeat(values, 2)), 2)

    def level(values: list[float]) -> np.ndarray:
        ends = np.array([starts[0] - 0.02, starts[-1] + durations[-1] + 0.03])
        edged = np.interp(times, np.r_[ends[0], knots, ends[1]], np.r_[SILENT, np.repeat(values, 2), SILENT])
        return gaussian_filter1d(edged, 1.5)

    return _Tracks(
        formants=np.stack([track([sound.formants[k] for sound in sounds]) for k in range(3)], axis=1),
        voicing_db=level([sound.voicing_db for sound in sounds]),
        noise_db=level([sound.noise_db for sound in sounds]),
        noise_hz=track([sound.noise_hz for sound in sounds]),
        vowels=[
            float(start + 0.5 * length) * SAMPLE_RATE / _HOP
            for sound, start, length in zip(sounds, starts, durations, strict=True)
            if sound.is_vowel
        ],
    )


def _pitch_track(tracks: _Tracks, voice: Voice, prosody: Prosody, rng: np.random.Generator) -> np.ndarray:
    frames = len(tracks.voicing_db)
    time = np.arange(frames)
    first, last = tracks.vowels[0], max(tracks.vowels[-1], tracks.vowels[0] + 1)
    place = np.clip((time - first) / (last - first), 0, 1) - 0.5
    semitones = prosody.pitch + (prosody.contour - 2.0) * place
    accent = _ACCENT_SEMITONES * np.exp(prosody.pitch_range)
    for middle in tracks.vowels:
        semitones = semitones + accent * rng.normal(0, 0.8) * np.exp(-0.5 * ((time - middle) / 14) ** 2)
    phase = rng.uniform(0, 2 * np.pi)
    semitones = semitones + max(0.0, prosody.tremor) * np.sin(
        2 * np.pi * _TREMOR_HZ * _HOP / SAMPLE_RATE * time + phase
    )
    return np.clip(voice.pitch_hz * 2 ** (semitones / 12), *_PITCH_LIMITS_HZ)


def _pulses(pitch_hz: np.ndarray, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Returns a band-limited pulse train of unit power: the sum of all harmonics below 7.5 kHz, in closed form."""
    samples = len(pitch_hz) * _HOP
    pitch = np.interp(np.arange(samples), np.arange(len(pitch_hz)) * _HOP, pitch_hz)
    wobble = gaussian_filter1d(rng.normal(size=samples), SAMPLE_RATE / 400)
    pitch = pitch * (1 + _JITTER_SHARE * np.exp(jitter) * wobble / wobble.std())
    half_phase = np.pi * np.cumsum(pitch) / SAMPLE_RATE
    harmonics = np.floor(0.47 * SAMPLE_RATE / pitch)
    sine = np.sin(half_phase)
    smooth = np.where(np.abs(sine) < 1e-6, 1e-6, sine)
    ratio = np.sin((2 * harmonics + 1) * half_phase) / smooth
    return (ratio - 1) / np.sqrt(2 * harmonics)


def _resonances(tracks: _Tracks, formant_scale: float, hertz: np.ndarray) -> np.ndarray:
    """Returns the magnitude of a cascade of two-pole resonators, each 1 at 0 Hz: [frames, bins]; bandwidths 50 Hz + 4%."""
    higher = np.broadcast_to(_HIGHER_FORMANTS_HZ, (len(tracks.formants), len(_HIGHER_FORMANTS_HZ)))
    gain = np.ones((len(tracks.formants), len(hertz)))
    for centre in np.concatenate([tracks.formants, higher], axis=1).T * formant_scale:
        pole = (centre**2)[:, None]
        bandwidth = (50 + 0.04 * centre)[:, None]
        gain *= pole / np.sqrt((pole - hertz**2) ** 2 + (bandwidth * hertz) ** 2)
    return gain


def _shape(source: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Filters with one magnitude response per frame, [frames, bins]; windows overlap by 75%."""
    frames = len(gain)
    window = np.hanning(_WINDOW + 1)[:-1]
    padded = np.pad(source, (_WINDOW // 2, _WINDOW))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:frames] * window
    shaped = np.fft.irfft(np.fft.rfft(pieces, _FFT) * gain, _FFT)
    # A zero-phase response begins before the window's start: move that part to the front.
    before = (_FFT - _WINDOW) // 2
    shaped = np.roll(shaped, before, axis=1)
    result = np.zeros(frames * _HOP + _FFT)
    for i in range(0, _FFT, _HOP):
        block = shaped[:, i : i + _HOP]
        part = np.zeros((frames, _HOP))
        part[:, : block.shape[1]] = block
        result[i : i + frames * _HOP] += part.ravel()
    start = _WINDOW // 2 + before
    return result[start : start + frames * _HOP] / 2


def _decibels(values: np.ndarray | float) -> np.ndarray:
    return 10 ** (np.asarray(values) / 20)


def synthesise(
    phones: str,
    voice: Voice,
    prosody: Prosody,
    seconds: tuple[float, float],
    room_noise_db: float,
    rng: np.random.Generator,
) -> Utterance:
    """Synthesises a sentence.

    Args:
        phones: symbols of phones.PHONES, separated by spaces, with at least one vowel.
        voice: of the speaker.
        prosody: of this clip.
        seconds: minimum and maximum clip length; speech that does not fit is spoken faster.
        room_noise_db: RMS level of the room noise, dB against a full-scale sine.
        rng: generator of the clip.
    """
    tracks = _plan(phones, voice.rate * float(np.exp(prosody.rate)), seconds, rng)
    pitch_hz = _pitch_track(tracks, voice, prosody, rng)
    hertz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(hertz, 150) / 150)
    tract = _resonances(tracks, voice.formant_scale * float(np.exp(prosody.formants)), hertz)
    source = _decibels(-(voice.tilt_db + prosody.tilt) * octaves) * np.minimum(1, hertz / 90) ** 2
    aspiration = _decibels(voice.breath_db + prosody.breath - 2 * octaves)
    voicing = _decibels(tracks.voicing_db)[:, None]
    friction = _decibels(tracks.noise_db)[:, None] * np.exp(
        -0.5 * ((hertz - tracks.noise_hz[:, None] * voice.formant_scale**0.5) / 1300) ** 2
    )
    pulses = _pulses(pitch_hz, prosody.jitter, rng)
    noise = rng.normal(size=len(pulses))
    speech = _shape(pulses, voicing * tract * source) + _shape(
        noise, voicing * tract * aspiration * 0.1 + 0.3 * friction
    )
    voiced = tracks.voicing_db > -6
    active = np.repeat(voiced, _HOP)
    level = np.sqrt(2 * np.mean(speech[active] ** 2))
    speech *= _decibels(voice.level_db + prosody.energy) / level
    samples = speech + _room(len(speech), room_noise_db, rng)
    opening = np.clip((tracks.formants[:, 0] - 250) / 450, 0, 1) * np.clip(1 + tracks.voicing_db / 25, 0, 1)
    return Utterance(
        samples=np.clip(samples, -1, 1).astype(np.float32), opening=opening, pitch_hz=pitch_hz, voiced=voiced
    )


def _room(samples: int, level_db: float, rng: np.random.Generator) -> np.ndarray:
    """Returns stationary noise that falls by 9 dB per octave above 80 Hz, to a flat floor 40 dB below its maximum."""
    spectrum = np.fft.rfft(rng.normal(size=samples))
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    shape = (np.maximum(hertz, 80) / 80) ** -1.5 * np.minimum(1, hertz / 40) + 0.01
    noise = np.fft.irfft(spectrum * shape, samples)
    return noise * _decibels(level_db) / np.sqrt(2 * np.mean(noise**2))
