"""Our own forecast among the models of the answers: ranked beside them, marked, and no part of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from backend.answers.question import make_question
from backend.answers.service import ReadingParts
from backend.answers.site_records import site_record
from backend.answers.trial_forecast import trial_day
from backend.answers.withholding import NOTHING, public_models, withheld_from_public
from backend.core.local_time import day_number, local_day
from backend.core.registry import MODELS, OWN_MODEL, SOURCES
from backend.files.faults import FileRefusedError
from backend.files.formats import forecast_table
from backend.files.importing import import_forecasts
from backend.main import Service
from backend.scoring.days.update import update
from backend.scoring.sample.load import Samples
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.views import EVENING_BEFORE
from backend.scoring.words.caveats import notes
from backend.storage.days import forecast_columns
from backend.storage.issued import append_issued
from backend.storage.score_queries import model_ids
from backend.tests.support.commands import typed
from backend.tests.support.issued import an_issued_day
from backend.tests.support.page_store import NOW as PAGE_NOW
from backend.tests.support.page_store import page_service
from backend.tests.support.score_store import GUST, SPEED, TEMPERATURE, constant
from backend.tests.support.scored_site import (
    AROME,
    DAYS,
    FFVL,
    FIRST,
    PARAPENTE,
    noise,
    page_of,
    scored_site,
    speeds,
)
from backend.tests.support.served import FOUR_SOURCES, NOW, served

OWN = OWN_MODEL.name


def service_with_ours(folder: Path, **options: Any) -> Service:
    """Return a service on whose first site ours errs least, AROME by 3 km/h and MeteoParapente by 5."""
    ours, arome, parapente = speeds(20.0 + 0.2 * noise(1), 23.0 + 0.2 * noise(2), 15.0 + 0.2 * noise(3))
    return scored_site(folder, {OWN: ours, AROME: arome, PARAPENTE: parapente}, **options)


async def answer_of(service: Service, path: str) -> Any:
    async with served(service) as client:
        answer = await client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_ours_is_ranked_beside_the_models_and_marked(tmp_path: Path) -> None:
    verdict = await answer_of(service_with_ours(tmp_path), "sites/grand-pre/verdict?hours=all")
    assert (verdict["finding"], verdict["best"], verdict["second"]) == ("winner", OWN, AROME)
    assert [(each["model"], each["rank"], each["ours"]) for each in verdict["models"]] == [
        (OWN, 1, True),
        (AROME, 2, False),
        (PARAPENTE, 3, False),
    ]
    assert {each["model"]: each["ours"] for each in verdict["contenders"]} == {
        OWN: True,
        AROME: False,
        PARAPENTE: False,
    }
    assert verdict["sentence"].startswith("MétéoScore errs least")
    assert len({each["nPairs"] for each in verdict["models"]}) == 1, "on the common sample"


async def test_ours_may_be_named_in_a_question_and_stands_in_the_list_of_models_once_issued(
    tmp_path: Path,
) -> None:
    service = service_with_ours(tmp_path)
    scores = await answer_of(service, f"sites/grand-pre/scores?hours=all&model={OWN}")
    assert [(each["model"], each["ours"]) for each in scores["models"]] == [(OWN, True)]
    assert OWN not in {each["model"] for each in (await answer_of(service, "models"))["models"]}
    forecasts = [
        an_issued_day("grand-pre", day_number(FIRST), 20.0, audience="operator"),
        an_issued_day("grand-pre", day_number(FIRST), 20.0),
        an_issued_day("grand-pre", day_number(FIRST) + 5, 20.0, audience="operator"),
    ]
    with service.database.write() as connection:
        append_issued(connection, forecasts)
    [entry] = [each for each in (await answer_of(service, "models"))["models"] if each["model"] == OWN]
    assert (entry["ours"], entry["public"], entry["source"], entry["runs"]) == (True, True, None, 0)
    decided = forecasts[1].decision_time
    assert entry["newestRun"] == decided.strftime("%Y-%m-%dT%H:%M:%SZ"), "operator rows do not count"


def test_ours_is_public_without_a_setting(tmp_path: Path) -> None:
    service = service_with_ours(tmp_path, public_raw_sources="")
    assert public_models(cast(ReadingParts, service), [OWN]) == {OWN: True}
    withheld = withheld_from_public(cast(ReadingParts, service))
    assert OWN not in withheld.models
    assert OWN not in withheld.imported


def test_ours_is_in_no_source_and_so_never_collected() -> None:
    assert OWN not in MODELS
    assert OWN not in {model.name for source in SOURCES for model in source.models}


def sample_of(service: Service, **options: Any) -> QuantitySample:
    first = day_number(FIRST)
    sample = Samples(service.database).load(
        service.sites()[0], EVENING_BEFORE, first, first + DAYS - 1, models=()
    )
    return QuantitySample(sample, options.get("quantity", Quantity.WIND_SPEED))


def test_the_mean_of_the_models_is_of_the_others(tmp_path: Path) -> None:
    """Ours is made from the models: with it, their mean would count them twice."""
    of_quantity = sample_of(service_with_ours(tmp_path))
    assert OWN in of_quantity.common.compared
    arome, parapente, mean = (of_quantity.series(name).main for name in (AROME, PARAPENTE, "model_mean"))
    assert np.abs(mean[:, :23] - (arome[:, :23].astype(int) + parapente[:, :23]) / 2).max() <= 1


def test_its_temperature_is_at_the_height_of_the_station(tmp_path: Path) -> None:
    of_temperature = {TEMPERATURE: constant(DAYS, 15.0)}
    service = scored_site(
        tmp_path,
        {OWN: of_temperature, AROME: of_temperature},
        {FFVL: {TEMPERATURE: constant(DAYS, 15.0)}},
        grounds={OWN: None, AROME: 1000.0},
        elevations={FFVL: 2000.0},
    )
    of_quantity = sample_of(service, quantity=Quantity.TEMPERATURE)
    assert of_quantity.series(OWN).main[0, 12] == 15_000
    assert of_quantity.series(AROME).main[0, 12] == 8_500, "6.5 °C colder 1000 m higher"
    assert not any("MétéoScore" in note for note in notes(of_quantity.sample, Quantity.TEMPERATURE))


def test_the_model_to_trust_is_one_of_those_that_announce(tmp_path: Path) -> None:
    """Ours is shown by itself: a row that names the best raw model must not be about ours."""
    service = service_with_ours(tmp_path)
    parts = cast(ReadingParts, service)  # its variables are read-only
    question = make_question(parts, service.sites()[0])
    judgement = site_record(parts, question).judgement(25.0, 35.0)
    assert judgement.wind.compared == {AROME, PARAPENTE}
    assert next(iter(judgement.wind.errors)) == AROME
    assert OWN not in judgement.go_days


def test_ours_with_few_days_leaves_the_others_their_common_sample(tmp_path: Path) -> None:
    ours, arome, parapente = speeds(20.0 + noise(1), 23.0 + noise(2), 15.0 + noise(3))
    few = {SPEED: np.where(np.arange(DAYS)[:, None] < DAYS - 5, np.nan, ours[SPEED])}
    of_quantity = sample_of(scored_site(tmp_path, {OWN: few, AROME: arome, PARAPENTE: parapente}))
    assert of_quantity.common.compared == (AROME, PARAPENTE)
    assert int(of_quantity.common.shared.sum()) > 24 * (DAYS - 1)


@pytest.mark.parametrize(("language", "mark"), [("en", "ours"), ("fr", "la nôtre")])
async def test_pages_mark_ours_among_the_models(tmp_path: Path, language: str, mark: str) -> None:
    page = await page_of(service_with_ours(tmp_path), "/sites/grand-pre", language)
    rows = [row for row in page.css("#verdict tbody tr") if row.css(".ours")]
    assert [" ".join(row.css("th")[0].text().split()) for row in rows] == [f"MétéoScore {mark}"]
    judged = [each.text() for each in page.css("#yesterday .judged li") if each.css(".ours")]
    assert len(judged) == 1 and "MétéoScore" in judged[0]


def test_the_command_marks_ours(tmp_path: Path) -> None:
    service_with_ours(tmp_path)
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'store.sqlite3'}",
        "SITES_FILE": str(tmp_path / "sites.toml"),
        "DATA_DIR": str(tmp_path),
        "SOURCES": FOUR_SOURCES,
    }
    shown = typed(f"score grand-pre --from {FIRST} --to {NOW.date()}", environment)
    lines = [line for line in shown.stdout.splitlines() if "(ours)" in line]
    assert shown.exit_code == 0
    assert len(lines) == 1 and lines[0].startswith("MétéoScore")


async def test_the_page_about_the_data_names_ours_once_it_was_issued(tmp_path: Path) -> None:
    service = service_with_ours(tmp_path)
    assert (await page_of(service, "/about-data")).css("#ours") == []
    with service.database.write() as connection:
        append_issued(connection, [an_issued_day("grand-pre", day_number(FIRST), 20.0)])
    assert (await page_of(service, "/about-data")).css("#ours")


def test_an_import_of_a_model_of_its_name_is_refused(tmp_path: Path) -> None:
    """Imported values of that name would be taken for what was issued, and be learned from."""
    file = tmp_path / "forecasts.csv"
    file.write_text(
        "model,site,parameter,reference_time,valid_time,value\n"
        f"{OWN},grand-pre,wind_speed,2026-07-01T00:00:00Z,2026-07-01T06:00:00Z,20\n"
    )
    service = service_with_ours(tmp_path)
    with pytest.raises(FileRefusedError, match=f"or {OWN}"):
        import_forecasts(service.database, forecast_table(file), service.sites(), NOW)


def test_what_was_issued_is_no_input_of_the_next_forecast(tmp_path: Path) -> None:
    """The forecast on trial of a store with a record of wrong issued values is that of a store without."""
    service = cast(ReadingParts, page_service(tmp_path))
    site, today = service.sites()[0], local_day(PAGE_NOW)
    before = trial_day(service, site, 1, NOTHING)
    assert before.wind_speed.hours
    with service.database.write() as connection:
        append_issued(
            connection,
            [
                an_issued_day(site.id, day, 90.0, parameter=parameter)
                for day in range(today - 35, today + 2)
                for parameter in (SPEED, GUST)
            ],
        )
    update(service.database, PAGE_NOW)
    with service.database.read() as connection:
        own = model_ids(connection)[OWN]
        stored = forecast_columns(connection, 1, EVENING_BEFORE.number, today - 35, today)
    assert (stored.owner == own).sum() > 30, "the record is in the score days"
    assert trial_day(service, site, 1, NOTHING) == before
