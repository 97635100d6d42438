"""Who trains, who validates and who is tested: every protocol is a union of folds of speakers.

Public names: Protocol, protocol, folds_of, check_speakers, low_data, balanced_order, unlabelled_splits.
"""

import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Mapping

from datasets.corpus import Corpus
from datasets.folds import FOLDS, MIN_FOLDS
from emogan.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """TFDS split expressions; no speaker is in two of them.

    Attributes:
        train: what is trained on.
        validation: on which selections are made.
        test: what is held out.
        left_out: speakers in the splits of `train` that are not trained on either; see `Corpus.without`.
    """

    train: str
    validation: str
    test: str
    left_out: frozenset[str] = frozenset()


def protocol(dataset: str | Corpus, test_fold: int) -> Protocol:
    """Test = that fold, validation = the next one that has clips (after the last, the first), train = the rest.

    Args:
        dataset: a built labelled dataset, of which only the folds with clips are splits; or the name of its builder, for
            all folds of the corpus.
        test_fold: number of the fold.

    Raises:
        UserError: there is no such fold, or fewer than three.
    """
    name, folds = (dataset, _official_folds(dataset)) if isinstance(dataset, str) else (dataset.name, folds_of(dataset))
    if test_fold not in folds:
        raise UserError(f"test fold {test_fold}: {name} has the folds {folds}; choose one of these")
    if len(folds) < MIN_FOLDS:
        raise UserError(
            f"{name} has clips in {len(folds)} folds; training, validation and test need three; build more of the corpus"
        )
    validation = folds[(folds.index(test_fold) + 1) % len(folds)]
    train = [fold for fold in folds if fold not in (test_fold, validation)]
    return Protocol(
        train="+".join(f"fold_{fold}" for fold in train), validation=f"fold_{validation}", test=f"fold_{test_fold}"
    )


def check_speakers(corpus: Corpus, protocol: Protocol) -> None:
    """Raises UserError where a speaker is on two sides of a protocol."""
    sides = [protocol.test, protocol.validation, protocol.train]
    for one, other in itertools.combinations(sides, 2):
        both = corpus.speakers(one) & corpus.speakers(other)
        if both:
            raise UserError(
                f"{min(both)} speaks in {one} and in {other} of {corpus.name}, so what is measured would be known before; "
                "rebuild the dataset"
            )


def _official_folds(name: str) -> list[int]:
    if name not in FOLDS:
        raise UserError(f"{name} has no folds of speakers; choose one of {', '.join(FOLDS)}")
    return list(range(len(FOLDS[name])))


def folds_of(corpus: Corpus) -> list[int]:
    """The numbers of the folds in which a built dataset has clips. Raises UserError where it has no folds."""
    found = sorted(int(name.removeprefix("fold_")) for name in corpus.splits if name.startswith("fold_"))
    if not found:
        raise UserError(f"{corpus.name} has no folds of speakers; choose a labelled dataset")
    return found


def low_data(corpus: Corpus, test_fold: int, *, train_speakers: int, seed: int) -> Protocol:
    """`protocol` with a stated number of training speakers; validation and test stay whole.

    The speakers of a smaller number are among those of a larger one; see `balanced_order`.

    Args:
        corpus: a built labelled dataset.
        test_fold: number of the fold.
        train_speakers: how many speakers are trained on.
        seed: of the choice.

    Raises:
        UserError: as `protocol`, or the training folds have fewer speakers, or none is asked for.
    """
    whole = protocol(corpus, test_fold)
    columns = (corpus.column(name, whole.train) for name in ("speaker_id", "actor_sex", "split"))
    speakers = {str(speaker): (str(sex), str(split)) for speaker, sex, split in zip(*columns, strict=True)}
    if not 0 < train_speakers <= len(speakers):
        raise UserError(
            f"{train_speakers} training speakers: {whole.train} of {corpus.name} has {len(speakers)}; give a number from 1 "
            f"to {len(speakers)}"
        )
    left_out = balanced_order(speakers, seed)[train_speakers:]
    return dataclasses.replace(whole, left_out=frozenset(left_out))


def balanced_order(speakers: Mapping[str, tuple[str, str]], seed: int) -> list[str]:
    """An order of which every beginning has sexes, and after them folds, as equal in number as can be.

    Args:
        speakers: the sex and the split of each; an empty sex is one more.
        seed: decides between speakers of one sex and split.
    """
    left = sorted(speakers, key=lambda speaker: hashlib.sha256(f"{seed} {speaker}".encode()).digest())
    order: list[str] = []
    taken: collections.Counter[str] = collections.Counter()
    while left:
        order.append(min(left, key=lambda speaker: [taken[group] for group in speakers[speaker]]))
        left.remove(order[-1])
        taken.update(speakers[order[-1]])
    return order


def unlabelled_splits(corpus: Corpus) -> tuple[str, str]:
    """The splits of an unlabelled corpus to train on and to watch: validation; in a small corpus test, or train itself.

    Nothing is measured on the test speakers of an unlabelled corpus, so they may be watched.

    Raises:
        UserError: where there is no split named train.
    """
    if "train" not in corpus.splits:
        raise UserError(
            f"{corpus.name} has no split named train, but {', '.join(corpus.splits)}; pretraining needs VoxCeleb's"
        )
    return "train", next(name for name in ("validation", "test", "train") if name in corpus.splits)
