# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server itself: it refuses what was seen to be refused by a real AWX, finds names as that does, and shows no secret."""

from __future__ import annotations

import copy
import json
import typing as t
import urllib.error
import urllib.request

import pytest

from tests.awx import AwxServer
from tests.awx.api import Api, Request
from tests.awx.store import ENCRYPTED, Row, Values

from .conftest import LOGIN, PASSWORD, PLAYBOOKS, REPOSITORY

RULE = "DTSTART;TZID=UTC:20260101T033000 RRULE:FREQ=DAILY;INTERVAL=1"
SURVEY = {"name": "", "description": "", "spec": [
    {"question_name": "Age", "variable": "age", "type": "text", "required": True, "default": "90d"},
    {"question_name": "Workers", "variable": "workers", "type": "integer", "required": False, "default": 8},
]}


class Client:
    """The API, called without HTTP."""

    def __init__(self) -> None:
        self.api = Api(LOGIN, PASSWORD, {REPOSITORY: PLAYBOOKS})

    def call(self, method: str, path: str, body: t.Any = None, query: str = "") -> tuple[int, t.Any]:
        pairs = [tuple(pair.partition("=")[::2]) for pair in query.split("&") if pair]
        request = Request(method, f"/api/v2/{path}/", t.cast("t.Any", pairs), copy.deepcopy(body), f"Bearer {LOGIN}")
        answer = self.api.answer(request)
        return answer.status, answer.body

    def make(self, resource: str, **values: t.Any) -> Row:
        status, body = self.call("POST", resource, values)
        assert status == 201, body
        return self.api.store.rows[resource][body["id"]]

    def names(self, resource: str, query: str) -> list[str]:
        status, body = self.call("GET", resource, query=query)
        assert status == 200, body
        return [row["name"] for row in body["results"]]

    @property
    def organization(self) -> int:
        return self.api.store.named("organizations", "Default").id


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def template(client: Client) -> Row:
    """A job template with a survey, in a project that was fetched."""
    project = client.make("projects", name="p", organization=client.organization, scm_type="git", scm_url=REPOSITORY)
    for dummy in range(2):
        client.call("GET", f"project_updates/{project.update}")
    inventory = client.make("inventories", name="i", organization=client.organization)
    row = client.make("job_templates", name="j", project=project.id, inventory=inventory.id, playbook="rotate.yml",
                      survey_enabled=True)
    assert client.call("POST", f"job_templates/{row.id}/survey_spec", SURVEY)[0] == 200
    return row


def kind(**members: t.Any) -> Values:
    fields = [{"id": "token", "label": "Token", "type": "string", "secret": True}]
    return {"name": "T", "kind": "cloud", "inputs": {"fields": fields}, "injectors": {"env": {"TOKEN": "{{ token }}"}}, **members}


@pytest.mark.parametrize(("members", "field"), [
    ({"injectors": {"env": {"ANSIBLE_TOKEN": "{{ token }}"}}}, "injectors"),
    ({"injectors": {"env": {"TOKEN": "{{ other }}"}}}, "injectors"),
    ({"injectors": {"env": {"PATH": "{{ token }}"}}}, "injectors"),
    ({"inputs": {"fields": [{"id": "port", "label": "Port", "type": "number"}]}, "injectors": {}}, "inputs"),
    ({"kind": "ssh"}, "kind"), ({"kind": "nothing"}, "kind"), ({"name": None}, "name"), ({"colour": "red"}, "colour"),
])
def test_credential_types_that_are_refused(client: Client, members: Values, field: str) -> None:
    status, body = client.call("POST", "credential_types", kind(**members))
    assert status == 400
    assert set(body) == {field}
    assert client.call("POST", "credential_types", kind())[0] == 201


def test_a_type_in_use_keeps_its_fields_and_stays(client: Client) -> None:
    row = client.make("credential_types", **kind())
    credential = client.make("credentials", name="c", credential_type=row.id, inputs={"token": "canary"})
    assert client.call("PATCH", f"credential_types/{row.id}", {"inputs": {"fields": []}, "injectors": {}})[0] == 403
    assert client.call("PATCH", f"credential_types/{row.id}", {"description": "d"})[0] == 200
    assert client.call("DELETE", f"credential_types/{row.id}")[0] == 403
    assert client.call("DELETE", f"credentials/{credential.id}")[0] == 204
    assert client.call("DELETE", f"credential_types/{row.id}")[0] == 204


