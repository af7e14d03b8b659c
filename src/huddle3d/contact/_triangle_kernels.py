"""Warp kernel that finds crossing triangles of two meshes. Coordinates are millimetres: the test has an absolute tolerance of 1e-6."""

import warp as wp

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false, reportReturnType=false, reportAttributeAccessIssue=false


@wp.kernel(enable_backward=False)
def crossing_kernel(
    mesh_b: wp.uint64,
    points_a: wp.array(dtype=wp.vec3),
    faces_a: wp.array2d(dtype=int),
    points_b: wp.array(dtype=wp.vec3),
    faces_b: wp.array2d(dtype=int),
    same: int,
    first: wp.array(dtype=int),
    count: wp.array(dtype=int),
    partner: wp.array(dtype=int),
    block: int,
    row0: int,
    lanes: int,
):
    """Count each face's partners; where ``partner`` has room, write them from ``first`` on. ``same``: one mesh with itself."""
    r, lane = wp.tid()
    base = (row0 + r) * block
    for k in range(lane, block, lanes):
        i = base + k
        if i < faces_a.shape[0]:
            ia, ib, ic = faces_a[i, 0], faces_a[i, 1], faces_a[i, 2]
            a, b, c = points_a[ia], points_a[ib], points_a[ic]
            query = wp.mesh_query_aabb(mesh_b, wp.min(wp.min(a, b), c), wp.max(wp.max(a, b), c))
            j = wp.int32(0)
            n = wp.int32(0)
            while wp.mesh_query_aabb_next(query, j):
                ja, jb, jc = faces_b[j, 0], faces_b[j, 1], faces_b[j, 2]
                skip = wp.int32(0)
                if same != 0:
                    if j <= i:
                        skip = wp.int32(1)
                    if ja == ia or ja == ib or ja == ic or jb == ia or jb == ib or jb == ic or jc == ia or jc == ib or jc == ic:
                        skip = wp.int32(1)
                if skip == 0:
                    if wp.intersect_tri_tri(a, b, c, points_b[ja], points_b[jb], points_b[jc]) != 0:
                        if partner.shape[0] > 0:
                            partner[first[i] + n] = j
                        n += 1
            count[i] = n
