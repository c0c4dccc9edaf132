# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Shaded surfaces, rendered off screen by PyVista: no display and no graphics card are needed."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..utils.errors import SmoothNetError
from .clip import Mesh
from .drawing import SAMPLES, View, blend, series_colour


class MeshRenderer:
    """Renders the surfaces of a clip with the same camera as the skeletons would have."""

    def __init__(self, mesh: Mesh, view: View):
        """Open an off-screen window of the view's size.

        Raises:
            SmoothNetError: pyvista is not installed.
        """
        try:
            import pyvista
            from vtkmodules.vtkCommonCore import vtkLogger
        except ImportError as error:
            raise SmoothNetError(f"meshes need PyVista: pip install pyvista ({error})") from error
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)  # that there is no display is no news
        self._mesh = mesh
        first = next(iter(mesh.vertices.values()))[0]
        corners = np.column_stack([np.full(len(mesh.faces), 3), mesh.faces]).ravel()
        self._surface = pyvista.PolyData(np.array(first, dtype=np.float32), corners)
        size = [view.width * SAMPLES, view.height * SAMPLES]
        self._plotter = pyvista.Plotter(off_screen=True, window_size=size, lighting="none")
        self._actor = self._plotter.add_mesh(
            self._surface, smooth_shading=False, ambient=0.3, diffuse=0.8, specular=0.12, specular_power=12
        )
        self._actor.prop.interpolation = "Phong"
        right, up, towards = view.rotation
        for direction, strength in ((towards + 0.6 * up - 0.7 * right, 0.85), (towards + 0.9 * right, 0.35)):
            light = pyvista.Light(light_type="scene light", intensity=strength)
            light.positional = False
            light.position = tuple(view.centre + direction * 10)
            light.focal_point = tuple(view.centre)
            self._plotter.add_light(light)
        camera = self._plotter.camera
        camera.parallel_projection = True
        camera.position = tuple(view.centre + towards * 100 * max(view.width, view.height) / view.scale)
        camera.focal_point = tuple(view.centre)
        camera.up = tuple(up)
        camera.parallel_scale = view.height / 2 / view.scale
        self._plotter.set_background("white")  # type: ignore[arg-type]

    def render(self, name: str, frame: int) -> Image.Image:
        """The surface of series `name` at `frame`: RGBA, SAMPLES times the view's size."""
        points = np.asarray(self._mesh.vertices[name][frame], dtype=np.float32)
        if not np.isfinite(points).all():  # nobody was found in this frame
            width, height = self._plotter.window_size
            return Image.new("RGBA", (width, height), (0, 0, 0, 0))
        self._surface.points = points
        self._surface.compute_normals(cell_normals=False, split_vertices=False, consistent_normals=False, inplace=True)
        self._actor.prop.color = [c / 255 for c in blend(series_colour(name), (226, 229, 235), 0.35)]
        self._plotter.reset_camera_clipping_range()
        self._plotter.render()
        picture = self._plotter.screenshot(None, transparent_background=True, return_img=True)
        return Image.fromarray(np.ascontiguousarray(picture))

    def close(self) -> None:
        self._plotter.close()
