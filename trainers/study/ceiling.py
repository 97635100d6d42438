"""How much of what perfect generation would bring is reached. Public names: Ceiling, ceilings, HEAD, ABOUT, cells."""

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
    "highest upper end",
)
"""Columns of `cells`."""
ABOUT = (
    "How much is reached of what perfect generation would bring, real clips of further speakers (the oracle). The best "
    "case is the best on the test speakers, in part by luck. Gains above the highest upper end lie outside all intervals."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The cases that are compared with one recogniser, against the oracle on top of the same one.

    Attributes:
        base: the recogniser: bare or strong.
        oracle: the oracle's difference to it.
        best: of the other cases the one with the largest difference, which is partly luck: it is the best of several.
        gain: its difference.
        share: that of the best divided by that of the oracle; None where the oracle's interval does not lie above zero.
        upper: the highest upper end of the other cases' 95% intervals over speakers, as a share of clips: a larger gain is
            excluded for each of them; None where one has no interval.
    """

    base: str
    oracle: Comparison
    best: CaseResult
    gain: Comparison
    share: float | None
    upper: float | None


def ceilings(results: Sequence[CaseResult]) -> list[Ceiling]:
    """Those of the results on one dataset, for each recogniser that has an oracle and other cases."""
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
    """Text for each of `HEAD`."""
    return (
        ceiling.base,
        tables.interval(ceiling.oracle),
        ceiling.best.title,
        tables.interval(ceiling.gain),
        "no ceiling shown" if ceiling.share is None else f"{100 * ceiling.share:.0f}%",
        "" if ceiling.upper is None else f"{100 * ceiling.upper:+.1f}",
    )
