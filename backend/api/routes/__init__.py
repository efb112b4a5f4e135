"""The routes of the API, in the order of its documentation."""

from backend.api.routes import data, docs, health, scheduler, scores, sites

ROUTERS = (
    scheduler.router,
    sites.router,
    data.router,
    scores.router,
    health.router,
    docs.router,
)
