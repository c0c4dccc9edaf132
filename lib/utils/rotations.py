"""Rotations as matrices, six numbers (6D), axis-angle and quaternions, on torch tensors of any leading shape.

Results have the dtype and device of the argument. Matrices and 6D are the same for the quaternions q and -q and for
axis-angle vectors that differ by full turns, which is why rotations are smoothed as 6D.
"""

from __future__ import annotations

from typing import Literal

import torch

Order = Literal["wxyz", "xyzw"]


def axis_angle_to_matrix(vectors: torch.Tensor) -> torch.Tensor:
    """(..., 3) axis times angle in radians -> (..., 3, 3)."""
    angle = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    # sin(angle / 2) / angle without dividing by zero; torch.sinc(x) = sin(pi x) / (pi x)
    xyz = vectors * (0.5 * torch.sinc(angle / (2 * torch.pi)))
    return quaternion_to_matrix(torch.cat([torch.cos(angle / 2), xyz], dim=-1))


def matrix_to_axis_angle(matrices: torch.Tensor) -> torch.Tensor:
    """(..., 3, 3) -> (..., 3) axis times angle, the angle from 0 to pi. At pi the sign of the axis is free."""
    w, *xyz = matrix_to_quaternion(matrices).unbind(-1)
    xyz = torch.stack(xyz, dim=-1)
    sine = torch.linalg.vector_norm(xyz, dim=-1)
    # angle / sin(angle / 2), which is 2 / w where the angle vanishes
    tiny = sine < torch.finfo(sine.dtype).tiny ** 0.5
    factor = torch.where(
        tiny, 2 / w, 2 * torch.atan2(sine, w) / torch.where(tiny, torch.ones_like(sine), sine)
    )
    return xyz * factor[..., None]


def quaternion_to_matrix(quaternions: torch.Tensor, order: Order = "wxyz") -> torch.Tensor:
    """(..., 4) of any length other than 0 -> (..., 3, 3)."""
    unit = quaternions / torch.linalg.vector_norm(quaternions, dim=-1, keepdim=True)
    if order == "xyzw":
        unit = unit.roll(1, dims=-1)
    w, x, y, z = unit.unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def matrix_to_quaternion(matrices: torch.Tensor, order: Order = "wxyz") -> torch.Tensor:
    """(..., 3, 3) -> (..., 4) unit quaternions with w >= 0."""
    m = matrices
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # Four times the outer product of the quaternion with itself. Its row with the largest diagonal is the quaternion
    # times that component, which is at least 1/2: no division by a small number at any angle.
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    outer = torch.stack(
        [
            *(1 + xx + yy + zz, wx, wy, wz),
            *(wx, 1 + xx - yy - zz, xy, xz),
            *(wy, xy, 1 - xx + yy - zz, yz),
            *(wz, xz, yz, 1 - xx - yy + zz),
        ],
        dim=-1,
    ).unflatten(-1, (4, 4))
    largest = outer.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    row = outer.take_along_dim(largest[..., None, None], dim=-2).squeeze(-2)
    row = torch.where(row[..., :1] < 0, -row, row)
    quaternions = row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)
    return quaternions.roll(-1, dims=-1) if order == "xyzw" else quaternions


def matrix_to_6d(matrices: torch.Tensor) -> torch.Tensor:
    """(..., 3, 3) -> (..., 6), the first two columns row by row: r00 r01 r10 r11 r20 r21.

    This is the order of the published SMPL numbers; PyTorch3D's 6D holds the first two rows.
    """
    return matrices[..., :2].flatten(-2)


def sixd_to_matrix(sixd: torch.Tensor) -> torch.Tensor:
    """(..., 6) of the order above, orthonormal or not -> (..., 3, 3) by Gram-Schmidt (Zhou et al., CVPR 2019).

    Two columns that are zero or parallel do not say a rotation; the result is then not one either.
    """
    a, b = sixd.unflatten(-1, (3, 2)).unbind(-1)
    x = torch.nn.functional.normalize(a, dim=-1)
    y = torch.nn.functional.normalize(b - (x * b).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y, dim=-1)], dim=-1)


def axis_angle_to_6d(poses: torch.Tensor) -> torch.Tensor:
    """Poses of J joints: (..., 3 J) axis-angle, as SMPL's 72 numbers -> (..., 6 J), as the 144 smoothed ones."""
    return matrix_to_6d(axis_angle_to_matrix(poses.unflatten(-1, (-1, 3)))).flatten(-2)


def sixd_to_axis_angle(poses: torch.Tensor) -> torch.Tensor:
    """Poses of J joints: (..., 6 J) -> (..., 3 J) axis-angle."""
    return matrix_to_axis_angle(sixd_to_matrix(poses.unflatten(-1, (-1, 6)))).flatten(-2)
