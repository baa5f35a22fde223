"""The pages: their panels are SQL over the marts of docs/reference/marts.md, and nothing else."""

from __future__ import annotations

from typing import Final

from serving.dashboard.pages.live import LIVE
from serving.dashboard.pages.marketing import MARKETING
from serving.dashboard.pages.product import PRODUCT
from serving.dashboard.pages.quality import QUALITY
from serving.dashboard.pages.web import WEB

PAGES: Final = (LIVE, WEB, MARKETING, PRODUCT, QUALITY)
