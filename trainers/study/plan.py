"""The runs of a study, ordered so that shared stages come first. Public names: Study, Place, PlannedRun, plan."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from emogan.errors import UserError
from trainers.runs.config import LEFT_OUT, RunConfig
from trainers.study.cases import CASES, LOW_DATA_CASES, SWEPT_CASE, Case


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """The settings of a study.

    Attributes:
        base: settings of all runs; cases, folds and seeds override some of them. If it limits the training speakers, each
            seed selects its own.
        datasets: labelled datasets.
        folds: test folds of each dataset.
        seeds: seeds of calibration and of the recognisers; pretraining uses the seed of `base`.
        cases: names in `CASES`.
        shares: further shares of generated examples for `SWEPT_CASE`.
        low_data: further numbers of training speakers for `LOW_DATA_CASES`.

    Raises:
        UserError: if a setting is invalid, or a case is missing or does not fit the settings.
    """

    base: RunConfig
    datasets: tuple[str, ...]
    folds: Mapping[str, tuple[int, ...]]
    seeds: tuple[int, ...]
    cases: tuple[str, ...]
    shares: tuple[float, ...] = ()
    low_data: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        lists = {name: getattr(self, name) for name in ("datasets", "seeds", "cases", "shares", "low_data")}
        lists |= {f"folds of {dataset}": folds for dataset, folds in self.folds.items()}
        for name, values in lists.items():
            if len(set(values)) < len(values) or not (values or name in ("shares", "low_data")):
                given = ", ".join(map(str, values)) or "none"
                raise UserError(f"{name} are {given}; give at least one, without repetitions")
        if any(not 0 < share < 1 or share == self.base.generated_share for share in self.shares):
            raise UserError(
                f"shares are {', '.join(map(str, self.shares))}; they must be between 0 and 1 and differ from generated_share, "
                f"{self.base.generated_share:g}"
            )
        if any(count < 1 for count in self.low_data):
            raise UserError(f"low_data is {', '.join(map(str, self.low_data))}; numbers of speakers must be positive")
        unknown = [name for name in self.cases if name not in CASES]
        if unknown:
            raise UserError(f"unknown case {unknown[0]}; the cases are {', '.join(CASES)}")
        for name in self.cases:
            if CASES[name].generator and not CASES[name].fits(self.base):
                raise UserError(
                    f"case {name} needs pretraining and another generator in the study; omit it, or give another --generator "
                    "without --pretrained"
                )
            if CASES[name].gan_of and CASES[name].gan_of not in self.cases:
                raise UserError(f"case {name} uses the GAN of {CASES[name].gan_of}; add that case")
        if "baseline" not in self.cases:
            raise UserError("case baseline is missing, which all others are compared with; add it")
        if self.shares and SWEPT_CASE not in self.cases:
            raise UserError(f"shares need case {SWEPT_CASE}; add it")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """The position of a run or a result in a study.

    Attributes:
        dataset: labelled dataset.
        fold: test fold.
        seed: seed of calibration and of the recognisers.
        case: name of the case.
        recogniser: for a result, the recogniser of the case.
        train_speakers: number of training speakers if it differs from the study's, otherwise 0.
        share: share of generated examples if it differs from the study's, otherwise 0.
    """

    dataset: str
    fold: int
    seed: int
    case: str
    recogniser: str = ""
    train_speakers: int = 0
    share: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of a study.

    Attributes:
        path: folder of the run, relative to the study's folder.
        config: settings of the run.
        stages: stages that it runs.
        links: stages of other runs that it uses, with their folders relative to the study's folder.
        place: its position; None for a run of shared stages only.
        part: folder of a group of runs that share only pretraining with other runs: of a fold, or of one seed of a fold if
            each seed has its own training speakers.
    """

    path: str
    config: RunConfig
    stages: tuple[str, ...]
    links: Mapping[str, str]
    place: Place | None = None
    part: str = ""


def plan(study: Study) -> list[PlannedRun]:
    """All runs of a study; each follows the runs whose stages it links to."""
    runs = []
    if study.base.pretrain_dataset != LEFT_OUT:
        first = dataclasses.replace(study.base, dataset=study.datasets[0], test_fold=study.folds[study.datasets[0]][0])
        for generator in _pretrained(study, study.cases):
            config = first.with_generator(generator) if generator else first
            runs.append(PlannedRun(path=_pretraining(generator), config=config, stages=("pretrain",), links={}))
    for dataset in study.datasets:
        for fold in study.folds[dataset]:
            for train_speakers in (0, *study.low_data):
                folder = "/".join(
                    [
                        dataset.replace("/", "_"),
                        *([f"{train_speakers}_speakers"] if train_speakers else []),
                        f"fold_{fold}",
                    ]
                )
                of_fold = _fold(study, dataset, fold, train_speakers, folder)
                own_speakers = _own_speakers(study, train_speakers)
                runs += [
                    dataclasses.replace(run, part=run.path.rpartition("/")[0] if own_speakers else folder)
                    for run in of_fold
                ]
    return runs


