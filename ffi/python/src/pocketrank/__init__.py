"""Multi-objective ranking: opens an exported model, ranks requests and scores data frames with the bits of the phone.

    model = Model.open("feed.pkr")
    scored = model.score_frame(log, request_column="request_id")

`Model` is shared by threads, `Ranker` belongs to one. Every error is a `PocketrankError`; on any of them keep the server's order.
"""

from .columns import MISSING_ID, MISSING_ROW, Column, Form, floats, ids, in_lists, octet_rows, rows, utf8
from .conversion import convert, lists, texts
from .errors import PocketrankError, Status
from .formula import Formula
from .information import Cpu, Feature, FeatureKind, FormulaText, IdType, Label, Side, Task, TaskKind, Term, Weight
from .lists import NO_CANDIDATE, NO_KEY, Decay, Diversity, Exploration, RankedList, RulePart, Rules, Spacing, rerank
from .model import Model, abi_version, hash_text, library_version
from .ranker import Ranker, Ranking
from .request import NO_SLOT_OF_SUMS, Request
from .session import Session
from .state import Event, UserState

__version__ = "0.1.0"

__all__ = [
    "MISSING_ID",
    "MISSING_ROW",
    "NO_CANDIDATE",
    "NO_KEY",
    "NO_SLOT_OF_SUMS",
    "Column",
    "Cpu",
    "Decay",
    "Diversity",
    "Event",
    "Exploration",
    "Feature",
    "FeatureKind",
    "Form",
    "Formula",
    "FormulaText",
    "IdType",
    "Label",
    "Model",
    "PocketrankError",
    "RankedList",
    "Ranker",
    "Ranking",
    "Request",
    "RulePart",
    "Rules",
    "Session",
    "Side",
    "Spacing",
    "Status",
    "Task",
    "TaskKind",
    "Term",
    "UserState",
    "Weight",
    "abi_version",
    "convert",
    "floats",
    "hash_text",
    "ids",
    "in_lists",
    "library_version",
    "lists",
    "octet_rows",
    "rerank",
    "rows",
    "texts",
    "utf8",
]
