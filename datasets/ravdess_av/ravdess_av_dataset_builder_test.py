"""Builds the miniature corpus in dummy_data: one clip is calm, one is truncated, and one has its audio in a separate file."""

from typing import ClassVar

import tensorflow_datasets as tfds

from datasets.ravdess_av import ravdess_av_dataset_builder


class RavdessAvTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = ravdess_av_dataset_builder.Builder
    SPLITS: ClassVar = {"fold_0": 1, "fold_1": 1, "fold_2": 1}
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["64"]

    def _make_builder(self, config=None):
        return self.DATASET_CLASS(data_dir=self.tmp_dir, config=config, max_rejects=0.25)


class RavdessAvEightTest(RavdessAvTest):
    SPLITS: ClassVar = {"fold_0": 2, "fold_1": 1, "fold_2": 1}
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["64_eight"]
