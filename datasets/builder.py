"""The base class of the TFDS builders: everything except the names, labels and splits of a corpus.

Public names: PairsBuilder, PairsConfig, Variant, make_configs.
"""

import abc
import collections
import contextlib
import dataclasses
import functools
import os
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm.auto import tqdm

from datasets.clips import Clip, Example, Listing, is_synthetic
from datasets.facts import read_facts
from datasets.tally import Tally
from emogan.config import MIN_FACE_WIDTH, SIZES, MediaConfig, to_json
from emogan.emotions import EMOTIONS
from emogan.errors import UserError

if TYPE_CHECKING:
    from datasets.distributed import Build
    from datasets.pairs import Outcome

MAX_REJECTS = 0.05
"""Default share of rejected clips above which a build fails."""
MAX_CLIPPED_SHARE = 0.01
"""Share of spectrogram pixels at the ceiling above which a build warns that loud audio is clipped."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """The options of a builder's configuration besides the size of the images.

    Attributes:
        name: suffix of the configurations' names; empty for the default variant.
        description: one sentence.
        folder: official name of the corpus's folder; the manual directory is this folder or its parent. Empty if it has none.
        markers: glob patterns that all match something in the corpus's folder, but not in that of another corpus.
        class_names: names of the labels; None for an unlabelled corpus, empty to use those that occur in the corpus.
    """

    name: str = ""
    description: str
    folder: str
    markers: tuple[str, ...]
    class_names: tuple[str, ...] | None = EMOTIONS


@dataclasses.dataclass(eq=False, kw_only=True)
class PairsConfig(tfds.core.BuilderConfig):
    """A TFDS configuration: its name, its description, `media` (the settings of the images) and `variant`."""

    media: MediaConfig
    variant: Variant


def make_configs(*variants: Variant) -> list[PairsConfig]:
    """Returns a builder's configurations: each variant in each size, `64` and `64_<name>`; the first is the default."""
    return [
        PairsConfig(
            name="_".join(filter(None, (str(size), variant.name))),
            description=f"{variant.description} Faces and spectrograms of {size} x {size} pixels.",
            media=MediaConfig.of_size(size),
            variant=variant,
        )
        for variant in variants
        for size in SIZES
    ]


class PairsBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builds pairs of an aligned face and a spectrogram from the clips of one corpus.

    The dataset's metadata contain `media` (the MediaConfig as JSON); `synthetic` (whether `datasets.synthetic` generated the
    corpus); the counts `clips` (examples and rejected clips), `examples`, `left_out`, `not_read` (files by place) and
    `rejections` (by reason); `rejected` (one row per rejected clip); `warnings`; `listing` (a hash of the clips); and
    `clipped_share` and `floor_share`, the shares of all spectrogram pixels at the ceiling and at the floor.
    """

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.2.0": "Adds the feature face_count; rejects faces that are too small; the metadata name files that are not read.",
        "1.1.0": "Crops faces more tightly, from forehead to chin; adds the feature invented_share.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS: ClassVar[list[PairsConfig]]

    HOMEPAGE: ClassVar[str]
    LICENSE: ClassVar[str]
    FEATURES: ClassVar[Mapping[str, Any]] = {}
    """The builder's own features, in addition to those of `datasets.pairs.to_example`; each Clip has their values."""

    def __init__(
        self,
        *,
        workers: int = 1,
        max_rejects: float = MAX_REJECTS,
        progress: bool = False,
        store_dir: Path | None = None,
        min_face_width: float = MIN_FACE_WIDTH,
        **kwargs: Any,
    ) -> None:
        """See `tfds.core.DatasetBuilder`. Of the arguments below, only `min_face_width` changes the dataset's bytes.

        Args:
            workers: number of processes; ignored if the download config has `beam_options`.
            max_rejects: share of rejected clips above which the build fails.
            progress: whether to show progress bars.
            store_dir: folder of the decoded clips, see `datasets.store`; by default `clips` in the data_dir.
            min_face_width: minimum width of a face in its frame, pixels; clips with narrower faces are rejected.
            **kwargs: of the base class: data_dir, config, version.

        Raises:
            UserError: an argument is out of range, or there is no such configuration.
        """
        names = [config.name for config in self.BUILDER_CONFIGS]
        if isinstance(kwargs.get("config"), str) and kwargs["config"] not in names:
            raise UserError(f"config={kwargs['config']}: must be one of {', '.join(names)} (of {self.name})")
        if workers < 1:
            raise UserError(f"workers={workers}: must be at least 1")
        if not 0 <= max_rejects <= 1:
            raise UserError(f"max_rejects={max_rejects}: must be a share from 0 to 1")
        data_dir = kwargs.get("data_dir")
        if data_dir and "://" not in os.fspath(data_dir):  # remote workers have other working directories
            kwargs["data_dir"] = Path(data_dir).expanduser().absolute()
        super().__init__(**kwargs)
        self.media = self.builder_config.media.with_min_face_width(min_face_width)
        self.store_dir = Path(store_dir or self.data_dir_root / "clips").absolute()
        settings = {"workers": workers, "max_rejects": max_rejects, "progress": progress, "store_dir": store_dir}
        self._original_state |= settings | {"min_face_width": min_face_width}
        self._workers = workers
        self._max_rejects = max_rejects
        self._progress = progress

    @abc.abstractmethod
    def list_clips(self, corpus_dir: Path) -> Listing:
        """Lists the clips of the corpus in `corpus_dir` for this configuration, without opening them.

        Raises:
            UserError: the corpus or one of its tables is invalid.
        """

    def find_corpus(self, manual_dir: Path) -> Path:
        """Returns the corpus's folder: `manual_dir`, or its subfolder with the official name.

        Raises:
            UserError: neither contains the corpus.
        """
        variant = self.builder_config.variant
        inner = manual_dir / variant.folder
        for folder in (manual_dir, inner):
            if not _missing(folder, variant.markers):
                return folder
        folder = inner if inner.is_dir() else manual_dir
        missing = ", ".join(_missing(folder, variant.markers))
        state = "does not exist" if not folder.is_dir() else "is empty" if missing == "*" else f"contains no {missing}"
        raise UserError(f"{folder} {state}. {self.MANUAL_DOWNLOAD_INSTRUCTIONS}")

    def built_from_other_than(self, manual_dir: Path) -> str:
        """Returns what this dataset was built from, in words, if `manual_dir` contains another corpus or other clips; else "".

        A missing corpus does not count as different: it may have been deleted after the build.
        """
        try:
            corpus_dir = self.find_corpus(manual_dir)
        except UserError:
            return ""
        if self.info.metadata["synthetic"] != is_synthetic(corpus_dir):
            built, found = ("synthetic", "real") if self.info.metadata["synthetic"] else ("real", "synthetic")
            return f"{built} clips, and those in {corpus_dir} are {found}"
        if self.info.metadata["listing"] in ("", self.list_clips(corpus_dir).digest):  # "" in older versions
            return ""
        features = self.info.features
        classes = f", of the classes {', '.join(features['label'].names)}" if "label" in features else ""
        return f"other clips than {manual_dir} contains ({self.info.metadata['clips']:,} clips{classes})"

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.media.size
        features: dict[str, Any] = {
            "face": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
            "spectrogram": tfds.features.Tensor(
                shape=(size, size, 1), dtype=np.float16, encoding=tfds.features.Encoding.BYTES
            ),
            "speaker_id": tfds.features.Text(),
            "clip_id": tfds.features.Text(),
            "frame_index": tfds.features.Scalar(dtype=np.int64),
            "frame_offset": tfds.features.Scalar(dtype=np.int64),
            "face_confidence": tfds.features.Scalar(dtype=np.float32),
            "face_width": tfds.features.Scalar(dtype=np.float32),
            "face_count": tfds.features.Scalar(dtype=np.int64),
            "invented_share": tfds.features.Scalar(dtype=np.float32),
            "landmarks": tfds.features.Tensor(shape=(5, 2), dtype=np.float32),
            "level_dbfs": tfds.features.Scalar(dtype=np.float32),
            "clipped_share": tfds.features.Scalar(dtype=np.float32),
            "floor_share": tfds.features.Scalar(dtype=np.float32),
            "sound_seconds": tfds.features.Scalar(dtype=np.float32),
        }
        class_names = self.builder_config.variant.class_names
        if class_names is not None:
            features["label"] = tfds.features.ClassLabel(names=class_names or None)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({**features, **self.FEATURES}),
            supervised_keys=None if class_names is None else ("spectrogram", "label"),
            homepage=self.HOMEPAGE,
            license=self.LICENSE,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        corpus_dir = self.find_corpus(Path(dl_manager.manual_dir).absolute())
        listing = self.list_clips(corpus_dir)
        for warning in listing.warnings.values():
            warnings.warn(warning, stacklevel=2)
        self._digest = listing.digest
        csv_path = Path(self.data_path).parent / "rejections.csv"
        self._tally = Tally(listing, corpus_dir=corpus_dir, csv_path=csv_path, max_rejects=self._max_rejects)
        if not any(listing.splits.values()) and not listing.rejections:
            ignored = [f"{count} {reason}" for reason, count in listing.left_out.items()]
            ignored += [f"{count} in {place}" for place, count in self._tally.not_read().items()]
            files = f" (files left out or not read: {', '.join(ignored)})" if ignored else ""
            raise UserError(f"{corpus_dir} contains no usable clip{files}. {self.MANUAL_DOWNLOAD_INSTRUCTIONS}")
        if self.builder_config.variant.class_names == ():
            # `names` can be set only once, but the classes of a rebuilt dataset may change.
            self.info.features["label"].__init__(names=listing.class_names)
        self._synthetic = is_synthetic(corpus_dir)
        # All clips are decoded before examples are written, because TFDS must know which splits are not empty.
        clips = [(name, clip) for name, clips in listing.splits.items() for clip in clips]
        usable: dict[str, list[tuple[Clip, str]]] = collections.defaultdict(list)
        with contextlib.closing(self._outcomes([clip for _, clip in clips])) as outcomes:
            for (name, clip), outcome in zip(clips, outcomes, strict=True):
                if self._tally.accepts(clip, outcome.key, outcome.rejection):
                    usable[name].append((clip, outcome.key))
        bar = self._shown.enter_context(self._bar(sum(map(len, usable.values())), "writing examples"))
        if self._beam:
            return self._beam.examples(usable, self.media, bar, Path(self.data_path))
        return {name: self._generate_examples(keyed, bar) for name, keyed in usable.items()}

    def _outcomes(self, clips: list[Clip]) -> "Generator[Outcome]":
        from datasets import pairs

        self._store.sweep()
        with self._bar(len(clips), "decoding clips") as bar:
            if self._beam:
                yield from self._beam.prepare_clips(clips, bar)
                return
            prepare = functools.partial(pairs.prepare_clip, store=self._store)
            for outcome in self._pool.map(prepare, clips, pairs.give_up):
                bar.update()
                yield outcome

    def _generate_examples(self, keyed: list[tuple[Clip, str]], bar: tqdm) -> Iterator[tuple[str, Example]]:
        from datasets import pairs

        make = functools.partial(pairs.make_example, store=self._store, config=self.media)
        for example in self._pool.map(make, keyed):
            bar.update()
            yield example["clip_id"], example

    def _bar(self, total: int, task: str) -> tqdm:
        return tqdm(total=total, desc=f"{self.name}: {task}", unit="clip", disable=not self._progress)

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        # Imported here because only a build needs TensorFlow, its decoders and MTCNN, not `import datasets`.
        from datasets.store import ClipStore
        from datasets.workers import Workers

        build = functools.partial(super()._download_and_prepare, dl_manager, download_config)
        self._store = ClipStore.of(self.store_dir, self.media)
        self._beam: Build | None = None
        with Workers(self._workers) as self._pool, contextlib.ExitStack() as self._shown:
            if download_config.beam_options is None:
                build()
            else:
                from datasets import distributed

                self._beam = distributed.Build(download_config.beam_options, self._store)
                self._beam.run(build)
        # Still within TFDS's temporary folder, so that an error leaves no dataset behind.
        counts = self._tally.finish(
            examples=sum(split.num_examples for split in self.info.splits.values()),
            class_names=self.info.features["label"].names if "label" in self.info.features else (),
        )
        self.info.metadata.update(media=to_json(self.media), synthetic=self._synthetic, listing=self._digest, **counts)
        facts = read_facts(self)
        self.info.metadata.update({name: float(facts[name].mean()) for name in ("clipped_share", "floor_share")})
        if self.info.metadata["clipped_share"] > MAX_CLIPPED_SHARE:
            warnings.warn(
                f"{self.info.metadata['clipped_share']:.1%} of the spectrograms' pixels are at the ceiling, more than "
                f"{MAX_CLIPPED_SHARE:.0%}: loud audio is clipped",
                stacklevel=2,
            )


def _missing(folder: Path, markers: Iterable[str]) -> list[str]:
    return [marker for marker in markers if next(folder.glob(marker), None) is None]
