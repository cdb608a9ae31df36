# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The modules of the API within the control node's own process, where their connection is local; as modules elsewhere.

A module in a process of its own costs half a second, and tells nothing before it ends. What is imported here is imported once,
before Ansible forks its workers.
"""

from __future__ import annotations

import contextlib
import os
import sys
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.waba.flows.plugins.module_utils._host_argspec import Spec
from ansible_collections.waba.flows.plugins.module_utils._module import attempt, private_keys, texts
from ansible_collections.waba.flows.plugins.module_utils._providers._registry import PROVIDERS

Result = dict[str, t.Any]


class InProcess(ActionBase):  # type: ignore[misc]
    """An action plugin that does what the module of its name does. Subclasses give its spec and its work."""

    _supports_check_mode = True
    _supports_async = True  # as a module

    spec: t.ClassVar[Spec]

    def work(self, params: Result, tell: t.Callable[[str], None]) -> Result:
        """Return the module's result for checked options. C(tell) shows a line of progress. Raises WabaError."""
        raise NotImplementedError

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        environment: dict[str, str] = {}
        self._compute_environment_string(environment)
        if self._is_local():
            with _surroundings(self._loader.get_basedir(), environment):
                return {**result, **self._run_here()}
        handed_on = {} if self._connection.transport == "local" else self._credentials(environment)
        arguments = {**self._task.args, **handed_on}
        module_result = self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val)
        return {**result, **module_result}

    def _is_local(self) -> bool:
        """Tell whether the module would run on this machine as this user, while the task waits for it."""
        if sys.platform == "darwin":  # requests asks its system for proxies, which ends a forked process
            return False
        return self._connection.transport == "local" and not self._connection.become and not self._task.async_val

    def _credentials(self, environment: t.Mapping[str, str]) -> Result:
        """Return the options that the control node's environment has for a module that runs elsewhere.

        Those of the providers in use only. What C(environment:) sets is there already.
        """
        found: Result = {}
        rows = [self._task.args, *(row for row in self._task.args.get("phone_numbers") or [] if isinstance(row, dict))]
        used = [PROVIDERS[str(row.get("provider") or "cloud_api")] for row in rows if row.get("provider") in (None, *PROVIDERS)]
        wanted = {option.name for provider in used for option in provider.options}
        for name, option in self.spec.items():
            if name not in wanted:
                continue
            for variable in option.get("fallback", (None, ()))[1]:
                if self._task.args.get(name) is None and variable not in environment and os.environ.get(variable):
                    found[name] = os.environ[variable]
        return found

    def _run_here(self) -> Result:
        arguments: Result = _plain(self._task.args)
        checked = ArgumentSpecValidator(self.spec).validate(arguments)
        params: Result = checked.validated_parameters
        secrets = [*self._secrets(params), *private_keys(arguments)]
        errors = checked.errors.errors
        if errors:
            unsupported = f"Unsupported parameters for ({self._task.action}) module: "
            texts = [f"{unsupported}{error.msg}" if isinstance(error, UnsupportedError) else error.msg for error in errors]
            return {"failed": True, "msg": _without(", ".join(texts), secrets)}
        result = attempt(lambda: self.work(params, self._tell))
        for name in ("diff", "warnings"):
            if not result.get(name) or (name == "diff" and not self._task.diff):
                result.pop(name, None)
        return t.cast(Result, _without(result, secrets))

    def _secrets(self, params: Result) -> set[str]:
        """Return the values of all options that are under no_log."""
        names = [name for name, option in self.spec.items() if option.get("no_log")]
        rows = [params, *(params.get("phone_numbers") or [])]
        return {str(row[name]) for row in rows if isinstance(row, dict) for name in names if row.get(name)}

    def _tell(self, line: str) -> None:
        """Show a line on the screen and in the log file; AWX shows it while the task runs."""
        Display().display(f"{self._task.action.split('.')[-1]}: {line}")


@contextlib.contextmanager
def _surroundings(folder: str, variables: t.Mapping[str, str]) -> t.Iterator[None]:
    """Be in the playbook's folder with environment variables set, as a module is; this process does nothing else meanwhile."""
    before, start = {name: os.environ.get(name) for name in variables}, os.getcwd()
    os.environ.update({name: str(value) for name, value in variables.items()})
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(start)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _plain(value: t.Any) -> t.Any:
    """Return arguments as a module gets them: of plain types only, vaulted text decrypted."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # Ansible has kinds of text of its own
    if isinstance(value, t.Mapping):
        return {_plain(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    return str(value)


def _without(value: t.Any, secrets: t.Iterable[str]) -> t.Any:
    """Return a result with every secret blotted out, as modules do it. It costs little for those that are not in it."""
    wanted = set(secrets)
    length = min(map(len, wanted), default=0)
    text = "\n".join(set(texts(value)))
    beginnings = {secret[:length] for secret in wanted}
    seen = {piece for start in range(len(text) - length + 1) if (piece := text[start:start + length]) in beginnings}
    found = [secret for secret in wanted if secret[:length] in seen and secret in text]
    return remove_values(value, found) if found else value
