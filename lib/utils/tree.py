# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A tree of settings whose values are attributes, cfg.TRAIN.LR, and that can be frozen."""

from __future__ import annotations

import copy
from typing import Any


class CfgNode(dict):
    """A dict with its keys as attributes; frozen, it takes no new values."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "_frozen", False)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no setting {name}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if self.__dict__.get("_frozen"):
            raise AttributeError(f"the settings are frozen; {name} cannot be set to {value!r}")
        super().__setitem__(name, value)

    def freeze(self, frozen: bool = True) -> None:
        """Take no new values from now on, here and below."""
        object.__setattr__(self, "_frozen", frozen)
        for value in self.values():
            if isinstance(value, CfgNode):
                value.freeze(frozen)

    def defrost(self) -> None:
        """Take new values again."""
        self.freeze(False)

    def clone(self) -> CfgNode:
        """A copy that shares nothing."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict) -> CfgNode:
        twin = CfgNode({key: copy.deepcopy(value, memo) for key, value in self.items()})
        object.__setattr__(twin, "_frozen", self.__dict__.get("_frozen", False))
        return twin

    def __reduce__(self) -> tuple:
        return CfgNode, (dict(self),)
