"""Builds the miniature corpora in dummy_data.

The videos of VoxCeleb2 have no audio, and one has no audio file either; the test speaker of VoxCeleb1 has no frame lists.
"""

from typing import ClassVar

import tensorflow_datasets as tfds

from datasets.voxceleb_av import voxceleb_av_dataset_builder


class VoxcelebAvTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = voxceleb_av_dataset_builder.Builder
    SPLITS: ClassVar = {"train": 2, "test": 1}
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar = ["64", "64_vox1"]

    def _make_builder(self, config=None):
        return self.DATASET_CLASS(data_dir=self.tmp_dir, config=config, max_rejects=0.25)
