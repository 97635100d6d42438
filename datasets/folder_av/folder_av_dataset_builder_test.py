"""Builds the miniature corpus in dummy_data with table and with folders; one video has its audio in another file."""

from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from datasets.folder_av import folder_av_dataset_builder


class FolderAvTableTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = folder_av_dataset_builder.Builder
    SPLITS: ClassVar = {"fold_0": 2, "fold_1": 1, "fold_2": 1}
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["64"]

    def _make_builder(self, config=None):
        return self.DATASET_CLASS(data_dir=self.tmp_dir, config=config, max_rejects=0.25)


class FolderAvFoldersTest(FolderAvTableTest):
    EXAMPLE_DIR = Path(__file__).with_name("dummy_data") / "clips"
    SPLITS: ClassVar = {"fold_0": 2, "fold_1": 1}
