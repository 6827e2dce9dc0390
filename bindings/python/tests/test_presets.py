"""Presets as connector documents."""

import pathlib

import pytest

import casehook


def test_every_preset_is_a_connector(tmp_path: pathlib.Path) -> None:
    presets = casehook.presets()
    assert len(presets) > 20
    with casehook.Agent(tmp_path / "cases.db", drain=False) as agent:
        for preset in presets:
            values = {p.name: p.example or p.default or "secret" for p in preset.parameters if p.required or p.secret}
            document = casehook.preset(preset.name, **values)
            agent.configure(preset.name, document)
            assert agent.connector(preset.name).config["createIncidentUrl"].startswith("https://")
            assert preset.notes and preset.sources


def test_a_number_may_be_given_as_one() -> None:
    document = casehook.preset("redmine", url="https://r.example", project="p", tracker=7)
    assert '"tracker_id":7' in document["config"]["createIncidentJson"]
    assert "secrets" not in document


def test_a_keyword_is_written_with_an_underscore() -> None:
    parameters = {"subdomain": "acme", "service": "PABC123"}
    document = casehook.preset("pagerduty-incidents", from_="monitoring@example.com", **parameters)
    assert document["config"]["headers"]["From"] == "monitoring@example.com"
    assert document == casehook.preset("pagerduty-incidents", **parameters, **{"from": "monitoring@example.com"})
    with pytest.raises(casehook.ArgumentError, match="service_"):
        casehook.preset("pagerduty-incidents", from_="a@b", subdomain="acme", service_="PABC123")


def test_none_is_as_not_given() -> None:
    document = casehook.preset("redmine", url="https://r.example", project="p", tracker=None)
    assert document == casehook.preset("redmine", url="https://r.example", project="p")
    with pytest.raises(casehook.ArgumentError, match="project"):
        casehook.preset("redmine", url="https://r.example", project=None)


def test_refusals_list_what_there_is() -> None:
    with pytest.raises(casehook.NotFoundError, match="did you mean redmine"):
        casehook.preset("redmin")
    with pytest.raises(casehook.ArgumentError, match="takes url, project") as refused:
        casehook.preset("redmine", url="https://r.example", project="p", color="hunter2")
    assert "hunter2" not in str(refused.value)
