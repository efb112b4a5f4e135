"""What a source is stands in one place, and nothing else in the service names a source, model or network."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from backend.core.config import SOURCE_NAMES, Settings
from backend.core.registry import MODELS, NETWORKS, OPEN_METEO, SOURCES, WINDS_MOBI_PROVIDERS
from backend.core.source_info import SourceInfo
from backend.core.terms import terms_of

ROOT = Path(__file__).parents[3]
BACKEND = ROOT / "backend"
NAMES = frozenset(MODELS) | {source.name for source in SOURCES}

# Files besides the registry that may name a source, model or network in a string, and why.
MAY_NAME = {
    "collectors/grib/runs.py": "the product's name in the addresses of Météo-France",
    "collectors/open_meteo.py": "the name of a route",
    "collectors/meteohub.py": "the code of its grid, which is the name of a model of Open-Meteo",
    "demo/arome.py": "a folder of the object storage",
    "demo/grib.py": "the grids of the stand-in's files",
    "demo/store.py": "the models of a demo besides the default ones",
    "demo/server.py": "names of upstreams after their settings: the stand-ins that need more than the world",
    "demo/weather.py": "how each model errs in the demo; a model without a row errs as PLAIN",
    "demo/beacons.py": "the beacons of each network in the demo; a stand-in may have its own",
    "demo/upstreams/": "a stand-in stands for one upstream",
}


def named(path: Path) -> list[str]:
    """Return the sources, models and networks that strings of a module name, alone or before a colon.

    Docstrings do not count.
    """
    tree = ast.parse(path.read_text())
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare
        if node.value.partition(":")[0] in NAMES
    ]


def test_no_other_file_of_the_service_names_a_source_a_model_or_a_network() -> None:
    allowed = ("tests/", "core/registry.py", *MAY_NAME)
    files = [
        path
        for path in sorted(BACKEND.rglob("*.py"))
        if not path.relative_to(BACKEND).as_posix().startswith(allowed)
    ]
    assert len(files) > 150, "the files of the service were not found"
    found = [line for path in files for line in named(path)]
    assert found == [], "\n" + "\n".join(found)


@pytest.mark.parametrize("path", MAY_NAME)
def test_an_exemption_is_needed(path: str) -> None:
    files = BACKEND.glob(f"{path}*.py" if path.endswith("/") else path)
    assert any(named(file) for file in files)


def test_names_are_unique() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    assert len(MODELS) == sum(len(source.models) for source in SOURCES)
    assert len({model.display_name for model in MODELS.values()}) == len(MODELS)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_has_either_models_or_a_network(source: SourceInfo) -> None:
    assert bool(source.models) != (source.network is not None)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_has_a_page_or_a_section_of_its_display_name(source: SourceInfo) -> None:
    pages = (path.read_text() for path in (ROOT / "docs" / "sources").glob("*.md"))
    headings = [line for page in pages for line in page.splitlines() if line.startswith("#")]
    assert any(source.display_name in heading for heading in headings)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_has_a_module_and_a_test_of_its_name(network: str) -> None:
    assert (BACKEND / "collectors" / f"{network}.py").is_file()
    if network not in WINDS_MOBI_PROVIDERS:  # test_winds_mobi_providers.py has them all
        assert (BACKEND / "tests" / "collectors" / f"test_{network}.py").is_file()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_raw_values_are_public_by_licence_or_by_a_setting(source: SourceInfo) -> None:
    assert terms_of(source, Settings.load()).public == source.public
    if source.name in SOURCE_NAMES:
        assert terms_of(source, Settings.load(public_raw_sources=source.name)).public


def test_a_source_is_opted_in_by_default_or_by_a_setting() -> None:
    def opted_in(**settings: str) -> set[str]:
        loaded = Settings.load(**settings)
        return {source.name for source in SOURCES if terms_of(source, loaded).opted_in}

    default = {source.name for source in SOURCES if source.default}
    assert opted_in() == default
    assert opted_in(sources="pioupiou,arome_ifs") == default | {"pioupiou", "arome_ifs"}
    assert opted_in(open_meteo_models="icon_d2") == default | {"open_meteo"}
    assert opted_in(winds_mobi_providers="slf") == default | {"slf"}


def test_the_settings_choose_models_and_credits() -> None:
    def terms(**settings: object) -> dict[str, tuple[tuple[str, ...], str]]:
        loaded = Settings.load(None, **settings)
        found = [terms_of(source, loaded) for source in SOURCES if source.models]
        return {each.name: (each.models, each.attribution) for each in found}

    assert terms()["arome"] == (("arome_0025",), "Météo-France, AROME, Licence Ouverte 2.0 (Etalab)")
    assert terms(arome_grid="001")["arome"][0] == ("arome_001",)
    assert terms(open_meteo_fallback=True)["arome"][1].endswith("; Open-Meteo.com, CC BY 4.0")
    assert terms()["open_meteo"][0] == tuple(model.name for model in OPEN_METEO.models)
    assert terms(open_meteo_models="gfs_global,icon_d2")["open_meteo"][0] == ("gfs_global", "icon_d2")
