"""Warp kernel of the point splatter (CPU and CUDA)."""

import warp as wp

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false


@wp.kernel(enable_backward=False)
def scan_points(
    uvz: wp.array2d(dtype=wp.vec3f),
    radius: wp.array(dtype=wp.float32),
    near: float,
    bands: int,
    key: wp.array3d(dtype=wp.int64),
    row0: int,
    lanes: int,
):
    """Z-buffers discs by the key of the triangle kernel, with point indices. One row is one band of image rows of one view."""
    r, lane = wp.tid()
    view = (row0 + r) // bands
    band = (row0 + r) - view * bands
    height, width = key.shape[1], key.shape[2]
    top = float(band * height // bands)
    bottom = float((band + 1) * height // bands - 1)
    for i in range(lane, uvz.shape[1], lanes):
        p = uvz[view, i]
        if p[2] > near:
            reach = wp.max(radius[i], 0.5)
            u0, u1 = wp.max(wp.floor(p[0] - reach), 0.0), wp.min(wp.floor(p[0] + reach), float(width - 1))
            v0, v1 = wp.max(wp.floor(p[1] - reach), top), wp.min(wp.floor(p[1] + reach), bottom)
            if u0 <= u1 and v0 <= v1:
                word = (wp.int64(wp.cast(p[2], wp.int32)) << wp.int64(32)) | wp.int64(i)
                for y in range(int(v0), int(v1) + 1):
                    for x in range(int(u0), int(u1) + 1):
                        du, dv = float(x) + 0.5 - p[0], float(y) + 0.5 - p[1]
                        own = wp.floor(p[0]) == float(x) and wp.floor(p[1]) == float(y)
                        if own or du * du + dv * dv <= radius[i] * radius[i]:
                            wp.atomic_min(key, view, y, x, word)
