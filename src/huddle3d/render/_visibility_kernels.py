"""Warp kernel of the shadow test (CPU and CUDA)."""

import warp as wp

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false

CHUNK = 2048  # points per row of the launch


@wp.kernel(enable_backward=False)
def lit_fraction(
    points: wp.array(dtype=wp.vec3f),
    normals: wp.array(dtype=wp.vec3f),
    rows: wp.array(dtype=wp.vec4f),
    depth: wp.array2d(dtype=wp.float32),
    offsets: wp.array(dtype=wp.vec2f),
    lift: float,
    fade: float,
    out: wp.array(dtype=wp.float32),
    row0: int,
    lanes: int,
):
    """Mean over the offsets of ``1 - clamp((z - map) / fade, 0, 1)``. ``rows`` maps the world to ``(u, v, z)``; one row of the launch is a chunk."""
    r, lane = wp.tid()
    start = (row0 + r) * wp.static(CHUNK)
    taps = offsets.shape[0]
    height, width = float(depth.shape[0]), float(depth.shape[1])
    for i in range(start + lane, wp.min(start + wp.static(CHUNK), points.shape[0]), lanes):
        p = points[i] + lift * normals[i]
        h = wp.vec4f(p[0], p[1], p[2], 1.0)
        u, v, z = wp.dot(rows[0], h), wp.dot(rows[1], h), wp.dot(rows[2], h)
        blocked = wp.float32(0.0)
        for k in range(taps):
            x, y = wp.floor(u + offsets[k][0]), wp.floor(v + offsets[k][1])
            if x >= 0.0 and y >= 0.0 and x < width and y < height:
                blocked += wp.clamp((z - depth[int(y), int(x)]) / fade, 0.0, 1.0)
        out[i] = 1.0 - blocked / float(taps)


@wp.kernel(enable_backward=False)
def ambient_light(
    points: wp.array(dtype=wp.vec3f),
    normals: wp.array(dtype=wp.vec3f),
    rows: wp.array2d(dtype=wp.vec4f),
    depth: wp.array3d(dtype=wp.float32),
    directions: wp.array(dtype=wp.vec3f),
    colours: wp.array(dtype=wp.vec3f),
    lift: float,
    fade: float,
    out: wp.array(dtype=wp.vec3f),
    row0: int,
    lanes: int,
):
    """Sum over the directions of ``colour * max(0, normal · direction)`` times the fraction of the direction's light that arrives."""
    r, lane = wp.tid()
    start = (row0 + r) * wp.static(CHUNK)
    height, width = float(depth.shape[1]), float(depth.shape[2])
    for i in range(start + lane, wp.min(start + wp.static(CHUNK), points.shape[0]), lanes):
        n = normals[i]
        p = points[i] + lift * n
        h = wp.vec4f(p[0], p[1], p[2], 1.0)
        total = wp.vec3f(0.0, 0.0, 0.0)
        for k in range(directions.shape[0]):
            cosine = wp.dot(n, directions[k])
            if cosine > 0.0:
                x, y = wp.floor(wp.dot(rows[k, 0], h)), wp.floor(wp.dot(rows[k, 1], h))
                if x >= 0.0 and y >= 0.0 and x < width and y < height:
                    cosine = cosine * (1.0 - wp.clamp((wp.dot(rows[k, 2], h) - depth[k, int(y), int(x)]) / fade, 0.0, 1.0))
                total += cosine * colours[k]
        out[i] = total
