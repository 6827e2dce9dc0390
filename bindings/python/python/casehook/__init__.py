"""casehook pushes your program's cases (incidents, alerts, tickets) to any case system.

A push is on disk when ``push`` returns; threads of the library deliver it over HTTP as a connector document describes,
through outages, crashes and expired passwords, without losing a case and without opening one twice.

>>> import casehook, pathlib, tempfile
>>> folder = tempfile.TemporaryDirectory()
>>> config = {
...     "createIncidentUrl": "https://tickets.example.com/tickets",
...     "createIncidentJson": '{"subject": {{{case.title}}}, "text": {{{case.description}}}}',
...     "createIncidentResponseKey": "id",
...     "getIncidentUrl": "https://tickets.example.com/tickets/{{{external.system.id}}}",
...     "getIncidentResponseExternalTitleKey": "subject",
...     "viewIncidentUrl": "https://tickets.example.com/tickets/{{{external.system.id}}}",
...     "updateIncidentUrl": "https://tickets.example.com/tickets/{{{external.system.id}}}",
...     "updateIncidentJson": '{"subject": {{{case.title}}}, "text": {{{case.description}}}}',
... }

Here nothing is delivered (``drain=False``), since the target does not exist:

>>> with casehook.Agent(pathlib.Path(folder.name) / "cases.db", drain=False) as agent:
...     warnings = agent.configure("tracker", config, secrets={"user": "casehook", "password": "secret"})
...     push = agent.push("tracker", title="Disk full", case_id="host-7/disk", comments=[("c1", "first look")])
...     status = agent.status(push)
>>> warnings
[]
>>> status.state, status.case_id, status.comments
('queued', 'host-7/disk', [('c1', 'pending')])

A failed delivery is no exception: it is in the status, with its reason. Calls raise :class:`casehook.Error` when a
document or case is refused, or the database cannot be used.

>>> folder.cleanup()
"""

from casehook._agent import Agent
from casehook._case import case
from casehook._errors import (
    ArgumentError,
    BusyError,
    CaseError,
    CaseTypeError,
    ClosedError,
    ConfigError,
    CorruptError,
    Error,
    ForkedError,
    FullError,
    InternalError,
    NotFoundError,
    QueueFullError,
    SchemaTooNewError,
    SecondCopyError,
    SecretKeyError,
    StateError,
    StoreError,
    TimeoutError,
)
from casehook._logs import dropped_log_lines
from casehook._presets import Preset, PresetParameter, preset, presets
from casehook._results import (
    Answer,
    Attempt,
    CommentState,
    Connector,
    ConnectorHealth,
    ConnectorStats,
    ConnectorWarning,
    Exchanges,
    Link,
    PushError,
    PushState,
    PushStatus,
    Request,
    Stats,
    Step,
    TestReport,
    TestStep,
    Traffic,
)
from casehook._native import VERSION as __version__

__all__ = [
    "Agent",
    "Answer",
    "ArgumentError",
    "Attempt",
    "BusyError",
    "CaseError",
    "CaseTypeError",
    "ClosedError",
    "CommentState",
    "ConfigError",
    "Connector",
    "ConnectorHealth",
    "ConnectorStats",
    "ConnectorWarning",
    "CorruptError",
    "Error",
    "Exchanges",
    "ForkedError",
    "FullError",
    "InternalError",
    "Link",
    "NotFoundError",
    "Preset",
    "PresetParameter",
    "PushError",
    "PushState",
    "PushStatus",
    "QueueFullError",
    "Request",
    "SchemaTooNewError",
    "SecondCopyError",
    "SecretKeyError",
    "StateError",
    "Stats",
    "Step",
    "StoreError",
    "TestReport",
    "TestStep",
    "TimeoutError",
    "Traffic",
    "__version__",
    "case",
    "dropped_log_lines",
    "preset",
    "presets",
]

for _class in (Agent, *Error.__subclasses__(), *StoreError.__subclasses__(), CaseTypeError, Error):
    # What a traceback names is the name to import.
    _class.__module__ = "casehook"
del _class
