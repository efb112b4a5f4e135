"""The routes of the pages."""

from backend.pages.routes import about, assets, details, home, site

ROUTERS = (home.router, site.router, details.router, about.router, assets.router)
