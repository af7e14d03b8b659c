"""Warp kernels of attribute interpolation with their hand-written adjoints, and of silhouette edges (CPU and CUDA)."""

import warp as wp

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false

CHUNK = 4096  # edges per row of the launch


@wp.kernel(enable_backward=False)
def interpolate_attributes(
    faces: wp.array2d(dtype=wp.int32),
    face_id: wp.array3d(dtype=wp.int32),
    bary: wp.array3d(dtype=wp.vec3f),
    attributes: wp.array3d(dtype=wp.float32),
    out: wp.array4d(dtype=wp.float32),
    row0: int,
    lanes: int,
):
    """Barycentric mean of the corners' values; leaves empty pixels as they are. One row is one image row of one view."""
    r, lane = wp.tid()
    height = face_id.shape[1]
    view = (row0 + r) // height
    y = (row0 + r) - view * height
    source = wp.min(view, attributes.shape[0] - 1)
    for x in range(lane, face_id.shape[2], lanes):
        t = face_id[view, y, x]
        if t >= 0:
            i, j, k = faces[t, 0], faces[t, 1], faces[t, 2]
            b = bary[view, y, x]
            for c in range(attributes.shape[2]):
                out[view, y, x, c] = b[0] * attributes[source, i, c] + b[1] * attributes[source, j, c] + b[2] * attributes[source, k, c]


@wp.kernel(enable_backward=False)
def interpolate_adjoint(
    faces: wp.array2d(dtype=wp.int32),
    face_id: wp.array3d(dtype=wp.int32),
    bary: wp.array3d(dtype=wp.vec3f),
    attributes: wp.array3d(dtype=wp.float32),
    grad: wp.array4d(dtype=wp.float32),
    bands: int,
    owned: int,
    grad_bary: wp.array3d(dtype=wp.vec3f),
    grad_attributes: wp.array3d(dtype=wp.float32),
    row0: int,
    lanes: int,
):
    """Adjoint of ``interpolate_attributes``; rows and ``owned`` as in ``resolve_adjoint``."""
    r, lane = wp.tid()
    view = (row0 + r) // bands
    band = (row0 + r) - view * bands
    height = face_id.shape[1]
    source = wp.min(view, attributes.shape[0] - 1)
    slot = view
    if owned != 0:
        slot = row0 + r
    for y in range(band * height // bands, (band + 1) * height // bands):
        for x in range(lane, face_id.shape[2], lanes):
            t = face_id[view, y, x]
            if t >= 0:
                i, j, k = faces[t, 0], faces[t, 1], faces[t, 2]
                b = bary[view, y, x]
                gb = wp.vec3f(0.0, 0.0, 0.0)
                for c in range(attributes.shape[2]):
                    g = grad[view, y, x, c]
                    gb += g * wp.vec3f(attributes[source, i, c], attributes[source, j, c], attributes[source, k, c])
                    wp.atomic_add(grad_attributes, slot, i, c, g * b[0])
                    wp.atomic_add(grad_attributes, slot, j, c, g * b[1])
                    wp.atomic_add(grad_attributes, slot, k, c, g * b[2])
                grad_bary[view, y, x] = gb


@wp.func
def side_of(a: wp.vec2f, b: wp.vec2f, corner: wp.vec4f) -> float:
    """On which side of ``a -> b`` a corner lies in the image: -1, 0 or 1."""
    d = b - a
    ox, oy = corner[0] / corner[2] - a[0], corner[1] / corner[2] - a[1]
    cross = d[0] * oy - d[1] * ox
    out = 0.0
    if cross > 0.0:
        out = 1.0
    if cross < 0.0:
        out = -1.0
    return out


@wp.kernel(enable_backward=False)
def silhouette_sides(
    corners: wp.array2d(dtype=wp.vec4f),
    ends: wp.array2d(dtype=wp.int32),
    opposite: wp.array2d(dtype=wp.int32),
    near: float,
    chunks: int,
    side: wp.array2d(dtype=wp.int8),
    row0: int,
    lanes: int,
):
    """The side on which the surface lies of each silhouette edge, 0 for other edges. One row is a chunk of the edges of one view."""
    r, lane = wp.tid()
    view = (row0 + r) // chunks
    start = ((row0 + r) - view * chunks) * wp.static(CHUNK)
    for e in range(start + lane, wp.min(start + wp.static(CHUNK), ends.shape[0]), lanes):
        a, b = corners[view, ends[e, 0]], corners[view, ends[e, 1]]
        o, p = corners[view, opposite[e, 0]], corners[view, opposite[e, 1]]
        if wp.min(wp.min(a[3], b[3]), wp.min(o[3], p[3])) > near:
            ua, ub = wp.vec2f(a[0] / a[2], a[1] / a[2]), wp.vec2f(b[0] / b[2], b[1] / b[2])
            s, t = side_of(ua, ub, o), side_of(ua, ub, p)
            if s * t >= 0.0 and s + t != 0.0:
                side[view, e] = wp.int8(wp.sign(s + t))
