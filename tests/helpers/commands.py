"""Modules of the project's commands, for `python -m`."""

COMMANDS = (
    "trainers.progressive", "trainers.table1", "trainers.prepare", "trainers.generate", "trainers.export", "datasets.synthetic",
    "trainers.compare_studies", "trainers.augment", "emogan.client", "emogan.page",
)  # fmt: skip
