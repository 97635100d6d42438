"""The gain of the best case relative to that of perfect generation. Public names: Ceiling, ceilings, HEAD, ABOUT, cells."""

import dataclasses
from collections.abc import Sequence

from emogan.metrics.comparison import Comparison
from trainers.study import tables
from trainers.study.cases import CASES
from trainers.study.results import CaseResult

HEAD = (
    "on top of",
    "oracle, points",
    "best other case",
    "its difference, points",
    "share of the oracle's",
    "upper bound, points",
)
"""Columns of `cells`."""
ABOUT = (
    "The gain of the best case relative to the oracle, which uses real clips of further speakers instead of generated ones. "
    "The best case is selected on the test speakers, so its gain is biased upwards. Larger gains than the upper bound are "
    "outside the 95% intervals of all cases."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The best case and the oracle, both compared with the same recogniser.

    Attributes:
        base: the recogniser: bare or strong.
        oracle: difference of the oracle.
        best: the other case with the largest difference, which is biased upwards by the selection.
        gain: its difference.
        share: `gain` divided by `oracle`; None unless the oracle's interval is above zero.
        upper: highest upper end of the other cases' 95% intervals over speakers, as a share of clips; larger gains are
            outside all intervals. None if a case has no interval.
    """

    base: str
    oracle: Comparison
    best: CaseResult
    gain: Comparison
    share: float | None
    upper: float | None


def ceilings(results: Sequence[CaseResult]) -> list[Ceiling]:
    """The ceilings of the results on one dataset, for each recogniser that has an oracle and other cases."""
    by_base: dict[str, list[tuple[CaseResult, Comparison]]] = {}
    for one in results:
        if one.comparison:
            by_base.setdefault(CASES[one.place.case].against(one.place.recogniser), []).append((one, one.comparison))
    found = []
    for base, compared in by_base.items():
        oracle = next((gain for one, gain in compared if one.place.case == "oracle"), None)
        others = [(one, gain) for one, gain in compared if one.place.case not in ("baseline", "oracle")]
        if oracle is None or not others:
            continue
        best, gain = max(others, key=lambda pair: pair[1].difference)
        ends = [other.high for _, other in others]
        found.append(
            Ceiling(
                base=base, oracle=oracle, best=best, gain=gain,
                share=gain.difference / oracle.difference if oracle.low is not None and oracle.low > 0 else None,
                upper=None if None in ends else max(end for end in ends if end is not None),
            )
        )  # fmt: skip
    return found


def cells(ceiling: Ceiling) -> tuple[str, ...]:
    """The text for each column of `HEAD`."""
    return (
        ceiling.base,
        tables.interval(ceiling.oracle),
        ceiling.best.title,
        tables.interval(ceiling.gain),
        "oracle not above zero" if ceiling.share is None else f"{100 * ceiling.share:.0f}%",
        "" if ceiling.upper is None else f"{100 * ceiling.upper:+.1f}",
    )
