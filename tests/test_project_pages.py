"""The model card, the page for contributors, the citation and the code reference are true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from documents import MAKEFILE, PAGES, ROOT

import datasets
from emogan.config import GENERATORS, PRESETS
from trainers.runs.config import recipe

CARD = PAGES["MODEL_CARD.md"]


def rows(first: str) -> dict[str, list[str]]:
    """The table of the model card with this first column: first cell -> other cells, for each row."""
    table = CARD[CARD.index(f"| {first} |") :].split("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {name.strip("`"): rest for name, *rest in cells}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    setup = (ROOT / "setup.py").read_text()
    for key, setting in {"title": "name", "version": "version", "license": "license"}.items():
        assert f'{setting}="{citation[key]}"' in setup
    assert citation["cff-version"] == "1.2.0"
    assert citation["references"][0]["title"].lower() in PAGES["README.md"].replace("\n", " ").lower()


def test_the_model_card_has_each_preset_with_its_size_and_parameters():
    counted = (ROOT / "tests" / "emogan" / "test_networks.py").read_text()
    pinned = re.findall(r'\("(\w+)", "(\w+)", ([\d_]+), ([\d_]+), ([\d_]+)\)', counted)
    counts = {f"{name} {generator}": [f"{int(n):,}" for n in numbers] for name, generator, *numbers in pinned}
    shown = rows("preset, generator")
    assert list(shown) == [f"{name} {generator}" for name in PRESETS for generator in GENERATORS]
    for name, (preset, generator) in ((name, name.split()) for name in shown):
        config = PRESETS[preset]
        shape = [str(value) for value in (config.size, config.base_filters, recipe(generator)["noise_dim"])]
        assert shown[name] == shape + counts[name]


def test_the_model_card_has_each_dataset_with_its_licence():
    licences = {name: licence for name, (_, licence) in rows("dataset").items()}
    assert licences == {name: builder.LICENSE for name, builder in datasets.BUILDERS.items()}


@pytest.mark.parametrize("name", [*PAGES, *(f"datasets/{name}/README.md" for name in datasets.BUILDERS)])
def test_links_lead_somewhere(name):
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text()):
        path, _, anchor = link.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        assert page.exists(), link
        assert not anchor or anchor in anchors(page), link


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """The code reference, built from docstrings without warnings."""
    folder = tmp_path_factory.mktemp("reference")
    make = f"{sys.executable} -m properdocs build --strict --config-file=docs/site.yml --site-dir={folder}"
    result = subprocess.run(make.split(), cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder


def test_the_reference_has_each_module_but_tests(reference):
    made = {page.stem for page in reference.glob("*.html")} - {"index", "404"}
    files = [
        path.relative_to(ROOT) for name in ("emogan", "datasets", "trainers") for path in (ROOT / name).rglob("*.py")
    ]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files}
    assert made == {name for name in names if not name.endswith("_test")}


def test_the_reference_describes_what_goes_in_and_out(reference):
    page = (reference / "emogan.losses.html").read_text()
    text = re.sub(r"<[^>]+>|\s+", " ", page)
    for words in ("float32 [B, ...]", "float32 [B]", "Mao et al. 2017"):
        assert words in re.sub(" +", " ", text).replace("&#39;", "'")
    assert (
        "&lt;photo&gt;_&lt;digest&gt;_&lt;emotion&gt;_&lt;seed&gt;.png"
        in (reference / "emogan.client.html").read_text()
    )


def test_the_reference_opens_from_disk_and_needs_no_network(reference, browser):
    with browser((reference / "emogan.config.html").as_uri()) as (page, errors, asked):
        assert page.locator("h2", has_text="SpectrogramConfig").first.is_visible()
        page.click("a[href='emogan.losses.html#emogan.losses.adversarial_losses']")
        page.locator("h2", has_text="adversarial_losses").wait_for()
    assert not errors
    assert {address.split(":")[0] for address in asked} == {"file"}


@pytest.mark.parametrize("name", PAGES)
def test_objects_named_in_the_pages_are_in_the_reference(reference, name):
    known = {found for page in reference.glob("*.html") for found in re.findall(r'id="([\w.]+)"', page.read_text())}
    named = re.findall(r"`((?:emogan|datasets|trainers)(?:\.\w+)+)`", PAGES[name])
    assert {word for word in named if not word.endswith(".json")} <= known


def test_continuous_integration_runs_the_tests_and_hooks_the_checks():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in steps
    assert any("pip-audit" in step and "requirements.lock" in step for step in steps)
    checks = re.search(r"(?m)^check:.*\n((?:\t.+\n)+)", MAKEFILE)[1].replace("$(BIN)", ".venv/bin")
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [hook["entry"] for hook in hooks["hooks"]] == [line.strip("\t@ ") for line in checks.splitlines()]
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").iterdir():
        assert {"name", "description", "body"} == set(yaml.safe_load(path.read_text()))
