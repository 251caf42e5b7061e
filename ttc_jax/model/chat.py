# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Chat templates: the Jinja programs that checkpoints carry, rendered in a sandbox."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment


class _Generation(Extension):
    """The `{% generation %}` tag, which marks assistant text for training; here it only renders."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _raise_exception(message: str):
    raise TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


def _tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False) -> str:
    # Jinja's own filter escapes HTML, which a prompt must not.
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


@lru_cache(maxsize=16)
def _compiled(template: str):
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment.from_string(template)


def render(
    template: str,
    messages: Sequence[Mapping[str, str]],
    texts: Mapping[str, str],
    *,
    add_generation_prompt: bool = True,
) -> str:
    """The prompt that `template` makes of `messages` ({"role", "content"} each).

    `texts` are the special tokens a template may name (bos_token, eos_token, ...).

    Raises:
        ValueError: the template is broken, or refuses these messages (its own words are kept).
    """
    try:
        return _compiled(template).render(
            messages=list(messages),
            tools=None,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            **texts,
        )
    except TemplateError as error:
        roles = [message.get("role") for message in messages]
        raise ValueError(f"the chat template refused messages of roles {roles}: {error}") from error
