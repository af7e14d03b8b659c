"""A kernel in its own importable file, as Warp wants it."""

import warp as wp


@wp.kernel(enable_backward=False)
def scale_rows(src: wp.array2d(dtype=float), dst: wp.array2d(dtype=float), row0: int, lanes: int):
    r, lane = wp.tid()
    y = row0 + r
    for x in range(lane, src.shape[1], lanes):
        dst[y, x] = src[y, x] * 2.0 + float(y)
