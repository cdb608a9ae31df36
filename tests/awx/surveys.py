# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys: what AWX takes as one, and what it then wants of schedules and of the nodes of workflows."""

from __future__ import annotations

import typing as t

from .refusal import Refused, invalid
from .store import Values

_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,), "textarea": (str,), "password": (str,), "multiplechoice": (str,), "multiselect": (str, list),
    "integer": (int,), "float": (int, float),
}
_MEMBERS = {"question_name", "question_description", "variable", "type", "required", "default", "choices", "min", "max",
            "new_question"}


def check_survey(spec: t.Any) -> None:
    """Raise Refused for what is no survey."""
    if not isinstance(spec, dict) or set(spec) != {"name", "description", "spec"}:
        raise _error("'name', 'description' and 'spec' make a survey.")
    if not isinstance(spec["spec"], list) or not spec["spec"]:
        raise _error("'spec' doesn't contain any items.")
    seen: set[str] = set()
    for index, question in enumerate(spec["spec"]):
        _check_question(index, question)
        if question["variable"] in seen:
            raise _error(f"'variable' '{question['variable']}' duplicated in survey question {index}.")
        seen.add(question["variable"])


def _check_question(index: int, question: t.Any) -> None:
    if not isinstance(question, dict):
        raise _error(f"Survey question {index} is not a json object.")
    for member in ("type", "question_name", "variable", "required"):
        if member not in question:
            raise _error(f"'{member}' missing from survey question {index}.")
    if set(question) - _MEMBERS:
        raise _error(f"Survey question {index} has members that there are not.")
    if question["type"] not in _TYPES:
        raise _error(f"'{question['type']}' in survey question {index} is not one of the allowed question types.")
    if not isinstance(question["required"], bool):
        raise _error(f"'required' in survey question {index} is not a boolean.")
    _check_default(index, question)


def _check_default(index: int, question: Values) -> None:
    default, choices = question.get("default"), question.get("choices")
    choosing = question["type"] in ("multiplechoice", "multiselect")
    if choosing and not (isinstance(choices, list) and choices and all(isinstance(item, str) for item in choices)):
        raise _error(f"Multiple choices of survey question {index} have to be texts.")
    if default in (None, ""):
        return
    if not isinstance(default, _TYPES[question["type"]]) or isinstance(default, bool):
        raise _error(f"Default value {default!r} of survey question {index} is expected to be of type {question['type']}.")
    if choosing and default not in (choices or []):
        raise _error(f"Default choice of survey question {index} must be one of the choices.")


def check_variables(survey: Values, given: Values, *, any_variable: bool, required: bool) -> None:
    """Raise Refused where variables for a template are not asked for, of the wrong type, or, if all are wanted, missing."""
    questions = {question["variable"]: question for question in survey.get("spec", [])}
    errors = []
    for name, question in questions.items():
        if required and question["required"] and name not in given:
            errors.append(f"'{name}' value missing")
        elif name in given and not isinstance(given[name], _TYPES[question["type"]]):
            errors.append(f"Value of '{name}' is expected to be of type {question['type']}.")
    if errors:
        raise Refused(400, {"variables_needed_to_start": errors})
    unknown = sorted(set(given) - set(questions))
    if unknown and not any_variable:
        raise invalid("extra_data", f"Variables {', '.join(unknown)} are not allowed on launch. Check the Prompt on Launch "
                                    "setting on the Job Template to include Extra Variables.")


def _error(message: str) -> Refused:
    return Refused(400, {"error": message})
