"""The routes of the pages."""

from backend.pages.routes import about, assets, home, site

ROUTERS = (home.router, site.router, about.router, assets.router)
