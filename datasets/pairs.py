"""Turns a clip into an example or a rejection. Only this module joins face and voice.

Public names: prepare_clip and make_example, the two halves of a build; give_up; Outcome; to_example.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from datasets.clips import Clip, Example, Rejection
from datasets.extraction import Contents, Extract, extract, read_contents, thumbnail
from datasets.store import ClipStore, Rejected
from emogan import audio, faces
from emogan.config import MediaConfig, SpectrogramConfig
from emogan.errors import MediaError, UserError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result of preparing a clip.

    Attributes:
        key: key of the clip in the store; empty after an unexpected error or a lost process.
        rejection: why the clip cannot be used, or None.
        decoded: whether the clip was decoded now; False if the store had it.
    """

    key: str
    rejection: Rejection | None
    decoded: bool


def prepare_clip(clip: Clip, store: ClipStore) -> Outcome:
    """Extracts face and audio of a clip into the store, unless the store has them.

    Any fault of the files becomes a rejection, never an exception.

    Raises:
        OSError: the store cannot be written.
    """
    try:
        contents, fault = read_contents(clip)
        key = store.key(clip, contents, fault.reason if fault else "")
        stored = store.load(key)
        decoded = stored is None
        stored = stored or _extract_or_reject(clip, contents, fault, store)
    except Exception as error:  # one bad file must not stop a build of a million clips
        detail = f"{type(error).__name__}: {error}"
        rejection = Rejection(clip_id=clip.clip_id, path=clip.image_path, reason="unreadable", detail=detail)
        return Outcome(key="", rejection=rejection, decoded=False)
    if decoded:
        store.save(key, stored)
    if isinstance(stored, Extract):
        return Outcome(key=key, rejection=None, decoded=decoded)
    path = clip.paths[stored.file] or clip.image_path
    rejection = Rejection(clip_id=clip.clip_id, path=path, reason=stored.reason, detail=stored.detail, key=key)
    return Outcome(key=key, rejection=rejection, decoded=decoded)


def give_up(clip: Clip, reason: str, detail: str) -> Outcome:
    """Returns the outcome of a clip that crashed or blocked its process, see `datasets.workers`. It is not stored, so each
    build tries the clip again.
    """
    rejection = Rejection(clip_id=clip.clip_id, path=clip.image_path, reason=reason, detail=detail)
    return Outcome(key="", rejection=rejection, decoded=False)


def _extract_or_reject(
    clip: Clip, contents: Contents, fault: MediaError | None, store: ClipStore
) -> Extract | Rejected:
    try:
        if fault is not None:
            raise fault
        return extract(clip, contents, store.face, store.sample_rate)
    except MediaError as error:
        file = clip.paths.index(error.path)
        return Rejected(file=file, reason=error.reason, detail=error.detail, thumbnail=thumbnail(clip, contents))


def make_example(keyed: tuple[Clip, str], store: ClipStore, config: MediaConfig) -> Example:
    """Computes the example of a clip, given with its key, from the store.

    Raises:
        UserError: the store no longer has the clip.
    """
    clip, key = keyed
    stored = store.load(key)
    if not isinstance(stored, Extract):
        raise UserError(f"{store.folder} no longer has {clip.clip_id}; run the same command again to decode the clip")
    return to_example(clip, stored, config)


def to_example(clip: Clip, extracted: Extract, config: MediaConfig) -> Example:
    """Computes an example.

    Returns:
        `face`: uint8 [S, S, 3], RGB;
        `spectrogram`: float16 [S, S, 1] in [-1, 1], row 0 the lowest frequency;
        `landmarks`: float32 [5, 2], (x, y) in pixels of the face;
        `frame_index`, `frame_offset`, `face_confidence`, `face_width`, `face_count`, `invented_share`: see
        `datasets.extraction.Extract`;
        `sound_seconds`: duration of the whole clip's audio;
        `level_dbfs`: level of the audio in the spectrogram;
        `clipped_share`, `floor_share`: shares of the spectrogram's pixels at the ceiling, and at the floor;
        `clip_id`, `speaker_id`, the clip's own features and, if it has one, `label`.
    """
    face, landmarks = faces.shrink(extracted.face, extracted.landmarks, config.size)
    example = {
        "clip_id": clip.clip_id,
        "speaker_id": clip.speaker_id,
        "face": face,
        "landmarks": landmarks,
        "face_confidence": extracted.face_confidence,
        "face_width": extracted.face_width,
        "face_count": extracted.face_count,
        "invented_share": extracted.invented_share,
        "frame_index": extracted.frame_index,
        "frame_offset": extracted.frame_offset,
        "sound_seconds": len(extracted.samples) / config.spectrogram.sample_rate,
        **_voice_features(extracted.samples, config.spectrogram),
        **clip.features,
    }
    return example if clip.label is None else example | {"label": clip.label}


def _voice_features(samples: np.ndarray, config: SpectrogramConfig) -> Example:
    # float64, because the rounding of float32 sums depends on the number of threads and would change the dataset's bytes.
    window = audio.centre(samples, config.clip_samples).astype(np.float64)
    spectrogram = _spectrogram(config)(window).numpy()
    unpadded = audio.centre(samples, min(len(samples), config.clip_samples))
    return {
        "spectrogram": spectrogram.astype(np.float16),
        "level_dbfs": audio.level_dbfs(unpadded),
        "clipped_share": float((spectrogram >= 1).mean()),
        "floor_share": float((spectrogram <= -1).mean()),
    }


@functools.cache
def _spectrogram(config: SpectrogramConfig) -> Callable[[np.ndarray], tf.Tensor]:
    signature = [tf.TensorSpec([config.clip_samples], tf.float64)]
    return tf.function(functools.partial(audio.spectrogram, config=config), input_signature=signature)
