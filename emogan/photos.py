"""From the face in a photograph to spectrograms and their sounds, by a model here or elsewhere.

Public names: aligned_face, settings_of, emotions_of, ask, Answer, check_seeds, generate.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from emogan import drawing, faces, images
from emogan.config import FaceConfig, from_json
from emogan.connections import Connection
from emogan.errors import UserError, check
from emogan.serving import ServedSettings

_TURNED_SIDE = 1000  # pixels: about the longer side of an image that is looked at turned
_STEM_CHARACTERS = 50  # of up to 4 bytes each; file systems allow 255 bytes
_DIGEST_CHARACTERS = 8


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


def aligned_face(path: Path, config: FaceConfig) -> np.ndarray:
    """The largest face of a photograph, aligned: uint8 [S, S, 3].

    Args:
        path: a file of any format that Pillow reads.
        config: how the face is found and aligned.

    Raises:
        UserError: where the file cannot be read as an image, or shows no upright face, or none of at least
            `config.min_width`.
    """
    picture = images.read(path)
    found = faces.detect(picture, config)
    if not found:
        degrees = _turned(picture, config)
        raise UserError(
            f"no upright face was found in {path}, but one when it is turned by {degrees} degrees clockwise; turn it, and "
            "give it again"
            if degrees
            else f"no face was found in {path}; give a photograph in which a face is seen from the front"
        )
    width = found[0].box[2]
    if width < config.min_width:
        raise UserError(
            f"the largest face in {path} is {width:.0f} pixels wide, and this model wants {config.min_width:g} at least; "
            "give a photograph that shows it larger"
        )
    return faces.align(picture, found[0].landmarks, config)[0]


def _turned(picture: np.ndarray, config: FaceConfig) -> int:
    """By how many degrees clockwise an image must be turned for a face to be found, or 0 where that does not help."""
    image = Image.fromarray(picture).reduce(max(1, max(picture.shape) // _TURNED_SIDE))
    turns = (Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_90)  # counter-clockwise
    turned = zip((180, 90, 270), turns, strict=True)
    return next((degrees for degrees, turn in turned if faces.detect(np.asarray(image.transpose(turn)), config)), 0)


def settings_of(connection: Connection) -> ServedSettings:
    """What a served model says of itself.

    Raises:
        UserError: where the model does not answer.
    """
    (text,) = connection.predict("settings", {"row": np.zeros(1, np.int64)})["settings"]
    return from_json(ServedSettings, text.decode())


def emotions_of(asked: Sequence[str], class_names: Sequence[str]) -> list[str]:
    """The emotions that a flag asks for.

    Args:
        asked: names of emotions, or `all` alone.
        class_names: the emotions that the model knows.

    Raises:
        UserError: where a name is unknown or there twice, or none is given.
    """
    if list(asked) == ["all"]:
        return list(class_names)
    unknown = [emotion for emotion in asked or ("",) if emotion not in class_names]
    if unknown:
        raise UserError(
            f"the model does not know the emotion {', '.join(map(repr, unknown))}; choose from {', '.join(class_names)}, or "
            "say all"
        )
    check(len(set(asked)) == len(asked), f"{','.join(asked)}: an emotion is there twice; name each one once")
    return list(asked)


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
        The files written: the aligned face (PNG); for each draw and emotion the spectrogram (PNG) and its sound (WAV). Their
        names are those of the photograph's file, a digest of what it holds, the emotion and the seed: no other photograph's
        files have the same.

    Raises:
        UserError: where the model does not answer, the photograph cannot be read, an emotion is unknown, there is no face, or
            no draw is asked for.
    """
    check(draws >= 1, f"draws is {draws}; it must be 1 or more")
    check_seeds(seed, draws)
    settings = settings_of(connection)
    emotions = emotions_of(emotions, settings.class_names)
    face = aligned_face(photo, settings.media.face)
    digest = hashlib.sha256(photo.read_bytes()).hexdigest()[:_DIGEST_CHARACTERS]
    stem = f"{photo.stem[:_STEM_CHARACTERS]}_{digest}"
    contents = {f"{stem}_face.png": tf.io.encode_png(face).numpy()}
    for own in range(seed, seed + draws):
        for answer in ask(connection, face, emotions, own):
            name = f"{stem}_{answer.emotion}_{own}"
            contents |= {f"{name}.png": answer.png(), f"{name}.wav": answer.wav_bytes}
    output_dir.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (output_dir / name).write_bytes(content)
    return [output_dir / name for name in contents]
