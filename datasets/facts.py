"""Reads the scalar features of a built dataset without its images.

Public names: read_facts.
"""

import numpy as np
import tensorflow_datasets as tfds

_BATCH = 4096


def read_facts(builder: tfds.core.DatasetBuilder) -> dict[str, np.ndarray]:
    """Reads the numbers and texts of all examples: splits in order of their names, examples in the order on disk.

    Returns:
        An array [n] for each scalar feature, and `split`, the name of each example's split. Texts are str; labels are indices.
    """
    names = [name for name, feature in builder.info.features.items() if feature.shape == ()]
    decoding = tfds.decode.PartialDecoding(dict.fromkeys(names, True))
    columns: dict[str, list[np.ndarray]] = {name: [] for name in [*names, "split"]}
    for split in sorted(builder.info.splits):
        dataset = builder.as_dataset(split=split, decoders=decoding, batch_size=_BATCH, shuffle_files=False)
        for batch in tfds.as_numpy(dataset):
            for name in names:
                values = batch[name]
                columns[name].append(_texts(values) if values.dtype == object else values)
            columns["split"].append(np.full(len(values), split))
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def _texts(values: np.ndarray) -> np.ndarray:
    return np.array([value.decode() for value in values])
