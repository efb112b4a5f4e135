"""How forecasts change as their hour comes nearer: the error by lead time, and the drift from run to run."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from backend.answers.base import ApiModel
from backend.answers.question import Question, load_views
from backend.answers.scores import common_fields, common_of, ends, taking_part
from backend.answers.service import ReadingParts
from backend.answers.shapes import Ends, Figure, ScoreFields, Share
from backend.answers.withholding import Withholding
from backend.scoring.constants import STRATUM_DAYS, WITHIN
from backend.scoring.grid import SCALE, paired, thousandths
from backend.scoring.metrics.direction import direction_errors
from backend.scoring.names import model_name
from backend.scoring.public.figures import public_score
from backend.scoring.questions.scorecard import Scorecard
from backend.scoring.sample.quantities import Quantity, QuantitySample
from backend.scoring.sample.sample import Sample
from backend.scoring.views import LEAD_VIEWS


class LeadScore(ApiModel):
    """The average error of a model in a lead view; null with too few days."""

    view: str
    n_pairs: int
    n_days: int
    average_error: Figure | None
    interval: Ends | None


class LeadModel(ApiModel):
    """A model, or the baseline, in each lead view."""

    model: str
    name: str
    leads: list[LeadScore]


class LeadsAnswer(ScoreFields):
    """The average error of each model by lead time, on its own pairs. `yesterday` needs no forecast."""

    models: list[LeadModel]
    yesterday: LeadModel


class RunStep(ApiModel):
    """How the forecast for the same hours changed from one lead view to the next; null with few days."""

    earlier: str
    later: str
    n_hours: int
    n_days: int
    mean_change: float | None
    mean_size: float | None
    beyond_tolerance: Share | None


class RunsModel(ApiModel):
    """The steps of one model, from the longest lead time to the shortest."""

    model: str
    name: str
    steps: list[RunStep]


class RunsAnswer(ApiModel):
    """The drift from run to run of the public models at a site."""

    quantity: Quantity
    tolerance: float
    models: list[RunsModel]


def leads_answer(service: ReadingParts, question: Question, withheld: Withholding) -> LeadsAnswer:
    """Return the average error of each model by lead time."""
    sample, *by_lead = load_views(service, question, (question.view, *LEAD_VIEWS))
    size, n_pairs, words = common_of(Scorecard(sample), question)
    of_model: dict[str, list[LeadScore]] = {}
    for lead in by_lead:
        for score in Scorecard(lead).scores(question.quantity):
            # What is published is rounded by the number of hours of each figure.
            shown = public_score(question.quantity, score) if question.public else score
            enough = shown.n_days >= STRATUM_DAYS.value
            of_model.setdefault(shown.model, []).append(
                LeadScore(
                    view=lead.view.name,
                    n_pairs=shown.n_pairs,
                    n_days=shown.n_days,
                    average_error=shown.score.mae if enough else None,
                    interval=ends(shown.score.mae_interval) if enough else None,
                )
            )
    names = sorted({name for lead in by_lead for name in lead.forecasts})
    hidden = taking_part(withheld, (sample, *by_lead), sample.reference_days)
    return LeadsAnswer(
        **common_fields(service, question, sample, size, n_pairs, words, terms=withheld, hidden=hidden),
        models=[LeadModel(model=name, name=model_name(name), leads=of_model[name]) for name in names],
        yesterday=LeadModel(
            model="yesterday", name=model_name("yesterday"), leads=of_model.get("yesterday", [])
        ),
    )


def runs_answer(service: ReadingParts, question: Question, withheld: Withholding) -> RunsAnswer:
    """Return how much later runs of the public models change the forecast for the same hour.

    No reading takes part in it, so that it does not depend on the beacon.
    """
    samples = load_views(service, question, tuple(reversed(LEAD_VIEWS)))
    quantity = question.quantity
    names = sorted({name for sample in samples for name in sample.forecasts if name not in withheld.models})
    return RunsAnswer(
        quantity=quantity,
        tolerance=WITHIN[quantity.parameter].value,
        models=[
            RunsModel(
                model=name,
                name=model_name(name),
                steps=[_step(name, quantity, earlier, later) for earlier, later in pairwise(samples)],
            )
            for name in names
        ],
    )


def _step(name: str, quantity: Quantity, earlier: Sample, later: Sample) -> RunStep:
    # The temperature as forecast: the height of the station does not change a difference of two runs.
    quantity = Quantity.TEMPERATURE_RAW if quantity is Quantity.TEMPERATURE else quantity
    before, after = (QuantitySample(sample, quantity).series(name).main for sample in (earlier, later))
    both = paired(before, after)
    if quantity is Quantity.WIND_DIRECTION:
        changes = direction_errors(after, before)[both]
    else:
        changes = after[both].astype(np.int64) - before[both]
    days = int(both.any(axis=1).sum())
    enough = days >= STRATUM_DAYS.value
    beyond = np.abs(changes) > thousandths(WITHIN[quantity.parameter].value)
    return RunStep(
        earlier=earlier.view.name,
        later=later.view.name,
        n_hours=int(both.sum()),
        n_days=days,
        mean_change=float(changes.mean()) / SCALE if enough else None,
        mean_size=float(np.abs(changes).mean()) / SCALE if enough else None,
        beyond_tolerance=float(beyond.mean()) if enough else None,
    )
