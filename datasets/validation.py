"""Checks a built dataset against a reviewed schema, with TensorFlow Data Validation.

Public names: Anomaly, anomalies, statistics, schema_path. The schemas are in the builders' folders, as schema.pbtxt.
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
"""Fewer examples are not compared: by chance, two halves of one normal distribution diverge by up to 0.08 at 72 examples, and
by up to 0.04 at this number."""
LEVEL = "level_dbfs"
"""The feature compared between corpora: a generator pretrained on quiet voices does not know loud ones."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Anomaly:
    """A violation of the schema, or a warning of the build.

    Attributes:
        where: the split, the corpus that this one is compared with, or `corpus`.
        feature: name of the feature; `clips` for a warning of the build.
        what: kind of the anomaly, as named by TFDV or by the build.
        detail: description, with numbers.
    """

    where: str
    feature: str
    what: str
    detail: str


def schema_path(builder: tfds.core.DatasetBuilder) -> Path:
    """Returns the path of a dataset's schema, in its builder's folder."""
    return Path(inspect.getfile(type(builder))).parent / "schema.pbtxt"


def anomalies(
    builder: tfds.core.DatasetBuilder,
    facts: Mapping[str, np.ndarray],
    others: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> list[Anomaly]:
    """Checks every split against the schema and, if there are enough examples, against the other splits.

    Warnings of the build come first.

    Args:
        builder: of the built dataset.
        facts: see `datasets.facts.read_facts`.
        others: facts of other corpora by name, whose audio should have the same levels.

    Raises:
        UserError: the schema cannot be read.
    """
    path = schema_path(builder)
    try:
        schema = tfdv.load_schema_text(str(path))
    except (OSError, tf.errors.OpError, text_format.ParseError) as error:
        raise UserError(f"{path} is not a schema of TensorFlow Data Validation: {error}") from error
    table = _table(builder, facts)
    warnings = builder.info.metadata["warnings"]
    found = [Anomaly(where="corpus", feature="clips", what=title, detail=detail) for title, detail in warnings.items()]
    for split in sorted(set(facts["split"])):
        in_split = table["split"] == split
        found += _check(schema, split, table[in_split], previous=table[~in_split])
    level = schema_pb2.Schema(feature=[tfdv.get_feature(schema, LEVEL)])
    level.feature[0].ClearField("float_domain")  # the range was checked for each split
    for name, other in (others or {}).items():
        found += _check(level, name, pd.DataFrame({LEVEL: facts[LEVEL]}), serving=pd.DataFrame({LEVEL: other[LEVEL]}))
    return found


def statistics(
    builder: tfds.core.DatasetBuilder, facts: Mapping[str, np.ndarray]
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns TFDV's statistics of the whole dataset (`all`), then of every split by name.

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
    """Returns the facts with class names instead of label indices, and None for examples without a label."""
    columns = dict(facts)
    for name, feature in builder.info.features.items():
        if isinstance(feature, tfds.features.ClassLabel):
            columns[name] = np.array([feature.names[i] if i >= 0 else None for i in facts[name]], dtype=object)
    return pd.DataFrame(columns)


def _check(schema: schema_pb2.Schema, where: str, table: pd.DataFrame, **compared: pd.DataFrame) -> list[Anomaly]:
    """Validates one table, and compares it with the `previous` or `serving` one if both are large enough."""
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
