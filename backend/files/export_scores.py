"""Pairs and scores as frames, one site, view and period of CHUNK_DAYS at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
import polars as pl

from backend.core.columns import UNPAIRED
from backend.core.errors import ConfigError, NotFoundError
from backend.core.local_time import date_of
from backend.core.records import Site, network_of
from backend.files.columns import PAIRS, SCORES, schema
from backend.files.export_filter import Choice, chosen_names, stations_of_sites
from backend.files.export_values import file_columns
from backend.files.verif import Place
from backend.scoring.days.update import CHUNK_DAYS
from backend.scoring.grid import Hours, Span
from backend.scoring.inference.comparison import significant_winners
from backend.scoring.public.figures import enough, public_score, rounded_count
from backend.scoring.public.windows import in_full_months, named, newest_window, windows, without
from backend.scoring.questions.model_scores import ModelScore, ScoreSet
from backend.scoring.questions.scorecard import METHOD_VERSION, Finding, Ranking, Scorecard
from backend.scoring.sample.load import Samples, reference_days
from backend.scoring.sample.quantities import SINGLE_VALUED, Quantity, QuantitySample
from backend.scoring.sample.sample import Sample
from backend.scoring.views import View
from backend.scoring.words.sentences import tendency
from backend.storage import schema as t
from backend.storage.database import Database
from backend.storage.export_queries import stored_days
from backend.storage.score_queries import site_row
from backend.storage.site_rows import site_record

IsWithheld = Callable[[set[str], set[str]], bool]
"""Returns True if any of these models or stations has raw values that may not be passed on."""


def pair_frames(
    database: Database, choice: Choice, views: Sequence[View], quantities: Sequence[Quantity] = ()
) -> Iterator[pl.DataFrame]:
    """Yield the pairs behind the scores, of all hours, by site, view, CHUNK_DAYS, model and quantity.

    The station is the reference station of each day, or each of the chosen stations. Raises as above.
    """
    for view, sample in _samples(database, choice, views, CHUNK_DAYS):
        for model in sample.forecasts:
            if choice.models and model not in choice.models:
                continue
            for quantity in quantities or SINGLE_VALUED:
                frame = _pairs_of(sample, view, model, quantity)
                if len(frame):
                    yield frame


def score_frames(
    database: Database,
    choice: Choice,
    views: Sequence[View],
    quantities: Sequence[Quantity] = (),
    *,
    hours: Hours = Hours.FLYING,
    withheld: IsWithheld = lambda models, stations: False,
    taking_part: Callable[[Collection[str], Collection[str]], None] = lambda models, stations: None,
    on_rows: Callable[[str, int], None] = lambda what, rows: None,
    left_out: Callable[[str], None] = lambda site: None,
) -> Iterator[pl.DataFrame]:
    """Yield the scores of models and baselines by site, view and quantity, in publishable form.

    They are of `hours` of the local clock, and equal those of the API for the same days: the period is not
    narrowed to the days with forecasts, because baselines use the readings of all days.

    Scores of few days are absent. If `withheld` is True for the models and stations of a sample, raw values
    could be derived from scores of arbitrary days. Then the scores are those of a published period, the
    newest unless days are chosen, and rounded as in public answers. Other days raise ConfigError. A site
    without a published period is left out, and `left_out` is called with its id. If models are chosen and
    none of them is withheld, the withheld models are left out, and any days are allowed. `taking_part` is
    called with the models and stations that the scores use: ranks depend on all of them, also on those
    without a row.

    Which winners are significant depends on all scores, so that the first frame comes after all are computed;
    `on_rows` is called for each one on the way. Raises as above.
    """
    frames: list[pl.DataFrame] = []
    tests: list[float | None] = []
    winners: list[bool] = []
    for view, live in _samples(database, choice, views, None, hours):
        hidden = {model for model in live.forecasts if withheld({model}, set())}
        chosen_withheld = hidden.intersection(choice.models) or withheld(set(), {*live.reference_days})
        if choice.models and not chosen_withheld:
            networks = {network_of(code) for code in live.stations if withheld(set(), {code})}
            live = without(live, hidden, networks)
        taking_part(live.forecasts.keys(), live.reference_days.keys())
        public = withheld({*live.forecasts}, {*live.reference_days})
        sample = _published(database, choice, live, withheld) if public else live
        if sample is None:
            left_out(live.site.id)
            continue
        card = Scorecard(sample)
        for quantity in quantities or Quantity:
            if public:
                card = Scorecard(in_full_months(sample, quantity))
            ranking = card.ranking(quantity)
            rows = [
                _score_row(card.sample, view, quantity, score, ranking, public=public)
                for score in card.scores(quantity)
                if score.n_pairs and (not choice.models or score.model in choice.models)
            ]
            if rows:
                tests.append(ranking.p_value)
                winners.append(rows[0]["finding"] == Finding.WINNER.value)
                frames.append(pl.DataFrame(rows, schema=schema(SCORES)))
                on_rows("scored", len(rows))
    significant = significant_winners(tests, winners)
    for frame, won, is_significant in zip(frames, winners, significant, strict=True):
        yield frame.with_columns(stands=pl.lit(is_significant if won else None, pl.Boolean))


def _published(database: Database, choice: Choice, live: Sample, withheld: IsWithheld) -> Sample | None:
    """Return the published sample instead of the live one, None if nothing is published yet.

    Raises ConfigError if the chosen days are not one published period.
    """
    samples = Samples(database)
    of_models, of_stations = samples.public_months(live.site, live.span.last)
    months = {
        month
        for owners, in_sample in ((of_models, live.forecasts), (of_stations, live.reference_days))
        for owner, published in owners.items()
        if owner in in_sample
        and withheld({owner} if owners is of_models else set(), set() if owners is of_models else {owner})
        for month in published
    }
    window = newest_window(months)
    if window is None:
        return None
    if choice.first is not None or choice.last is not None:
        allowed = windows(months, window.last_month)
        window = next(
            (
                window
                for window in allowed
                if (window.first, window.last) == (live.span.first, live.span.last)
            ),
            None,
        )
        if window is None:
            raise ConfigError(
                f"--from, --to: {live.site.id}: raw values of a source are not public there, so scores that"
                f" may be passed on are of whole calendar months: {named(allowed)}; or --exact, for a file"
                " that may not be passed on"
            )
    return samples.load(
        live.site,
        live.view,
        window.first,
        window.last,
        station=next(iter(live.reference_days)) if choice.stations else None,
        hours=live.hours,
        public=True,
    )


def places(database: Database, choice: Choice) -> list[Place]:
    """Return the sites of pairs, each with every station of its pairs. Raises NotFoundError."""
    by_key = {}
    for slug, station, first, last in _spans(database, choice):
        site = _site(database, slug, last)
        for code in [station] if station else reference_days(site, Span(first, last)):
            by_key[slug, code] = Place(site.id, code, site.latitude, site.longitude, site.elevation)
    return list(by_key.values())


def _samples(
    database: Database, choice: Choice, views: Sequence[View], longest: int | None, hours: Hours = Hours.ALL
) -> Iterator[tuple[View, Sample]]:
    samples = Samples(database)
    for slug, station, first, last in _spans(database, choice, narrowed=longest is not None):
        site = _site(database, slug, last)
        for view in views:
            step = longest or last - first + 1
            for begin in range(first, last + 1, step):
                end = min(begin + step - 1, last)
                yield view, samples.load(site, view, begin, end, station=station, hours=hours)


def _site(database: Database, slug: str, last: int) -> Site:
    """Return the series of a site that was valid on a local day with stored values."""
    with database.read() as connection:
        row = site_row(connection, slug, last)
    if row is None:
        raise NotFoundError(f"there is no site {slug!r} at that time")
    return site_record(row)


def _spans(
    database: Database, choice: Choice, *, narrowed: bool = True
) -> list[tuple[str, str | None, int, int]]:
    """Return each site with a station (None: its reference station) and the first and last day of the period.

    Without chosen days the period is all stored days. Chosen days are used as they are, as in the API, or
    `narrowed` to the stored days, which gives the same pairs sooner. A site without stored days is left out.
    """
    with database.read() as connection:
        chosen_names(connection, t.model.c.name, choice.models, "model")
        chosen_names(connection, t.station.c.code, choice.stations, "station")
        sites = chosen_names(connection, t.site.c.slug, choice.sites, "site", t.site.c.configured)
        newest = {slug: site_id for site_id, slug in sites.items()}  # of several series the last one remains
        spans: list[tuple[str, str | None, int, int]] = []
        for slug, site_id in newest.items():
            stored = stored_days(connection, site_id)
            if stored is None:
                continue
            first = max(stored[0], stored[0] if choice.first is None else choice.first)
            last = min(stored[1], stored[1] if choice.last is None else choice.last)
            if first > last:
                continue
            if not narrowed:
                first = first if choice.first is None else choice.first
                last = last if choice.last is None else choice.last
            of_site = stations_of_sites(connection, [slug])
            stations = [station for station in choice.stations if station in of_site]
            spans += ((slug, station, first, last) for station in (stations if choice.stations else [None]))
        return spans


def _pairs_of(sample: Sample, view: View, model: str, quantity: Quantity) -> pl.DataFrame:
    of_quantity = QuantitySample(sample, quantity)
    paired = of_quantity.pairs(model)
    valid, lead = sample.span.hours()[paired], sample.lead(model, quantity.parameter)[paired]
    width = max(map(len, sample.reference_days), default=1)
    stations = np.full(len(sample.span.days), "", dtype=f"<U{width}")  # "": a day without a station
    for code, days in sample.reference_days.items():
        stations[days] = code
    # The sample has the offsets of the readings of the mean wind only.
    offsets = sample.offsets[paired]
    known = (offsets != UNPAIRED) & (quantity is Quantity.WIND_SPEED)
    minutes = [int(offset) if is_known else None for offset, is_known in zip(offsets, known, strict=True)]
    frame = pl.DataFrame(
        {
            "valid_time": valid,
            "forecast": of_quantity.series(model).main[paired] / 1000,
            "observation": of_quantity.observed.main[paired] / 1000,
            "error": of_quantity.errors(model)[paired] / 1000,
            "station": stations[np.nonzero(paired)[0]],
            "reference_time": valid - 60 * lead,
            "lead_minutes": lead,
            "report_offset_minutes": pl.Series(minutes, dtype=pl.Int64),
        }
    )
    same = {"site": sample.site.id, "model": model, "view": view.name}
    constants = {name: pl.lit(value) for name, value in (same | {"quantity": quantity.value}).items()}
    return file_columns(frame.with_columns(**constants), schema(PAIRS))


def _score_row(
    sample: Sample, view: View, quantity: Quantity, of_model: ModelScore, ranking: Ranking, *, public: bool
) -> dict[str, object]:
    compared = not public or enough(ranking.n_pairs)
    of_model = public_score(quantity, of_model) if public else of_model
    score = of_model.score if of_model.label.shows_values else ScoreSet()
    quantiles = score.quantiles
    low, high = score.mean_error_interval or (None, None)
    mae_low, mae_high = score.mae_interval or (None, None)
    plain = (
        *("mean_error", "mae", "rmse", "error_sd", "correlation", "within", "within_tolerance"),
        *("circular_bias", "circular_sd", "resultant", "mean_direction_error"),
        *("light_wind_pairs", "undefined_pairs"),
    )
    return {
        "site": sample.site.id,
        "station": sample.station,
        "model": of_model.model,
        "reference": of_model.reference,
        "view": view.name,
        "quantity": quantity.value,
        "unit": quantity.unit,
        "hours": sample.hours.value,
        "first_day": date_of(sample.span.first),
        "last_day": date_of(sample.span.last),
        "rounded": public,
        "n_pairs": of_model.n_pairs,
        "n_days": of_model.n_days,
        "label": of_model.label.value,
        "estimated_hours": of_model.estimated_hours,
        **{name: getattr(score, name) for name in plain},
        "mean_error_low": low,
        "mean_error_high": high,
        "tendency": tendency(quantity, score.mean_error, score.mean_error_interval),
        "mae_low": mae_low,
        "mae_high": mae_high,
        **{
            name: None if quantiles is None else getattr(quantiles, name)
            for name in ("p10", "p25", "median", "p75", "p90", "p90_abs")
        },
        "rank": ranking.ranks.get(of_model.model) if compared else None,
        "finding": (ranking.finding if compared else Finding.NOT_ENOUGH).value,
        "p_value": None if public else ranking.p_value,
        "stands": None,
        "common_pairs": rounded_count(ranking.n_pairs) if public else ranking.n_pairs,
        "common_days": ranking.size.days,
        "method_version": METHOD_VERSION,
    }
