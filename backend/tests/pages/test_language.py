"""Languages of the pages: the choice, the catalogue, and the forms of numbers and times."""

from __future__ import annotations

import io
import re
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from backend.pages.charts import render
from backend.pages.charts.intervals import IntervalChart, Point
from backend.pages.language import LANGUAGES, LOCALES, language, preferred_language
from backend.pages.rendering import load_templates
from backend.scoring.constants import CONSTANTS

BACKEND = Path(__file__).parents[2]
METHODS = [("pages/**.py", "python"), ("web/templates/pages/**.html", "jinja2")]


def texts_of_the_pages() -> set[str | tuple[str, ...]]:
    found = extract_from_dir(BACKEND, METHODS, options_map={"**.html": {"trimmed": "true"}})
    # The page about the method shows the constants with their reasons and units.
    constants = {text for constant in CONSTANTS for text in (constant.reason, constant.unit)}
    return {message for _, _, message, _, _ in found} | constants


def test_every_text_of_the_pages_is_translated_once_and_nothing_else_is() -> None:
    translated: Counter[str | tuple[str, ...]] = Counter()
    for file in LOCALES.glob("fr/*.po"):
        for message in read_po(io.BytesIO(file.read_bytes()), locale="fr"):
            if message.id:
                strings = message.string if isinstance(message.string, tuple) else (message.string,)
                assert all(strings), f"{file.name}: no translation of {message.id!r}"
                assert not message.fuzzy, f"{file.name}: {message.id!r} is fuzzy"
                assert not list(message.check()), f"{file.name}: placeholders differ in {message.id!r}"
                translated[message.id if isinstance(message.id, str) else tuple(message.id)] += 1
    texts = texts_of_the_pages()
    assert texts - translated.keys() == set(), "without a French translation"
    assert translated.keys() - texts == set(), "translated, but in no page"
    assert [text for text, count in translated.items() if count > 1] == [], "translated twice"


# A sign of the end of a line needs its word beside it: a plain space could put it on the next line.
# `%(` and `%s` are placeholders; `%%` is the percent sign of a text with placeholders.
PLAIN_SPACE = re.compile(r" [:;!?»]| %(?![(sd])|« |«(?=\S)|(?<=\w)[;!?»]")


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        *((f"Vent{space}: 3", space == " ") for space in (" ", "\N{NO-BREAK SPACE}")),
        *((f"78{space}%% des jours", space == " ") for space in (" ", "\N{NARROW NO-BREAK SPACE}")),
        *((f"Où{space}?", space != "\N{NO-BREAK SPACE}") for space in (" ", "", "\N{NO-BREAK SPACE}")),
        *((f"«{space}oui{space}»", space == " ") for space in (" ", "\N{NO-BREAK SPACE}")),
        ("«oui»", True),
        ("sur %(num)s jours, à 12:05", False),
    ],
)
def test_a_plain_space_beside_a_french_sign_is_seen(text: str, refused: bool) -> None:
    assert bool(PLAIN_SPACE.search(text)) is refused


@pytest.mark.parametrize("file", sorted(LOCALES.glob("fr/*.po")), ids=lambda file: file.stem)
def test_french_signs_have_a_no_break_space(file: Path) -> None:
    wrong = [
        string
        for message in read_po(io.BytesIO(file.read_bytes()), locale="fr")
        if message.id
        for string in (message.string if isinstance(message.string, tuple) else (message.string,))
        if PLAIN_SPACE.search(str(string))
    ]
    assert wrong == [], f"{file.name}: U+00A0 before : ; ! ? % and inside « »"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "fr"),
        ("de-CH,de;q=0.9", "fr"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("fr;q=0.3, en;q=0.7", "en"),
        ("en;q=0, fr;q=0.1", "fr"),
        ("en;q=high", "fr"),
        ("*", "fr"),
    ],
)
def test_the_language_is_the_one_that_the_browser_prefers(header: str, code: str) -> None:
    assert preferred_language(header) == code


def test_numbers_days_and_times_have_the_form_of_the_language() -> None:
    french, english = language("fr"), language("en")
    assert (french.number(6.14, 1), english.number(6.14, 1)) == ("6,1", "6.1")
    assert french.number(-3.2) == "−3"
    assert (french.colon, english.colon) == ("\N{NO-BREAK SPACE}: ", ": ")
    assert english.number(-0.04, 1) == "0.0"
    assert (french.hour(9), english.hour(9)) == ("9\N{NO-BREAK SPACE}h", "09:00")
    summer = datetime(2026, 7, 15, 16, 5, tzinfo=UTC)
    assert english.clock(summer) == "18:05"
    assert french.clock(summer) == "18\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}05"
    assert french.day(date(2026, 7, 15)) == "mercredi 15 juillet"
    assert french.percent(0.78).replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\xa0", " ") == "78 %"
    assert french.day(date(2026, 7, 1)) == "mercredi 1er juillet"
    assert french.full_date(date(2026, 7, 1)) == "1er juillet 2026"
    assert english.day(date(2026, 7, 1)) == "Wednesday 1 July"
    assert english.month(date(2026, 7, 15)) == "July 2026"
    assert french.listed(["AROME", "ICON-D2", "IFS"]) == "AROME, ICON-D2 et IFS"


def test_a_moment_has_its_local_day() -> None:
    words, moment = language("en"), datetime(2026, 7, 31, 22, 30, tzinfo=UTC)
    assert words.day(moment) == "Saturday 1 August"
    assert words.short_day(moment) == "Sat 1"
    assert words.full_date(moment) == "1 August 2026"
    assert words.month(moment) == "August 2026"
    assert language("fr").day(moment) == "samedi 1er août"


def test_only_none_is_0_percent_and_only_all_is_100_percent() -> None:
    shown = [language("en").percent(share) for share in (0.0, 1 / 252, 0.01, 0.99, 251 / 252, 1.0)]
    assert shown == ["0%", "<\xa01%", "1%", "99%", ">\xa099%", "100%"]


def test_a_count_has_the_form_of_its_number() -> None:
    one_and_many = "%(num)s common day", "%(num)s common days"
    french = [language("fr").ngettext(*one_and_many, count) for count in (0, 1, 2, 1_000_000)]
    assert french == ["%(num)s jour commun"] * 2 + ["%(num)s jours communs"] * 2


def test_another_language_is_refused() -> None:
    with pytest.raises(KeyError):
        language("de")


@pytest.mark.parametrize(("code", "tick"), [("fr", "−2,5"), ("en", "−2.5")])
def test_the_axes_of_a_chart_write_decimals_like_the_text(code: str, tick: str) -> None:
    drawn = IntervalChart(groups=["6-8 h"], unit="km/h", models={"arome_0025": {0: Point(-2.2, -2.5, 0.0)}})
    assert f">{tick}<" in render.svg(drawn.spec(), "text", decimals=language(code).of_charts)


@pytest.mark.parametrize("code", LANGUAGES)
def test_all_templates_are_loaded_in_advance(code: str) -> None:
    names = load_templates(language(code))
    of_files = {path.name for path in (BACKEND / "web" / "templates").rglob("*.html")}
    assert {name.rpartition("/")[2] for name in names} == of_files
