"""Splits for training, validation and test without common speakers. Every protocol is a union of folds of speakers.

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
        train: the training splits.
        validation: the split for model selection.
        test: the held-out split.
        left_out: speakers in `train` who are excluded from training; see `Corpus.without`.
    """

    train: str
    validation: str
    test: str
    left_out: frozenset[str] = frozenset()


def protocol(dataset: str | Corpus, test_fold: int) -> Protocol:
    """Returns a protocol: test is the given fold, validation the next one with clips (cyclically), train the rest.

    Args:
        dataset: a built labelled dataset, whose splits are the folds with clips; or the name of its builder, for all folds of
            the corpus.
        test_fold: number of the test fold.

    Raises:
        UserError: there is no such fold, or there are fewer than three.
    """
    name, folds = (dataset, _official_folds(dataset)) if isinstance(dataset, str) else (dataset.name, folds_of(dataset))
    if test_fold not in folds:
        raise UserError(f"test fold {test_fold}: must be one of {folds} of {name}")
    if len(folds) < MIN_FOLDS:
        raise UserError(
            f"{name} has clips in {len(folds)} folds; training, validation and test need {MIN_FOLDS}: build more of the corpus"
        )
    validation = folds[(folds.index(test_fold) + 1) % len(folds)]
    train = [fold for fold in folds if fold not in (test_fold, validation)]
    return Protocol(
        train="+".join(f"fold_{fold}" for fold in train), validation=f"fold_{validation}", test=f"fold_{test_fold}"
    )


def check_speakers(corpus: Corpus, protocol: Protocol) -> None:
    """Raises UserError if a speaker is on two sides of a protocol."""
    sides = [protocol.test, protocol.validation, protocol.train]
    for one, other in itertools.combinations(sides, 2):
        both = corpus.speakers(one) & corpus.speakers(other)
        if both:
            raise UserError(
                f"{min(both)} speaks in {one} and in {other} of {corpus.name}, so the evaluation would not be on unseen "
                "speakers; rebuild the dataset"
            )


def _official_folds(name: str) -> list[int]:
    if name not in FOLDS:
        raise UserError(f"{name} has no folds of speakers; choose one of {', '.join(FOLDS)}")
    return list(range(len(FOLDS[name])))


def folds_of(corpus: Corpus) -> list[int]:
    """Returns the numbers of the folds with clips in a built dataset. Raises UserError if it has no folds."""
    found = sorted(int(name.removeprefix("fold_")) for name in corpus.splits if name.startswith("fold_"))
    if not found:
        raise UserError(f"{corpus.name} has no folds of speakers; choose a labelled dataset")
    return found


def low_data(corpus: Corpus, test_fold: int, *, train_speakers: int, seed: int) -> Protocol:
    """Returns `protocol` with a limited number of training speakers; validation and test are unchanged.

    The speakers of a smaller number are a subset of those of a larger number; see `balanced_order`.

    Args:
        corpus: a built labelled dataset.
        test_fold: number of the test fold.
        train_speakers: number of training speakers.
        seed: of the choice.

    Raises:
        UserError: as `protocol`; or `train_speakers` is below 1, or above the number of speakers in the training folds.
    """
    whole = protocol(corpus, test_fold)
    columns = (corpus.column(name, whole.train) for name in ("speaker_id", "actor_sex", "split"))
    speakers = {str(speaker): (str(sex), str(split)) for speaker, sex, split in zip(*columns, strict=True)}
    if not 0 < train_speakers <= len(speakers):
        raise UserError(
            f"--train_speakers={train_speakers}: {whole.train} of {corpus.name} has {len(speakers)} speakers; give a number "
            f"from 1 to {len(speakers)}"
        )
    left_out = balanced_order(speakers, seed)[train_speakers:]
    return dataclasses.replace(whole, left_out=frozenset(left_out))


def balanced_order(speakers: Mapping[str, tuple[str, str]], seed: int) -> list[str]:
    """Returns an order of speakers in which every prefix is balanced as well as possible by sex, and then by fold.

    Args:
        speakers: sex and split of each speaker; an empty sex counts as another sex.
        seed: decides between speakers of the same sex and split.
    """
    remaining = sorted(speakers, key=lambda speaker: hashlib.sha256(f"{seed} {speaker}".encode()).digest())
    order: list[str] = []
    counts: collections.Counter[str] = collections.Counter()
    while remaining:
        order.append(min(remaining, key=lambda speaker: [counts[group] for group in speakers[speaker]]))
        remaining.remove(order[-1])
        counts.update(speakers[order[-1]])
    return order


def unlabelled_splits(corpus: Corpus) -> tuple[str, str]:
    """Returns the splits of an unlabelled corpus for training and for monitoring.

    Monitoring uses validation; in a small corpus test, or else train itself. No results are measured on the test speakers of
    an unlabelled corpus, so they may be used.

    Raises:
        UserError: there is no split named train.
    """
    if "train" not in corpus.splits:
        raise UserError(
            f"{corpus.name} has no split named train, but {', '.join(corpus.splits)}; pretrain on VoxCeleb (voxceleb_av)"
        )
    return "train", next(name for name in ("validation", "test", "train") if name in corpus.splits)
