"""Builds TFRecord datasets from corpora on disk, and batches from datasets.

Importing this package registers the builders `crema_d_av`, `folder_av`, `ravdess_av` and `voxceleb_av` with TFDS, for
`tfds.load`. It does not import TensorFlow.
"""

from datasets.crema_d_av import crema_d_av_dataset_builder as _crema_d_av
from datasets.folder_av import folder_av_dataset_builder as _folder_av
from datasets.ravdess_av import ravdess_av_dataset_builder as _ravdess_av
from datasets.voxceleb_av import voxceleb_av_dataset_builder as _voxceleb_av

__all__ = ["BUILDERS"]

BUILDERS = {module.Builder.name: module.Builder for module in (_crema_d_av, _folder_av, _ravdess_av, _voxceleb_av)}
"""The builder class of each dataset name."""
