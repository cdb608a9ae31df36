# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection: it may change at any time. Do not use it from elsewhere.

"""The one place where typed results and errors become exit_json and fail_json."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ._errors import MissingLibrary, WabaError, defect_of
from ._host_argspec import Spec

Result = dict[str, t.Any]


class Module(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule that hides private keys, also one that was given where a public one belongs.

    AnsibleModule writes its options to syslog, and into what it returns, before anybody has looked at them. Lists and mappings
    are written as Python shows them, with quotes and backslashes escaped, and so no secret with one of these would be found.
    """

    def _log_invocation(self) -> None:
        self._hide_private_keys()
        self.no_log_values.update(repr(secret)[1:-1] for secret in list(self.no_log_values))
        super()._log_invocation()

    def fail_json(self, msg: str, **kwargs: t.Any) -> None:
        """End with a failure; also called by AnsibleModule itself when an option is wrong."""
        self._hide_private_keys()
        super().fail_json(msg, **kwargs)

    def _hide_private_keys(self) -> None:
        """Have each private key among the options masked."""
        self.no_log_values.update(private_keys(self.params))


def texts(value: t.Any) -> t.Iterator[str]:
    """Yield every text within an option or a result, whatever form it has; a number as text."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def attempt(work: t.Callable[[], Result]) -> Result:
    """Return what C(work) returns, or its error as a failed result. No other error leaves it, as Ansible would show its text."""
    try:
        return work()
    except MissingLibrary as error:
        return {"failed": True, "msg": f"{missing_required_lib(error.library)} {error.message}", "error": error.as_dict()}
    except Exception as error:
        told = error if isinstance(error, WabaError) else defect_of(error)
        return {"failed": True, "msg": str(told), "error": told.as_dict()}


def private_keys(params: t.Any) -> t.Iterator[str]:
    """Yield each text among the options that holds a private key, also one that was given where a public one belongs."""
    return (text for text in texts(params) if "PRIVATE KEY" in text)


def run_module(spec: Spec, run: t.Callable[[t.Mapping[str, t.Any], bool], Result], **options: t.Any) -> None:
    """Make the AnsibleModule, call C(run) with its options and whether it is check mode, and end as the result says.

    A result with C(failed) becomes fail_json with everything else in it, so that no partial result is lost.
    """
    module = Module(argument_spec=spec, supports_check_mode=True, **options)
    result = attempt(lambda: run(module.params, module.check_mode))
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if not module._diff or not result.get("diff"):
        result.pop("diff", None)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)
