"""A report on W&B: what it holds, what it needs, and that nothing is asked of the network before it is wanted."""

import dataclasses
import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb
import wandb_workspaces.reports.v2 as library

from laser_lit.errors import InputError
from laser_lit.report.__main__ import main
from laser_lit.report.wandb_report import build_report, logged_runs, publish_report
from laser_lit.results.logged_run import LoggedRun
from laser_lit.results.record import Record
from laser_lit.results.reft_result import ReftResult, ReftSplit

MEDIA = {"examples": "table-file", "gain": "plotly-file"}


@dataclasses.dataclass
class Server:
    """Stands in for wandb.Api: keeps what would be sent, and answers as W&B's server does."""

    sent: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    default_entity: str = "me"
    app_url: str = "https://wandb.ai"

    def __post_init__(self) -> None:
        self._service_api = self

    def projects(self, entity: str) -> list[Any]:
        return []

    def create_project(self, project: str, entity: str) -> None:
        self.sent.append({"created": f"{entity}/{project}"})

    def execute_graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertView" not in query:
            return {"project": {"internalId": "internal"}}
        self.sent.append(variables)
        view = {"id": "Vmlldzox", "name": variables["name"], "displayName": variables["displayName"]}
        view |= {"project": {"name": variables["projectName"], "entityName": variables["entityName"]}}
        times = dict.fromkeys(("createdAt", "updatedAt"), "2026-01-01T00:00:00")
        return {"upsertView": {"view": {**view, **times, "description": "", "spec": variables["spec"]}}}


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Nothing is sent anywhere, and no key of the user's is seen."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))


@pytest.fixture
def server(monkeypatch):
    """Returns W&B's server as the report meets it, with a key to it."""
    server = Server()
    monkeypatch.setattr(wandb, "Api", lambda: server)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    return server


def logged(folder: Path, record: Record | None = None, id: str = "abc", **said: Any) -> Path:
    """Returns the folder of a run that is on W&B."""
    folder.mkdir(parents=True)
    about = {"project": "laser_lit", "entity": "", "name": "facts facts single", "group": "", "job_type": "language"}
    run = LoggedRun(id, **{**about, "offline": False, "path": f"wandb/run-{id}", "media": MEDIA, **said})
    run.save(folder)
    if record is not None:
        record.save(folder / "result.json")
    return folder


def spec_of(server: Server) -> dict[str, Any]:
    return json.loads(server.sent[-1]["spec"])


def texts(spec: dict[str, Any]) -> str:
    """Returns all words of a report's headings, paragraphs, tables and code."""
    return json.dumps([block for block in spec["blocks"] if block["type"] != "panel-grid"], ensure_ascii=False)


def grids(spec: dict[str, Any]) -> list[Any]:
    return [block["metadata"] for block in spec["blocks"] if block["type"] == "panel-grid"]


def views(grid: Any) -> list[tuple[str, Any]]:
    return [(panel["viewType"], panel["config"]) for panel in grid["panelBankSectionConfig"]["panels"]]


def test_a_run(record, tmp_path, server):
    logged(tmp_path / "run", dataclasses.replace(record, warnings=("A caution.",)))
    address = publish_report(tmp_path / "run")
    assert address == "https://wandb.ai/me/laser_lit/reports/laser_lit:-run--Vmlldzox"
    (created, sent), spec = server.sent, spec_of(server)
    assert created == {"created": "me/laser_lit"}
    assert (sent["displayName"], sent["entityName"], sent["projectName"]) == ("laser_lit: run", "me", "laser_lit")
    said = texts(spec)
    for words in ("Layer 2 fc_in cut to rank 1 of 64: test accuracy", "A caution.", "| run | varied |"):
        assert words in said
    assert "wandb artifact get me/laser_lit/stack-facts-0f1e2d3c4b5a:latest --root stack-facts-0f1e2d3c4b5a" in said
    assert "python evaluate.py model=facts data=facts laser=file laser.path=stack-facts-0f1e2d3c4b5a/stack.yaml" in said
    numbers, figures = grids(spec)
    assert [kind for kind, _ in views(numbers)] == ["Scalar Chart", "Bar Chart"]
    assert views(numbers)[0][1]["metrics"] == ["test/gain/accuracy"]
    assert views(numbers)[1][1]["metrics"] == ["test/base/accuracy", "test/laser/accuracy"]
    assert [(kind, config["mediaKeys"]) for kind, config in views(figures)] == [("Media Browser", ["gain"])]
    (runset,) = numbers["runSets"]
    assert runset["project"] == {"name": "laser_lit", "entityName": "me", "id": "internal"}
    (chosen,) = runset["filters"]["filters"]
    assert (chosen["key"], chosen["op"], chosen["value"]) == ({"section": "run", "name": "name"}, "IN", ["abc"])


