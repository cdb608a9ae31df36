# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The task files of a role, interpreted step by step within this process.

It knows what the role encryption_keys uses of Ansible's language and refuses anything else, so that it cannot pass over what it
does not understand. Variables are templated when they are used, as Ansible does. Jinja, Ansible's own filters and tests, and the
YAML are the real ones; test_model_agrees.py compares whole runs with those of ansible-playbook.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import typing as t
import warnings
from pathlib import Path

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.filter import core as core_filters
from ansible.plugins.filter import mathstuff as math_filters
from ansible.plugins.test import core as core_tests
from ansible.plugins.test import mathstuff as math_tests
from jinja2 import StrictUndefined, UndefinedError
from jinja2.filters import FILTERS
from jinja2.nativetypes import NativeEnvironment
from jinja2.runtime import Context, missing  # type: ignore[attr-defined]
from jinja2.tests import TESTS

from ansible_collections.waba.flows.plugins.filter import encryption_keys

Values = dict[str, t.Any]
Result = dict[str, t.Any]
# What a module does: its options, the host that it runs on, and whether it is check mode.
Module = t.Callable[[Values, str, bool], Result]

_OMIT = "__omitted__"
_INCLUDES = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
_KEYWORDS = frozenset((
    "name", "vars", "when", "loop", "loop_control", "register", "delegate_to", "failed_when", "changed_when", "ignore_errors",
    "ignore_unreachable", "until", "retries", "delay", "no_log", "become", "run_once", "diff", "block", "rescue",
))


class TaskFailed(Exception):
    """A task failed, and nothing rescued it."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A call of a module that is about to be made."""

    task: str
    module: str
    host: str
    options: Values = dataclasses.field(repr=False)


Steps = t.Generator[Step, None, None]


# -- Jinja


class _Context(Context):
    """Names are looked up in a scope of this module."""

    def resolve_or_missing(self, key: str) -> t.Any:
        if key in self.vars:
            return self.vars[key]
        scope = t.cast(Scope, self.parent["scope"])
        return scope.look_up(key, self.environment.globals.get(key, missing))


def _concat(values: t.Iterable[t.Any]) -> t.Any:
    """Return what a template yields: its one value as it is, or text."""
    found = list(values)
    return found[0] if len(found) == 1 else "".join(map(str, found))


class _Environment(NativeEnvironment):
    context_class = _Context
    concat = staticmethod(_concat)


@functools.cache
def _environment() -> _Environment:
    made = _Environment(undefined=StrictUndefined, trim_blocks=True)
    for module in (core_filters, math_filters, encryption_keys):
        made.filters.update(module.FilterModule().filters())
    made.filters["waba.flows.encryption_keys"] = made.filters["encryption_keys"]
    for tests in (core_tests, math_tests):
        made.tests.update(tests.TestModule().tests())
    # Jinja's own: those of ansible-core 2.19 know its own kind of undefined values only.
    made.filters["default"] = FILTERS["default"]
    made.tests.update({name: TESTS[name] for name in ("defined", "undefined")})
    made.filters.update({name: _unrolled(function) for name, function in made.filters.items()})
    made.globals.clear()
    return made


