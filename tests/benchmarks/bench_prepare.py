"""How fast clips become examples, against the obvious way: every frame decoded to RGB, MTCNN as it is, librosa.

python tests/benchmarks/bench_prepare.py [--forms=crema_d,ravdess,voxceleb2] [--clips=96] [--rounds=3] [--faces=1000,4000]

Synthetic corpora in the official formats (RAVDESS in 1280 x 720) are made in a temporary folder first. Then two processes that
have started already do the clips by one way and by the other in turn, with one TensorFlow thread each. Last comes a whole
build by two workers, their start included. At last large faces are aligned, and by a Gaussian at full size in turn.
"""

import argparse
import collections
import concurrent.futures
import functools
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import av
import librosa
import mtcnn
import numpy as np
import skimage.data
import tensorflow_datasets as tfds
from PIL import Image
from skimage.filters import gaussian
from skimage.transform import SimilarityTransform, warp

import datasets
from datasets import pairs
from datasets.clips import Clip
from datasets.store import ClipStore
from datasets.synthetic import make_corpus
from datasets.workers import use_one_thread
from emogan import faces
from emogan.config import MediaConfig

PROCESSES = 2
FORMS = {  # what is made, its builder and configuration, the corpora whose time is projected from it
    "crema_d": ({"speakers": 8}, "crema_d_av", "64", {"CREMA-D": 7_442}),
    "ravdess": ({"speakers": 6, "frame_size": (1280, 720)}, "ravdess_av", "64_eight", {"RAVDESS": 1_440}),
    "voxceleb2": ({"speakers": 24}, "voxceleb_av", "64", {"VoxCeleb2": 1_128_246}),
}
TEMPLATE = np.array([[23.6, 32.0], [40.4, 31.9], [32.0, 41.6], [25.1, 51.4], [39.0, 51.3]])  # of 64 x 64 pixels


def ours(clip: Clip, store: ClipStore, media: MediaConfig) -> None:
    """What a build does with a clip."""
    outcome = pairs.prepare_clip(clip, store)
    assert outcome.decoded
    assert outcome.rejection is None, outcome
    pairs.make_example((clip, outcome.key), store, media)


