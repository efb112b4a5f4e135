"""The operator's page with data, without data, and without the database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.core.records import CollectionRequest, Failure, ObservationBatch, Rejected
from backend.main import Service
from backend.pages.assets import STYLE
from backend.pages.language import LANGUAGES, language
from backend.pages.sentences_ops import job_name, moment
from backend.scheduler.config import ALL_JOBS, FORECASTS, OBSERVATIONS
from backend.storage.instances import Instances
from backend.storage.run_records import SourceRun
from backend.tests.support.operator import HTML, form_token, ops_page, section, sign_in, text_of
from backend.tests.support.served import (
    NOW,
    SPEED,
    fill,
    in_use,
    lose_the_store,
    make_service,
    owe_nothing,
    served,
    when_ready,
    with_sources,
)
from backend.tests.support.stores import make_tables
from backend.tests.support.waiting import until
from backend.tests.support.worlds import (
    HandClock,
    breaks,
    brings_a_reading,
    brings_a_run,
    forecast_source,
    observation_source,
)


async def shown(service: Service, path: str = "/ops?lang=en", status: int = 200) -> Any:
    async with served(service) as client:
        await sign_in(client)
        return await ops_page(client, path, status)


# --- Jobs and runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_job_has_a_name_in_words(code: str) -> None:
    names = [job_name(language(code), job) for job in ALL_JOBS]
    assert len(set(names)) == len(ALL_JOBS)
    assert not any("_" in name for name in names)


async def test_each_schedule_has_its_zone(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    jobs = section(await shown(service), "jobs")
    assert "0 7,12,19 * * * Europe/Paris" in jobs
    assert jobs.count("* * * UTC") == 2


async def test_a_run_is_listed_with_the_outcome_of_each_source(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await shown(service)
    runs = section(page, "runs")
    assert "1 Collect forecasts Wed 15, 14:00 , by the schedule ! in part" in runs
    assert "arome ✓ success ! meteo_parapente, in part" in runs
    assert "meteo_parapente: HTTP 503" in runs
    assert "4,300" in runs
    assert "romma – off" in runs
    assert page.css_first("a[href='/ops/runs/1?lang=en']") is not None


async def test_each_process_is_listed_with_the_age_of_its_heartbeat(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    Instances(service.database, owner="another-host:1/a-boot/4711/815").beat("worker")
    gone = Instances(service.database)
    gone.beat("api")
    gone.stop()
    processes = section(await shown(service), "processes")
    assert re.search(
        r"1 worker .+ ✓ alive \d+ seconds? ago .+ 2 api .+ ○ stopped \d+ seconds? ago", processes
    )


async def test_the_page_of_a_run_has_its_counts_failures_and_reasons(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await shown(service, "/ops/runs/1?lang=en")
    text = text_of(page.css_first("main"))
    assert "Run 1: Collect forecasts" in text
    assert "took 2 minutes" in text
    assert "2 × outside the possible range" in text
    assert "FetchError data_php: HTTP 503 https://models.example/data.php" in text
    assert "88 MB" in text


async def test_an_unexpected_error_is_shown_with_its_traceback_and_without_secrets(tmp_path: Path) -> None:
    key = "a-key-of-some-length"
    service = with_sources(
        make_service(tmp_path, romma_key=key),
        [forecast_source(breaks)],
        [observation_source(brings_a_reading)],
    )
    make_tables(service.database)
    service.store.save_sites(service.sites())
    run = await service.runner.run(FORECASTS, "cli")
    assert run is not None
    (failure,) = service.ledger.run(run.id).sources[0].failures
    assert "Traceback (most recent call last)" in failure.traceback
    leaking = replace(failure, traceback=failure.traceback + key)
    claim = service.ledger.claim(FORECASTS, "cli", NOW)
    assert claim is not None
    source = SourceRun(source="arome", status="failed", failures=(leaking,), failed=1)
    service.ledger.finish(claim, "failed", NOW, duration=1, sources=[source])
    page = await shown(service, f"/ops/runs/{claim.run_id}?lang=en")
    trace = text_of(page.css_first("details pre"))
    assert "worlds.py" in trace
    assert trace.endswith("***") and key not in page.html


async def test_an_unknown_run_is_a_404_page(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    for number in ("77", "9" * 30):
        page = await shown(make_service(tmp_path), f"/ops/runs/{number}?lang=en", 404)
        assert text_of(page.css_first("h1")) == "There is nothing here"
    await service.close()


async def test_the_next_five_times_are_in_local_time(tmp_path: Path) -> None:
    service = with_sources(
        make_service(tmp_path, enabled=True),
        [forecast_source(brings_a_run)],
        [observation_source(brings_a_reading)],
    )
    owe_nothing(service)
    async with served(service, live=True) as client:
        await when_ready(client)
        await sign_in(client)
        page = await ops_page(client)
    assert "✓ the schedule runs" in section(page, "state")
    forecasts = page.css_first(f"article[aria-labelledby='{FORECASTS}']")
    assert "next: Wed 15, 20:00" in text_of(forecasts)
    times = [
        node.attributes["datetime"] for node in page.css(f"article[aria-labelledby='{FORECASTS}'] ul time")
    ]
    assert times == [
        *("2026-07-15T18:00:00+00:00", "2026-07-16T00:00:00+00:00", "2026-07-16T06:00:00+00:00"),
        *("2026-07-16T12:00:00+00:00", "2026-07-16T18:00:00+00:00"),
    ]


async def test_a_job_is_paused_and_resumed_by_its_buttons(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        page = await ops_page(client)
        form = {"form": form_token(page)}
        buttons = [
            node.attributes["action"] for node in page.css(f"article[aria-labelledby={FORECASTS}] form")
        ]
        assert buttons == [f"/ops/jobs/{FORECASTS}/run?lang=en", f"/ops/jobs/{FORECASTS}/pause?lang=en"]
        answer = await client.post(str(buttons[1]), data=form, headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ops?lang=en#jobs")
        page = await ops_page(client)
        assert "○ paused by admin (127.0.0.1) since Wed 15, 14:10" in section(page, "jobs")
        (resume,) = (
            str(node.attributes["action"]) for node in page.css("form") if "resume" in str(node.attributes)
        )
        assert (await client.post(resume, data=form, headers=HTML)).status_code == 303
        assert "paused" not in section(await ops_page(client), "jobs")


async def test_run_now_shows_the_run_and_its_page_loads_itself_until_the_end(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def slow(needs: CollectionRequest) -> AsyncIterator[Any]:
        await go.wait()
        async for batch in brings_a_reading(needs):
            yield batch

    service = with_sources(make_service(tmp_path), [], [observation_source(slow)])
    make_tables(service.database)
    service.store.save_sites(service.sites())
    async with served(service) as client:
        await sign_in(client)
        form = {"form": form_token(await ops_page(client))}
        path = f"/ops/jobs/{OBSERVATIONS}/run?lang=en"
        answer = await client.post(path, data=form, headers=HTML)
        again = await client.post(path, data=form, headers=HTML)
        assert answer.status_code == again.status_code == 303
        run = answer.headers["location"]
        assert again.headers["location"] == run == "/ops/runs/1?lang=en"
        for page in (await ops_page(client, run), await ops_page(client)):
            assert page.css_first("meta[http-equiv=refresh]") is not None
            assert "… running" in text_of(page.css_first("main"))
        go.set()
        await until(lambda: service.ledger.run(1).status != "running")
        page = await ops_page(client, run)
    assert page.css_first("meta[http-equiv=refresh]") is None
    assert "✓ success" in text_of(page.css_first("main"))


# --- Sources and completeness ------------------------------------------------------------------------


async def test_each_source_shows_the_age_of_its_newest_data_and_its_state(tmp_path: Path) -> None:
    service = make_service(tmp_path, sources="arome,ffvl,meteo_parapente")
    fill(service)
    text = section(await shown(service), "freshness")
    assert "arome ✓ fresh Wed 15, 08:00 6 hours" in text
    assert "meteo_parapente ✓ fresh not public" in text
    assert "romma ○ off not public – – " in text
    assert "SOURCES does not name it" in text


async def test_a_stale_source_is_named_at_the_top_with_what_to_do(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    service = replace(service, clock=HandClock(NOW + timedelta(hours=4)))
    async with served(service) as client:
        await sign_in(client)
        english, french = await ops_page(client), await ops_page(client, "/ops?lang=fr")
    assert "! The data of a source are too old since Wed 15, 14:05" in section(english, "state")
    assert "The newest data of ffvl are 4 h old" in section(english, "state")
    assert "If its runs fail, read their errors." in section(english, "state")
    assert "ffvl ! too old" in section(english, "freshness")
    assert "! Les données d’une source sont trop anciennes" in section(french, "state")
    assert "lisez leurs erreurs" in section(french, "state")


async def test_completeness_counts_received_of_expected_by_site_and_day(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    in_use(service)
    fill(service)
    page = await shown(service)
    tables = {text_of(node.css_first("h3")): node for node in page.css("#completeness ~ article")}
    beacons = text_of(tables["ffvl: hours with a reading"])
    # 14:10 in Paris: fourteen hours are over; the readings began at 12:15 local time
    assert "Grand Pré ! 2/14 ✕ 0/24" in beacons
    assert "Petit Col" not in beacons, "it has no station of this network"
    # the run of 00 UTC should be there and is not; that of 06 UTC came before it had to
    arome = text_of(tables["arome, arome_0025: runs"])
    assert "Grand Pré ! 1/2 ✕ 0/4" in arome
    assert "Sans Balise ✕ 0/1 ✕ 0/4" in arome
    days = [
        node.attributes["value"] for node in tables["arome, arome_0025: runs"].css("select[name=day] option")
    ]
    assert days == ["2026-07-15", "2026-07-14"], "as far as the lookback of forecasts reaches"


async def test_collect_now_starts_a_run_of_this_source_and_day(tmp_path: Path) -> None:
    seen: list[CollectionRequest] = []

    async def noted(needs: CollectionRequest) -> AsyncIterator[Any]:
        seen.append(needs)
        async for batch in brings_a_reading(needs):
            yield batch

    ffvl, other = observation_source(noted, "ffvl"), observation_source(brings_a_reading, "romma")
    service = with_sources(make_service(tmp_path), [], [ffvl, other])
    in_use(service)
    async with served(service) as client:
        await sign_in(client)
        page = await ops_page(client)
        sources = page.css("form.collect input[name=source]")
        assert [node.attributes["value"] for node in sources] == ["ffvl"], "ROMMA has no history"
        data = {"form": form_token(page), "source": "ffvl", "day": "2026-07-14", "site": "grand-pre"}
        answer = await client.post("/ops/collect", data=data, headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ops/runs/3")
        await until(lambda: service.ledger.run(3).status != "running")
        old = await client.post("/ops/collect", data=data | {"day": "2026-07-01"}, headers=HTML)
        odd = await client.post("/ops/collect", data=data | {"day": "<b>"}, headers=HTML)
        unknown = await client.post("/ops/collect", data=data | {"source": "<b>"}, headers=HTML)
        nowhere = await client.post("/ops/collect", data=data | {"site": "<b>"}, headers=HTML)
    assert [source.source for source in service.ledger.run(3).sources] == ["ffvl"]
    assert [[site.id for site in needs.sites] for needs in seen] == [["grand-pre"]]
    assert [answer.status_code for answer in (old, odd, unknown, nowhere)] == [422, 422, 404, 404]
    assert len(service.ledger.runs(limit=9)) == 3, "no run for a site that does not exist"
    assert "<b>" not in odd.text + unknown.text + nowhere.text


async def test_many_sites_are_shown_in_pages(tmp_path: Path) -> None:
    entry = (
        '[[sites]]\nid = "site-{0}"\nname = "Site {0}"\nlatitude = 45.9\nlongitude = 6.7\nelevation = 1400\n'
    )
    entry += 'orientation = ["S"]\nstations = ["ffvl:{0}"]\nwithout = ["romma"]\n'
    service = make_service(tmp_path, sites="".join(entry.format(number) for number in range(901, 961)))
    fill_nothing(service)
    async with served(service) as client:
        await sign_in(client)
        first, last = await ops_page(client), await ops_page(client, "/ops?lang=en&p=999")
    assert "Page 1 of 3" in section(first, "completeness")
    assert "Site 901" in section(first, "completeness")
    assert "Page 3 of 3" in section(last, "completeness")
    assert "Site 960" in section(last, "completeness")
    assert first.css_first("a[href='/ops?lang=en&p=2#completeness']") is not None


def fill_nothing(service: Service) -> None:
    make_tables(service.database)
    service.store.save_sites(service.sites())


# --- Stations, values set aside, store, settings -----------------------------------------------------


async def test_stations_that_fell_silent_are_named_with_their_last_reading(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await shown(replace(service, clock=HandClock(NOW + timedelta(days=3))))
    assert "! silent ffvl:901 (grand-pre): last reading 15 July 2026" in section(page, "stations")


async def test_suspect_sensors_have_the_local_days_of_their_flags(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    last = NOW.date() - timedelta(days=3)
    service.store.exclude_station("ffvl:901", (SPEED,), last - timedelta(days=2), last, "a new tree", NOW)
    page = await shown(service)
    assert "since 10 July 2026 to before 13 July 2026" in section(page, "stations")


async def test_rejected_values_are_grouped_by_source_and_reason(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    service.store.add_observations(
        ObservationBatch(
            source="ffvl",
            route="winds_mobi",
            rank=1,
            collected_at=NOW,
            rejected=tuple(
                Rejected("ffvl:901", SPEED, NOW - timedelta(minutes=n), f"{400 + n}<b>", f"out_of_range: {n}")
                for n in range(3)
            ),
        )
    )
    page = await shown(service)
    assert "ffvl outside the possible range 3 402<b> ffvl:901, mean wind speed" in section(page, "aside")
    assert "<b>" not in str(page.html)


async def test_the_size_and_the_growth_of_the_store_are_shown(tmp_path: Path) -> None:
    service = replace(make_service(tmp_path), free_bytes=lambda path: 12_000_000_000)
    fill(service)
    text = section(await shown(service), "store")
    assert re.search(r"Size 0\.\d MB, 12\.0 GB free on its disk", text)
    assert "Wed 15: 4,324" in text
    assert "not known before a day of collections" in text


async def test_the_settings_in_force_are_shown_without_secrets(tmp_path: Path) -> None:
    service = make_service(
        tmp_path, romma_key="a-key-of-some-length", arome_url="https://me:pass@mirror.example"
    )
    fill(service)
    page = await shown(service)
    text = section(page, "settings")
    assert "ROMMA_KEY ***" in text and "ADMIN_TOKEN ***" in text
    assert "AROME_URL https://***@mirror.example" in text
    assert "SCHEDULER_FORECAST_HOURS 0,6,12,18" in text
    assert "a-key-of-some-length" not in page.html and "me:pass" not in page.html


async def test_the_page_has_no_stored_value_of_any_source(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    page = await shown(service)
    assert not re.search(r">\s*(83|88|18\.3)\s*<", page.html)


# --- Nothing there -----------------------------------------------------------------------------------


async def test_the_page_of_an_empty_store_explains_what_comes_next(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    page = await shown(service)
    text = text_of(page.css_first("main"))
    assert "○ the schedule is off" in text
    assert "None yet." in text and "nothing yet" in text
    state = text_of(page.css_first("section[aria-labelledby=state]"))
    assert "nothing received yet meteo_parapente" in state
    assert "no problem known" not in state


async def test_without_sites_the_page_explains_how_to_add_one(tmp_path: Path) -> None:
    service = make_service(tmp_path, sites="")
    make_tables(service.database)
    assert "meteo-score sites add" in section(await shown(service), "completeness")


async def test_an_enabled_scheduler_that_does_not_run_is_shown_as_not_running(tmp_path: Path) -> None:
    service = make_service(tmp_path, enabled=True)
    make_tables(service.database)
    assert "✕ The schedule does not run" in section(await shown(service), "state")


async def test_notices_are_shown_and_the_page_loads_itself(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    service.notices.append("Collecting day 3 of 30.")
    page = await shown(service)
    assert text_of(page.css_first(".notice:not(#old)")) == "Collecting day 3 of 30."
    assert len(page.css("meta[http-equiv=refresh]")) == 1


async def test_without_the_database_the_page_is_503_with_the_reason(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        lose_the_store(tmp_path)
        answer = await client.get("/ops?lang=en", headers=HTML)
        page = await ops_page(client, status=503)
    assert int(answer.headers["retry-after"]) > 0
    assert "✕ The database is unreachable" in section(page, "state")
    assert "nothing more to show" in text_of(page.css_first("main"))


async def test_a_sites_file_that_breaks_is_a_reason_and_the_page_stays(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        await ops_page(client)
        service.settings.sites_file.write_text("[[sites]]\nid = 5\n")
        page = await ops_page(client)
    assert "! The sites file is not usable" in section(page, "state")
    assert "Grand Pré" in section(page, "completeness")


# --- For everybody -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
async def test_the_page_can_be_read_aloud_and_its_links_lead_somewhere(tmp_path: Path, lang: str) -> None:
    service = make_service(tmp_path)
    fill(service)
    async with served(service) as client:
        await sign_in(client)
        page = await ops_page(client, f"/ops?lang={lang}")
        links = {str(link.attributes["href"]) for link in page.css("main a[href]")}
        for link in links:
            if not link.startswith("#"):
                assert (await client.get(link, headers=HTML)).status_code == 200, link
    assert page.css_first(f"html[lang={lang}]") is not None
    assert len(page.css("h1")) == len(page.css("main")) == 1
    assert all(head.attributes.get("scope") for head in page.css("table th"))
    ids = [str(node.attributes["id"]) for node in page.css("[id]")]
    assert len(ids) == len(set(ids))
    assert {node.attributes["aria-labelledby"] for node in page.css("[aria-labelledby]")} <= set(ids)
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert page.css("main script, main iframe, [style], [onclick]") == []


COLOUR = re.compile(r"--([\w-]+): #([0-9a-f]{6});")


def colours_of(theme: str) -> dict[str, str]:
    light, dark = STYLE.decode().split("@media (prefers-color-scheme: dark)", 1)
    return dict(COLOUR.findall(light if theme == "light" else dark))


def luminance(colour: str) -> float:
    """WCAG 2.2: 0.2126 R + 0.7152 G + 0.0722 B of the linear channels."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_aa_asks_for(theme: str) -> None:
    colours = colours_of(theme)
    pairs = [(text, back) for text in ("text", "quiet", "link") for back in ("page", "card")]
    pairs += [(state, f"{state}-back") for state in ("ok", "warn", "bad", "off", "busy")]
    pairs += [(f"m{number}", "card") for number in range(1, 7)]
    for text, back in pairs:
        low, high = sorted((luminance(colours[text]), luminance(colours[back])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} on {back}"


def test_every_class_of_a_template_has_a_rule_or_is_in_the_tests() -> None:
    backend = Path(__file__).parents[2]
    rules = "".join(path.read_text() for path in (backend / "web/styles").rglob("*.css"))
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))
    found: set[str] = set()
    for path in (backend / "web/templates").rglob("*.html"):
        # A part that is computed stands for any text: "m{{ number }}" is a class that begins with "m".
        text = re.sub(r"{%.*?%}", " ", re.sub(r"{{.*?}}", "*", path.read_text(), flags=re.S), flags=re.S)
        found.update(name for names in re.findall(r'class="([^"]*)"', text) for name in names.split())
    assert {"cards", "small"} <= found
    for name in found - {"*"}:
        rule = r"\." + re.escape(name).replace(r"\*", r"[\w-]*") + r"(?![\w-])"
        assert re.search(rule, rules) or f".{name}" in tests, f"class {name} has no rule"


