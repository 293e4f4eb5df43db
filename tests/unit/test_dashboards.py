"""What an operator imports into Grafana: panels that lie beside each other, links that lead to a page.

No Grafana is at hand. What it makes of the queries is in support/grafana.py, and what PostgreSQL finds with them in
integration/test_dashboards.py; the first dashboard's PromQL is in system/test_prometheus.py.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from support import grafana
from support.grafana import DASHBOARDS

from receiver.pages.routes import ROUTES
from receiver.reading.filters import Filters

OF_GRAFANA = {"__from", "__to", "__data", "__rate_interval"}
VALUES = {"provider": "huawei", "country": "-", "reason": "unreachable", "code": "MA:0001 ?&#%/"}
UNITS = {"percent", "percentunit", "short", "s", "d", "bytes", "reqps"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_can_be_taken_to_another_grafana_and_no_panel_lies_on_another(name: str) -> None:
    dashboard = grafana.dashboard(name)
    sources = {f"${{{one['name']}}}" for one in grafana.variables(name).values() if one["type"] == "datasource"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        used = [one["datasource"]["uid"] for one in (panel, *panel.get("targets", ())) if "datasource" in one]
        assert set(used) <= sources, panel["title"]
        assert used or panel["type"] == "row", panel["title"]
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_that_is_used_is_one(name: str) -> None:
    text = json.dumps(grafana.dashboard(name))
    used = set(re.findall(r"\$\{(\w+)", text)) | set(re.findall(r"\$([a-z]\w*)", text))
    assert used - OF_GRAFANA == set(grafana.variables(name))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_units_are_those_of_grafana(name: str) -> None:
    units = set(re.findall(r'"unit": "(\w+)"', json.dumps(grafana.dashboard(name))))
    units |= set(re.findall(r'"id": "unit", "value": "(\w+)"', json.dumps(grafana.dashboard(name))))
    assert units <= UNITS


def test_every_panel_about_deliveries_says_what_it_counts() -> None:
    assert all(panel.json["description"].endswith(".") for panel in grafana.panels("delivery"))


def links(value: Any) -> Iterator[str]:
    """The URLs of all links, wherever they are."""
    if isinstance(value, dict):
        yield from [value["url"]] if "url" in value else []
        for one in value.values():
            yield from links(one)
    elif isinstance(value, list):
        for one in value:
            yield from links(one)


def test_every_link_leads_to_a_page_with_filters_that_it_has() -> None:
    found = [url for url in links(grafana.dashboard("delivery")) if not url.startswith("/d/sms-delivery-reports")]
    assert len(found) > 10
    pages = {path for method, path, _ in ROUTES if method == "GET"}
    for url in found:
        filled = url.replace("${__from:date:iso}", "2026-11-21T10:20:30.123Z")
        filled = filled.replace("${__to:date:iso}", "2026-11-22T10:20:30.123Z")
        page = re.sub(r"\$\{__data\.fields\.(\w+):percentencode\}", r"{\1}", filled.removeprefix("${pages}"))
        path, _, query = page.partition("?")
        assert path in pages, url
        given = {
            name: values[0].format(**VALUES) for name, values in parse_qs(query, strict_parsing=bool(query)).items()
        }
        assert Filters.parse(given).given == given, url


def test_a_message_in_a_link_is_found_by_its_whole_id() -> None:
    """An id may have any character: each goes into the URL percent-encoded."""
    (url,) = {url for url in links(grafana.dashboard("delivery")) if "message_id" in url}
    assert url == "${pages}/messages/${__data.fields.provider:percentencode}/${__data.fields.message_id:percentencode}"