def obvious(clip: Clip) -> None:
    """What one writes first."""
    with av.open(clip.image_path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    image = frames[len(frames) // 2]
    found = detector().detect_faces(image)
    if found:
        points = max(found, key=lambda face: face["box"][2] * face["box"][3])["keypoints"]
        names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
        to_image = SimilarityTransform.from_estimate(TEMPLATE, np.array([points[name] for name in names]))
        warp(image, to_image, output_shape=(64, 64))
    samples = sound(clip)
    middle = librosa.util.fix_length(samples[max(len(samples) // 2 - 20_480, 0) :], size=40_960)
    bands = librosa.feature.melspectrogram(y=middle, sr=16_000, n_fft=2048, hop_length=640, n_mels=64)
    librosa.power_to_db(bands)


def sound(clip: Clip) -> np.ndarray:
    """The sound as librosa reads it, or from PyAV where it cannot."""
    path = clip.audio_path if clip.audio_path.suffix == ".wav" else clip.fallback_audio_path or clip.audio_path
    if path.suffix == ".wav":
        return librosa.load(path, sr=16_000)[0]
    with av.open(path) as container:
        rate = container.streams.audio[0].rate
        blocks = [frame.to_ndarray().mean(0) for frame in container.decode(audio=0)]
    return librosa.resample(np.concatenate(blocks), orig_sr=rate, target_sr=16_000)


@functools.cache
def detector() -> mtcnn.MTCNN:
    """MTCNN as it comes."""
    return mtcnn.MTCNN()


def peak_mebibytes(_: int) -> float:
    """The memory that this process has needed at most."""
    time.sleep(0.2)  # so that each of the processes is asked
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def rate(pool: concurrent.futures.Executor, way: Callable[[Clip], None], clips: Sequence[Clip]) -> float:
    """Clips per second."""
    start = time.perf_counter()
    collections.deque(pool.map(way, clips), maxlen=0)
    return len(clips) / (time.perf_counter() - start)


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})"


def bench(form: str, folder: Path, count: int, rounds: int) -> None:
    """Prints the figures of one form."""
    settings, name, config, corpora = FORMS[form]
    make_corpus(folder / form, form, seed=1, **settings)
    builder = datasets.BUILDERS[name](data_dir=folder / "tfds", config=config, workers=PROCESSES)
    every = [clip for clips in builder.list_clips(folder / form).splits.values() for clip in clips]
    clips = every[:: max(len(every) // count, 1)][:count]
    rates: dict[str, list[float]] = {"ours": [], "obvious": []}
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, context, use_one_thread) as pool:
        for number in range(-1, rounds):  # the first round only warms up
            store = ClipStore.of(folder / f"clips_{form}_{number}", builder.media)
            ways = {
                "ours": functools.partial(ours, store=store, media=builder.media),
                "obvious": obvious,
            }
            for way, work in ways.items():
                found = rate(pool, work, clips if number >= 0 else clips[: 4 * PROCESSES])
                rates[way] += [found] * (number >= 0)
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, context, use_one_thread) as pool:
        store = ClipStore.of(folder / f"clips_{form}_memory", builder.media)
        rate(pool, functools.partial(ours, store=store, media=builder.media), clips)
        memory = max(pool.map(peak_mebibytes, range(4 * PROCESSES)))
    ratios = [mine / other for mine, other in zip(rates["ours"], rates["obvious"], strict=True)]
    print(f"{form}: {len(clips)} clips, {rounds} rounds, {PROCESSES} processes; median and range")
    print(f"  ours     {spread(rates['ours'])} clips/s")
    print(f"  obvious  {spread(rates['obvious'])} clips/s")
    print(f"  ratio    {spread(ratios)}")
    print(f"  memory   {memory:.0f} MiB a worker at most")
    start = time.perf_counter()
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=folder / form))
    seconds = time.perf_counter() - start
    print(f"  a whole build of {len(every)} clips, start included: {len(every) / seconds:.2f} clips/s")
    for corpus, clips_in_all in corpora.items():
        hours = [clips_in_all / (statistics.median(rates["ours"]) * n / PROCESSES) / 3600 for n in (2, 64)]
        print(f"  projected {corpus}, {clips_in_all:,} clips: {hours[0]:.2f} h by 2 workers, {hours[1]:.2f} h by 64")


def align_exactly(image: np.ndarray, landmarks: np.ndarray, aligned: np.ndarray) -> np.ndarray:
    """The face by a Gaussian at full size; `aligned` are the landmarks in it."""
    to_face = SimilarityTransform.from_estimate(landmarks, aligned)
    sigma = max(0.0, (1 / to_face.scale - 1) / 2)
    smooth = gaussian(image.astype(np.float32), (sigma, sigma, 0), mode="nearest")
    return warp(smooth, to_face.inverse, output_shape=(64, 64), order=1, mode="edge", preserve_range=True)


def bench_alignment(width: int, rounds: int) -> None:
    """Prints how long a face of that many pixels takes, and how far both ways differ."""
    config, portrait = MediaConfig.of_size(64).face, skimage.data.astronaut()[20:200, 130:310]
    (face,) = faces.detect(portrait, config)
    scale = width / face.box[2]
    image = np.asarray(Image.fromarray(portrait).resize([round(180 * scale)] * 2))
    landmarks = (face.landmarks + 0.5) * scale - 0.5
    seconds: dict[str, list[float]] = {"ours": [], "exact": []}
    for _ in range(rounds):
        start = time.perf_counter()
        ours, aligned = faces.align(image, landmarks, config)
        middle = time.perf_counter()
        exact = align_exactly(image, landmarks, aligned)
        seconds["ours"].append(middle - start)
        seconds["exact"].append(time.perf_counter() - middle)
    print(f"a face of {width} pixels, {rounds} rounds; median and range")
    for way, found in seconds.items():
        print(f"  {way:8} {spread(found)} s")
    print(f"  differing by {np.abs(ours - exact).max():.1f} of 255 at most")


def main() -> None:
    """Reads the flags and runs the forms."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forms", default=",".join(FORMS), help="comma-separated")
    parser.add_argument("--clips", type=int, default=96, help="of each form, in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faces", default="1000,4000", help="widths of large faces, comma-separated")
    flags = parser.parse_args()
    tfds.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        for form in filter(None, flags.forms.split(",")):
            bench(form, Path(folder), flags.clips, flags.rounds)
    for width in filter(None, flags.faces.split(",")):
        bench_alignment(int(width), flags.rounds)


if __name__ == "__main__":
    main()
