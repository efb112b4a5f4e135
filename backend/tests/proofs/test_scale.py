"""The short form of `make scale`: a killed worker and a restart of the database change no row."""

from __future__ import annotations

from pathlib import Path

from proofs.scale import SOURCES, Size, prove, world_of


def test_a_scheduler_workers_and_replicas_end_with_the_rows_of_one_process(tmp_path: Path) -> None:
    with world_of(tmp_path, sites=6, spacing=0.7) as world:  # long enough to be disturbed
        proof = prove(world, Size(sites=6, workers=2, apis=1, kills=1), seed=3)
    assert proof.differing == []
    assert proof.rows > 300
    assert {source for _job, source, well in proof.sources if well} == {*SOURCES.split(",")}
    assert (proof.storm.kills, proof.storm.restarts) == (1, 1)
    assert proof.storm.answers["200"] > 0
    assert proof.storm.instances == {"alive": 4, "dead": 1}
