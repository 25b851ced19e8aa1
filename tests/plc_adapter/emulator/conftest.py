"""A small made-up county that the emulator's tests share."""

from pathlib import Path

import pytest

from plc_adapter.emulator import site as sites
from plc_adapter.emulator import traffic
from plc_adapter.emulator.site import Site
from plc_adapter.emulator.traffic import Day

COUNTY = Path(__file__).parent / "county"


@pytest.fixture(scope="session")
def county_folder() -> Path:
    return COUNTY


@pytest.fixture(scope="session")
def county() -> Site:
    return sites.load(COUNTY)


@pytest.fixture(scope="session")
def county_day(county: Site) -> Day:
    return traffic.day(county.tables, 4000, 11)