async def test_names_are_escaped(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    service.ledger.pause(FORECASTS, "admin <script>alert(1)</script>", NOW)
    claim = service.ledger.claim(OBSERVATIONS, "cli", NOW)
    assert claim is not None
    failure = Failure("<i>", "https://a.example/<i>", "<i>bad</i>", "<i>")
    source = SourceRun(source="ffvl", status="failed", reason="<i>bad</i>", failures=(failure,), failed=1)
    service.ledger.finish(claim, "failed", NOW, duration=1, sources=[source], note="<i>bad</i>")
    async with served(service) as client:
        await sign_in(client)
        texts = [
            (await client.get(path, headers=HTML)).text for path in ("/ops", f"/ops/runs/{claim.run_id}")
        ]
    for text in texts:
        assert "<script>alert" not in text and "<i>" not in text
        assert "&lt;i&gt;" in text
    assert "Petit Col &lt;b&gt;&amp; Cie&lt;/b&gt;" in texts[0]


@pytest.mark.parametrize(
    ("time", "french", "english"),
    [
        (datetime(2026, 7, 15, 23, 30, tzinfo=UTC), "jeu. 16, 1 h 30", "Thu 16, 01:30"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "dim. 25, 2 h 30", "Sun 25, 02:30"),  # summer time
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "dim. 25, 2 h 30", "Sun 25, 02:30"),  # winter time
    ],
)
def test_times_are_local_with_the_local_day(time: datetime, french: str, english: str) -> None:
    assert moment(language("fr"), time).replace("\N{NO-BREAK SPACE}", " ") == french
    assert moment(language("en"), time) == english
