"""From the face in a photograph to spectrograms and their sounds, by a model here or elsewhere.

Public names: settings_of, ask, Answer, check_seeds, generate.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from emogan import drawing, faces
from emogan.config import from_json
from emogan.connections import Connection
from emogan.errors import UserError, check
from emogan.serving import ServedSettings


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a model made of a face for one emotion.

    Attributes:
        emotion: its name.
        spectrogram: float32 [S, S, 1] in [-1, 1], lowest frequency first.
        wav_bytes: its sound, a WAV file; empty where none was asked for.
    """

    emotion: str
    spectrogram: np.ndarray
    wav_bytes: bytes

    def png(self) -> bytes:
        """The spectrogram as a picture with axes, a PNG file."""
        return drawing.to_png(drawing.spectrogram_figure(self.spectrogram))


def settings_of(connection: Connection) -> ServedSettings:
    """What a served model says of itself.

    Raises:
        UserError: where the model does not answer.
    """
    (text,) = connection.predict("settings", {"row": np.zeros(1, np.int64)})["settings"]
    return from_json(ServedSettings, text.decode())


def ask(
    connection: Connection, face: np.ndarray, emotions: Sequence[str], seed: int, *, sound: bool = True
) -> list[Answer]:
    """Asks a model for emotions of one face, in one request.

    Args:
        connection: the model, served or in this process.
        face: aligned, uint8 [S, S, 3].
        emotions: which ones; each must be one that the model knows.
        seed: of the noise, the same for all.
        sound: whether the answers have sounds.

    Raises:
        UserError: where the model does not answer, or does not know an emotion.
    """
    count = len(emotions)
    request = {
        "aligned_face_bytes": np.array([tf.io.encode_png(face).numpy()] * count, object),
        "emotion": np.array([emotion.encode() for emotion in emotions], object),
        "seed": np.full(count, seed, np.int64),
    }
    drawn = connection.predict("serving_default", request)
    heard = connection.predict("audio", request)["wav_bytes"] if sound else [b""] * count
    for error in drawn["error"]:
        if error:
            raise UserError(f"the model refused the request: {error.decode()}")
    rows = zip(emotions, drawn["spectrogram"], heard, strict=True)
    return [Answer(emotion=emotion, spectrogram=made, wav_bytes=sound) for emotion, made, sound in rows]


def check_seeds(first: int, count: int) -> None:
    """Raises UserError where one of `count` seeds from `first` on is no int64, which is what a model takes."""
    if not -(2**63) <= first <= 2**63 - count:
        raise UserError(f"seed is {first:,}, of the first of {count:,}; all of them must lie in [-2^63, 2^63)")


def generate(
    connection: Connection, photo: Path, emotions: Sequence[str], seed: int, output_dir: Path, *, draws: int = 1
) -> list[Path]:
    """Finds and aligns the largest face of a photograph, asks a model for emotions, and writes what it gives.

    Args:
        connection: the model, served or in this process.
        photo: the photograph's file.
        emotions: which ones; each must be one that the model knows; or `all` alone.
        seed: of the first draw's noise; the next draws have the next numbers.
        output_dir: receives the files; made if need be.
        draws: how many of each emotion, by different noise; at least 1.

    Returns:
        The files written: the aligned face (PNG); for each draw and emotion the spectrogram (PNG) and its sound (WAV), named by
        photograph, emotion and seed.

    Raises:
        UserError: where the model does not answer, the photograph cannot be read, an emotion is unknown, there is no face, or
            no draw is asked for.
    """
    check(draws >= 1, f"draws is {draws}; it must be 1 or more")
    check_seeds(seed, draws)
    settings = settings_of(connection)
    emotions = settings.class_names if list(emotions) == ["all"] else emotions
    for emotion in emotions or ("",):
        if emotion not in settings.class_names:
            raise UserError(
                f"--emotion={emotion} is unknown to this model; choose from {', '.join(settings.class_names)}"
            )
    face = faces.from_photo(photo, settings.media.face)
    contents = {f"{photo.stem}_face.png": tf.io.encode_png(face).numpy()}
    for own in range(seed, seed + draws):
        for answer in ask(connection, face, emotions, own):
            stem = f"{photo.stem}_{answer.emotion}_{own}"
            contents |= {f"{stem}.png": answer.png(), f"{stem}.wav": answer.wav_bytes}
    output_dir.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (output_dir / name).write_bytes(content)
    return [output_dir / name for name in contents]
