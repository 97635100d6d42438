"""Builds the miniature corpus in dummy_data; the files of actor 1037 are Git LFS pointers."""

from typing import ClassVar

import tensorflow_datasets as tfds

from datasets.crema_d_av import crema_d_av_dataset_builder


class CremaDAvTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = crema_d_av_dataset_builder.Builder
    SPLITS: ClassVar = {"fold_0": 2, "fold_1": 1}
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["64"]

    def _make_builder(self, config=None):
        return self.DATASET_CLASS(data_dir=self.tmp_dir, config=config, max_rejects=0.25)
