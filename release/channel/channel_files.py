"""A channel's pointer as a file in git: strict to read, stable to write, one fact a line for whoever reviews it."""

from __future__ import annotations

import yaml
from pydantic import ConfigDict, RootModel

from release.channel.channels import Channel
from release.documents import load_yaml
from release.errors import Misconfigured
from release.records import to_json

_HEADER = "# Written by slipway; it moves by commits only, and its serial never falls.\n"


def channel_path(name: str) -> str:
    """Where the pointer of a channel lives on the channels branch."""
    return f"channels/{name}.yaml"


def channel_yaml(channel: Channel) -> str:
    """The file. `parse_channel` reads it back equal."""
    return _HEADER + yaml.dump(to_json(channel), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


class _File(RootModel[Channel]):
    model_config = ConfigDict(frozen=True)


def parse_channel(text: str, *, name: str) -> Channel:
    """Read `channels/<name>.yaml`. `Misconfigured` with file and line; unknown keys survive."""
    where = channel_path(name)
    channel = load_yaml(text, _File, where=where).root
    if channel.channel != name:
        raise Misconfigured("the file is another channel's", where=where, got=channel.channel, expected=name)
    return channel


class _Dumper(yaml.SafeDumper):
    """Plain YAML for a strict reader: no aliases, and quotes with escapes around all text but plain words.

    PyYAML's own choice is YAML 1.1's, where 1e5 needs no quotes, and it folds NEL (U+0085) into a space.
    """

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = text[:1].isalpha() and text.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)
