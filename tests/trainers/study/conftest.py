"""Synthetic results."""

import numpy as np
import pytest

from emogan.emotions import EMOTIONS
from emogan.metrics.comparison import Comparison
from trainers.study.cases import CASES
from trainers.study.plan import Place
from trainers.study.results import CaseResult


def make_result(case, difference=None, p=None, recogniser="", **changes):
    compared = None
    if difference is not None:
        compared = Comparison(
            difference=difference, low=difference - 0.05, high=difference + 0.05, p=p, speakers=8, seeds=2
        )
    settings = {
        "place": Place(
            dataset="crema_d_av", fold=0, seed=1, case=case, recogniser=recogniser or CASES[case].recognisers[0]
        ),
        "runs": 4,
        "mean": {"accuracy": 0.5, "uar": 0.4, "macro_f1": 0.3},
        "deviation": {"accuracy": 0.0123, "uar": 0.02, "macro_f1": 0.03},
        "counts": {},
        "by_sex": {},
        "comparison": compared,
        "whole_minus_this": None,
        "adjusted_p": None if p is None else min(1, 2 * p),
        "classes": EMOTIONS,
        "confusion": np.eye(6, dtype=int),
        "run_differences": {},
        "speakers": dict.fromkeys("abcdefgh", 0.5),
    }
    return CaseResult(**settings | changes)


@pytest.fixture
def result():
    """Makes a CaseResult from a case, a difference, its p, a recogniser, and other changes."""
    return make_result
