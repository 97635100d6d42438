"""Speech spectrograms from photographs, by a model in this process or on a server.

Public names: load, Generator, Generated; emotions_of, check_seeds.
"""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from emogan import audio, drawing
from emogan.errors import UserError, check, first_ones
from emogan.serving.connections import REQUEST_ROWS, Connection, connection_to, settings_of
from emogan.serving.photos import Photo, aligned_face

_STEM_CHARACTERS = 50  # of up to 4 bytes each; file systems allow 255 bytes
_DIGEST_CHARACTERS = 8


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Generated:
    """What a model made of a face for one emotion.

    Attributes:
        emotion: its name.
        seed: of the noise; the same face, emotion and seed give the same again.
        face: the aligned face that the model saw, uint8 [S, S, 3].
        spectrogram: float32 [S, S, 1] in [-1, 1], lowest frequency first.
        wav_bytes: its sound by Griffin-Lim, a mono WAV file of 16 bits; empty where none was asked for.
        sample_rate: samples per second of that sound.
        name: tells photographs apart: the begin of their file's name, and a digest of what they show.
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
        """The sound, float32 [n] in [-1, 1]. Raises UserError where none was asked for."""
        check(bool(self.wav_bytes), "there is no sound, since it was generated with sound=False")
        return audio.read_wav(self.wav_bytes, self.sample_rate)

    def figure(self) -> Figure:
        """The spectrogram with axes."""
        return drawing.spectrogram_figure(self.spectrogram)

    def png(self) -> bytes:
        """The same as a PNG file."""
        return drawing.to_png(self.figure())

    def save(self, folder: str | Path) -> list[Path]:
        """Writes the aligned face, the spectrogram as an image (PNG) and the sound (WAV), where there is one.

        Args:
            folder: made if need be. What the same photograph, emotion and seed gave before is replaced.

        Returns:
            The files: `<name>_face.png`, `<name>_<emotion>_<seed>.png` and `.wav`.
        """
        made = Path(folder) / f"{self.name}_{self.emotion}_{self.seed}"
        contents = {
            made.with_name(f"{self.name}_face.png"): tf.io.encode_png(self.face).numpy(),
            made.with_name(f"{made.name}.png"): self.png(),
            made.with_name(f"{made.name}.wav"): self.wav_bytes,
        }
        made.parent.mkdir(parents=True, exist_ok=True)
        written = {path: content for path, content in contents.items() if content}
        for path, content in written.items():
            path.write_bytes(content)
        return list(written)


class Generator:
    """Makes spectrograms of faces.

    Args:
        connection: the model, in this process or on a server; `load` makes one.

    Attributes:
        settings: what the model says of itself.
        class_names: the emotions that it knows.

    Raises:
        UserError: where the model does not answer.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.settings = settings_of(connection)
        check(
            self.settings.generates,
            "the model has no generator, only a recogniser; give one of a run that trained a GAN",
        )
        self.class_names = tuple(self.settings.class_names)

    def generate(
        self,
        photographs: Photo | Sequence[Photo],
        emotions: str | Sequence[str] = "all",
        *,
        draws: int = 1,
        seed: int = 1,
        sound: bool = True,
    ) -> list[Generated]:
        """Finds and aligns the largest face of each photograph, and makes spectrograms of it.

        Args:
            photographs: one or several.
            emotions: one or several of `class_names`, each once, or `all`.
            draws: how many of each face and emotion, by different noise; at least 1.
            seed: of the first draw's noise; the next draws have the next numbers.
            sound: whether sounds are made too, which takes most of the time.

        Returns:
            By photograph, then draw, then emotion. Several photographs have a progress bar.

        Raises:
            UserError: where the model does not answer, does not know an emotion, or no draw is asked for; or photographs cannot
                be read, or show no face that is large enough, all of which are looked at before anything is generated.
        """
        check(draws >= 1, f"draws is {draws}; it must be 1 or more")
        check_seeds(seed, draws)
        asked = emotions_of([emotions] if isinstance(emotions, str) else emotions, self.class_names)
        given = [photographs] if isinstance(photographs, Photo) else list(photographs)
        faces = self._faces(given)
        progress = tqdm(faces.items(), desc="generating", unit="photo", disable=len(faces) < 2)
        rows = list(itertools.product(range(seed, seed + draws), asked))
        return [made for name, face in progress for made in self._made(name, face, rows, sound)]

    def of_face(self, face: np.ndarray, emotions: Sequence[str], seed: int, *, sound: bool = True) -> list[Generated]:
        """The same from a face that is aligned already, uint8 [S, S, 3], one for each of the emotions. Raises UserError."""
        return self._made("face", face, [(seed, emotion) for emotion in emotions], sound)

    def _faces(self, given: Sequence[Photo]) -> dict[str, np.ndarray]:
        """The aligned faces by name; one where a photograph is given twice."""
        found, refused = {}, []
        for number, photograph in enumerate(tqdm(given, desc="faces", unit="photo", disable=len(given) < 2)):
            try:
                face = aligned_face(photograph, self.settings.media.face)
            except UserError as error:
                refused.append(str(error) if isinstance(photograph, str | Path) else f"photograph {number}: {error}")
            else:
                found[_name(photograph)] = face
        if refused:
            raise UserError(first_ones(refused, "; "))
        return found

    def _made(self, name: str, face: np.ndarray, rows: Sequence[tuple[int, str]], sound: bool) -> list[Generated]:
        found = []
        for begin in range(0, len(rows), REQUEST_ROWS):
            some = rows[begin : begin + REQUEST_ROWS]
            request = {
                "aligned_face_bytes": np.array([tf.io.encode_png(face).numpy()] * len(some), object),
                "emotion": np.array([emotion.encode() for _, emotion in some], object),
                "seed": np.array([seed for seed, _ in some], np.int64),
            }
            drawn = self._connection.predict("serving_default", request)
            for error in filter(None, drawn["error"]):
                raise UserError(f"the model refused the request: {error.decode()}")
            heard = self._connection.predict("audio", request)["wav_bytes"] if sound else [b""] * len(some)
            for (seed, emotion), spectrogram, wav_bytes in zip(some, drawn["spectrogram"], heard, strict=True):
                found.append(
                    Generated(
                        emotion=emotion, seed=seed, face=face, spectrogram=spectrogram, wav_bytes=wav_bytes,
                        sample_rate=self.settings.media.spectrogram.sample_rate, name=name,
                    )
                )  # fmt: skip
        return found


