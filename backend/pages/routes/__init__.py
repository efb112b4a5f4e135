"""The routes of the pages."""

from backend.pages.routes import assets, home, site

ROUTERS = (home.router, site.router, assets.router)
