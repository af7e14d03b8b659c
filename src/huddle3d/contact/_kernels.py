"""Warp kernels of the mesh queries: closest point, winding number, inside test. Forward only; gradients are closed forms in torch.

Every kernel handles ``block`` consecutive points per row and owns the rows it writes, so ranges of rows may run on several CPU threads.
"""

import warp as wp

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false, reportReturnType=false, reportAttributeAccessIssue=false

UNLIMITED = wp.constant(1.0e18)
COARSE_ACCURACY = wp.constant(1.1)
FINE_ACCURACY = wp.constant(4.0)
DOUBTFUL = wp.constant(0.3)


# The sum is linear, so one total and a stack of nodes will do: a fifth faster than Warp's own walk with a partial sum per level, two fifths
# at high accuracy. Small angles need no arc tangent: the series is cut at 4e-8.
_WINDING = """
const wp::Mesh& mesh = *(const wp::Mesh*)(id);
const float reach = accuracy * accuracy;
int stack[64];
int count = 0;
float total = 0.0f;
stack[count++] = *mesh.bvh.root;
while (count > 0) {
    const int node = stack[--count];
    const wp::BVHPackedNodeHalf lower = wp::bvh_load_node(mesh.bvh.node_lowers, node);
    const wp::BVHPackedNodeHalf upper = wp::bvh_load_node(mesh.bvh.node_uppers, node);
    if (!lower.b) {
        float angle = 0.0f;
        if (wp::evaluate_node_solid_angle(p, &mesh.solid_angle_props[node], angle, reach)) {
            stack[count++] = upper.i;
            stack[count++] = lower.i;
        } else {
            total += angle;
        }
        continue;
    }
    for (int k = lower.i; k < (int)upper.i; ++k) {
        const int face = mesh.bvh.primitive_indices[k];
        const wp::vec3 a = mesh.points[mesh.indices[3 * face]] - p;
        const wp::vec3 b = mesh.points[mesh.indices[3 * face + 1]] - p;
        const wp::vec3 c = mesh.points[mesh.indices[3 * face + 2]] - p;
        const float la = wp::length(a), lb = wp::length(b), lc = wp::length(c);
        const float numerator = wp::dot(a, wp::cross(b, c));
        const float denominator = la * lb * lc + wp::dot(a, b) * lc + wp::dot(b, c) * la + wp::dot(c, a) * lb;
        const float t = numerator / denominator;
        if (denominator > 0.0f && t * t < 0.01f)
            total += 2.0f * t * (1.0f - t * t * (1.0f / 3.0f - t * t * 0.2f));
        else if (numerator != 0.0f)
            total += 2.0f * wp::atan2(numerator, denominator);
    }
}
return total * 0.07957747154f;
"""


@wp.func_native(_WINDING)
def fast_winding(id: wp.uint64, p: wp.vec3, accuracy: float) -> float:
    """Winding number by Barill et al. 2018: clusters farther than ``accuracy`` radii are summed by Warp's second-order expansion."""
    ...


@wp.func
def is_inside(mesh: wp.uint64, p: wp.vec3) -> bool:
    """Winding number above one half.

    A coarse sum (error below 0.17 on all shapes tried) decides nearly all points at a quarter of the cost; where it comes near the
    threshold, which on closed surfaces never happens, a fine one (error below 3e-4) decides.
    """
    w = fast_winding(mesh, p, COARSE_ACCURACY)
    if wp.abs(w - 0.5) < DOUBTFUL:
        w = fast_winding(mesh, p, FINE_ACCURACY)
    return w > 0.5


@wp.kernel(enable_backward=False)
def closest_kernel(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    max_distance: float,
    face: wp.array(dtype=int),
    bary: wp.array(dtype=wp.vec3),
    block: int,
    row0: int,
    lanes: int,
):
    """Nearest face (-1 if farther than ``max_distance``) and barycentrics."""
    r, lane = wp.tid()
    base = (row0 + r) * block
    near = wp.vec3(0.0, 0.0, 0.0)
    bounded = wp.int32(0)
    for k in range(lane, block, lanes):
        i = base + k
        if i < points.shape[0]:
            p = points[i]
            # the previous point's hit bounds this search from above: neighbours in memory are neighbours in space
            limit = max_distance
            if bounded != 0:
                limit = wp.min(max_distance, wp.length(p - near) * 1.0001 + 1.0e-6)
            hit = wp.mesh_query_point_no_sign(mesh, p, limit)
            face[i] = -1
            if hit.result:
                face[i] = hit.face
                bary[i] = wp.vec3(hit.u, hit.v, 1.0 - hit.u - hit.v)
                near = wp.mesh_eval_position(mesh, hit.face, hit.u, hit.v)
                bounded = wp.int32(1)


@wp.kernel(enable_backward=False)
def signed_kernel(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    max_distance: float,
    search_inside: int,
    face: wp.array(dtype=int),
    bary: wp.array(dtype=wp.vec3),
    sign: wp.array(dtype=float),
    block: int,
    row0: int,
    lanes: int,
):
    """As :func:`closest_kernel`, with the sign (-1 inside). With ``search_inside``, inside points ignore ``max_distance``."""
    r, lane = wp.tid()
    base = (row0 + r) * block
    near = wp.vec3(0.0, 0.0, 0.0)
    bounded = wp.int32(0)
    for k in range(lane, block, lanes):
        i = base + k
        if i < points.shape[0]:
            p = points[i]
            bound = UNLIMITED
            if bounded != 0:
                bound = wp.length(p - near) * 1.0001 + 1.0e-6
            limit = wp.min(max_distance, bound)
            sign[i] = 1.0
            if is_inside(mesh, p):
                sign[i] = -1.0
                if search_inside != 0:
                    limit = bound
            hit = wp.mesh_query_point_no_sign(mesh, p, limit)
            face[i] = -1
            if hit.result:
                face[i] = hit.face
                bary[i] = wp.vec3(hit.u, hit.v, 1.0 - hit.u - hit.v)
                near = wp.mesh_eval_position(mesh, hit.face, hit.u, hit.v)
                bounded = wp.int32(1)


@wp.kernel(enable_backward=False)
def winding_kernel(
    mesh: wp.uint64, points: wp.array(dtype=wp.vec3), accuracy: float, winding: wp.array(dtype=float), block: int, row0: int, lanes: int
):
    """Winding number at each point."""
    r, lane = wp.tid()
    base = (row0 + r) * block
    for k in range(lane, block, lanes):
        i = base + k
        if i < points.shape[0]:
            winding[i] = fast_winding(mesh, points[i], accuracy)


@wp.kernel(enable_backward=False)
def inside_kernel(mesh: wp.uint64, points: wp.array(dtype=wp.vec3), inside: wp.array(dtype=wp.uint8), block: int, row0: int, lanes: int):
    """1 where the winding number is above one half."""
    r, lane = wp.tid()
    base = (row0 + r) * block
    for k in range(lane, block, lanes):
        i = base + k
        if i < points.shape[0]:
            inside[i] = wp.uint8(0)
            if is_inside(mesh, points[i]):
                inside[i] = wp.uint8(1)
