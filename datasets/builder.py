"""The base class of the TFDS builders: everything but the names, labels and splits of a corpus.

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
"""Share of unusable clips above which a build fails, unless another one is given."""
MAX_CLIPPED_SHARE = 0.01
"""Share of spectrogram pixels at the ceiling above which a build warns: loud sound is then cut off."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """What, beside the size of the pictures, one configuration of a builder has unlike another.

    Attributes:
        name: ends the configurations' names; empty for the usual variant.
        description: a sentence.
        folder: official name of the corpus's folder; the manual directory is this folder, or holds it. Empty without one.
        markers: glob patterns; each finds something in the corpus's folder, and one of them nothing in any other.
        class_names: names of the labels, or None for a corpus without; empty where they are those that occur in it.
    """

    name: str = ""
    description: str
    folder: str
    markers: tuple[str, ...]
    class_names: tuple[str, ...] | None = EMOTIONS


@dataclasses.dataclass(eq=False, kw_only=True)
class PairsConfig(tfds.core.BuilderConfig):
    """A TFDS configuration: its name, its description, `media`, how the pictures are made, and `variant`."""

    media: MediaConfig
    variant: Variant


def make_configs(*variants: Variant) -> list[PairsConfig]:
    """The configurations of a builder: each variant in each size, `64` and `64_<name>`; the first is the default."""
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

    The dataset's metadata hold `media` (the MediaConfig as JSON), `synthetic` (whether `datasets.synthetic` made the
    corpus), the counts `clips` (examples and rejected ones), `examples`, `left_out`, `not_read` (files, by where they lie)
    and `rejections`, each rejected clip in `rejected`, texts in `warnings`, `listing` (a hash of the clips), and
    `clipped_share` and `floor_share`: the shares of all spectrograms' pixels at the ceiling, and at the floor.
    """

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.2.0": "The feature face_count; faces that are too small are rejected; the metadata tell what was not read.",
        "1.1.0": "Faces are shown larger, from forehead to chin; the feature invented_share.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS: ClassVar[list[PairsConfig]]

    HOMEPAGE: ClassVar[str]
    LICENSE: ClassVar[str]
    FEATURES: ClassVar[Mapping[str, Any]] = {}
    """The builder's own features, beside those of `datasets.pairs.to_example`; each Clip has their values."""

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
        """See `tfds.core.DatasetBuilder`; of the settings named here `min_face_width` alone changes the dataset's bytes.

        Args:
            workers: number of processes; without effect where `beam_options` of the download config tell how to work.
            max_rejects: share of unusable clips above which the build fails.
            progress: whether to show progress bars.
            store_dir: where the clips are kept decoded, see `datasets.store`; by default `clips` in the data_dir.
            min_face_width: of a face in its frame, pixels; clips without one that is as wide are rejected.
            **kwargs: of the base class: data_dir, config, version.

        Raises:
            UserError: a setting is out of range, or there is no such configuration.
        """
        names = [config.name for config in self.BUILDER_CONFIGS]
        if isinstance(kwargs.get("config"), str) and kwargs["config"] not in names:
            raise UserError(f"config is {kwargs['config']!r}; {self.name} has {', '.join(names)}")
        if workers < 1:
            raise UserError(f"workers is {workers}; it must be at least 1")
        if not 0 <= max_rejects <= 1:
            raise UserError(f"max_rejects is {max_rejects}; it is a share, from 0 to 1")
        data_dir = kwargs.get("data_dir")
        if data_dir and "://" not in os.fspath(data_dir):  # workers elsewhere have a working folder of their own
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
        """Lists the clips of the corpus in `corpus_dir` as this configuration wants them; opens none of them.

        Raises:
            UserError: the corpus is not what it says, or one of its tables is malformed.
        """

    def find_corpus(self, manual_dir: Path) -> Path:
        """Returns the corpus's folder: `manual_dir`, or the one in it that has the official name.

        Raises:
            UserError: neither holds the corpus.
        """
        variant = self.builder_config.variant
        inner = manual_dir / variant.folder
        for folder in (manual_dir, inner):
            if not _missing(folder, variant.markers):
                return folder
        place = inner if inner.is_dir() else manual_dir
        missing = ", ".join(_missing(place, variant.markers))
        state = "does not exist" if not place.is_dir() else "is empty" if missing == "*" else f"holds no {missing}"
        raise UserError(f"{place} {state}. {self.MANUAL_DOWNLOAD_INSTRUCTIONS}")

    def built_from_other_than(self, manual_dir: Path) -> str:
        """What this dataset was built from, in words, if a folder holds another corpus or other clips; else empty.

        Nor does it differ where the corpus is gone: it may have been deleted when it was built.
        """
        try:
            corpus_dir = self.find_corpus(manual_dir)
        except UserError:
            return ""
        if self.info.metadata["synthetic"] != is_synthetic(corpus_dir):
            was, other = ("made-up", "real") if self.info.metadata["synthetic"] else ("real", "made-up")
            return f"{was} clips, and those in {corpus_dir} are {other}"
        if self.info.metadata["listing"] in ("", self.list_clips(corpus_dir).digest):  # empty: of an older emogan
            return ""
        features = self.info.features
        classes = f", of the classes {', '.join(features['label'].names)}" if "label" in features else ""
        return f"other clips than {manual_dir} holds: {self.info.metadata['clips']:,}{classes}"

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
            found = "".join(f", but {count} {reason}" for reason, count in listing.left_out.items())
            found += "".join(f", but {count} in {place}" for place, count in self._tally.not_read().items())
            raise UserError(f"{corpus_dir} holds no clip to use{found}. {self.MANUAL_DOWNLOAD_INSTRUCTIONS}")
        if self.builder_config.variant.class_names == ():
            # Not by `names`, which cannot be changed: a dataset that is built again may have had other classes.
            self.info.features["label"].__init__(names=listing.class_names)
        self._synthetic = is_synthetic(corpus_dir)
        # First every clip is decoded, then examples are written: TFDS has to know which splits will not be empty.
        clips = [(name, clip) for name, clips in listing.splits.items() for clip in clips]
        usable: dict[str, list[tuple[Clip, str]]] = collections.defaultdict(list)
        with contextlib.closing(self._outcomes([clip for _, clip in clips])) as outcomes:
            for (name, clip), outcome in zip(clips, outcomes, strict=True):
                if self._tally.accepts(clip, outcome.key, outcome.rejection):
                    usable[name].append((clip, outcome.key))
        bar = self._shown.enter_context(self._bar(sum(map(len, usable.values())), "writing examples"))
        noted = None
        if self._beam:
            all_usable = [clip for keyed in usable.values() for clip, _ in keyed]
            noted = self._beam.follow(bar, all_usable, Path(self.data_path)).folder
        return {name: self._generate_examples(keyed, bar, noted) for name, keyed in usable.items()}

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

    def _generate_examples(self, keyed: list[tuple[Clip, str]], bar: tqdm, noted: Path | None) -> Any:
        if noted:
            from datasets import distributed

            return distributed.Examples(keyed, self._store, self.media, noted)
        from datasets import pairs

        make = functools.partial(pairs.make_example, store=self._store, config=self.media)
        return self._written(self._pool.map(make, keyed), bar)

    def _written(self, examples: Iterator[Example], bar: tqdm) -> Iterator[tuple[str, Example]]:
        for example in examples:
            bar.update()
            yield example["clip_id"], example

    def _bar(self, total: int, what: str) -> tqdm:
        return tqdm(total=total, desc=f"{self.name}: {what}", unit="clip", disable=not self._progress)

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        # Only a build needs TensorFlow, its decoders and MTCNN; `import datasets` does without them.
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
                f"{MAX_CLIPPED_SHARE:.0%}: loud sound is cut off",
                stacklevel=2,
            )


def _missing(folder: Path, markers: Iterable[str]) -> list[str]:
    return [marker for marker in markers if next(folder.glob(marker), None) is None]
