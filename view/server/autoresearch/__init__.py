"""Autoresearch: sessions, their decisions and stacks, lanes and knobs."""

from view.server.autoresearch import decision, overview, session
from view.server.page import Area

AREAS = (Area("autoresearch", "Autoresearch", "/sessions"),)
routes = (*session.routes, *overview.routes, *decision.routes)
