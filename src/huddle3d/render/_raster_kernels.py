"""Warp kernels of the triangle rasteriser (one source for CPU and CUDA).

A corner is ``(hx, hy, w, z)``: homogeneous pixel coordinates ``w * (u, v), w`` and camera depth. ``w`` is the depth for a perspective camera and 1
for an orthographic one, so one set of formulas serves both. With ``q = (hx, hy) - w * p`` for the pixel centre ``p``, the cross products
``q_b × q_c, q_c × q_a, q_a × q_b`` are proportional to the perspective-correct barycentrics of the point on the pixel's ray (2D homogeneous
rasterisation, Olano and Greer 1997). They stay valid when a corner lies behind the camera, so triangles that cross the near plane are cut by a
depth test per pixel and no polygon is ever clipped.

The edge functions are affine in ``p``. Their coefficients are differences of products of two float32 numbers, which are exact in float64 before
the subtraction: neighbouring triangles see exactly opposite values on a shared edge, so meshes have no cracks whatever the compiler fuses.
"""

import warp as wp

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false


@wp.func
def edge_function(b: wp.vec4f, c: wp.vec4f) -> wp.vec3d:
    """``e`` such that ``e · (1, px, py)`` is the cross product of ``q_b`` and ``q_c``."""
    bx, by, bw = wp.float64(b[0]), wp.float64(b[1]), wp.float64(b[2])
    cx, cy, cw = wp.float64(c[0]), wp.float64(c[1]), wp.float64(c[2])
    return wp.vec3d(bx * cy - by * cx, cw * by - bw * cy, bw * cx - cw * bx)


@wp.func
def grow(box: wp.vec4f, u: float, v: float) -> wp.vec4f:
    """The bounding box ``(u0, v0, u1, v1)`` enlarged by one point."""
    return wp.vec4f(wp.min(box[0], u), wp.min(box[1], v), wp.max(box[2], u), wp.max(box[3], v))


@wp.func
def grow_by_edge(box: wp.vec4f, a: wp.vec4f, b: wp.vec4f, near: float) -> wp.vec4f:
    """Enlarged by corner ``a`` if it is beyond the near plane, and by the point where edge ``ab`` crosses the plane."""
    out = box
    if a[3] > near:
        out = grow(out, a[0] / a[2], a[1] / a[2])
    if (a[3] > near) != (b[3] > near):
        t = (near - a[3]) / (b[3] - a[3])
        w = a[2] + t * (b[2] - a[2])
        out = grow(out, (a[0] + t * (b[0] - a[0])) / w, (a[1] + t * (b[1] - a[1])) / w)
    return out


