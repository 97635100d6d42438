"""A study of three cases on the minute corpora."""

from pathlib import Path

import pytest

CASES = "baseline,progressive_supervised,spec_augment"


@pytest.fixture(scope="session")
def study_flags(minute_flags) -> list[str]:
    """Flags of trainers.table1 for two folds and a seed; --study_dir is missing."""
    return [*minute_flags, "--datasets=crema_d_av", "--folds=0,1", "--seeds=1", f"--cases={CASES}", "--workers=2"]


@pytest.fixture(scope="session")
def minute_study(study_flags, run_command, tmp_path_factory) -> Path:
    """The folder of that study."""
    folder = tmp_path_factory.mktemp("studies") / "study"
    result = run_command("trainers.table1", *study_flags, f"--study_dir={folder}")
    assert result.returncode == 0, result.stderr
    (folder / "printed.txt").write_text(result.stdout)
    return folder
