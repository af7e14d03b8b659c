"""Warp kernels of the maps of truth and of the lens (CPU and CUDA)."""

import warp as wp

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false


@wp.kernel(enable_backward=False)
def truth_maps(
    face_id: wp.array2d(dtype=wp.int32),
    bary: wp.array2d(dtype=wp.vec3f),
    faces: wp.array(dtype=wp.vec3i),
    owner: wp.array(dtype=wp.int32),
    vertex_normals: wp.array(dtype=wp.vec3f),
    vertex_part: wp.array(dtype=wp.int32),
    vertex_touch: wp.array(dtype=wp.uint8),
    normals: wp.array2d(dtype=wp.vec3f),
    ids: wp.array2d(dtype=wp.int32),
    parts: wp.array2d(dtype=wp.int32),
    contact: wp.array2d(dtype=wp.uint8),
    row0: int,
    lanes: int,
):
    """Normal, person, part (of the nearest corner) and contact (more than half) of each pixel that sees a face; leaves the others as they are."""
    r, lane = wp.tid()
    y = row0 + r
    for x in range(lane, face_id.shape[1], lanes):
        t = face_id[y, x]
        if t >= 0:
            f, b = faces[t], bary[y, x]
            normals[y, x] = wp.normalize(b[0] * vertex_normals[f[0]] + b[1] * vertex_normals[f[1]] + b[2] * vertex_normals[f[2]])
            ids[y, x] = owner[t]
            corner = f[0]
            if b[1] > b[0] and b[1] >= b[2]:
                corner = f[1]
            elif b[2] > b[0] and b[2] > b[1]:
                corner = f[2]
            parts[y, x] = vertex_part[corner]
            touch = b[0] * float(vertex_touch[f[0]]) + b[1] * float(vertex_touch[f[1]]) + b[2] * float(vertex_touch[f[2]])
            if touch > 0.5:
                contact[y, x] = wp.uint8(1)


@wp.func
def clamped(i: int, count: int) -> int:
    """The border repeats."""
    return wp.clamp(i, 0, count - 1)


@wp.kernel(enable_backward=False)
def blur_along_rows(image: wp.array2d(dtype=wp.vec3f), taps: wp.array(dtype=wp.float32), out: wp.array2d(dtype=wp.vec3f), row0: int, lanes: int):
    """Weighted mean of neighbours in a row."""
    r, lane = wp.tid()
    y = row0 + r
    reach, width = taps.shape[0] / 2, image.shape[1]
    for x in range(lane, width, lanes):
        total = wp.vec3f(0.0, 0.0, 0.0)
        for k in range(taps.shape[0]):
            total += taps[k] * image[y, clamped(x + k - reach, width)]
        out[y, x] = total


@wp.func
def sensor(light: float, noise: float, strength: float) -> float:
    """A value with noise that grows with the light, in [0, 1]."""
    return wp.clamp(light + strength * noise * (0.6 + 0.4 * wp.sqrt(light)), 0.0, 1.0)


@wp.kernel(enable_backward=False)
def expose(
    image: wp.array2d(dtype=wp.vec3f),
    taps: wp.array(dtype=wp.float32),
    vignette: float,
    noise: wp.array2d(dtype=wp.vec3f),
    strength: float,
    out: wp.array2d(dtype=wp.vec3f),
    row0: int,
    lanes: int,
):
    """Blur along columns, loss of light in the corners, noise of the sensor."""
    r, lane = wp.tid()
    y = row0 + r
    height, width = image.shape[0], image.shape[1]
    reach = taps.shape[0] / 2
    v = -1.0 + 2.0 * float(y) / float(wp.max(height - 1, 1))
    for x in range(lane, width, lanes):
        total = wp.vec3f(0.0, 0.0, 0.0)
        for k in range(taps.shape[0]):
            total += taps[k] * image[clamped(y + k - reach, height), x]
        u = -1.0 + 2.0 * float(x) / float(wp.max(width - 1, 1))
        total = total * (1.0 - 0.5 * vignette * (u * u + v * v))
        n = noise[y, x]
        out[y, x] = wp.vec3f(sensor(total[0], n[0], strength), sensor(total[1], n[1], strength), sensor(total[2], n[2], strength))