def test_secrets_are_never_told_and_kept_when_they_come_back(client: Client) -> None:
    row = client.make("credential_types", **kind())
    credential = client.make("credentials", name="c", credential_type=row.id, inputs={"token": "canary-secret"})
    path = f"credentials/{credential.id}"
    dummy, body = client.call("GET", path)
    assert body["inputs"] == {"token": ENCRYPTED}
    client.call("PATCH", path, {"inputs": {"token": ENCRYPTED}, "description": "d"})
    assert credential.values["inputs"] == {"token": "canary-secret"}
    status, body = client.call("PATCH", path, {"inputs": {"token": {"a": "canary-other"}}})
    assert (status, "canary" in str(body)) == (400, False)
    assert client.call("PATCH", path, {"inputs": {"password": "x"}})[0] == 400


def test_a_job_template_takes_one_credential_of_a_type(client: Client, template: Row) -> None:
    row = client.make("credential_types", **kind())
    first, second = (client.make("credentials", name=name, credential_type=row.id, inputs={"token": "t"}) for name in "ab")
    path = f"job_templates/{template.id}/credentials"
    assert client.call("POST", path, {"id": first.id}) == (204, None)
    status, body = client.call("POST", path, {"id": second.id})
    assert (status, body) == (400, {"error": "Cannot assign multiple T credentials."})
    assert client.call("POST", path, {"id": first.id, "disassociate": True})[0] == 204
    assert client.call("POST", path, {"id": second.id})[0] == 204


def test_a_playbook_has_to_be_fetched_unless_the_project_allows_another_branch(client: Client) -> None:
    project = client.make("projects", name="p", organization=client.organization, scm_type="git", scm_url=REPOSITORY)
    inventory = client.make("inventories", name="i", organization=client.organization)
    given = {"name": "j", "project": project.id, "inventory": inventory.id, "playbook": "rotate.yml"}
    assert client.call("POST", "job_templates", given) == (400, {"playbook": ["Playbook not found for project."]})
    client.call("PATCH", f"projects/{project.id}", {"allow_override": True})
    assert client.call("POST", "job_templates", given)[0] == 201


@pytest.mark.parametrize(("members", "answer"), [
    ({"extra_data": {"age": "60d"}}, 201), ({"extra_data": {"age": "60d", "workers": 4}}, 201),
    ({"extra_data": {}}, "variables_needed_to_start"), ({"extra_data": {"age": 60}}, "variables_needed_to_start"),
    ({"extra_data": {"age": "60d", "other": "x"}}, "extra_data"),
    ({"rrule": "RRULE:FREQ=DAILY;INTERVAL=1"}, "rrule"), ({"rrule": RULE.replace(";TZID=UTC", "")}, "rrule"),
    ({"rrule": RULE.replace(";INTERVAL=1", "")}, "rrule"), ({"rrule": RULE.replace("DAILY", "SECONDLY")}, "rrule"),
    ({"rrule": RULE.replace("DAILY", "MONTHLY;BYDAY=20MO")}, "rrule"),
    ({"rrule": RULE.replace("DAILY", "WEEKLY;BYDAY=MO,WE")}, 201),
    ({"job_type": "check"}, "job_type"), ({"unified_job_template": 9999}, "unified_job_template"),
])
def test_schedules(client: Client, template: Row, members: Values, answer: int | str) -> None:
    given = {"name": "s", "unified_job_template": template.id, "rrule": RULE, "extra_data": {"age": "90d"}, **members}
    status, body = client.call("POST", "schedules", given)
    assert status == (answer if isinstance(answer, int) else 400)
    if isinstance(answer, str):
        assert set(body) == {answer}


@pytest.mark.parametrize("question", [
    {"type": "integer", "default": "many"}, {"type": "text", "default": 7}, {"type": "multiplechoice", "default": "a"},
    {"type": "multiplechoice", "choices": ["a", "b"], "default": "c"}, {"type": "number"}, {"type": "text", "colour": "red"},
])
def test_surveys_that_are_refused(client: Client, template: Row, question: Values) -> None:
    spec = [{"question_name": "q", "variable": "q", "required": False, **question}]
    status, body = client.call("POST", f"job_templates/{template.id}/survey_spec", {**SURVEY, "spec": spec})
    assert (status, set(body)) == (400, {"error"})
    assert client.call("GET", f"job_templates/{template.id}/survey_spec") == (200, SURVEY)


@pytest.mark.parametrize(("members", "field"), [
    ({"source": "constructed"}, "source"), ({"source": "scm"}, "source_project"),
    ({"source": "ec2", "source_path": "x"}, "detail"),
])
def test_sources_that_are_refused(client: Client, members: Values, field: str) -> None:
    inventory = client.make("inventories", name="i", organization=client.organization)
    status, body = client.call("POST", "inventory_sources", {"name": "s", "inventory": inventory.id, **members})
    assert (status, set(body)) == (400, {field})


