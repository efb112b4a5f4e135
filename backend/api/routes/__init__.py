"""The routes of the API, in the order of its documentation."""

from backend.api.routes import data, docs, forecast, health, metrics, scheduler, scores, sites, verification

ROUTERS = (
    scheduler.router,
    sites.router,
    data.router,
    scores.router,
    forecast.router,
    verification.router,
    health.router,
    metrics.router,
    docs.router,
)
