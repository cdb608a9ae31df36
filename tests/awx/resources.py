# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources of AWX 24.6.1 that the role uses, as data: their fields, what names them, and what they are associated with."""

from __future__ import annotations

import dataclasses
import typing as t

from .fields import Field, choice, flag, link, mapping, number, text

Fields = t.Mapping[str, Field]

ANY_TEMPLATE = "unified_job_templates"
# What a name of a unified job template can mean.
TEMPLATES = ("job_templates", "workflow_job_templates", "projects", "inventory_sources", "workflow_approval_templates")
LINKS = ("success_nodes", "failure_nodes", "always_nodes")
_EVENTS = ("started", "success", "error")
_NOTIFICATIONS = {f"notification_templates_{event}": "notification_templates" for event in _EVENTS}
_VERBOSITY = (0, 1, 2, 3, 4, 5)


@dataclasses.dataclass(frozen=True)
class Resource:
    """A resource: C(kind) is its C(type), C(unique) the fields that no two have alike, C(many) its associations."""

    kind: str
    fields: Fields
    unique: tuple[str, ...] = ("name",)
    many: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    creatable: bool = True


def _named(**fields: Field) -> dict[str, Field]:
    return {"name": text(required=True), "description": text(), **fields}


def _ask(*names: str) -> dict[str, Field]:
    return {f"ask_{name}_on_launch": flag() for name in names}


_PROMPTS: Fields = {
    "inventory": link("inventories"), "scm_branch": text(), "job_type": choice("", "run", "check"), "job_tags": text(),
    "skip_tags": text(), "limit": text(), "diff_mode": Field("bool", None), "verbosity": Field("int", None, choices=_VERBOSITY),
    "execution_environment": link("execution_environments"), "forks": number(None), "job_slice_count": number(None),
    "timeout": number(None), "extra_data": mapping(),
}
# What a job template is asked at launch for each of them.
PROMPTED = {
    "inventory": "inventory", "scm_branch": "scm_branch", "job_type": "job_type", "job_tags": "tags", "skip_tags": "skip_tags",
    "limit": "limit", "diff_mode": "diff_mode", "verbosity": "verbosity", "execution_environment": "execution_environment",
    "forks": "forks", "job_slice_count": "job_slice_count", "timeout": "timeout",
}

