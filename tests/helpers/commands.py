"""The commands of this project, as they follow `python -m`."""

COMMANDS = (
    "trainers.progressive", "trainers.table1", "trainers.prepare", "trainers.generate", "trainers.export", "datasets.synthetic",
    "trainers.compare_studies", "trainers.augment", "emogan.client", "emogan.page",
)  # fmt: skip