def _unrolled(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """Return a filter that returns a list where it would return a generator, as Ansible has them."""
    @functools.wraps(function)
    def unrolled(*arguments: t.Any, **options: t.Any) -> t.Any:
        value = function(*arguments, **options)
        return list(value) if isinstance(value, t.Iterator) else value
    return unrolled


@functools.cache
def _compiled(text: str) -> t.Any:
    with warnings.catch_warnings():  # of regular expressions in templates, which Ansible takes as they are
        warnings.simplefilter("ignore")
        return _environment().from_string(text)


class Scope:
    """The variables that a task sees: layers, the first of which goes before the others. Facts are not templated again."""

    def __init__(self, facts: Values, *lazy: Values) -> None:
        self.facts = facts
        self.lazy = lazy

    def inner(self, more: Values | None) -> Scope:
        """Return the scope of what is within a task: the variables that it sets go before those around it."""
        return Scope(self.facts, self.lazy[0], more, *self.lazy[1:]) if more else self

    def look_up(self, name: str, otherwise: t.Any) -> t.Any:
        if name in self.lazy[0]:  # extra variables
            return self.template(self.lazy[0][name])
        if name in self.facts:
            return self.facts[name]
        for layer in self.lazy[1:]:
            if name in layer:
                return self._lazily(layer[name])
        return otherwise

    def _lazily(self, value: t.Any) -> t.Any:
        """Template a variable; one that cannot be yet is an error only where it is used."""
        try:
            return self.template(value)
        except UndefinedError as error:
            return StrictUndefined(hint=str(error))

    def template(self, value: t.Any) -> t.Any:
        """Return a value with all templates in it filled in."""
        if isinstance(value, Plain):
            return value.value
        if isinstance(value, str):
            return self._render(value) if "{{" in value or "{%" in value else value
        if isinstance(value, dict):
            return {self.template(name): self.template(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.template(item) for item in value]
        return value

    def is_true(self, condition: t.Any) -> bool:
        """Tell whether a condition holds; several have to hold all."""
        if isinstance(condition, list):
            return all(self.is_true(one) for one in condition)
        return bool(self._render("{{ (" + condition + ") }}") if isinstance(condition, str) else condition)

    def _render(self, text: str) -> t.Any:
        template = _compiled(text)
        context = _Context(_environment(), {"scope": self}, template.name, template.blocks)
        value = _concat(template.root_render_func(context))
        if isinstance(value, StrictUndefined):
            str(value)  # raises
        return list(value) if isinstance(value, t.Iterator) or type(value).__name__ in ("dict_keys", "dict_values") else value


@dataclasses.dataclass(frozen=True)
class Plain:
    """A value that is not templated: the item of a loop."""

    value: t.Any


# -- the tasks


@functools.cache
def _tasks_of(path: Path) -> list[Values]:
    return t.cast("list[Values]", yaml.safe_load(path.read_text(encoding="utf-8")))


@dataclasses.dataclass
class Play:
    """A role on its one host. C(modules) are what its tasks may call, C(host) the host that they are delegated from."""

    folder: Path
    host: str
    modules: t.Mapping[str, Module]
    check_mode: bool
    sleep: t.Callable[[float], None] = lambda seconds: None
    done: list[str] = dataclasses.field(default_factory=list)  # the names of all tasks, those that were left out as well

    def run(self, entry: str, scope: Scope) -> Steps:
        """Yield each call of a module before it is made. Raises TaskFailed."""
        yield from self._file(self.folder / "tasks" / f"{entry}.yml", scope, [], {})

    def _file(self, path: Path, scope: Scope, conditions: list[t.Any], apply: Values) -> Steps:
        for task in _tasks_of(path):
            yield from self._task({**apply, **task}, scope, conditions)

    def _task(self, task: Values, scope: Scope, conditions: list[t.Any]) -> Steps:
        names = [name for name in task if name not in _KEYWORDS]
        conditions = [*conditions, *([task["when"]] if "when" in task else [])]
        if "block" in task:
            assert not names, names
            yield from self._block(task, scope.inner(task.get("vars")), conditions)
            return
        assert len(names) == 1, names
        if names[0] in _INCLUDES:
            yield from self._include(names[0], task, scope.inner(task.get("vars")), conditions)
            return
        scope = scope.inner(task.get("vars"))
        try:
            self.done.append(scope.template(task["name"]))
            yield from self._module(names[0], task, scope, conditions)
        except (AnsibleError, UndefinedError) as error:
            raise TaskFailed(task["name"], str(error)) from None

    def _block(self, task: Values, scope: Scope, conditions: list[t.Any]) -> Steps:
        try:
            for one in task["block"]:
                yield from self._task(one, scope, conditions)
        except TaskFailed as error:
            if "rescue" not in task:
                raise
            scope.facts["ansible_failed_task"] = {"name": str(error.args[0])}
            for one in task["rescue"]:
                yield from self._task(one, scope, conditions)

    def _include(self, module: str, task: Values, scope: Scope, conditions: list[t.Any]) -> Steps:
        options = task[module] if isinstance(task[module], dict) else {"file": task[module]}
        static = module.endswith("import_tasks")
        if not static:
            self.done.append(scope.template(task["name"]))
        for own in [scope] if "loop" not in task else self._items(task, scope):
            if static or own.is_true(conditions):
                path = self.folder / "tasks" / own.template(options["file"])
                yield from self._file(path, own, conditions if static else [], options.get("apply", {}))

    def _items(self, task: Values, scope: Scope) -> t.Iterator[Scope]:
        """Yield the scope of each turn of a task's loop."""
        control = task.get("loop_control", {})
        for index, item in enumerate(scope.template(task["loop"])):
            own = {control.get("loop_var", "item"): Plain(item)}
            yield scope.inner({**own, **({control["index_var"]: index} if "index_var" in control else {})})

    def _module(self, module: str, task: Values, scope: Scope, conditions: list[t.Any]) -> Steps:
        if "loop" not in task:
            result = yield from self._call(module, task, scope, conditions)
        else:
            results = []
            for own in self._items(task, scope):
                one = yield from self._call(module, task, own, conditions)
                results.append({**one, "item": own.look_up(task.get("loop_control", {}).get("loop_var", "item"), None)})
            result = {"results": results, "changed": any(one.get("changed") for one in results), "msg": "All items completed"}
            result["failed"] = any(one.get("failed") for one in results)
            if all(one.get("skipped") for one in results):
                result["skipped"] = True
        if "register" in task:
            scope.facts[task["register"]] = result
        lost = [one for one in result.get("results", [result]) if one.get("unreachable")]
        if (result.get("failed") and not task.get("ignore_errors")) or (lost and not task.get("ignore_unreachable")):
            raise TaskFailed(task["name"], result.get("msg"), result)

    def _call(self, module: str, task: Values, scope: Scope, conditions: list[t.Any]) -> t.Generator[Step, None, Result]:
        if not scope.is_true(conditions):
            return {"skipped": True, "changed": False}
        host = str(scope.template(task.get("delegate_to", self.host)))
        options = {} if module == "ansible.builtin.assert" else _without_omitted(scope.template(task[module] or {}), scope)
        for attempt in itertools.count(1):
            yield Step(task["name"], module, host, options)
            result = self._result(module, task, scope, host, options)
            if "until" not in task or attempt > int(scope.template(task["retries"])):
                return result
            scope.facts[task["register"]] = result
            if scope.is_true(task["until"]):
                return result
            self.sleep(float(task["delay"]))
        raise AssertionError

    def _result(self, module: str, task: Values, scope: Scope, host: str, options: Values) -> Result:
        if module == "ansible.builtin.set_fact":
            scope.facts.update(options)
            return {"changed": False}
        if module == "ansible.builtin.assert":
            failed = not scope.is_true(task[module]["that"])
            message = scope.template(task[module].get("fail_msg", "Assertion failed")) if failed else ""
            return {"changed": False, "failed": failed, "msg": message}
        result = self.modules[module](options, host, self.check_mode)
        if "failed_when" in task:
            result["failed"] = scope.is_true(task["failed_when"])
        return result


def _without_omitted(options: t.Any, scope: Scope) -> Values:
    omitted = scope.look_up("omit", None)
    return {name: value for name, value in options.items() if value is not omitted}


def hosts_of(pattern: str, groups: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """Return the hosts of a pattern of names and groups, as C(inventory_hostnames) does."""
    found = (groups.get(part, [part] if part in groups["all"] else []) for part in pattern.replace(",", ":").split(":"))
    return list(collections.OrderedDict.fromkeys(itertools.chain.from_iterable(found)))
