"""The routes of the pages."""

from backend.pages.routes import assets, home

ROUTERS = (home.router, assets.router)