def _pretrained(study: Study, names: Iterable[str]) -> list[str]:
    """The generators that the cases need pretrained; the study's own is the empty text."""
    if study.base.pretrained:
        return []
    return sorted({CASES[name].generator for name in names if CASES[name].config(study.base).pretrains})


def _pretraining(generator: str) -> str:
    return f"pretrained_{generator}" if generator else "pretrained"


def _own_speakers(study: Study, train_speakers: int) -> bool:
    """Whether each seed has its own training speakers."""
    return bool(study.base.train_speakers or train_speakers)


def _fold(study: Study, dataset: str, fold: int, train_speakers: int, folder: str) -> Iterator[PlannedRun]:
    """The runs of one fold: for all seeds, shared stages first."""
    names = [name for name in CASES if name in study.cases and (not train_speakers or name in LOW_DATA_CASES)]
    reads_faces = any(CASES[name].config(study.base).reads_faces for name in names)
    own_speakers = _own_speakers(study, train_speakers)  # then each seed needs its own f_S

    def shared(folder: str, stage: str, case: str, seed: int) -> PlannedRun:
        config = _config(study, CASES[case], dataset, fold, seed, train_speakers)
        return PlannedRun(path=f"{folder}/{stage}", config=config, stages=(stage,), links={})

    if reads_faces and not own_speakers:
        # Independent of the study's seeds, so that seeds can be added later.
        yield shared(folder, "face_classifier", "moderate_semi_supervised", study.base.calibrate.seed)
    for seed in study.seeds:
        of_seed = f"{folder}/seed_{seed}"
        links = {"face_classifier": f"{of_seed if own_speakers else folder}/face_classifier/face_classifier"}
        for generator in _pretrained(study, names):
            links[_pretraining(generator)] = f"{_pretraining(generator)}/pretrain"
        if reads_faces and own_speakers:
            yield shared(of_seed, "face_classifier", "moderate_semi_supervised", seed)
        if study.base.pretrain_dataset == LEFT_OUT:
            for generator in _pretrained(study, names):
                config = _config(study, CASES[generator or SWEPT_CASE], dataset, fold, seed, train_speakers)
                path = f"{of_seed}/{_pretraining(generator)}"
                links[_pretraining(generator)] = f"{path}/pretrain"
                yield PlannedRun(path=path, config=config, stages=("pretrain",), links={})
        for name in names:
            place = Place(dataset=dataset, fold=fold, seed=seed, case=name, train_speakers=train_speakers)
            yield _case(study, place, of_seed, links)
        for share in () if train_speakers else study.shares:
            place = Place(dataset=dataset, fold=fold, seed=seed, case=SWEPT_CASE, share=share)
            yield _case(study, place, of_seed, links)


def _case(study: Study, place: Place, folder: str, shared: Mapping[str, str]) -> PlannedRun:
    """The run of a case; shared stages are links."""
    case = CASES[place.case]
    config = _config(study, case, place.dataset, place.fold, place.seed, place.train_speakers)
    judged = ["judge"] if config.judges_draws else []
    alone = ["recognise_generated"] if config.generated_alone else []
    generated = ["calibrate", "draw", *judged, *alone] if config.schedule != "none" else []
    path, source, linked = f"{folder}/{case.name}", f"{folder}/{case.gan_of}", case.shares if case.gan_of else ()
    if place.share:
        config = dataclasses.replace(config, generated_share=place.share)
        path, source, linked = f"{path}_share_{place.share:g}", path, ("calibrate", "recognise_generated")
    links = {stage: f"{source}/{stage}" for stage in linked if stage in generated}
    own = [f"recognise_{name}" for name in case.recognisers]
    for name in CASES["baseline"].recognisers:
        if name not in case.recognisers:
            links[f"recognise_{name}"] = f"{folder}/baseline/recognise_{name}"
    if config.pretrains:
        links["pretrain"] = shared[_pretraining(case.generator)]
    if config.reads_faces:
        links["face_classifier"] = shared["face_classifier"]
    stages = tuple(stage for stage in (*generated, *own, "evaluate") if stage not in links)
    return PlannedRun(path=path, config=config, stages=stages, links=links, place=place)


def _config(study: Study, case: Case, dataset: str, fold: int, seed: int, train_speakers: int) -> RunConfig:
    base = case.config(study.base)
    return dataclasses.replace(
        base,
        dataset=dataset,
        test_fold=fold,
        train_speakers=train_speakers or base.train_speakers,
        calibrate=dataclasses.replace(base.calibrate, seed=seed),
        recognise=dataclasses.replace(base.recognise, seed=seed),
    )
