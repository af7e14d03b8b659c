"""Warp kernel of the noise (CPU and CUDA)."""

import warp as wp

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false

CHUNK = 2048  # points per row of the launch
PRIMES = (73_856_093, 19_349_663, 83_492_791)
TABLE = 4096


@wp.func
def axis_code(cell: wp.int64, prime: wp.int64) -> wp.int64:
    """Hash of one coordinate of a cell."""
    code = cell * prime
    return code ^ (code >> wp.int64(11))


@wp.func
def tone(code: wp.int64, table: wp.array(dtype=wp.float32)) -> float:
    """The number of a cell."""
    return table[int((code ^ (code >> wp.int64(17))) & wp.int64(wp.static(TABLE) - 1))]


@wp.func
def value_at(p: wp.vec3f, dimensions: int, start: wp.int64, table: wp.array(dtype=wp.float32)) -> float:
    """Noise in [0, 1) with features of size 1."""
    bx, by, bz = wp.floor(p[0]), wp.floor(p[1]), wp.floor(p[2])
    fx, fy, fz = p[0] - bx, p[1] - by, p[2] - bz
    fx, fy, fz = fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy), fz * fz * (3.0 - 2.0 * fz)
    px, py, pz = wp.int64(wp.static(PRIMES[0])), wp.int64(wp.static(PRIMES[1])), wp.int64(wp.static(PRIMES[2]))
    x0, x1 = axis_code(wp.int64(bx), px) ^ start, axis_code(wp.int64(bx) + wp.int64(1), px) ^ start
    y0, y1 = axis_code(wp.int64(by), py), axis_code(wp.int64(by) + wp.int64(1), py)
    z0, z1 = wp.int64(0), wp.int64(0)
    if dimensions == 3:
        z0, z1 = axis_code(wp.int64(bz), pz), axis_code(wp.int64(bz) + wp.int64(1), pz)
    ax, ay = 1.0 - fx, 1.0 - fy
    low = ax * ay * tone(x0 ^ y0 ^ z0, table) + fx * ay * tone(x1 ^ y0 ^ z0, table)
    low += ax * fy * tone(x0 ^ y1 ^ z0, table) + fx * fy * tone(x1 ^ y1 ^ z0, table)
    out = low
    if dimensions == 3:
        top = ax * ay * tone(x0 ^ y0 ^ z1, table) + fx * ay * tone(x1 ^ y0 ^ z1, table)
        top += ax * fy * tone(x0 ^ y1 ^ z1, table) + fx * fy * tone(x1 ^ y1 ^ z1, table)
        out = (1.0 - fz) * low + fz * top
    return out


@wp.kernel(enable_backward=False)
def fractal(
    points: wp.array2d(dtype=wp.float32),
    starts: wp.array(dtype=wp.int64),
    table: wp.array(dtype=wp.float32),
    out: wp.array(dtype=wp.float32),
    row0: int,
    lanes: int,
):
    """Sum of octaves of value noise, one per start code, each half as large and twice as fine. One row is a chunk of the points."""
    r, lane = wp.tid()
    start = (row0 + r) * wp.static(CHUNK)
    dimensions = points.shape[1]
    for i in range(start + lane, wp.min(start + wp.static(CHUNK), points.shape[0]), lanes):
        p = wp.vec3f(points[i, 0], points[i, 1], 0.0)
        if dimensions == 3:
            p = wp.vec3f(points[i, 0], points[i, 1], points[i, 2])
        total = wp.float32(0.0)
        norm = wp.float32(0.0)
        weight = wp.float32(1.0)
        for k in range(starts.shape[0]):
            total += weight * (2.0 * value_at(p, dimensions, starts[k], table) - 1.0)
            norm += weight
            weight *= 0.5
            p = 2.0 * p
        out[i] = total / norm


@wp.kernel(enable_backward=False)
def cell_tones(
    cells: wp.array2d(dtype=wp.int64),
    start: wp.int64,
    table: wp.array(dtype=wp.float32),
    out: wp.array(dtype=wp.float32),
    row0: int,
    lanes: int,
):
    """A number in [0, 1) for each integer cell of 2 dimensions."""
    r, lane = wp.tid()
    first = (row0 + r) * wp.static(CHUNK)
    px, py = wp.int64(wp.static(PRIMES[0])), wp.int64(wp.static(PRIMES[1]))
    for i in range(first + lane, wp.min(first + wp.static(CHUNK), cells.shape[0]), lanes):
        out[i] = tone(start ^ axis_code(cells[i, 0], px) ^ axis_code(cells[i, 1], py), table)
