"""One clip becomes one example or one rejection: the only place that joins face and voice.

Public names: make_pair, make_pairs, and Clip and Rejection of `datasets.clips`.
"""

import collections
import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

import numpy as np
import tensorflow as tf

from datasets import media
from datasets.clips import Clip, Example, Rejection
from datasets.media import MediaError
from emogan import audio, faces
from emogan.config import FaceConfig, MediaConfig, SpectrogramConfig
from emogan.errors import UserError

__all__ = ["Clip", "Rejection", "make_pair", "make_pairs"]

MIN_SOUND_SECONDS = 0.3
MAX_LENGTH_DIFFERENCE_SECONDS = 1.0
"""Between pictures and sound of one clip: above it their middles are not the same moment. Our choice."""
SILENCE = 2.0**-15
"""Sound that stays below one step of 16 bits is none."""
POOL_CLIPS = 256
"""Starting the workers takes longer than so few clips."""


def make_pair(clip: Clip, config: MediaConfig) -> Example | Rejection:
    """Makes the example of one clip; whatever is wrong with its files becomes a rejection and never an exception.

    Returns:
        A rejection, or the example with
        `face`: uint8 [S, S, 3], RGB;
        `spectrogram`: float16 [S, S, 1] in [-1, 1], row 0 the lowest frequency;
        `landmarks`: float32 [5, 2], (x, y) in pixels of the face;
        `frame_index`, `frame_offset`: of the frame used, from the first and from the middle one;
        `face_confidence`: MTCNN's, in [0, 1];
        `level_dbfs`: of the sound that the spectrogram shows;
        `clipped_share`: of the spectrogram's pixels, those at the ceiling;
        `clip_id`, `speaker_id` and, if the clip has one, `label`.
    """
    try:
        samples = _sound(clip, config.spectrogram.sample_rate)
        example = {"clip_id": clip.clip_id, "speaker_id": clip.speaker_id}
        example |= _voice_features(samples, config.spectrogram)
        example |= _face_features(clip, len(samples) / config.spectrogram.sample_rate, config.face)
    except MediaError as error:
        return Rejection(clip_id=clip.clip_id, path=error.path, reason=error.reason, detail=error.detail)
    except Exception as error:  # one bad file must not end a build of a million; the exception's text is kept
        detail = f"{type(error).__name__}: {error}"
        return Rejection(clip_id=clip.clip_id, path=clip.picture_path, reason="unreadable", detail=detail)
    return example if clip.label is None else example | {"label": clip.label}


def make_pairs(clips: Sequence[Clip], config: MediaConfig, workers: int) -> Iterator[Example | Rejection]:
    """Applies `make_pair` to all clips, in `workers` processes; the results do not depend on their number.

    Yields:
        The result of each clip, in the order of `clips`.

    Raises:
        UserError: a worker process died.
    """
    if workers == 1 or len(clips) < POOL_CLIPS:
        yield from (make_pair(clip, config) for clip in clips)
        return
    # Forked children would inherit TensorFlow's locked threads.
    context = multiprocessing.get_context("spawn")
    pool = futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield from _in_order(lambda clip: pool.submit(make_pair, clip, config), clips, 8 * workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    submit: Callable[[Clip], "futures.Future[Example | Rejection]"], clips: Sequence[Clip], ahead: int
) -> Iterator[Example | Rejection]:
    """Keeps at most `ahead` clips in work or finished, so that memory does not grow with the corpus."""
    remaining = iter(clips)
    pending = collections.deque((clip, submit(clip)) for clip in itertools.islice(remaining, ahead))
    while pending:
        clip, future = pending.popleft()
        try:
            yield future.result()
        except futures.process.BrokenProcessPool as error:
            raise UserError(
                f"a worker process died at {clip.picture_path}, or at one of the {len(pending)} clips after it; most "
                "often the system ended it for lack of memory: give fewer workers"
            ) from error
        pending.extend((clip, submit(clip)) for clip in itertools.islice(remaining, 1))


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers
    threading.Thread(target=_die_with_parent, daemon=True).start()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _die_with_parent() -> None:
    """A killed parent cannot end its workers, and they would wait for clips for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _sound(clip: Clip, sample_rate: int) -> np.ndarray:
    """The clip's sound, float32 [n]. Raises MediaError where it is missing or of no use."""
    if not clip.picture_path.exists():
        raise MediaError(clip.picture_path, "missing_picture_file", "there is no video file of this clip")
    if not clip.sound_path.exists():
        raise MediaError(clip.sound_path, "missing_sound_file", "there is no sound file of this clip")
    try:
        samples = media.read_sound(clip.sound_path, sample_rate)
    except MediaError as error:
        if error.reason != "no_sound" or clip.fallback_sound_path is None or not clip.fallback_sound_path.exists():
            raise
        samples = media.read_sound(clip.fallback_sound_path, sample_rate)
    if len(samples) < MIN_SOUND_SECONDS * sample_rate:
        seconds = len(samples) / sample_rate
        raise MediaError(clip.sound_path, "too_short", f"{seconds:.2f} s of sound; at least {MIN_SOUND_SECONDS} s")
    if np.abs(samples).max() < SILENCE:
        raise MediaError(clip.sound_path, "silent", "every sample is zero")
    return samples


def _voice_features(samples: np.ndarray, config: SpectrogramConfig) -> Example:
    spectrogram = _spectrogram(config)(audio.centre(samples, config.clip_samples)).numpy()
    heard = audio.centre(samples, min(len(samples), config.clip_samples))
    return {
        "spectrogram": spectrogram.astype(np.float16),
        "level_dbfs": audio.level_dbfs(heard),
        "clipped_share": float((spectrogram >= 1).mean()),
    }


@functools.cache
def _spectrogram(config: SpectrogramConfig) -> Callable[[np.ndarray], tf.Tensor]:
    signature = [tf.TensorSpec([config.clip_samples], tf.float32)]
    return tf.function(functools.partial(audio.spectrogram, config=config), input_signature=signature)


def _face_features(clip: Clip, sound_seconds: float, config: FaceConfig) -> Example:
    with media.Video(clip.picture_path) as video:
        if abs(video.seconds - sound_seconds) > MAX_LENGTH_DIFFERENCE_SECONDS:
            detail = f"{video.seconds:.2f} s of pictures, {sound_seconds:.2f} s of sound"
            raise MediaError(clip.picture_path, "wrong_length", detail)
        steps = range(1, config.search_frames + 1)
        for offset, picture in video.frames([0, *itertools.chain.from_iterable((-k, k) for k in steps)]):
            found = faces.detect(picture, config)
            if found:
                face, landmarks = faces.align(picture, found[0].landmarks, config)
                return {
                    "face": face,
                    "landmarks": landmarks,
                    "face_confidence": found[0].confidence,
                    "frame_index": video.middle + offset,
                    "frame_offset": offset,
                }
        detail = f"within {config.search_frames} frames of the middle one ({video.middle} of {video.frame_count})"
    raise MediaError(clip.picture_path, "no_face", detail)
