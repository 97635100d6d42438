"""Generates speech spectrograms from photographs, with a model in this process or on a server.

Public names: load, Generator, Generated; emotions_of, check_seeds.
"""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from emogan import audio
from emogan.errors import UserError, check, first_ones
from emogan.serving.connections import REQUEST_ROWS, Connection, connection_to, settings_of
from emogan.serving.photos import Photo, aligned_face

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEM_CHARACTERS = 50  # of up to 4 bytes each; file systems allow 255 bytes
_DIGEST_CHARACTERS = 8


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Generated:
    """A spectrogram generated from a face for one emotion.

    Attributes:
        emotion: the requested emotion.
        seed: seed of the noise; the same face, emotion and seed give the same result.
        face: the aligned face, the model's input, uint8 [S, S, 3].
        spectrogram: float32 [S, S, 1] in [-1, 1], lowest frequency first.
        wav_bytes: audio by Griffin-Lim, a mono 16-bit WAV file; empty if not requested.
        sample_rate: samples per second of the audio.
        name: identifies the photograph: the start of its file name, and a digest of its content.
    """

    emotion: str
    seed: int
    face: np.ndarray
    spectrogram: np.ndarray
    wav_bytes: bytes
    sample_rate: int
    name: str

    @functools.cached_property
    def waveform(self) -> np.ndarray:
        """The audio, float32 [n] in [-1, 1]. Raises UserError if it was not requested."""
        check(bool(self.wav_bytes), "no audio: generate it with with_audio=True")
        return audio.read_wav(self.wav_bytes, self.sample_rate)

    def figure(self) -> "Figure":
        """Draws the spectrogram with axes."""
        from emogan import drawing  # matplotlib takes long to import

        return drawing.spectrogram_figure(self.spectrogram)

    def png(self) -> bytes:
        """Returns the figure as a PNG file."""
        from emogan import drawing

        return drawing.to_png(self.figure())

    def save(self, folder: str | Path) -> list[Path]:
        """Writes the aligned face and the spectrogram as PNG files, and the audio, if requested, as a WAV file.

        Args:
            folder: created if missing. Existing files of the same photograph, emotion and seed are replaced.

        Returns:
            The paths: `<name>_face.png`, `<name>_<emotion>_<seed>.png` and `.wav`.
        """
        stem = Path(folder) / f"{self.name}_{self.emotion}_{self.seed}"
        contents = {
            stem.with_name(f"{self.name}_face.png"): tf.io.encode_png(self.face).numpy(),
            stem.with_name(f"{stem.name}.png"): self.png(),
            stem.with_name(f"{stem.name}.wav"): self.wav_bytes,
        }
        stem.parent.mkdir(parents=True, exist_ok=True)
        written = {path: content for path, content in contents.items() if content}
        for path, content in written.items():
            path.write_bytes(content)
        return list(written)


