"""The report of a small synthetic run folder, parsed as HTML."""

import base64
import html.parser
import io
import json
import re
import wave

import numpy as np
import pytest
from PIL import Image

from emogan.config import PRESETS, LossConfig, TrainConfig, to_json
from emogan.emotions import EMOTIONS
from emogan.errors import UserError
from trainers.reports import run_report
from trainers.runs.config import RunConfig
from trainers.runs.folder import read_metrics

VOID = {"meta", "img", "source", "br", "link", "input"}
RUN_HAS = ("bare", "strong", "gan", "gan_strong", "generated")
CONFUSIONS = (*RUN_HAS, "requested")
HOSTILE = "1001_<script>alert('$1')<!--"
SHARE = {"group": "recognition", "is_share": True}
FIGURES = [
    {
        **SHARE,
        "name": "bare_accuracy",
        "value": 0.55,
        "n": 120,
        "about": "trained on real",
        "deviation": 0.0212,
        "seeds": 3,
    },
    {**SHARE, "name": "strong_accuracy", "value": 0.6123, "n": 120, "about": "trained on real"},
    {**SHARE, "name": "gan_accuracy", "value": 0.5833, "n": 120, "about": "trained on real and generated"},
    {**SHARE, "name": "gan_strong_accuracy", "value": 0.6, "n": 120, "about": "trained on real and generated"},
    {
        **SHARE,
        "is_difference": True,
        "name": "accuracy_gan_minus_bare",
        "value": 0.0333,
        "n": 12,
        "low": -0.011,
        "high": 0.0776,
        "about": "per speaker",
    },
    {"name": "spread", "value": None, "n": 0, "about": "not measured: too few"},
    {"name": "fid", "value": 59.7731, "n": 120, "about": "against real", "on": "features of <b>Q</b>"},
    {"group": "reference", "name": "ssim_class_mean", "value": 0.3989, "n": 120, "about": "against real"},
]


