"""Keeps what was taken from each clip, so that no clip is decoded twice.

Public names: ClipStore, Rejected.
"""

import dataclasses
import hashlib
import io
import json
import time
import uuid
import zipfile
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from datasets.clips import Clip
from datasets.extraction import AUDIO_STEPS, Contents, Extract
from emogan.config import SIZES, FaceConfig, MediaConfig

VERSION = 6
"""To be raised whenever `datasets.extraction` or what it calls gives other results for the same files."""
_PARTS_KEPT_SECONDS = 24 * 3600.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejected:
    """A clip that cannot be used, as the store keeps it.

    Attributes:
        file: which of the clip's `paths` is at fault.
        reason: see `datasets.clips.Rejection`.
        detail: see there.
        thumbnail: a JPEG file, or empty.
    """

    file: int
    reason: str
    detail: str
    thumbnail: bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipStore:
    """A folder with one file for each clip, named by a hash of the clip's files and of the settings that matter.

    It serves datasets of every size, and an interrupted build goes on from it. A file appears whole or not at all, and
    one that is damaged counts as absent. Processes may share the folder.

    Attributes:
        folder: made when it is needed.
        face: how faces are found and aligned; its size is the largest one, from which the smaller ones are made.
        sample_rate: of the sound, samples per second.
    """

    folder: Path
    face: FaceConfig
    sample_rate: int

    @classmethod
    def of(cls, folder: Path, config: MediaConfig) -> "ClipStore":
        """The store that serves a dataset of those settings."""
        face = dataclasses.replace(config.face, size=max(SIZES))
        return cls(folder=folder, face=face, sample_rate=config.spectrogram.sample_rate)

    def key(self, clip: Clip, contents: Contents, fault: str = "") -> str:
        """The clip's name in the store: it depends on what the files hold, and not on where they lie.

        `fault` is the reason why one of them could not be read.
        """
        settings = [VERSION, dataclasses.asdict(self.face), self.sample_rate]
        digests = {path: [path.suffix.lower(), hashlib.sha256(data).hexdigest()] for path, data in contents.items()}
        parts = [settings, fault, [digests.get(path) for path in clip.paths if path]]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def load(self, key: str) -> Extract | Rejected | None:
        """What is kept under a key, or None."""
        try:
            with np.load(io.BytesIO(self._path(key).read_bytes()), allow_pickle=False) as arrays:
                facts = json.loads(arrays["facts"].tobytes())
                if "reason" in facts:
                    return Rejected(**facts, thumbnail=arrays["thumbnail"].tobytes())
                with Image.open(io.BytesIO(arrays["face"])) as face:
                    pixels = np.asarray(face)
                steps, _ = soundfile.read(io.BytesIO(arrays["sound"]), dtype="float32")
                return Extract(**facts, face=pixels, landmarks=arrays["landmarks"], samples=steps)
        except FileNotFoundError:
            return None
        except (zipfile.BadZipFile, soundfile.LibsndfileError, OSError, EOFError, KeyError, TypeError, ValueError):
            return None  # damaged: it will be made again

    def save(self, key: str, kept: Extract | Rejected) -> None:
        """Keeps an extract or a rejection. Raises OSError where the disk does not take it."""
        facts = {field.name: getattr(kept, field.name) for field in dataclasses.fields(kept)}
        if isinstance(kept, Extract):
            arrays = {"face": _png(facts.pop("face")), "landmarks": facts.pop("landmarks")}
            arrays["sound"] = _flac(facts.pop("samples"), self.sample_rate)
        else:
            arrays = {"thumbnail": np.frombuffer(facts.pop("thumbnail"), np.uint8)}
        buffer = io.BytesIO()
        np.savez(buffer, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
        path, part = self._path(key), self._parts / uuid.uuid4().hex
        part.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        try:
            part.write_bytes(buffer.getvalue())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def sweep(self) -> None:
        """Deletes what killed processes left unfinished, a day later."""
        for part in self._parts.glob("*"):
            if time.time() - part.stat().st_mtime > _PARTS_KEPT_SECONDS:
                part.unlink(missing_ok=True)

    @property
    def _parts(self) -> Path:
        return self.folder / "unfinished"

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"


def _png(face: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(face).save(buffer, "PNG", compress_level=1)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def _flac(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    buffer = io.BytesIO()
    steps = (
        np.round(samples.astype(np.float64) * AUDIO_STEPS).astype(np.int32) << 8
    )  # soundfile takes the upper 24 bits
    soundfile.write(buffer, steps, sample_rate, format="FLAC", subtype="PCM_24")
    return np.frombuffer(buffer.getvalue(), np.uint8)