RESOURCES: dict[str, Resource] = {
    "organizations": Resource("organization", _named(
        max_hosts=number(), custom_virtualenv=text(), default_environment=link("execution_environments"),
    ), creatable=False),
    "users": Resource("user", {"username": text(required=True)}, unique=("username",), creatable=False),
    "instance_groups": Resource("instance_group", {"name": text(required=True)}, creatable=False),
    "labels": Resource("label", {"name": text(required=True), "organization": link("organizations")}, creatable=False),
    "execution_environments": Resource("execution_environment", _named(
        image=text(), pull=choice("", "always", "missing", "never"), organization=link("organizations"),
        credential=link("credentials"),
    ), creatable=False),
    "credential_types": Resource("credential_type", _named(
        kind=choice("cloud", "net", "ssh", "scm", "vault", "insights", "registry", "token", "external", "kubernetes", "galaxy",
                    "cryptography"),
        inputs=mapping(), injectors=mapping(), managed=flag(),
    )),
    "credentials": Resource("credential", _named(
        organization=link("organizations"), credential_type=link("credential_types", required=True), inputs=mapping(),
    ), unique=("organization", "name", "credential_type")),
    "notification_templates": Resource("notification_template", _named(
        organization=link("organizations", required=True), notification_configuration=mapping(required=True),
        notification_type=choice("email", "awssns", "grafana", "irc", "mattermost", "pagerduty", "rocketchat", "slack", "twilio",
                                 "webhook"),
        messages=Field("json", None),
    ), unique=("organization", "name")),
    "projects": Resource("project", _named(
        local_path=text(), scm_type=choice("", "git", "svn", "insights", "archive"), scm_url=text(), scm_branch=text(),
        scm_refspec=text(), scm_clean=flag(), scm_track_submodules=flag(), scm_delete_on_update=flag(),
        credential=link("credentials"), timeout=number(), organization=link("organizations"), scm_update_on_launch=flag(),
        scm_update_cache_timeout=number(), allow_override=flag(), custom_virtualenv=text(),
        default_environment=link("execution_environments"), signature_validation_credential=link("credentials"),
    ), unique=("organization", "name"), many=_NOTIFICATIONS),
    "inventories": Resource("inventory", _named(
        organization=link("organizations", required=True), kind=choice("", "smart", "constructed"),
        host_filter=Field("text", None), variables=Field("variables", ""), prevent_instance_group_fallback=flag(),
    ), unique=("organization", "name"), many={"instance_groups": "instance_groups", "input_inventories": "inventories"}),
    "inventory_sources": Resource("inventory_source", _named(
        # AWX makes the source of a constructed inventory itself and refuses one from elsewhere.
        source=choice("scm", "file", "ec2", "gce", "azure_rm", "vmware", "satellite6", "openstack", "rhv", "controller",
                      "insights", "terraform", "openshift_virtualization"),
        source_path=text(), source_vars=Field("variables", ""), scm_branch=text(), credential=link("credentials"),
        enabled_var=text(), enabled_value=text(), host_filter=text(), overwrite=flag(), overwrite_vars=flag(),
        custom_virtualenv=text(), timeout=number(), verbosity=number(1, (0, 1, 2)), limit=text(),
        execution_environment=link("execution_environments"), inventory=link("inventories", required=True),
        update_on_launch=flag(), update_cache_timeout=number(), source_project=link("projects"),
    ), unique=("inventory", "name"), many=_NOTIFICATIONS),
    "job_templates": Resource("job_template", _named(
        job_type=choice("run", "check"), inventory=link("inventories"), project=link("projects"), playbook=text(),
        scm_branch=text(), forks=number(), limit=text(), verbosity=number(0, _VERBOSITY), extra_vars=Field("variables", ""),
        job_tags=text(), force_handlers=flag(), skip_tags=text(), start_at_task=text(), timeout=number(), use_fact_cache=flag(),
        organization=link("organizations"), execution_environment=link("execution_environments"), host_config_key=text(),
        survey_enabled=flag(), become_enabled=flag(), diff_mode=flag(), allow_simultaneous=flag(), custom_virtualenv=text(),
        job_slice_count=number(1), webhook_service=choice("", "github", "gitlab"), webhook_credential=link("credentials"),
        prevent_instance_group_fallback=flag(),
        **_ask("scm_branch", "diff_mode", "variables", "limit", "tags", "skip_tags", "job_type", "verbosity", "inventory",
               "credential", "execution_environment", "labels", "forks", "job_slice_count", "timeout", "instance_groups"),
    ), unique=("organization", "name"),
        many={**_NOTIFICATIONS, "credentials": "credentials", "labels": "labels", "instance_groups": "instance_groups"}),
    "workflow_job_templates": Resource("workflow_job_template", _named(
        extra_vars=Field("variables", ""), organization=link("organizations"), survey_enabled=flag(), allow_simultaneous=flag(),
        inventory=link("inventories"), limit=text(), scm_branch=text(), webhook_service=choice("", "github", "gitlab"),
        webhook_credential=link("credentials"), skip_tags=text(), job_tags=text(),
        **_ask("variables", "inventory", "scm_branch", "limit", "labels", "skip_tags", "tags"),
    ), unique=("organization", "name"),
        many={**_NOTIFICATIONS, "notification_templates_approvals": "notification_templates", "labels": "labels"}),
    "workflow_approval_templates": Resource("workflow_approval_template", _named(timeout=number()), unique=(), creatable=False),
    "workflow_job_template_nodes": Resource("workflow_job_template_node", {
        "identifier": text(), "workflow_job_template": link("workflow_job_templates", required=True),
        "unified_job_template": link(ANY_TEMPLATE), "all_parents_must_converge": flag(), **_PROMPTS,
    }, unique=("workflow_job_template", "identifier"),
        many={**dict.fromkeys(LINKS, "workflow_job_template_nodes"), "credentials": "credentials", "labels": "labels",
              "instance_groups": "instance_groups"}),
    "schedules": Resource("schedule", _named(
        rrule=text(required=True), unified_job_template=link(ANY_TEMPLATE, required=True), enabled=flag(True), **_PROMPTS,
    ), unique=("unified_job_template", "name"),
        many={"credentials": "credentials", "labels": "labels", "instance_groups": "instance_groups"}),
}
