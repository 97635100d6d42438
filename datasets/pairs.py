"""One clip becomes one example or one rejection: the only place that joins face and voice.

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
    """What became of a clip.

    Attributes:
        key: of the clip in the store; empty after an error that nobody foresaw, or where its process was lost.
        rejection: why the clip cannot be used, or None.
        decoded: whether that had to be found out now; else the store knew it.
    """

    key: str
    rejection: Rejection | None
    decoded: bool


def prepare_clip(clip: Clip, store: ClipStore) -> Outcome:
    """Takes from a clip's files what datasets need, and keeps it in the store, unless it is there.

    Whatever is wrong with the files becomes a rejection and never an exception.

    Raises:
        OSError: the store cannot be written.
    """
    try:
        contents, fault = read_contents(clip)
        key = store.key(clip, contents, fault.reason if fault else "")
        kept = store.load(key)
        decoded = kept is None
        kept = kept or _extract_or_reject(clip, contents, fault, store)
    except Exception as error:  # one bad file must not end a build of a million; the exception's text is kept
        detail = f"{type(error).__name__}: {error}"
        rejection = Rejection(clip_id=clip.clip_id, path=clip.image_path, reason="unreadable", detail=detail)
        return Outcome(key="", rejection=rejection, decoded=False)
    if decoded:
        store.save(key, kept)
    if isinstance(kept, Extract):
        return Outcome(key=key, rejection=None, decoded=decoded)
    path = clip.paths[kept.file] or clip.image_path
    rejection = Rejection(clip_id=clip.clip_id, path=path, reason=kept.reason, detail=kept.detail, key=key)
    return Outcome(key=key, rejection=rejection, decoded=decoded)


def give_up(clip: Clip, reason: str, detail: str) -> Outcome:
    """The outcome of a clip with which a process was lost, see `datasets.workers`. The store does not keep it: each build
    tries again.
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
    """Makes the example of a clip from what the store keeps of it under the clip's key.

    Raises:
        UserError: the store has lost it.
    """
    clip, key = keyed
    kept = store.load(key)
    if not isinstance(kept, Extract):
        raise UserError(f"{store.folder} no longer holds {clip.clip_id}; run the command again, which decodes the clip")
    return to_example(clip, kept, config)


def to_example(clip: Clip, kept: Extract, config: MediaConfig) -> Example:
    """Makes the images of an example.

    Returns:
        `face`: uint8 [S, S, 3], RGB;
        `spectrogram`: float16 [S, S, 1] in [-1, 1], row 0 the lowest frequency;
        `landmarks`: float32 [5, 2], (x, y) in pixels of the face;
        `frame_index`, `frame_offset`, `face_confidence`, `face_width`, `face_count`, `invented_share`: see
        `datasets.extraction.Extract`;
        `sound_seconds`: of the whole clip;
        `level_dbfs`: of the sound that the spectrogram shows;
        `clipped_share`, `floor_share`: of the spectrogram's pixels, those at the ceiling, and at the floor;
        `clip_id`, `speaker_id`, the clip's own features and, if it has one, `label`.
    """
    face, landmarks = faces.shrink(kept.face, kept.landmarks, config.size)
    example = {
        "clip_id": clip.clip_id,
        "speaker_id": clip.speaker_id,
        "face": face,
        "landmarks": landmarks,
        "face_confidence": kept.face_confidence,
        "face_width": kept.face_width,
        "face_count": kept.face_count,
        "invented_share": kept.invented_share,
        "frame_index": kept.frame_index,
        "frame_offset": kept.frame_offset,
        "sound_seconds": len(kept.samples) / config.spectrogram.sample_rate,
        **_voice_features(kept.samples, config.spectrogram),
        **clip.features,
    }
    return example if clip.label is None else example | {"label": clip.label}


def _voice_features(samples: np.ndarray, config: SpectrogramConfig) -> Example:
    # In float64: what float32 leaves of a sum depends on the number of threads, and would change the dataset's bytes.
    window = audio.centre(samples, config.clip_samples).astype(np.float64)
    spectrogram = _spectrogram(config)(window).numpy()
    heard = audio.centre(samples, min(len(samples), config.clip_samples))
    return {
        "spectrogram": spectrogram.astype(np.float16),
        "level_dbfs": audio.level_dbfs(heard),
        "clipped_share": float((spectrogram >= 1).mean()),
        "floor_share": float((spectrogram <= -1).mean()),
    }


@functools.cache
def _spectrogram(config: SpectrogramConfig) -> Callable[[np.ndarray], tf.Tensor]:
    signature = [tf.TensorSpec([config.clip_samples], tf.float64)]
    return tf.function(functools.partial(audio.spectrogram, config=config), input_signature=signature)
