# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API itself, without HTTP: a request in, an answer out.

It follows AWX 24.6.1, with one exception: AWX passes over fields that it does not have, and this refuses them, so that a misspelt
one is found. (Not those of approvals: awx.awx sends fields of the node along.)
"""

from __future__ import annotations

import base64
import dataclasses
import typing as t

from .credential_types import shown_inputs, users_of
from .filters import matching
from .notifications import shown_configuration
from .refusal import Refused, forbidden, invalid, not_found
from .resources import ANY_TEMPLATE, LINKS, RESOURCES
from .rules import RULES, check_association
from .store import Row, Store, Values
from .surveys import check_survey

# Sent by awx.awx though no client can set them.
_READ_ONLY = ("type",)
_SYNCED = ("scm_type", "scm_url", "scm_branch", "scm_refspec")
_SURVEYED = ("job_templates", "workflow_job_templates")
Query = t.Sequence[tuple[str, str]]


@dataclasses.dataclass
class Request:
    """A request as it came in."""

    method: str
    path: str
    query: Query = ()
    body: t.Any = None
    authorization: str = ""

    @property
    def parts(self) -> list[str]:
        return [part for part in self.path.split("/") if part]


@dataclasses.dataclass
class Answer:
    """A status and a JSON document; None for an empty body."""

    status: int
    body: t.Any = None


@dataclasses.dataclass
class Fault:
    """What is answered instead, to each request of a method whose path begins so."""

    method: str
    prefix: str
    answer: Answer


class Api:
    """The API over a store. C(repositories) are what a sync of a project finds: playbooks by URL."""

    def __init__(self, token: str, password: str, repositories: t.Mapping[str, t.Sequence[str]]) -> None:
        self.store = Store()
        self.repositories = repositories
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self._tokens = {token}
        self._basic = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        self.requests.append(request)
        for fault in self.faults:
            if fault.method == request.method and request.path.startswith(fault.prefix):
                return fault.answer
        try:
            return self._routed(request)
        except Refused as refused:
            return Answer(refused.status, refused.body)

    @property
    def changes(self) -> list[Request]:
        """The requests so far that were to change something, logins left out."""
        return [item for item in self.requests if item.method != "GET" and item.parts[2:3] != ["tokens"]]

    # -- routes

    def _routed(self, request: Request) -> Answer:
        parts = request.parts
        if parts == ["api"]:
            return Answer(200, {"current_version": "/api/v2/"})
        if parts[:2] != ["api", "v2"] or len(parts) < 3:
            raise not_found()
        if parts[2] == "tokens":
            return self._token(request, parts[3:])
        if request.authorization.removeprefix("Bearer ") not in self._tokens:
            raise Refused(401, {"detail": "Authentication credentials were not provided. To establish a login session, visit "
                                          "/api/login/."})
        if parts[2:] == ["me"]:
            return self._page(self.store.all("users"), request)
        if len(parts) == 3:
            return self._collection(request, parts[2])
        row = self._find(parts[2], parts[3])
        return self._object(request, row) if len(parts) == 4 else self._below(request, row, parts[4])

    def _token(self, request: Request, rest: list[str]) -> Answer:
        if request.authorization != self._basic:
            raise Refused(401, {"detail": "Invalid username/password."})
        if request.method == "DELETE" and rest:
            self._tokens.discard(f"canary-login-token-{rest[0]}")
            return Answer(204)
        token = f"canary-login-token-{len(self.requests)}"
        self._tokens.add(token)
        return Answer(201, {"id": len(self.requests), "token": token})

    def _find(self, resource: str, identity: str) -> Row:
        """Return the object of an ID, or of a named URL such as NAME++ORGANIZATION."""
        if resource == "project_updates":
            row = self.store.rows[resource].get(int(identity))
        elif resource not in RESOURCES and resource != ANY_TEMPLATE:
            row = None
        elif identity.isdigit():
            row = self.store.get(resource, int(identity))
        else:
            name, dummy, organization = identity.partition("++")
            row = next((row for row in self.store.all(resource) if row.name == name
                        and self._organization(row) in (organization, "")), None)
        if row is None:
            raise not_found()
        return row

    def _organization(self, row: Row) -> str:
        organization = self.store.get("organizations", row.values.get("organization"))
        return organization.name if organization else ""

    # -- collections and objects

    def _collection(self, request: Request, resource: str) -> Answer:
        if resource not in RESOURCES and resource != ANY_TEMPLATE:
            raise not_found()
        if request.method == "GET":
            return self._page(matching(self.store, resource, request.query), request)
        if request.method != "POST" or resource == ANY_TEMPLATE or not RESOURCES[resource].creatable:
            raise Refused(405, {"detail": f'Method "{request.method}" not allowed.'})
        return Answer(201, self.shown(self._create(resource, request.body)))

    def _page(self, rows: list[Row], request: Request) -> Answer:
        query = dict(request.query)
        size, page = int(query.get("page_size", "25")), int(query.get("page", "1"))
        rest = "".join(f"&{key}={value}" for key, value in request.query if key != "page")
        more = len(rows) > size * page
        return Answer(200, {
            "count": len(rows), "next": f"{request.path}?page={page + 1}{rest}" if more else None, "previous": None,
            "results": [self.shown(row) for row in rows[size * (page - 1):size * page]],
        })

    def _object(self, request: Request, row: Row) -> Answer:
        if request.method == "GET":
            if row.resource == "project_updates":
                self._go_on(row)
            return Answer(200, self.shown(row))
        if request.method == "PATCH":
            self._update(row, request.body)
            return Answer(200, self.shown(row))
        if request.method == "DELETE":
            return self._delete(row)
        raise Refused(405, {"detail": f'Method "{request.method}" not allowed.'})

    def _create(self, resource: str, body: t.Any) -> Row:
        fields = RESOURCES[resource].fields
        given = self._checked(resource, body)
        missing = [name for name, field in fields.items() if field.required and name not in given]
        if missing:
            raise Refused(400, {name: ["This field is required."] for name in missing})
        row = Row(0, resource, {**{name: field.default for name, field in fields.items()}, **given})
        self._accept(None, row)
        kept = self.store.add(resource, **row.values)
        self._sync(kept, {})
        return kept

    def _update(self, row: Row, body: t.Any) -> None:
        before = dict(row.values)
        changed = dataclasses.replace(row, values={**row.values, **self._checked(row.resource, body)})
        self._accept(row, changed)
        row.values = changed.values
        self._sync(row, before)

    def _checked(self, resource: str, body: t.Any) -> Values:
        if not isinstance(body, dict):
            raise Refused(400, {"detail": "JSON parse error - not a JSON object"})
        fields = RESOURCES[resource].fields
        given = {name: value for name, value in body.items() if name not in _READ_ONLY}
        if resource == "workflow_approval_templates":
            given = {name: value for name, value in given.items() if name in fields}
        for name in given:
            if name not in fields:
                raise invalid(name, "There is no such field.")
        return {name: fields[name].checked(name, value) for name, value in given.items()}

    def _accept(self, old: Row | None, new: Row) -> None:
        self.store.check_links(new)
        rule = RULES.get(new.resource)
        if rule is not None:
            rule(self.store, old, new)
        self.store.check_unique(new)

    def _delete(self, row: Row) -> Answer:
        if row.resource == "credential_types":
            if row.values["managed"]:
                raise forbidden("Deletion not allowed for managed credential types")
            if users_of(self.store, row):
                raise forbidden("Credential types that are in use cannot be deleted")
        self.store.delete(row)
        return Answer(202 if row.resource == "inventories" else 204)

    # -- what lies below an object

    def _below(self, request: Request, row: Row, name: str) -> Answer:
        if name == "survey_spec" and row.resource in _SURVEYED:
            return self._survey(request, row)
        if name == "create_approval_template" and row.resource == "workflow_job_template_nodes":
            return self._approval(request, row)
        if row.resource not in RESOURCES or name not in row.spec.many:
            raise not_found()
        target = row.spec.many[name]
        if request.method == "GET":
            return self._page([other for other in self.store.all(target) if other.id in row.many.get(name, [])], request)
        return self._associate(request.body, row, name, target)

    def _associate(self, body: t.Any, row: Row, name: str, target: str) -> Answer:
        other = self.store.get(target, body.get("id"))
        if other is None:
            raise Refused(400, {"detail": f"{target} with id {body.get('id')} does not exist."})
        ids = row.many.setdefault(name, [])
        if body.get("disassociate"):
            ids[:] = [identity for identity in ids if identity != other.id]
        elif other.id not in ids:
            check_association(self.store, row, name, other)
            ids.append(other.id)
        return Answer(204)

    def _survey(self, request: Request, row: Row) -> Answer:
        if request.method == "POST":
            check_survey(request.body)
            row.survey = request.body
        elif request.method == "DELETE":
            row.survey = {}
        return Answer(200, row.survey if request.method == "GET" else None)

    def _approval(self, request: Request, row: Row) -> Answer:
        if row.values["unified_job_template"] is not None:
            raise Refused(400, {"error": "The node has a template already."})
        given = self._checked("workflow_approval_templates", request.body)
        template = self.store.add("workflow_approval_templates", **given)
        row.values["unified_job_template"] = template.id
        return Answer(201, self.shown(template))

    # -- projects

    def _sync(self, row: Row, before: Values) -> None:
        """Start a sync of a project whose source is new or another one."""
        if row.resource != "projects" or not row.values["scm_type"]:
            return
        if any(row.values[name] != before.get(name) for name in _SYNCED):
            update = self.store.add("project_updates", project=row.id)
            update.pending = 1
            row.update = update.id

    def _go_on(self, update: Row) -> None:
        """Let a sync go on by a step each time that it is looked at."""
        project = self.store.rows["projects"][update.values["project"]]
        if update.pending:
            update.pending -= 1
            return
        project.playbooks = tuple(self.repositories.get(project.values["scm_url"], ()))
        project.update = None

    def _status(self, update: Row) -> str:
        project = self.store.rows["projects"][update.values["project"]]
        if project.update == update.id:
            return "running"
        return "successful" if project.values["scm_url"] in self.repositories else "failed"

    # -- showing

    def shown(self, row: Row) -> Values:
        """Return an object as the API shows it."""
        url = f"/api/v2/{row.resource}/{row.id}/"
        if row.resource == "project_updates":
            status = self._status(row)
            return {"id": row.id, "type": "project_update", "url": url, "status": status, "failed": status == "failed",
                    "finished": None if status == "running" else "2026-01-01T00:00:00Z", "scm_revision": "0" * 40}
        values = dict(row.values)
        if row.resource == "credentials":
            values["inputs"] = shown_inputs(self.store, row)
        if row.resource == "notification_templates":
            values["notification_configuration"] = shown_configuration(row)
        if row.resource == "projects":
            values["scm_revision"] = "0" * 40 if row.playbooks else ""
        if row.resource == "workflow_job_template_nodes":
            values.update({name: row.many.get(name, []) for name in LINKS})
        return {"id": row.id, "type": row.spec.kind, "url": url, "related": self._related(row, url),
                "summary_fields": {"current_update": {"id": row.update}} if row.update else {}, **values}

    def _related(self, row: Row, url: str) -> dict[str, str]:
        related = {name: f"{url}{name}/" for name in row.spec.many}
        if row.resource in _SURVEYED:
            related["survey_spec"] = f"{url}survey_spec/"
        if row.resource == "projects":
            related["update"] = f"{url}update/"
        template = self.store.get(ANY_TEMPLATE, row.values.get("unified_job_template"))
        if template is not None:
            related["unified_job_template"] = f"/api/v2/{template.resource}/{template.id}/"
        return related
