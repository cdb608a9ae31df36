# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of notification templates: what each type needs, and which of them are secret."""

from __future__ import annotations

import typing as t

from .refusal import invalid
from .store import ENCRYPTED, Row, Store, Values

# By type: the settings, with the Python type that AWX expects and the default where there is one.
_SETTINGS: dict[str, dict[str, tuple[type, t.Any]]] = {
    "webhook": {"url": (str, None), "http_method": (str, "POST"), "headers": (dict, None), "username": (str, ""),
                "password": (str, ""), "disable_ssl_verification": (bool, False)},
    "email": {"host": (str, None), "port": (int, None), "username": (str, None), "password": (str, None), "use_tls": (bool, None),
              "use_ssl": (bool, None), "sender": (str, None), "recipients": (list, None), "timeout": (int, 30)},
    "slack": {"token": (str, None), "channels": (list, None), "hex_color": (str, "")},
}
_SECRET = ("password", "token")


def check_notification(store: Store, old: Row | None, new: Row) -> None:
    """Refuse settings that the type does not have or lacks, and fill in the defaults, as AWX does."""
    settings = _SETTINGS.get(new.values["notification_type"])
    if settings is None:
        raise invalid("notification_type", "This type is not known to the test server.")
    given: Values = dict(new.values["notification_configuration"])
    unknown = sorted(set(given) - set(settings))
    if unknown:
        raise invalid("notification_configuration", f"There is no {', '.join(unknown)}.")
    missing = [name for name, (dummy, default) in settings.items() if name not in given and default is None]
    if missing:
        raise invalid("notification_configuration", f"Missing required fields for Notification Configuration: {missing}.")
    given = {**{name: default for name, (dummy, default) in settings.items() if default is not None}, **given}
    for name, (kind, dummy) in settings.items():
        if not isinstance(given[name], kind):
            raise invalid("notification_configuration", f"Configuration field '{name}' incorrect type, expected {kind.__name__}.")
        if given[name] == ENCRYPTED and old is not None:
            given[name] = old.values["notification_configuration"].get(name, "")
    new.values["notification_configuration"] = given


def shown_configuration(row: Row) -> Values:
    """Return the settings with their secrets hidden."""
    given: Values = row.values["notification_configuration"]
    return {name: ENCRYPTED if name in _SECRET and value else value for name, value in given.items()}
