# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What streams take and give: the points of one person in a frame, or those of several by their ids."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

import numpy as np

from .errors import SmoothNetError


class Door:
    """The door of one stream. The first frame decides the shape of all; one that is refused here changes nothing.

    Args:
        tracks: None: the first frame decides whether there are ids. True: there are. Ids: only these pass.

    Attributes:
        named: whether there are ids; None: not known yet.
        shape: (K, D), joints and coordinates; None: not known yet.
    """

    def __init__(self, tracks: bool | Collection[Hashable] | None) -> None:
        try:
            self._ids = None if tracks is None or isinstance(tracks, bool) else frozenset(tracks)
        except TypeError as error:
            raise SmoothNetError(f"tracks must be True, False, or a list of ids, not {tracks!r}") from error
        if isinstance(tracks, str):  # of which each letter would be an id
            raise SmoothNetError(f"tracks must be a list of ids; for one, say [{tracks!r}]")
        self.named = None if tracks is None else tracks is not False
        self.shape: tuple[int, int] | None = None

    def people(self, frame: Any, number: int, as_array: Callable[[Any], np.ndarray]) -> dict[Hashable, np.ndarray]:
        """Those who were seen, id -> (K, D); a single person's id is None.

        Args:
            frame: (K, D) points; with ids, a dict id -> (K, D); None: nobody was seen.
            number: of the frame, for messages.
            as_array: points of any kind -> an array.

        Raises:
            SmoothNetError: a frame of another form or shape than those before, or without numbers.
        """
        if frame is None:
            return {}
        named = isinstance(frame, Mapping)
        if named is not self.named and self.named is not None:
            wanted = "a dict id -> (joints, dims)" if self.named else "an array (joints, dims)"
            raise SmoothNetError(f"frame {number} of this stream must be {wanted}")
        shape, people = self.shape, {}
        for key, points in (frame if named else {None: frame}).items():
            if points is None or (self._ids is not None and key not in self._ids):
                continue
            try:
                array = as_array(points)
            except (TypeError, ValueError) as error:
                raise SmoothNetError(f"frame {number} holds no numbers ({error})") from error
            if array.ndim != 2 or not array.shape[1] or (shape is not None and array.shape != shape):
                wanted = "(joints, dims)" if shape is None else str(shape)
                raise SmoothNetError(f"frame {number} has the shape {array.shape}, this stream takes {wanted}")
            shape = array.shape
            people[key] = array
        self.named, self.shape = named, shape
        return people

    def out(self, people: dict[Hashable, Any], like_input: Callable[[np.ndarray], Any]) -> Any:
        """What comes out of those who were seen in a frame.

        Args:
            people: id -> points, as they come out.
            like_input: an array -> points as they come out.

        Returns:
            With ids, `people`. Of one person its points, NaN where it was not seen; None while its shape is not known.
        """
        if self.named:
            return people
        if None in people or self.shape is None:
            return people.get(None)
        return like_input(np.full(self.shape, np.nan))
