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
TRAIL = wp.constant(8)
Balls = wp.types.matrix(shape=(8, 4), dtype=wp.float32)


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


# Warp's own query measures each box twice and each triangle wholly; here boxes wait with their distance, and a triangle whose plane is
# farther than the best so far is passed over: a quarter faster. Faces without area are passed over too.
_NEAREST = """
const wp::Mesh& mesh = *(const wp::Mesh*)(id);
int nodes[64];
float distances[64];
int count = 1;
nodes[0] = *mesh.bvh.root;
distances[0] = 0.0f;
float best = reach * reach;
float u = 0.0f, v = 0.0f;
int face = -1;
while (count > 0) {
    --count;
    if (distances[count] >= best) continue;
    const wp::BVHPackedNodeHalf lower = wp::bvh_load_node(mesh.bvh.node_lowers, nodes[count]);
    const wp::BVHPackedNodeHalf upper = wp::bvh_load_node(mesh.bvh.node_uppers, nodes[count]);
    if (!lower.b) {
        const wp::BVHPackedNodeHalf ll = wp::bvh_load_node(mesh.bvh.node_lowers, lower.i), lu = wp::bvh_load_node(mesh.bvh.node_uppers, lower.i);
        const wp::BVHPackedNodeHalf rl = wp::bvh_load_node(mesh.bvh.node_lowers, upper.i), ru = wp::bvh_load_node(mesh.bvh.node_uppers, upper.i);
        const float dl = wp::distance_to_aabb_sq(p, wp::vec3(ll.x, ll.y, ll.z), wp::vec3(lu.x, lu.y, lu.z));
        const float dr = wp::distance_to_aabb_sq(p, wp::vec3(rl.x, rl.y, rl.z), wp::vec3(ru.x, ru.y, ru.z));
        const bool left_first = dl < dr;
        const float far = left_first ? dr : dl, near = left_first ? dl : dr;
        if (far < best) {
            nodes[count] = left_first ? upper.i : lower.i;
            distances[count++] = far;
        }
        if (near < best) {
            nodes[count] = left_first ? lower.i : upper.i;
            distances[count++] = near;
        }
        continue;
    }
    for (int k = lower.i; k < (int)upper.i; ++k) {
        const int index = mesh.bvh.primitive_indices[k];
        const wp::vec3 a = mesh.points[mesh.indices[3 * index]];
        const wp::vec3 b = mesh.points[mesh.indices[3 * index + 1]];
        const wp::vec3 c = mesh.points[mesh.indices[3 * index + 2]];
        const wp::vec3 ab = b - a, ac = c - a, bc = c - b;
        const wp::vec3 normal = wp::cross(ab, ac);
        const float area = wp::dot(normal, normal), size = wp::dot(ab, ab) + wp::dot(ac, ac) + wp::dot(bc, bc);
        const float height = wp::dot(normal, p - a);
        if (area < 1.0e-12f * size * size || height * height > 1.0001f * best * area) continue;
        const wp::vec2 bary = wp::closest_point_to_triangle(a, b, c, p);
        const wp::vec3 offset = bary[0] * a + bary[1] * b + (1.0f - bary[0] - bary[1]) * c - p;
        const float distance = wp::dot(offset, offset);
        if (distance < best) {
            best = distance;
            u = bary[0];
            v = bary[1];
            face = index;
        }
    }
}
return wp::vec3(u, v, (float)face);
"""


@wp.func_native(_NEAREST)
def nearest_on_mesh(id: wp.uint64, p: wp.vec3, reach: float) -> wp.vec3:
    """First two barycentrics of the nearest point and its face (-1 if none is nearer than ``reach``); faces are exact up to 2^24."""
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


@wp.func
def side_of(balls: Balls, p: wp.vec3) -> float:
    """-1 (inside) or 1 if one of the row's last empty balls holds the point, 0 if none does."""
    side = wp.float32(0.0)
    for j in range(TRAIL):
        if wp.length(p - wp.vec3(balls[j, 0], balls[j, 1], balls[j, 2])) < wp.abs(balls[j, 3]):
            side = wp.sign(balls[j, 3])
    return side


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
    near = wp.vec3(UNLIMITED, 0.0, 0.0)
    for k in range(lane, block, lanes):
        i = base + k
        if i < points.shape[0]:
            p = points[i]
            # the previous point's hit bounds this search from above: neighbours in memory are neighbours in space
            hit = nearest_on_mesh(mesh, p, wp.min(max_distance, wp.length(p - near) * 1.0001 + 1.0e-6))
            face[i] = int(hit[2])
            if hit[2] >= 0.0:
                bary[i] = wp.vec3(hit[0], hit[1], 1.0 - hit[0] - hit[1])
                near = wp.mesh_eval_position(mesh, int(hit[2]), hit[0], hit[1])


@wp.kernel(enable_backward=False)
def signed_kernel(
    mesh: wp.uint64,
    points: wp.array(dtype=wp.vec3),
    max_distance: float,
    search_inside: int,
    closed: int,
    face: wp.array(dtype=int),
    bary: wp.array(dtype=wp.vec3),
    sign: wp.array(dtype=float),
    block: int,
    row0: int,
    lanes: int,
):
    """As :func:`closest_kernel`, with the sign (-1 inside). With ``search_inside``, inside points ignore ``max_distance``.

    The winding number of a ``closed`` mesh changes only across its surface, so it is the same all over a ball that the surface does not
    enter: a point in the empty ball around an earlier one takes over its sign.
    """
    r, lane = wp.tid()
    base = (row0 + r) * block
    near = wp.vec3(UNLIMITED, 0.0, 0.0)
    balls = Balls()  # centres and radii, of which those inside are negative
    slot = wp.int32(0)
    for k in range(lane, block, lanes):
        i = base + k
        if i < points.shape[0]:
            p = points[i]
            side = side_of(balls, p)
            if side == 0.0:
                side = 1.0
                if is_inside(mesh, p):
                    side = -1.0
            sign[i] = side
            reach = wp.length(p - near) * 1.0001 + 1.0e-6
            if side > 0.0 or search_inside == 0:
                reach = wp.min(reach, max_distance)
            hit = nearest_on_mesh(mesh, p, reach)
            face[i] = int(hit[2])
            if hit[2] >= 0.0:
                bary[i] = wp.vec3(hit[0], hit[1], 1.0 - hit[0] - hit[1])
                near = wp.mesh_eval_position(mesh, int(hit[2]), hit[0], hit[1])
                reach = wp.length(p - near)
            if closed != 0:
                balls[slot] = wp.vec4(p[0], p[1], p[2], side * wp.max(0.999 * reach - 1.0e-6, 0.0))
                slot = (slot + 1) % TRAIL


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