@wp.kernel(enable_backward=False)
def scan_triangles(
    corners: wp.array2d(dtype=wp.vec4f),
    faces: wp.array(dtype=wp.vec3i),
    near: float,
    bands: int,
    key: wp.array3d(dtype=wp.int64),
    row0: int,
    lanes: int,
):
    """Z-buffer by the smallest key: depth bits in the high word (ordered like the positive depth), triangle index in the low word.

    One row is one band of image rows of one view; it owns its pixels, so that CPU threads never share one.
    """
    r, lane = wp.tid()
    view = (row0 + r) // bands
    band = (row0 + r) - view * bands
    height, width = key.shape[1], key.shape[2]
    top = float(band * height // bands)
    bottom = float((band + 1) * height // bands - 1)
    for t in range(lane, faces.shape[0], lanes):
        f = faces[t]
        a, b, c = corners[view, f[0]], corners[view, f[1]], corners[view, f[2]]
        box = wp.vec4f(1.0e9, 1.0e9, -1.0e9, -1.0e9)
        if wp.min(a[3], wp.min(b[3], c[3])) > near:
            ia, ib, ic = 1.0 / a[2], 1.0 / b[2], 1.0 / c[2]
            box = grow(grow(grow(box, a[0] * ia, a[1] * ia), b[0] * ib, b[1] * ib), c[0] * ic, c[1] * ic)
        elif wp.max(a[3], wp.max(b[3], c[3])) > near:
            box = grow_by_edge(grow_by_edge(grow_by_edge(box, a, b, near), b, c, near), c, a, near)
        # 1e-2 px of slack: the box is float32, the edge functions decide. Comparisons with NaN are false, so a NaN corner draws nothing.
        u0 = wp.max(wp.ceil(box[0] - 0.51), 0.0)
        v0 = wp.max(wp.ceil(box[1] - 0.51), top)
        u1 = wp.min(wp.floor(box[2] - 0.49), float(width - 1))
        v1 = wp.min(wp.floor(box[3] - 0.49), bottom)
        if u0 <= u1 and v0 <= v1:
            ea, eb, ec = edge_function(b, c), edge_function(c, a), edge_function(a, b)
            # the w-weighted sum of the edge functions does not depend on the pixel (the area, or the volume of the camera's tetrahedron), and where
            # the depth is positive its sign is that of their sum: made positive, faces are drawn from both sides by one test
            turn = ea[0] * wp.float64(a[2]) + eb[0] * wp.float64(b[2]) + ec[0] * wp.float64(c[2])
            if turn < wp.float64(0.0):
                ea, eb, ec = -ea, -eb, -ec
            if turn != wp.float64(0.0):
                za, zb, zc = wp.float64(a[3]), wp.float64(b[3]), wp.float64(c[3])
                for y in range(int(v0), int(v1) + 1):
                    py = wp.float64(y) + wp.float64(0.5)
                    ra, rb, rc = ea[0] + ea[2] * py, eb[0] + eb[2] * py, ec[0] + ec[2] * py
                    for x in range(int(u0), int(u1) + 1):
                        px = wp.float64(x) + wp.float64(0.5)
                        la, lb, lc = ra + ea[1] * px, rb + eb[1] * px, rc + ec[1] * px
                        if la >= wp.float64(0.0) and lb >= wp.float64(0.0) and lc >= wp.float64(0.0):
                            depth = wp.float32((la * za + lb * zb + lc * zc) / (la + lb + lc))
                            if depth > near:
                                word = (wp.int64(wp.cast(depth, wp.int32)) << wp.int64(32)) | wp.int64(t)
                                wp.atomic_min(key, view, y, x, word)


@wp.kernel(enable_backward=False)
def resolve(
    corners: wp.array2d(dtype=wp.vec4f),
    faces: wp.array(dtype=wp.vec3i),
    key: wp.array3d(dtype=wp.int64),
    empty: wp.int64,
    face_id: wp.array3d(dtype=wp.int32),
    bary: wp.array3d(dtype=wp.vec3f),
    depth: wp.array3d(dtype=wp.float32),
    row0: int,
    lanes: int,
):
    """Turns keys into face indices, barycentrics and depth; leaves empty pixels as they are. One row is one image row of one view."""
    r, lane = wp.tid()
    height = key.shape[1]
    view = (row0 + r) // height
    y = (row0 + r) - view * height
    for x in range(lane, key.shape[2], lanes):
        word = key[view, y, x]
        if word != empty:
            t = wp.int32(word & wp.int64(0x7FFFFFFF))
            f = faces[t]
            a, b, c = corners[view, f[0]], corners[view, f[1]], corners[view, f[2]]
            p = wp.vec3d(wp.float64(1.0), wp.float64(x) + wp.float64(0.5), wp.float64(y) + wp.float64(0.5))
            la, lb, lc = wp.dot(edge_function(b, c), p), wp.dot(edge_function(c, a), p), wp.dot(edge_function(a, b), p)
            s = wp.float64(1.0) / (la + lb + lc)
            face_id[view, y, x] = t
            bary[view, y, x] = wp.vec3f(wp.float32(la * s), wp.float32(lb * s), wp.float32(lc * s))
            depth[view, y, x] = wp.cast(wp.int32(word >> wp.int64(32)), wp.float32)


@wp.kernel(enable_backward=False)
def resolve_adjoint(
    corners: wp.array2d(dtype=wp.vec4f),
    faces: wp.array(dtype=wp.vec3i),
    face_id: wp.array3d(dtype=wp.int32),
    grad_bary: wp.array3d(dtype=wp.vec3f),
    grad_depth: wp.array3d(dtype=wp.float32),
    bands: int,
    owned: int,
    grad_corners: wp.array2d(dtype=wp.vec4f),
    row0: int,
    lanes: int,
):
    """Hand-written adjoint of ``resolve`` with the face indices held fixed; adds into ``grad_corners``.

    One row is one band of one view. With ``owned`` set (CPU, where atomics are not atomic) each row owns one row of ``grad_corners`` and the
    caller sums them; without it rows of one view share one.
    """
    r, lane = wp.tid()
    view = (row0 + r) // bands
    band = (row0 + r) - view * bands
    height, width = face_id.shape[1], face_id.shape[2]
    slot = view
    if owned != 0:
        slot = row0 + r
    for y in range(band * height // bands, (band + 1) * height // bands):
        for x in range(lane, width, lanes):
            t = face_id[view, y, x]
            if t >= 0:
                f = faces[t]
                a, b, c = corners[view, f[0]], corners[view, f[1]], corners[view, f[2]]
                px, py = wp.float64(x) + wp.float64(0.5), wp.float64(y) + wp.float64(0.5)
                p = wp.vec3d(wp.float64(1.0), px, py)
                la, lb, lc = wp.dot(edge_function(b, c), p), wp.dot(edge_function(c, a), p), wp.dot(edge_function(a, b), p)
                s = wp.float64(1.0) / (la + lb + lc)
                wa, wb, wc = la * s, lb * s, lc * s
                g = grad_bary[view, y, x]
                gz = wp.float64(grad_depth[view, y, x])
                ga = wp.float64(g[0]) + gz * wp.float64(a[3])
                gb = wp.float64(g[1]) + gz * wp.float64(b[3])
                gc = wp.float64(g[2]) + gz * wp.float64(c[3])
                mean = ga * wa + gb * wb + gc * wc
                ga, gb, gc = (ga - mean) * s, (gb - mean) * s, (gc - mean) * s
                qax, qay = wp.float64(a[0]) - wp.float64(a[2]) * px, wp.float64(a[1]) - wp.float64(a[2]) * py
                qbx, qby = wp.float64(b[0]) - wp.float64(b[2]) * px, wp.float64(b[1]) - wp.float64(b[2]) * py
                qcx, qcy = wp.float64(c[0]) - wp.float64(c[2]) * px, wp.float64(c[1]) - wp.float64(c[2]) * py
                # la = qb × qc, lb = qc × qa, lc = qa × qb
                dax, day = gc * qby - gb * qcy, gb * qcx - gc * qbx
                dbx, dby = ga * qcy - gc * qay, gc * qax - ga * qcx
                dcx, dcy = gb * qay - ga * qby, ga * qbx - gb * qax
                daw, dbw, dcw = -(px * dax + py * day), -(px * dbx + py * dby), -(px * dcx + py * dcy)
                wp.atomic_add(grad_corners, slot, f[0], wp.vec4f(float(dax), float(day), float(daw), float(gz * wa)))
                wp.atomic_add(grad_corners, slot, f[1], wp.vec4f(float(dbx), float(dby), float(dbw), float(gz * wb)))
                wp.atomic_add(grad_corners, slot, f[2], wp.vec4f(float(dcx), float(dcy), float(dcw), float(gz * wc)))