def _name(photograph: Photo) -> str:
    if isinstance(photograph, str | Path):
        path = Path(photograph)
        return f"{path.stem[:_STEM_CHARACTERS]}_{_digest(path.read_bytes())}"
    return f"photo_{_digest(np.asarray(photograph).tobytes())}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_DIGEST_CHARACTERS]


def load(source: str | Path, *, model: str = "emogan", version: int = 0, timeout_seconds: float = 30.0) -> Generator:
    """A generator that a run or `python -m trainers.export` wrote, or one that TensorFlow Serving runs.

    Args:
        source: a run's folder, an exported model's, or the folder of its versions; or a server's address: http://host:8501,
            https://host or grpc://host:8500.
        model: what a server calls it.
        version: which one a server is asked for; 0 for the newest.
        timeout_seconds: how long a server's answer may take, with all retries.

    Raises:
        UserError: where there is no such model, it cannot be read, or the server does not answer.
    """
    return Generator(connection_to(source, model=model, version=version, timeout_seconds=timeout_seconds))


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


def check_seeds(first: int, count: int) -> None:
    """Raises UserError where one of `count` seeds from `first` on is no int64, which is what a model takes."""
    if not -(2**63) <= first <= 2**63 - count:
        raise UserError(f"seed is {first:,}, of the first of {count:,}; all of them must lie in [-2^63, 2^63)")
