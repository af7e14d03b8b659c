"""Warp kernels of the shadow tests (CPU and CUDA)."""

import warp as wp

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false

CHUNK = 2048  # points per row of the launch


@wp.func
def blocked_at(depth: wp.array3d(dtype=wp.float32), light: int, u: float, v: float, z: float, fade: float) -> float:
    """How far the map's surface at a pixel hides depth ``z``, 0 … 1; nothing hides what lies outside the map."""
    x, y = wp.floor(u), wp.floor(v)
    out = float(0.0)  # noqa: UP018  (a variable, not a constant)
    if x >= 0.0 and y >= 0.0 and x < float(depth.shape[2]) and y < float(depth.shape[1]):
        out = wp.clamp((z - depth[light, int(y), int(x)]) / fade, 0.0, 1.0)
    return out


@wp.func
def lit_at(
    p: wp.vec3f,
    n: wp.vec3f,
    rows: wp.array2d(dtype=wp.vec4f),
    light: int,
    depth: wp.array3d(dtype=wp.float32),
    disc: wp.array(dtype=wp.vec2f),
    reach: float,
    spread: float,
    search: float,
    turn: float,
    fade: float,
) -> float:
    """Visible fraction of a light: depth comparisons over a disc of ``reach`` pixels, or, with a ``spread``, over one that grows with the distance.

    With a spread [px per unit of depth] the mean depth of what blocks is looked for within ``search`` pixels; the disc is turned by ``turn``, and
    its comparisons follow the tangent plane of the point, so that a slope does not shade itself.
    """
    h = wp.vec4f(p[0], p[1], p[2], 1.0)
    u, v, z = wp.dot(rows[light, 0], h), wp.dot(rows[light, 1], h), wp.dot(rows[light, 2], h)
    taps = disc.shape[0]
    blocked = wp.float32(0.0)
    if spread <= 0.0:
        for k in range(taps):
            blocked += blocked_at(depth, light, u + reach * disc[k][0], v + reach * disc[k][1], z, fade)
        return 1.0 - blocked / float(taps)
    ru = wp.vec3f(rows[light, 0][0], rows[light, 0][1], rows[light, 0][2])
    rv = wp.vec3f(rows[light, 1][0], rows[light, 1][1], rows[light, 1][2])
    rz = wp.vec3f(rows[light, 2][0], rows[light, 2][1], rows[light, 2][2])
    steep = wp.min(wp.dot(n, rz), -0.25)
    texel2 = 1.0 / wp.dot(ru, ru)
    gu, gv = -wp.dot(n, ru) / steep * texel2, -wp.dot(n, rv) / steep * texel2
    c, s = wp.cos(turn), wp.sin(turn)
    found = wp.float32(0.0)
    total = wp.float32(0.0)
    for k in range(taps):
        du, dv = search * (c * disc[k][0] - s * disc[k][1]), search * (s * disc[k][0] + c * disc[k][1])
        x, y = wp.floor(u + du), wp.floor(v + dv)
        if x >= 0.0 and y >= 0.0 and x < float(depth.shape[2]) and y < float(depth.shape[1]):
            d = depth[light, int(y), int(x)] - gu * du - gv * dv
            if d < z - fade:
                found += 1.0
                total += d
    if found == 0.0:
        return 1.0 - blocked_at(depth, light, u, v, z, fade)
    if found == float(taps):
        return 0.0
    wide = wp.clamp(spread * (z - total / found), 0.7, search)
    for k in range(taps):
        du, dv = wide * (c * disc[k][0] - s * disc[k][1]), wide * (s * disc[k][0] + c * disc[k][1])
        blocked += blocked_at(depth, light, u + du, v + dv, z + gu * du + gv * dv, fade)
    return 1.0 - blocked / float(taps)


@wp.kernel(enable_backward=False)
def lit_fraction(
    points: wp.array(dtype=wp.vec3f),
    normals: wp.array(dtype=wp.vec3f),
    rows: wp.array2d(dtype=wp.vec4f),
    light: int,
    depth: wp.array3d(dtype=wp.float32),
    disc: wp.array(dtype=wp.vec2f),
    reach: float,
    spread: float,
    search: float,
    turn: wp.array(dtype=wp.float32),
    lift: float,
    fade: float,
    out: wp.array(dtype=wp.float32),
    row0: int,
    lanes: int,
):
    """``lit_at`` of many points. ``rows`` maps the world to ``(u, v, z)`` of each light; one row of the launch is a chunk."""
    r, lane = wp.tid()
    start = (row0 + r) * wp.static(CHUNK)
    for i in range(start + lane, wp.min(start + wp.static(CHUNK), points.shape[0]), lanes):
        n = normals[i]
        out[i] = lit_at(points[i] + lift * n, n, rows, light, depth, disc, reach, spread, search, turn[wp.min(i, turn.shape[0] - 1)], fade)


@wp.kernel(enable_backward=False)
def sky_weights(
    points: wp.array(dtype=wp.vec3f),
    normals: wp.array(dtype=wp.vec3f),
    rows: wp.array2d(dtype=wp.vec4f),
    depth: wp.array3d(dtype=wp.float32),
    directions: wp.array(dtype=wp.vec3f),
    lift: float,
    fade: float,
    out: wp.array2d(dtype=wp.float32),
    row0: int,
    lanes: int,
):
    """``max(0, normal · direction)`` times the fraction of the direction's light that arrives, for each point and direction."""
    r, lane = wp.tid()
    start = (row0 + r) * wp.static(CHUNK)
    for i in range(start + lane, wp.min(start + wp.static(CHUNK), points.shape[0]), lanes):
        n = normals[i]
        p = points[i] + lift * n
        h = wp.vec4f(p[0], p[1], p[2], 1.0)
        for k in range(directions.shape[0]):
            cosine = wp.dot(n, directions[k])
            if cosine > 0.0:
                out[i, k] = cosine * (1.0 - blocked_at(depth, k, wp.dot(rows[k, 0], h), wp.dot(rows[k, 1], h), wp.dot(rows[k, 2], h), fade))