def test_several_runs_and_a_training(record, tmp_path, server):
    for n in (0, 1):
        logged(tmp_path / "sweep" / str(n), record, id=f"run{n}")
    logged(tmp_path / "sweep" / "train", id="train", job_type="reft-training", media={"training/curve": "plotly-file"})
    publish_report(tmp_path / "sweep", entity="team", project="other")
    assert (server.sent[-1]["entityName"], server.sent[-1]["projectName"]) == ("team", "other")
    spec = spec_of(server)
    numbers, figures = grids(spec)
    kinds = ["Bar Chart", "Bar Chart", "Run History Line Plot", "Run History Line Plot"]
    assert [kind for kind, _ in views(numbers)] == kinds
    assert [config["metrics"] for _, config in views(numbers)][2:] == [["train/loss"], ["validation/loss"]]
    assert [config["mediaKeys"] for _, config in views(figures)] == [["gain"], ["training/curve"]]
    assert numbers["runSets"][0]["filters"]["filters"][0]["value"] == ["run0", "run1", "train"]
    assert "2 finished runs, 2 confirmatory tests" in texts(spec)


def test_runs_of_two_projects_are_two_sets(record, tmp_path, server):
    logged(tmp_path / "runs" / "0", record, entity="me")
    logged(tmp_path / "runs" / "1", record, id="d", entity="me", project="more")
    publish_report(tmp_path / "runs")
    assert [(one["name"], one["filters"]["filters"][0]["value"]) for one in grids(spec_of(server))[0]["runSets"]] == [
        ("laser_lit", ["abc"]),
        ("more", ["d"]),
    ]


def test_the_entity_of_a_run_stands_beside_runs_that_name_none(record, tmp_path, server):
    logged(tmp_path / "runs" / "0", record, entity="team")
    logged(tmp_path / "runs" / "1", record, id="d")
    publish_report(tmp_path / "runs")
    assert [one["project"]["entityName"] for one in grids(spec_of(server))[0]["runSets"]] == ["me", "team"]


def test_edits_are_fetched_from_the_project_of_their_run(record, tmp_path, server):
    logged(tmp_path / "runs" / "0", record, entity="me")
    logged(
        tmp_path / "runs" / "1", dataclasses.replace(record, config_hash="beef"), id="d", entity="me", project="more"
    )
    publish_report(tmp_path / "runs")
    said = texts(spec_of(server))
    assert "wandb artifact get me/laser_lit/stack-facts-0f1e2d3c4b5a:latest" in said
    assert "wandb artifact get me/more/stack-facts-beef:latest" in said


def test_edits_that_wandb_was_not_given_cannot_be_fetched(record, tmp_path, server):
    config = {**record.config, "logger": {"artifacts": ["adapter"]}}
    logged(tmp_path / "run", dataclasses.replace(record, config=config))
    publish_report(tmp_path / "run")
    assert "wandb artifact get" not in texts(spec_of(server))


