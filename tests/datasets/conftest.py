"""Fixtures for listing a corpus, and a built dataset."""

from pathlib import Path

import pytest
from builds import built_files
from listings import VIDEO1, touch, write

import datasets
from datasets.clips import SYNTHETIC_MARK


@pytest.fixture
def listed(tmp_path):
    """A function that lists the corpus in tmp_path/corpus with a builder's configuration."""

    def listed(dataset, config="64"):
        builder = datasets.BUILDERS[dataset](data_dir=tmp_path / "tfds", config=config)
        return builder.list_clips(builder.find_corpus(tmp_path / "corpus"))

    return listed


@pytest.fixture
def root(tmp_path) -> Path:
    path = tmp_path / "corpus"
    path.mkdir()
    return path


@pytest.fixture
def no_sums(root):
    """Marks the corpus as synthetic, so that its archives are not compared with official checksums."""
    write(root / "README.txt", SYNTHETIC_MARK)


@pytest.fixture
def vox1(root) -> Path:
    """Two utterances of a video with six crops; a test speaker, and a third one whose name ends with a full stop."""
    rows = [
        "id10001\tA.J._Buckley\tm\tIreland\tdev",
        "id10270\tEartha_Kitt\tf\tUSA\ttest",
        "id10362\tHarry_Jr.\tm\tUSA\tdev",
    ]
    write(root / "vox1_meta.csv", "\n".join(["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet", *rows]) + "\n")
    touch(root, f"wav/{VIDEO1}/00001.wav", f"wav/{VIDEO1}/00002.wav")
    numbers = (25, 50, 75, 100, 800, 1000)
    touch(root, *(f"unzippedFaces/A.J._Buckley/1.6/1zcIwhmdeo4/{number:07d}.jpg" for number in numbers))
    return root


@pytest.fixture(scope="session")
def built(tiny_data) -> dict[str, bytes]:
    """The files of a build of crema_d_av by one process."""
    return built_files(tiny_data)