class Generator:
    """Generates spectrograms from faces.

    Args:
        connection: the model, in this process or on a server; see `load`.

    Attributes:
        settings: the model's settings.
        class_names: the model's emotions.

    Raises:
        UserError: if the model does not respond, or has no generator.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.settings = settings_of(connection)
        check(
            self.settings.generates,
            "the model has a recogniser but no generator; give a model of a run that trained a GAN",
        )
        self.class_names = tuple(self.settings.class_names)

    def generate(
        self,
        photographs: Photo | Sequence[Photo],
        emotions: str | Sequence[str] = "all",
        *,
        draws: int = 1,
        seed: int = 1,
        with_audio: bool = True,
    ) -> list[Generated]:
        """Detects and aligns the largest face of each photograph, and generates spectrograms from it.

        Args:
            photographs: one or several.
            emotions: one or several of `class_names`, each once, or `all`.
            draws: number of samples per face and emotion, each from other noise; at least 1.
            seed: seed of the first sample's noise; later samples use the next numbers.
            with_audio: whether to generate audio too, which takes most of the time.

        Returns:
            The samples, ordered by photograph, then draw, then emotion. Several photographs show a progress bar.

        Raises:
            UserError: if the model does not respond, an emotion is unknown, `draws` or `seed` is invalid, or a photograph
                cannot be read or has no face that is large enough; all photographs are checked before the first is used.
        """
        check(draws >= 1, f"draws is {draws}; it must be at least 1")
        check_seeds(seed, draws)
        requested = emotions_of([emotions] if isinstance(emotions, str) else emotions, self.class_names)
        faces = self._faces([photographs] if isinstance(photographs, Photo) else list(photographs))
        progress = tqdm(faces.items(), desc="generating", unit="photo", disable=len(faces) < 2)
        rows = list(itertools.product(range(seed, seed + draws), requested))
        return [sample for name, face in progress for sample in self._samples(name, face, rows, with_audio)]

    def of_face(
        self, face: np.ndarray, emotions: Sequence[str], seed: int, *, with_audio: bool = True
    ) -> list[Generated]:
        """Generates one sample per emotion from an aligned face, uint8 [S, S, 3]. Raises UserError if the model rejects it."""
        return self._samples("face", face, [(seed, emotion) for emotion in emotions], with_audio)

    def _faces(self, photographs: Sequence[Photo]) -> dict[str, np.ndarray]:
        """Returns the aligned faces by name; duplicate photographs give one face."""
        faces, errors = {}, []
        progress = tqdm(photographs, desc="faces", unit="photo", disable=len(photographs) < 2)
        for number, photograph in enumerate(progress):
            try:
                face = aligned_face(photograph, self.settings.media.face)
            except UserError as error:
                errors.append(str(error) if isinstance(photograph, str | Path) else f"photograph {number}: {error}")
            else:
                faces[_name(photograph)] = face
        if errors:
            raise UserError(first_ones(errors, "; "))
        return faces

    def _samples(
        self, name: str, face: np.ndarray, rows: Sequence[tuple[int, str]], with_audio: bool
    ) -> list[Generated]:
        samples = []
        for start in range(0, len(rows), REQUEST_ROWS):
            part = rows[start : start + REQUEST_ROWS]
            request = {
                "aligned_face_bytes": np.array([tf.io.encode_png(face).numpy()] * len(part), object),
                "emotion": np.array([emotion.encode() for _, emotion in part], object),
                "seed": np.array([seed for seed, _ in part], np.int64),
            }
            outputs = self._connection.predict("serving_default", request)
            for error in filter(None, outputs["error"]):
                raise UserError(f"the model rejected the request: {error.decode()}")
            wavs = self._connection.predict("audio", request)["wav_bytes"] if with_audio else [b""] * len(part)
            for (seed, emotion), spectrogram, wav_bytes in zip(part, outputs["spectrogram"], wavs, strict=True):
                samples.append(
                    Generated(
                        emotion=emotion, seed=seed, face=face, spectrogram=spectrogram, wav_bytes=wav_bytes,
                        sample_rate=self.settings.media.spectrogram.sample_rate, name=name,
                    )
                )  # fmt: skip
        return samples


def _name(photograph: Photo) -> str:
    if isinstance(photograph, str | Path):
        path = Path(photograph)
        return f"{path.stem[:_STEM_CHARACTERS]}_{_digest(path.read_bytes())}"
    return f"photo_{_digest(np.asarray(photograph).tobytes())}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_DIGEST_CHARACTERS]


def load(source: str | Path, *, model: str = "emogan", version: int = 0, timeout_seconds: float = 30.0) -> Generator:
    """Loads a generator from a run or an export, or connects to one on TensorFlow Serving.

    Args:
        source: the folder of a run, of an exported model or of its versions; or a server's address: http://host:8501,
            https://host or grpc://host:8500.
        model: name of the model on a server.
        version: version of the model on a server; 0 for the newest.
        timeout_seconds: time limit of a request to a server, including retries.

    Raises:
        UserError: if the model is missing, cannot be read or has no generator, or the server does not respond.
    """
    return Generator(connection_to(source, model=model, version=version, timeout_seconds=timeout_seconds))


def emotions_of(requested: Sequence[str], class_names: Sequence[str]) -> list[str]:
    """Resolves requested emotions.

    Args:
        requested: names of emotions, or only `all`.
        class_names: the model's emotions.

    Raises:
        UserError: if a name is unknown or repeated, or there is none.
    """
    if list(requested) == ["all"]:
        return list(class_names)
    unknown = [emotion for emotion in requested or ("",) if emotion not in class_names]
    if unknown:
        raise UserError(
            f"unknown emotion {', '.join(map(repr, unknown))}; choose from {', '.join(class_names)}, or all"
        )
    check(len(set(requested)) == len(requested), f"{','.join(requested)}: an emotion is repeated; give each once")
    return list(requested)


def check_seeds(first: int, count: int) -> None:
    """Raises UserError unless all `count` seeds starting at `first` are in the range of int64."""
    if not -(2**63) <= first <= 2**63 - count:
        raise UserError(f"seed is {first:,}, the first of {count:,}; all must be in [-2^63, 2^63)")