def test_the_bars_of_a_run_with_an_adapter(record, tmp_path, server):
    laser, gain = record.test.laser, record.test.gain
    own = ReftSplit(laser, gain, laser, gain, gain, gain)
    reft = ReftResult("ReFT", "a", "0f", ("loreft",), 4096, 1.0, own, own)
    logged(tmp_path / "run", dataclasses.replace(record, reft=reft))
    publish_report(tmp_path / "run")
    gain, scores = (config["metrics"] for _, config in views(grids(spec_of(server))[0]))
    assert gain == ["test/laser_reft_gain/accuracy"]
    assert scores == [f"test/{who}/accuracy" for who in ("base", "laser", "reft", "laser_reft")]


def test_the_bars_are_of_what_a_search_went_by(searched, tmp_path, server):
    search = dataclasses.replace(searched.search, objective="log_loss")
    logged(tmp_path / "run", dataclasses.replace(searched, search=search))
    publish_report(tmp_path / "run")
    assert views(grids(spec_of(server))[0])[0][1]["metrics"] == ["test/gain/log_loss"]


def test_a_report_is_built_without_a_server(record, tmp_path):
    logged(tmp_path / "run", record)
    report = build_report(library, tmp_path / "run", logged_runs(tmp_path / "run"))
    assert report.title == "laser_lit: run"
    assert [type(block).__name__ for block in report.blocks] == [
        *("H1", "P", "H1", "MarkdownBlock", "PanelGrid", "H1", "PanelGrid", "H1", "MarkdownBlock", "P"),
    ]


def test_without_a_key(record, tmp_path, capsys):
    logged(tmp_path / "run", record)
    assert main([str(tmp_path / "run"), "--wandb"]) == 1
    assert "Type `wandb login`, or set WANDB_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["offline", "dryrun", "disabled"])
def test_where_wandb_is_told_to_stay_offline(record, tmp_path, server, monkeypatch, mode):
    monkeypatch.setenv("WANDB_MODE", mode)
    logged(tmp_path / "run", record)
    with pytest.raises(InputError, match=f"WANDB_MODE={mode}"):
        publish_report(tmp_path / "run")


def test_offline_runs_are_sent_first(record, tmp_path, server):
    folder = logged(tmp_path / "run", record, offline=True, path="wandb/offline-run-abc")
    place = folder / "wandb" / "offline-run-abc"
    with pytest.raises(InputError, match=r"1 of 1 runs are offline.*wandb sync") as caught:
        publish_report(folder)
    assert str(caught.value).endswith(str(place))
    place.mkdir(parents=True)
    (place / "run-abc.wandb.synced").touch()
    assert publish_report(folder).startswith("https://wandb.ai/me/laser_lit/reports/")


def test_without_the_extra(record, tmp_path, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    logged(tmp_path / "run", record)
    with pytest.raises(InputError, match=r"pip install 'laser_lit\[wandb-report\]'"):
        publish_report(tmp_path / "run")


def test_runs_that_are_not_on_wandb(record, tmp_path, server):
    record.save(tmp_path / "result.json")
    with pytest.raises(InputError, match=r"no wandb\.json at or below"):
        publish_report(tmp_path)


def test_what_the_server_says_is_passed_on(record, tmp_path, server, monkeypatch):
    def refuse(query, variables):
        raise wandb.errors.CommError("permission\n denied")

    monkeypatch.setattr(server, "execute_graphql", refuse)
    logged(tmp_path / "run", record)
    with pytest.raises(InputError, match="W&B does not take the report: permission denied"):
        publish_report(tmp_path / "run")


def test_the_command(record, tmp_path, server, capsys):
    logged(tmp_path / "run", record)
    assert main([str(tmp_path / "run"), "--wandb", "--entity", "team", "--project", "p"]) == 0
    assert "https://wandb.ai/team/p/reports/laser_lit:-run--Vmlldzox" in capsys.readouterr().out


def test_entity_without_wandb(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--entity", "team"])
    assert "--wandb" in capsys.readouterr().err


def test_a_run_without_edits(in_vain, tmp_path, server):
    logged(tmp_path / "run", in_vain)
    publish_report(tmp_path / "run")
    spec = spec_of(server)
    assert [config["metrics"] for _, config in views(grids(spec)[0])] == [["test/base/accuracy"]]
    assert "wandb artifact get" not in texts(spec)