class Page(html.parser.HTMLParser):
    """Parses a page into elements with attributes, and text; checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))


def write_metrics(run_dir, lines):
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_wav(path):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.arange(160, dtype="<i2").tobytes())


def make_run(run_dir):
    rng = np.random.default_rng(3)
    evaluation = run_dir / "evaluate"
    (evaluation / "audio").mkdir(parents=True)
    stage = TrainConfig(steps=500, seed=41)
    config = RunConfig(
        pretrain_dataset="voxceleb_av", dataset="crema_d_av", test_fold=0, model=PRESETS["64"], loss=LossConfig(),
        pretrain=stage, calibrate=stage, recognise=stage,
    )  # fmt: skip
    (run_dir / "config.json").write_text(to_json(config))
    (run_dir / "calibrate").mkdir()
    (run_dir / "calibrate" / "served.json").write_text(json.dumps({"synthetic": True}))
    training = [
        {"stage": stage, "step": step, "time": "t", "q_loss": 1.0 / (1 + step), "val_q_loss": 1.5}
        for stage in ("pretrain", "calibrate", *(f"recognise_{name}/{n}" for name in RUN_HAS for n in (0, 1)))
        for step in range(3)
    ]
    write_metrics(run_dir, [*training, *({"stage": "evaluate", **figure} for figure in FIGURES)])
    np.savez(
        evaluation / "samples.npz",
        sources=rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8),
        real=rng.uniform(-1, 1, (2, 64, 64, 1)).astype(np.float32),
        generated=rng.uniform(-1, 1, (2, 6, 64, 64, 1)).astype(np.float32),
        draws=rng.uniform(-1, 1, (6, 3, 64, 64, 1)).astype(np.float32),
        labels=np.array([0, 3]),
        names=np.array(EMOTIONS),
        clip_ids=np.array([HOSTILE, "1002_IEO_HAP_HI"]),
        speaker_ids=np.array(["1001", "1002"]),
    )
    for name in CONFUSIONS:
        counts = rng.integers(0, 9, (6, 6))
        np.savetxt(evaluation / f"confusion_{name}.csv", counts, "%d", ",", header=",".join(EMOTIONS), comments="")
    for name in ("real", "generated_anger", "generated_sad"):
        write_wav(evaluation / "audio" / f"1002_IEO_HAP_HI_{name}.wav")
    write_wav(evaluation / "audio" / f"{HOSTILE}_real.wav")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "full"
    make_run(path)
    run_report.write_report(path)
    return path


@pytest.fixture(scope="module")
def page(run_dir):
    return Page((run_dir / "report.html").read_text())


def test_the_headline_states_the_comparison_and_its_interval(page):
    headline = page.text[: page.text.index("Results")]
    assert all(figure in headline for figure in ("55.0 ± 2.1%", "61.2%", "58.3%", "60.0%", "n = 120"))
    assert "+3.3 points (95%: -1.1 to +7.8 points, includes zero" in headline
    assert "synthetic" in page.text
    assert "not run yet" not in page.text


def test_every_figure_of_the_results_is_in_the_metrics(page, run_dir):
    recorded = [line["value"] for line in read_metrics(run_dir) if line["stage"] == "evaluate"]
    shown = [float(attrs["value"]) for attrs in page.all("data") if attrs["value"]]
    assert sorted(shown) == sorted(value for value in recorded if value is not None)
    for shown in ("55.0 ± 2.1%", "58.3%", "+3.3 points", "59.77", "0.3989", "not measured"):
        assert shown in page.text
    assert page.text.index("Recognition ") < page.text.index("Generated quality") < page.text.index("Reference rows")


def test_the_papers_table_is_marked_not_directly_comparable(page):
    assert page.text.index("Not directly comparable.") < page.text.index("49.34")
    assert all(figure in page.text for figure in ("44.73", "53.71", "59.60", "2.31", "0.85", "50.40", "48.98", "0.95"))


def test_every_image_is_in_the_page_in_both_themes_and_has_words(page):
    # Samples, 4 audio files, confusion matrices of 5 recognisers and of requests, stages and networks, curves of 7 stages.
    images, dark = page.all("img"), page.all("source")
    assert len(images) == len(dark) == 1 + 4 + 6 + 1 + 7
    assert all(image["alt"] for image in images)
    for uri in [image["src"] for image in images] + [source["srcset"] for source in dark]:
        media_type, data = uri.split(";base64,")
        assert media_type == "data:image/png"
        Image.open(io.BytesIO(base64.b64decode(data))).verify()
    assert f"Spectrogram of {HOSTILE}, real" in [image["alt"] for image in images]
    assert "Spectrogram of 1002_IEO_HAP_HI, generated for sad" in [image["alt"] for image in images]


def test_the_page_embeds_audio_the_real_clip_first(page, run_dir):
    sounds = page.all("audio")
    assert [sound["aria-label"] for sound in sounds] == [
        f"{HOSTILE}, real",
        "1002_IEO_HAP_HI, real",
        "1002_IEO_HAP_HI, anger",
        "1002_IEO_HAP_HI, sad",
    ]
    data = base64.b64decode(sounds[1]["src"].removeprefix("data:audio/wav;base64,"))
    assert data == (run_dir / "evaluate" / "audio" / "1002_IEO_HAP_HI_real.wav").read_bytes()


def test_the_page_fetches_nothing_and_runs_nothing(page, run_dir):
    for _, attrs in page.elements:
        for name in ("src", "srcset", "href", "data", "action", "poster"):
            assert attrs.get(name, "data:").startswith("data:")
    assert page.all("script") == page.all("b") == []
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:")
    assert not re.search(r"url\(|@import", (run_dir / "report.html").read_text())


def test_hostile_text_is_shown_as_text(page):
    assert HOSTILE in page.text
    assert "features of <b>Q</b>" in page.text


def test_settings_are_shown(page):
    assert '"seed": 41' in page.text


def test_the_report_of_an_unfinished_run_names_what_is_missing(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "metrics.jsonl").write_text('{"stage": "pretrain", "step": 1, "d_real_loss": 0.7}\n{"stage": "pre')
    page = Page(run_report.write_report(tmp_path).read_text())
    # Headline, results, samples, audio, 8 confusion matrices, stages and networks, curves of 8 of 9 stages, settings.
    assert page.text.count("not run yet") == 22
    (image,) = page.all("img")
    assert image["alt"].startswith("Stage 1, weight initialisation: ")
    assert "synthetic" not in page.text


def test_a_difference_without_an_interval_is_not_called_one(tmp_path):
    figures = [
        *FIGURES[:2],
        {**SHARE, "is_difference": True, "name": "accuracy_gan_minus_bare", "value": 0.0333, "n": 1},
    ]
    write_metrics(tmp_path, [{"stage": "evaluate", **figure} for figure in figures])
    text = Page(run_report.write_report(tmp_path).read_text()).text
    assert "+3.3 points (no interval" in text


def test_audio_without_samples_is_still_shown(tmp_path):
    write_metrics(tmp_path, [])
    (tmp_path / "evaluate" / "audio").mkdir(parents=True)
    write_wav(tmp_path / "evaluate" / "audio" / "1002_IEO_HAP_HI_generated_fear.wav")
    page = Page(run_report.write_report(tmp_path).read_text())
    assert [sound["aria-label"] for sound in page.all("audio")] == ["1002_IEO_HAP_HI, fear"]
    assert page.all("img") == []


def test_damaged_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"neither config\.json nor metrics\.jsonl"):
        run_report.write_report(tmp_path)
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text('{"stage": "pretrain"}\nnonsense\n{"stage": "pretrain"}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 2 is not JSON"):
        run_report.write_report(tmp_path)
    metrics.write_text("")
    (tmp_path / "evaluate").mkdir()
    table = tmp_path / "evaluate" / "confusion_bare.csv"
    for text, message in (
        ("anger,sad\n1,2\n", r"counts \(1, 2\) for 2 classes"),
        ("anger\nx\n", "not a table of counts"),
    ):
        table.write_text(text)
        with pytest.raises(UserError, match=message):
            run_report.write_report(tmp_path)
