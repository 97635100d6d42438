"""Checks the numbers of a built dataset with TensorFlow Data Validation against a schema that people keep.

Public names: Anomaly, anomalies, statistics, schema_path. The schemas lie in the builders' folders, as schema.pbtxt.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_datasets as tfds
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from emogan.errors import UserError

MIN_DRIFT_EXAMPLES = 200
"""Fewer examples differ by chance: two halves of one normal distribution by a divergence of up to 0.08 at 72, 0.04 here."""
LEVEL = "level_dbfs"
"""The feature that is compared between corpora: a generator pretrained on quiet voices does not know loud ones."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Anomaly:
    """Something that the schema does not allow, or that the build warned of.

    Attributes:
        where: the split, the other corpus that this one is compared with, or `corpus`.
        feature: the feature's name; `clips` of what the build warned of.
        what: the kind of anomaly, in TFDV's words or the build's.
        detail: the description, with figures.
    """

    where: str
    feature: str
    what: str
    detail: str


def schema_path(builder: tfds.core.DatasetBuilder) -> Path:
    """The schema of a dataset, in its builder's folder."""
    return Path(inspect.getfile(type(builder))).parent / "schema.pbtxt"


def anomalies(
    builder: tfds.core.DatasetBuilder,
    facts: Mapping[str, np.ndarray],
    others: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> list[Anomaly]:
    """Checks every split against the schema and, where there are enough examples, against the other splits.

    First comes what the build warned of.

    Args:
        builder: of the built dataset.
        facts: see `datasets.facts.read_facts`.
        others: facts of other corpora, by name, whose sound should have the same levels.

    Raises:
        UserError: the schema cannot be read.
    """
    path = schema_path(builder)
    try:
        schema = tfdv.load_schema_text(str(path))
    except (OSError, tf.errors.OpError, text_format.ParseError) as error:
        raise UserError(f"{path} is no schema of TensorFlow Data Validation: {error}") from error
    table = _table(builder, facts)
    warned = builder.info.metadata["warnings"]
    found = [Anomaly(where="corpus", feature="clips", what=what, detail=detail) for what, detail in warned.items()]
    for split in sorted(set(facts["split"])):
        here = table["split"] == split
        found += _check(schema, split, table[here], previous=table[~here])
    level = schema_pb2.Schema(feature=[tfdv.get_feature(schema, LEVEL)])
    level.feature[0].ClearField("float_domain")  # which the splits were checked against already
    for name, other in (others or {}).items():
        found += _check(level, name, pd.DataFrame({LEVEL: facts[LEVEL]}), serving=pd.DataFrame({LEVEL: other[LEVEL]}))
    return found


def statistics(
    builder: tfds.core.DatasetBuilder, facts: Mapping[str, np.ndarray]
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """TFDV's statistics of every split, by its name, and before them those of `all`.

    Args:
        builder: of the built dataset.
        facts: see `datasets.facts.read_facts`.
    """
    table = _table(builder, facts)
    parts = {"all": table} | {split: table[table["split"] == split] for split in sorted(set(facts["split"]))}
    found = statistics_pb2.DatasetFeatureStatisticsList()
    for name, part in parts.items():
        (dataset,) = _statistics(part).datasets
        dataset.name = name
        found.datasets.append(dataset)
    return found


def _table(builder: tfds.core.DatasetBuilder, facts: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The facts with names instead of labels' numbers; an example without a label has none there."""
    columns = dict(facts)
    for name, feature in builder.info.features.items():
        if isinstance(feature, tfds.features.ClassLabel):
            columns[name] = np.array([feature.names[i] if i >= 0 else None for i in facts[name]], dtype=object)
    return pd.DataFrame(columns)


def _check(schema: schema_pb2.Schema, where: str, table: pd.DataFrame, **compared: pd.DataFrame) -> list[Anomaly]:
    """Validates one table; it is compared with the `previous` or `serving` one if both are large enough."""
    statistics = {
        f"{name}_statistics": _statistics(other)
        for name, other in compared.items()
        if min(len(table), len(other)) >= MIN_DRIFT_EXAMPLES
    }
    found = tfdv.validate_statistics(_statistics(table), schema, **statistics).anomaly_info
    return [
        Anomaly(where=where, feature=feature, what=reason.short_description, detail=reason.description)
        for feature, info in sorted(found.items())
        for reason in info.reason
    ]


def _statistics(table: pd.DataFrame) -> statistics_pb2.DatasetFeatureStatisticsList:
    return tfdv.generate_statistics_from_dataframe(table.reset_index(drop=True))
