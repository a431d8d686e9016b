"""Changes that need two operators: one proposes, another carries out what was proposed.

Which those are is set in the control table; that none or fewer are needed is such a change itself. A proposal lies
beside the operators' record, where no function can write it, and is good for a day.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.aws.dynamodb.attribute_values import Item
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.aws.dynamodb.table import Table
from chalicelib.risk.limits import ReferenceCurrency, defaults_for, loosened
from operations.errors import OperationError, UnfitOption
from operations.limits import read_changes
from operations.record import OperatorsRecord, record_of
from operations.stacks import deployed
from operations.target import Target

RESUME, RAISE_LIMIT = "resume", "raise-limit"
NEEDABLE = (RESUME, RAISE_LIMIT)
LIFE_MS = 24 * 3_600_000
_KIND = "proposal"


class NotApproved(OperationError):
    """The proposal can't be carried out, or not by this operator; the text says why."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an operator asked for that needs another: `arguments` of `action` on `subject`."""

    proposal_id: str
    who: str
    at_ms: int
    action: str
    subject: str
    arguments: Mapping[str, Any]


class Approvals:
    """Carries out what an operator asks for, or keeps it as a proposal. `record` has the operator's identity."""

    def __init__(
        self,
        controls: Callable[[OperatorsRecord], ControlTable],
        record: OperatorsRecord,
        new_id: Callable[[], str],
    ) -> None:
        self._controls_with = controls
        self._controls = controls(record)
        self._record = record
        self._table: Table = record.table
        self._new_id = new_id

    def needed(self) -> frozenset[str]:
        """Which changes need a second operator."""
        return self._controls.approvals()

    def resume(self, scope: str) -> Proposal | None:
        """Take the scope's kill switch back; a Proposal where that needs a second operator."""
        if RESUME in self.needed() and self._controls.halt_in(scope) is not None:
            return self._propose("resume", scope, {})
        self._controls.resume(scope)
        return None

    def set_limits(self, scope: str, texts: Mapping[str, str], currency: ReferenceCurrency) -> Proposal | None:
        """Set the limits of `texts`, by field; a Proposal where one is raised and that needs a second operator.

        Raises UnfitOption; nothing is set or proposed then.
        """
        changes, inherited = read_changes(dict(texts), currency)
        if RAISE_LIMIT in self.needed():
            before, after = self._controls.limits_in(scope), self._controls.limits_after(scope, changes, inherited)
            if loosened(before, after):
                return self._propose("set limits", scope, {"texts": dict(texts), "decimals": currency.decimals})
        self._controls.set_limits(scope, changes, inherited)
        return None

    def need(self, names: frozenset[str]) -> Proposal | None:
        """Let exactly these changes need a second operator; a Proposal where one needs none any more."""
        if unknown := names - {*NEEDABLE}:
            raise UnfitOption(f"--need {min(unknown)}: one of {', '.join(NEEDABLE)}")
        if self.needed() - names:
            return self._propose("set approvals", "stage", {"needed": sorted(names)})
        self._controls.need_approvals(names)
        return None

    def open_proposals(self) -> list[Proposal]:
        """Those that wait for another operator, oldest first."""
        found = self._table.query("kind = :kind", {"kind": _KIND})
        proposals = [_to_proposal(item) for item in found if "carriedOutBy" not in item]
        alive = [one for one in proposals if self._record.now_ms() < one.at_ms + LIFE_MS]
        return sorted(alive, key=lambda one: one.at_ms)

    def approve(self, proposal_id: str) -> Proposal:
        """Carry a proposal out, once, as the second operator. Raises NotApproved."""
        item = self._table.get(_key(proposal_id))
        if item is None:
            raise NotApproved(f"there is no proposal {proposal_id}; `fillrate approvals` shows them")
        proposal, who = _to_proposal(item), self._record.who()
        if proposal.who == who:
            raise NotApproved(f"{who} proposed this: another operator must approve it")
        if "carriedOutBy" in item:
            raise NotApproved(f"{proposal_id} was carried out already, by {item['carriedOutBy']}")
        if self._record.now_ms() >= proposal.at_ms + LIFE_MS:
            raise NotApproved(f"{proposal_id} is older than a day: propose it again")
        # first: of two who approve at the same moment one carries it out
        mark = "attribute_exists(kind) AND attribute_not_exists(carriedOutBy)"
        if not self._table.update_if(mark, _key(proposal_id), "SET carriedOutBy = :who", {"who": who}):
            raise NotApproved(f"{proposal_id} was carried out just now by another operator")
        self._carry_out(proposal, self._controls_with(replace(self._record, proposed_by=proposal.who)))
        return proposal

    def _carry_out(self, proposal: Proposal, controls: ControlTable) -> None:
        match proposal.action:
            case "resume":
                controls.resume(proposal.subject)
            case "set limits":
                currency = ReferenceCurrency(decimals=int(proposal.arguments["decimals"]))
                controls.set_limits(proposal.subject, *read_changes(dict(proposal.arguments["texts"]), currency))
            case _:
                controls.need_approvals(frozenset(proposal.arguments["needed"]))

    def _propose(self, action: str, subject: str, arguments: Mapping[str, Any]) -> Proposal:
        who, at_ms = self._record.who(), self._record.now_ms()
        proposal = Proposal(self._new_id(), who, at_ms, action, subject, arguments)
        item = {
            **_key(proposal.proposal_id),
            "who": who,
            "atMs": at_ms,
            "action": action,
            "subject": subject,
            "arguments": dict(arguments),
        }
        self._table.put_if("attribute_not_exists(kind)", item)
        return proposal


def approvals(target: Target) -> Approvals:
    """The stage's, by the identity of the credentials at hand. Raises NoStage."""
    data = deployed(target, "data")
    record = record_of(target, data)
    return Approvals(
        lambda with_record: ControlTable(
            target.client("dynamodb"), data["ControlTable"], defaults_for(target.stage), with_record
        ),
        record,
        lambda: secrets.token_hex(4),
    )


def _key(proposal_id: str) -> Item:
    return {"kind": _KIND, "at": proposal_id}


def _to_proposal(item: Item) -> Proposal:
    return Proposal(
        item["at"], item["who"], int(item["atMs"]), item["action"], item["subject"], item.get("arguments", {})
    )
