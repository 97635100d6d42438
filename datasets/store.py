"""Caches the extracted face and audio of each clip, so that no clip is decoded twice.

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
"""Must be raised whenever `datasets.extraction` or a function that it calls gives other results for the same files."""
_MAX_PART_AGE_SECONDS = 24 * 3600.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejected:
    """A clip that cannot be used, as stored.

    Attributes:
        file: index of the faulty file in the clip's `paths`.
        reason: see `datasets.clips.Rejection`.
        detail: see `datasets.clips.Rejection`.
        thumbnail: a JPEG file, or empty.
    """

    file: int
    reason: str
    detail: str
    thumbnail: bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipStore:
    """A folder with one file per clip, named by a hash of the clip's files and the relevant settings.

    Datasets of all sizes share it, and an interrupted build resumes from it. Files are written atomically, and a damaged file
    counts as missing. Several processes may use the folder.

    Attributes:
        folder: created when needed.
        face: settings of face detection and alignment, with the largest size; smaller faces are computed from it.
        sample_rate: of the audio, samples per second.
    """

    folder: Path
    face: FaceConfig
    sample_rate: int

    @classmethod
    def of(cls, folder: Path, config: MediaConfig) -> "ClipStore":
        """Returns the store for datasets with these settings."""
        face = dataclasses.replace(config.face, size=max(SIZES))
        return cls(folder=folder, face=face, sample_rate=config.spectrogram.sample_rate)

    def key(self, clip: Clip, contents: Contents, fault: str = "") -> str:
        """Returns the clip's key, which depends on the contents of its files, not on their paths.

        `fault` is the reason why one of them could not be read.
        """
        settings = [VERSION, dataclasses.asdict(self.face), self.sample_rate]
        digests = {path: [path.suffix.lower(), hashlib.sha256(data).hexdigest()] for path, data in contents.items()}
        parts = [settings, fault, [digests.get(path) for path in clip.paths if path]]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def load(self, key: str) -> Extract | Rejected | None:
        """Returns the extract or rejection stored under a key, or None."""
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
            return None  # damaged, so the clip is decoded again

    def save(self, key: str, item: Extract | Rejected) -> None:
        """Stores an extract or a rejection. Raises OSError if it cannot be written."""
        facts = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
        if isinstance(item, Extract):
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
        """Deletes unfinished files of killed processes, after a day."""
        for part in self._parts.glob("*"):
            if time.time() - part.stat().st_mtime > _MAX_PART_AGE_SECONDS:
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
    steps = np.round(samples.astype(np.float64) * AUDIO_STEPS).astype(np.int32) << 8  # soundfile uses the upper 24 bits
    soundfile.write(buffer, steps, sample_rate, format="FLAC", subtype="PCM_24")
    return np.frombuffer(buffer.getvalue(), np.uint8)
