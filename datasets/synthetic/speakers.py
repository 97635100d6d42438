"""Synthetic speakers: their voices and faces, with a given correlation between the two.

Public names: Voice, Look, Speaker, make_speaker, restage.
"""

import dataclasses

import numpy as np

from datasets.synthetic.settings import Dials

MEAN_PITCH_HZ = 150.0
PITCH_SEMITONES = 6.0
"""One standard deviation of pitch over all speakers; the mean is then 112 Hz for men and 201 Hz for women."""

TRACT_LOG_SCALE = 0.075
"""One standard deviation of the logarithm of the formant scale."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Voice:
    """A speaker's neutral voice.

    Attributes:
        pitch_hz: median fundamental frequency of neutral speech, hertz.
        formant_scale: formant frequencies relative to the mean speaker's; the inverse of vocal-tract length.
        tilt_db: fall of the source spectrum, decibels per octave.
        level_db: RMS level of neutral speech, dB against a full-scale sine.
        breath_db: level of the aspiration noise relative to the voiced source, dB.
        rate: speed relative to the mean speaker's.
    """

    pitch_hz: float
    formant_scale: float
    tilt_db: float
    level_db: float
    breath_db: float
    rate: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """A speaker's face and how it is filmed. Shapes are relative changes, 0 for the photograph.

    Attributes:
        width: of the face.
        jaw: width of the lower face.
        length: of the lower face.
        eye_gap: distance between the eyes.
        nose: width of the nose.
        mouth: width of the mouth.
        at_rest: actions (see expressions.ACTIONS) of this face without an expression.
        skin: gains of red, green and blue over the whole person.
        hair: gains of red, green and blue of the hair.
        clothes: gains of red, green and blue of the clothes.
        background: colour of the wall, RGB in [0, 1].
        light: change of brightness from the middle of the face to one face height to the right, and down.
        exposure: gain of the camera.
        zoom: size of the face relative to the corpus's mean.
        offset: shift of the face from its mean position, in face heights (right, down).
        roll: tilt of the head, radians.
    """

    width: float
    jaw: float
    length: float
    eye_gap: float
    nose: float
    mouth: float
    at_rest: dict[str, float]
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    clothes: tuple[float, float, float]
    background: tuple[float, float, float]
    light: tuple[float, float]
    exposure: float
    zoom: float
    offset: tuple[float, float]
    roll: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speaker:
    """One synthetic person. `female` sets the mean of pitch and formants."""

    speaker_id: str
    female: bool
    age: int
    voice: Voice
    look: Look


def _gains(rng: np.random.Generator, spread: float) -> tuple[float, float, float]:
    red, green, blue = np.exp(spread * rng.normal(0, 1, 3))
    return float(red), float(green), float(blue)


def _hair_gains(rng: np.random.Generator, spread: float) -> tuple[float, float, float]:
    darkness, redness = spread * rng.uniform(-0.3, 1.2), spread * rng.uniform(-0.15, 0.3)
    red, green, blue = np.exp([0.2 * redness - 0.8 * darkness, -darkness, -0.15 * redness - 1.15 * darkness])
    return float(red), float(green), float(blue)


def _make_voice(rng: np.random.Generator, traits: np.ndarray, spread: float) -> Voice:
    pitch, tract, effort = traits
    return Voice(
        pitch_hz=float(MEAN_PITCH_HZ * 2 ** (spread * PITCH_SEMITONES * pitch / 12)),
        formant_scale=float(np.exp(spread * TRACT_LOG_SCALE * tract)),
        tilt_db=float(8.5 - spread * 0.9 * effort),
        level_db=float(-33 + spread * 2.2 * effort),
        breath_db=float(-24 + spread * 3 * rng.normal()),
        rate=float(np.exp(spread * 0.1 * rng.normal())),
    )


def _make_look(rng: np.random.Generator, traits: np.ndarray, spread: float) -> Look:
    shape, tint, lighting = np.clip(traits, -2, 2)
    normal = np.clip(rng.normal(0, 1, 12), -2, 2) * spread
    dark = spread * (0.55 + 0.35 * tint)
    return Look(
        width=float(0.03 * normal[0] - spread * 0.03 * shape),
        jaw=float(0.02 * normal[1] - spread * 0.09 * shape),
        length=float(0.02 * normal[2] - spread * 0.05 * shape),
        eye_gap=float(0.04 * normal[3]),
        nose=float(0.07 * normal[4] - spread * 0.05 * shape),
        mouth=float(0.05 * normal[5]),
        at_rest={
            "brow_lower": float(0.22 * normal[6]),
            "brow_outer_up": float(0.2 * normal[7]),
            "lip_corner_up": float(0.15 * normal[8]),
            "lid_droop": float(0.2 * normal[9]),
        },
        skin=(float(np.exp(-0.22 * dark)), float(np.exp(-0.36 * dark)), float(np.exp(-0.48 * dark))),
        hair=_hair_gains(rng, spread),
        clothes=_gains(rng, 0.4 * spread),
        background=_wall(rng, spread),
        light=(float(spread * 0.22 * lighting), float(0.06 * normal[10])),
        exposure=float(np.exp(0.1 * normal[11])),
        zoom=float(np.exp(spread * 0.07 * np.clip(rng.normal(), -2, 2))),
        offset=(float(spread * 0.08 * rng.uniform(-1, 1)), float(spread * 0.06 * rng.uniform(-1, 1))),
        roll=float(spread * 0.04 * np.clip(rng.normal(), -2, 2)),
    )


def _wall(rng: np.random.Generator, spread: float) -> tuple[float, float, float]:
    red, green, blue = np.clip(0.55 + spread * (0.15 * rng.normal() + 0.06 * rng.normal(0, 1, 3)), 0.1, 0.95)
    return float(red), float(green), float(blue)


def make_speaker(speaker_id: str, female: bool, dials: Dials, rng: np.random.Generator) -> Speaker:
    """Draws a speaker.

    Three standard normal traits determine the voice: pitch, formant scale and vocal effort; sex explains 72% and 50% of the
    variance of the first two. The face's traits (shape, complexion, lighting) are `face_voice` times these, plus noise that
    completes them to unit variance, so `face_voice` is the correlation.

    Args:
        speaker_id: the official id.
        female: sets the mean of pitch and formants.
        dials: `face_voice` and `speaker_spread` are used.
        rng: generator of this speaker.
    """
    sex = 1.0 if female else -1.0
    own = np.clip(rng.normal(0, 1, 3), -2.5, 2.5)
    voice_traits = np.array([0.85 * sex + 0.53 * own[0], 0.71 * sex + 0.71 * own[1], own[2]])
    other = rng.normal(0, 1, 3)
    face_traits = dials.face_voice * voice_traits + np.sqrt(1 - dials.face_voice**2) * other
    return Speaker(
        speaker_id=speaker_id,
        female=female,
        age=int(rng.integers(20, 75)),
        voice=_make_voice(rng, voice_traits, dials.speaker_spread),
        look=_make_look(rng, face_traits, dials.speaker_spread),
    )


def restage(look: Look, dials: Dials, rng: np.random.Generator) -> Look:
    """Returns the same face on another occasion: wall, clothes, framing and exposure change; face and light do not."""
    spread = dials.speaker_spread
    return dataclasses.replace(
        look,
        clothes=_gains(rng, 0.4 * spread),
        background=_wall(rng, spread),
        exposure=float(np.exp(0.1 * spread * np.clip(rng.normal(), -2, 2))),
        zoom=float(np.exp(0.07 * spread * np.clip(rng.normal(), -2, 2))),
        offset=(float(spread * 0.08 * rng.uniform(-1, 1)), float(spread * 0.06 * rng.uniform(-1, 1))),
        roll=float(spread * 0.04 * np.clip(rng.normal(), -2, 2)),
    )