def test_an_approval_has_no_links_of_its_own(client: Client) -> None:
    """So that awx.awx fails where it is told to make and to link one in the same task."""
    workflow = client.make("workflow_job_templates", name="w", organization=client.organization)
    nodes = "workflow_job_template_nodes"
    first, second = (client.make(nodes, workflow_job_template=workflow.id, identifier=name) for name in "ab")
    status, body = client.call("POST", f"workflow_job_template_nodes/{first.id}/create_approval_template", {"name": "ok?"})
    assert status == 201
    assert client.call("GET", f"workflow_approval_templates/{body['id']}/success_nodes")[0] == 404
    link = f"workflow_job_template_nodes/{first.id}"
    assert client.call("POST", f"{link}/success_nodes", {"id": second.id})[0] == 204
    assert client.call("POST", f"{link}/always_nodes", {"id": second.id}) == (400, {"Error": "Relationship not allowed."})
    back = f"workflow_job_template_nodes/{second.id}/success_nodes"
    assert client.call("POST", back, {"id": first.id}) == (400, {"Error": "Cycle detected."})


def test_filters(client: Client, template: Row) -> None:
    client.make("schedules", name="s", unified_job_template=template.id, rrule=RULE, extra_data={"age": "1d"})
    assert client.names("schedules", "name=s&unified_job_template__name=j") == ["s"]
    assert client.names("schedules", "name=s&unified_job_template__name=other") == []
    assert client.names("job_templates", "organization__name=Default&name__iexact=J") == ["j"]
    assert client.names("job_templates", f"or__id={template.id}&or__name=x") == ["j"]
    assert client.names("unified_job_templates", f"name=j&organization={client.organization}") == ["j"]
    assert client.names("credential_types", "name__in=Machine,Source Control") == ["Machine", "Source Control"]
    unknown = client.call("GET", "job_templates", query="colour=red")
    assert unknown == (400, {"detail": "job_templates has no field named 'colour'"})
    status, body = client.call("GET", "projects/p++Default")
    assert (status, body["name"]) == (200, "p")


def test_pages(client: Client) -> None:
    for index in range(30):
        client.make("inventories", name=f"i{index:02d}", organization=client.organization)
    dummy, first = client.call("GET", "inventories")
    assert (first["count"], len(first["results"]), first["next"]) == (30, 25, "/api/v2/inventories/?page=2")
    dummy, last = client.call("GET", "inventories", query="page=2")
    assert (len(last["results"]), last["next"]) == (5, None)


def test_what_belongs_to_a_thing_goes_with_it(client: Client, template: Row) -> None:
    client.make("schedules", name="s", unified_job_template=template.id, rrule=RULE, extra_data={"age": "1d"})
    assert client.call("DELETE", f"job_templates/{template.id}")[0] == 204
    assert client.api.store.all("schedules") == []
    inventory = client.api.store.named("inventories", "i")
    project = client.api.store.named("projects", "p")
    client.make("inventory_sources", name="s", inventory=inventory.id, source="scm", source_project=project.id)
    assert client.call("DELETE", f"inventories/{inventory.id}")[0] == 202
    assert client.api.store.all("inventory_sources") == []


@pytest.mark.parametrize(("values", "field"), [
    ({}, "organization"), ({"organization": 9999}, "organization"), ({"kind": "other"}, "kind"),
    ({"variables": "a: [b"}, "variables"),
])
def test_inventories_that_are_refused(client: Client, values: Values, field: str) -> None:
    given = {"name": "i", **({"organization": client.organization} if values else {}), **values}
    status, body = client.call("POST", "inventories", given)
    assert (status, set(body)) == (400, {field})


def test_the_same_name_twice(client: Client) -> None:
    client.make("inventories", name="i", organization=client.organization)
    status, body = client.call("POST", "inventories", {"name": "i", "organization": client.organization})
    assert (status, set(body)) == (400, {"__all__"})


def test_over_http_with_and_without_a_token() -> None:
    with AwxServer(LOGIN, PASSWORD, {}) as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        request = urllib.request.Request(f"{server.base_url}/api/v2/me/", headers={"Authorization": f"Bearer {LOGIN}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.headers["X-API-Product-Version"] == "24.6.1"
            assert json.load(answer)["results"][0]["username"] == "admin"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{server.base_url}/api/v2/me/", timeout=5)
        assert refused.value.code == 401
