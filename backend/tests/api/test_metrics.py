"""Metrics of Prometheus: present from the first start, and counted from the store."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import yaml
from prometheus_client.parser import text_string_to_metric_families

from backend.answers.readiness import ReasonCode
from backend.core.access import NamedToken, Right, new_token, token_hash
from backend.main import Service
from backend.scheduler.config import ALL_JOBS, OBSERVATIONS
from backend.storage.run_records import SourceRun
from backend.storage.tokens import add_token
from backend.tests.support.served import ADMIN, NOW, fill, lose_the_store, make_service, served
from backend.tests.support.stores import make_tables

RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "meteo-score.rules.yml"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def samples(service: Service) -> Samples:
    """Return each value by its name and labels."""
    async with served(service) as client:
        answer = await client.get("/metrics", headers=ADMIN)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"meteo_score_{name}", frozenset(labels.items())]


async def test_an_empty_store_has_every_series(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    found = await samples(service)
    for source in service.sources.of(OBSERVATIONS):
        if source.disabled is None:
            assert value(found, "source_newest_data_timestamp_seconds", source=source.name) == 0
            assert value(found, "source_values_rejected_total", source=source.name) == 0
            assert value(found, "source_runs_total", source=source.name, status="failed") == 0
    for job in ALL_JOBS:
        assert value(found, "runs_total", scheduler_job=job, status="success") == 0
    for code in get_args(ReasonCode):
        assert value(found, "reason", code=code) in {0, 1}
    assert value(found, "station_newest_reading_timestamp_seconds", station="ffvl:901") == 0
    assert value(found, "backup_timestamp_seconds") == 0


async def test_counters_are_those_of_the_store_and_grow_with_it_also_after_a_restart(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    before = await samples(service)
    assert value(before, "source_values_collected_total", source="meteo_parapente") == 300
    assert value(before, "source_values_rejected_total", source="meteo_parapente") == 2
    assert value(before, "source_requests_failed_total", source="meteo_parapente") == 1
    assert (
        value(before, "run_end_timestamp_seconds", scheduler_job=OBSERVATIONS, status="success")
        == NOW.timestamp()
    )

    totals_of_before = make_service(tmp_path)  # it read the first runs before the next ones
    running = service.ledger.claim(OBSERVATIONS, "schedule", NOW)
    assert running is not None
    found = await samples(totals_of_before)
    assert value(found, "runs_total", scheduler_job=OBSERVATIONS, status="running") == 1
    part = SourceRun(source="meteo_parapente", status="success", collected=7, rejected=1)
    service.ledger.finish(running, "success", NOW + timedelta(hours=1), duration=1, sources=[part])
    for process in (totals_of_before, make_service(tmp_path)):
        found = await samples(process)
        assert value(found, "source_values_collected_total", source="meteo_parapente") == 307
        assert value(found, "runs_total", scheduler_job=OBSERVATIONS, status="success") == 2
        assert value(found, "runs_total", scheduler_job=OBSERVATIONS, status="running") == 0
        assert (
            value(found, "source_answer_timestamp_seconds", source="meteo_parapente")
            == (NOW + timedelta(hours=1)).timestamp()
        )


async def test_without_the_store_the_service_is_not_ready_and_the_rest_is_absent(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    service.database.close()
    lose_the_store(tmp_path)
    found = await samples(service)
    assert value(found, "ready") == 0
    assert value(found, "reason", code="store_unreachable") == 1
    assert not any(name == "meteo_score_runs_total" for name, _ in found)


async def test_a_token_is_needed_and_one_of_its_own_is_enough(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    make_tables(service.database)
    by_right = {right: new_token() for right in Right}
    with service.database.write() as connection:
        for right, token in by_right.items():
            entry = NamedToken(
                name=right.value, hash=token_hash(token.encode()), rights=frozenset({right}), created_at=NOW
            )
            add_token(connection, entry)
    async with served(service) as client:
        assert (await client.get("/metrics")).status_code == 401
        statuses = {
            right: (await client.get("/metrics", headers={"Authorization": f"Bearer {token}"})).status_code
            for right, token in by_right.items()
        }
    assert statuses == {Right.READ_METRICS: 200, Right.OPERATE: 200, Right.READ_WITHHELD: 403}


async def test_no_label_is_one_that_prometheus_sets_itself(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    labels = {key for _, pairs in await samples(service) for key, _ in pairs}
    assert not labels & {"job", "instance"}  # it would rename ours, and no rule would find them


async def test_the_alert_rules_name_metrics_and_labels_that_exist(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    fill(service)
    found = await samples(service)
    rules: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    assert any("absent(" in rule["expr"] for rule in rules)
    for rule in rules:
        expression = rule["expr"]
        names = re.findall(r"meteo_score_[a-z_]+", expression)
        assert names, rule
        for name in names:
            labels = {key for series, pairs in found if series == name for key, _ in pairs}
            assert any(series == name for series, _ in found), f"{rule['alert']}: {name}"
            used = set(re.findall(r"\$labels\.([a-z_]+)", rule["annotations"]["summary"]))
            assert used <= labels, rule
        for key, wanted in re.findall(r'([a-z_]+)=~?"([^"]+)"', expression):
            known = {of for _, pairs in found for name, of in pairs if name == key}
            for one in wanted.split("|"):
                assert any(re.fullmatch(one, each) for each in known), f"{rule['alert']}: {key}={one}"
        assert expression.count("(") == expression.count(")")
    assert len({rule["alert"] for rule in rules}) == len(rules)
