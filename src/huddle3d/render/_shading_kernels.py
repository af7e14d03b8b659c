"""Warp kernels that shade a picture: surfaces with lights, textures and shadows, and the ground under them (CPU and CUDA)."""

import warp as wp

from huddle3d.render._raster_kernels import edge_function
from huddle3d.render._visibility_kernels import lit_at

# pyright: reportIndexIssue=false, reportArgumentType=false, reportInvalidTypeForm=false, reportOperatorIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false

DECODE_STEPS = 1024  # of the table from sRGB to linear light


@wp.struct
class Lamps:
    """Far lights and their shadow maps."""

    direction: wp.array(dtype=wp.vec3f)
    colour: wp.array(dtype=wp.vec3f)
    shadow: wp.array(dtype=wp.int32)  # index of the map, -1 without
    soft: wp.array(dtype=wp.vec3f)  # reach, spread, search [px]
    rows: wp.array2d(dtype=wp.vec4f)
    depth: wp.array3d(dtype=wp.float32)
    disc: wp.array(dtype=wp.vec2f)
    lift: float
    fade: float


@wp.struct
class Surface:
    """The merged mesh with its colours."""

    faces: wp.array(dtype=wp.vec3i)
    positions: wp.array(dtype=wp.vec3f)
    normals: wp.array(dtype=wp.vec3f)
    ambient: wp.array(dtype=wp.vec3f)
    colours: wp.array(dtype=wp.vec3f)
    gloss: wp.array(dtype=wp.vec2f)  # specular, shininess
    uv: wp.array2d(dtype=wp.vec2f)
    owner: wp.array(dtype=wp.int32)
    textures: wp.array(dtype=wp.vec3i)  # first texel, height, width; height 0: colours by vertex
    texels: wp.array2d(dtype=wp.uint8)
    decode: wp.array(dtype=wp.float32)


@wp.func
def turn_at(x: int, y: int) -> float:
    """An angle that differs between neighbouring pixels as much as can be (interleaved gradient noise, Jimenez 2014)."""
    a = 0.06711056 * float(x) + 0.00583715 * float(y)
    b = 52.9829189 * (a - wp.floor(a))
    return 6.2831855 * (b - wp.floor(b))


@wp.func
def shoulder(light: float) -> float:
    """Keeps values up to 0.7 and bends brighter ones towards 1."""
    out = light
    if light > 0.7:
        out = 0.7 + 0.3 * (1.0 - wp.exp(-(light - 0.7) / 0.3))
    return out


@wp.func
def texel(s: Surface, first: int, width: int, x: int, y: int) -> wp.vec3f:
    """One texel, sRGB in [0, 1]."""
    i = first + y * width + x
    return wp.vec3f(float(s.texels[i, 0]), float(s.texels[i, 1]), float(s.texels[i, 2])) / 255.0


@wp.func
def linear(s: Surface, c: float) -> float:
    """SRGB to linear light by the table."""
    at = wp.clamp(c, 0.0, 1.0) * float(wp.static(DECODE_STEPS))
    i = wp.min(int(at), wp.static(DECODE_STEPS) - 1)
    return wp.lerp(s.decode[i], s.decode[i + 1], at - float(i))


@wp.func
def albedo_at(s: Surface, t: int, f: wp.vec3i, b: wp.vec3f) -> wp.vec3f:
    """Linear reflectance at a place on face ``t``: the texture (bilinear, border repeated), or the colours of the corners."""
    out = b[0] * s.colours[f[0]] + b[1] * s.colours[f[1]] + b[2] * s.colours[f[2]]
    texture = s.textures[s.owner[t]]
    if texture[1] > 0:
        height, width = texture[1], texture[2]
        uv = b[0] * s.uv[t, 0] + b[1] * s.uv[t, 1] + b[2] * s.uv[t, 2]
        x = wp.clamp(uv[0] * float(width) - 0.5, 0.0, float(width - 1))
        y = wp.clamp((1.0 - uv[1]) * float(height) - 0.5, 0.0, float(height - 1))
        x0, y0 = int(x), int(y)
        x1, y1 = wp.min(x0 + 1, width - 1), wp.min(y0 + 1, height - 1)
        fx, fy = x - float(x0), y - float(y0)
        top = (1.0 - fx) * texel(s, texture[0], width, x0, y0) + fx * texel(s, texture[0], width, x1, y0)
        low = (1.0 - fx) * texel(s, texture[0], width, x0, y1) + fx * texel(s, texture[0], width, x1, y1)
        out = (1.0 - fy) * top + fy * low
    return wp.vec3f(linear(s, out[0]), linear(s, out[1]), linear(s, out[2]))


@wp.func
def power5(x: float) -> float:
    """Fifth power."""
    return x * x * x * x * x


@wp.func
def radiance(s: Surface, lamps: Lamps, t: int, b: wp.vec3f, eye: wp.vec3f, perspective: int, wrap: float, turn: float) -> wp.vec3f:
    """Light that leaves a surface point towards the viewer."""
    f = s.faces[t]
    p = b[0] * s.positions[f[0]] + b[1] * s.positions[f[1]] + b[2] * s.positions[f[2]]
    n = wp.normalize(b[0] * s.normals[f[0]] + b[1] * s.normals[f[1]] + b[2] * s.normals[f[2]])
    ambient = b[0] * s.ambient[f[0]] + b[1] * s.ambient[f[1]] + b[2] * s.ambient[f[2]]
    gloss = b[0] * s.gloss[f[0]] + b[1] * s.gloss[f[1]] + b[2] * s.gloss[f[2]]
    toward = eye
    if perspective != 0:
        toward = wp.normalize(eye - p)
    if wp.dot(n, toward) < -0.15:
        n = -n
    albedo = albedo_at(s, t, f, b)
    mirror = 0.04 + 0.96 * power5(1.0 - wp.clamp(wp.dot(n, toward), 0.0, 1.0))
    out = wp.cw_mul(albedo, ambient) + 0.35 * gloss[0] * mirror * ambient
    for k in range(lamps.direction.shape[0]):
        d = lamps.direction[k]
        cosine = wp.dot(n, d)
        diffuse = wp.max((cosine + wrap) / (1.0 + wrap), 0.0)
        if diffuse > 0.0:
            seen = wp.float32(1.0)
            if lamps.shadow[k] >= 0:
                soft = lamps.soft[k]
                seen = lit_at(
                    p + lamps.lift * n, n, lamps.rows, lamps.shadow[k], lamps.depth, lamps.disc, soft[0], soft[1], soft[2], turn, lamps.fade
                )
            highlight = wp.float32(0.0)
            if cosine > 0.0 and gloss[0] > 0.0 and seen > 0.0:  # the power is dear
                half = wp.normalize(toward + d)
                fresnel = 0.04 + 0.96 * power5(1.0 - wp.clamp(wp.dot(half, toward), 0.0, 1.0))
                lobe = (gloss[1] + 8.0) / 8.0 * wp.pow(wp.max(wp.dot(n, half), 1.0e-9), gloss[1])
                highlight = gloss[0] * fresnel * lobe * cosine
            out += seen * wp.cw_mul(diffuse * albedo + wp.vec3f(highlight, highlight, highlight), lamps.colour[k])
    return out


@wp.func
def bary_at(corners: wp.array(dtype=wp.vec4f), f: wp.vec3i, x: int, y: int) -> wp.vec3f:
    """Perspective-correct barycentrics of a pixel's centre, as the rasteriser's ``resolve`` has them."""
    a, b, c = corners[f[0]], corners[f[1]], corners[f[2]]
    p = wp.vec3d(wp.float64(1.0), wp.float64(x) + wp.float64(0.5), wp.float64(y) + wp.float64(0.5))
    la, lb, lc = wp.dot(edge_function(b, c), p), wp.dot(edge_function(c, a), p), wp.dot(edge_function(a, b), p)
    s = wp.float64(1.0) / (la + lb + lc)
    return wp.vec3f(wp.float32(la * s), wp.float32(lb * s), wp.float32(lc * s))


@wp.kernel(enable_backward=False)
def shade_pixels(
    key: wp.array2d(dtype=wp.int64),
    empty: wp.int64,
    corners: wp.array(dtype=wp.vec4f),
    surface: Surface,
    lamps: Lamps,
    eye: wp.vec3f,
    perspective: int,
    wrap: float,
    exposure: float,
    step: int,
    canvas: wp.array2d(dtype=wp.vec3f),
    row0: int,
    lanes: int,
):
    """Lays the surfaces over the canvas: the mean of ``step``² samples per pixel, of which those that meet nothing keep the canvas.

    ``key`` holds the rasteriser's keys of the samples.
    ``eye`` is the camera's centre, or for an orthographic camera the direction towards it. One row is one row of the canvas.
    """
    r, lane = wp.tid()
    y = row0 + r
    for x in range(lane, canvas.shape[1], lanes):
        base = canvas[y, x]
        total = wp.vec3f(0.0, 0.0, 0.0)
        touched = wp.int32(0)
        for i in range(step):
            for j in range(step):
                fy, fx = step * y + i, step * x + j
                word = key[fy, fx]
                if word != empty:
                    t = wp.int32(word & wp.int64(0x7FFFFFFF))
                    b = bary_at(corners, surface.faces[t], fx, fy)
                    light = exposure * radiance(surface, lamps, t, b, eye, perspective, wrap, turn_at(fx, fy))
                    total += wp.vec3f(shoulder(light[0]), shoulder(light[1]), shoulder(light[2]))
                    touched += 1
                else:
                    total += base
        if touched > 0:
            canvas[y, x] = total / float(step * step)


@wp.kernel(enable_backward=False)
def shade_ground(
    start: wp.mat33f,
    ahead: wp.mat33f,
    height: float,
    centre: wp.vec3f,
    radius: float,
    full_ambient: wp.vec3f,
    grid: wp.array2d(dtype=wp.vec3f),
    half: float,
    lamps: Lamps,
    albedo: wp.vec3f,
    opaque: int,
    exposure: float,
    key: wp.array2d(dtype=wp.int64),
    empty: wp.int64,
    step: int,
    canvas: wp.array2d(dtype=wp.vec3f),
    row0: int,
    lanes: int,
):
    """Shadows, and with ``opaque`` the colour, of the plane ``y = height`` on the canvas, where a sample of the pixel meets no surface.

    The ray of pixel ``(u, v)`` is ``start (u, v, 1) + (z - 1) ahead (u, v, 1)``. ``grid`` is the ambient light on a square of side ``2 half``
    about the centre; shadows end at six times the scene's radius.
    """
    r, lane = wp.tid()
    y = row0 + r
    up = wp.vec3f(0.0, 1.0, 0.0)
    for x in range(lane, canvas.shape[1], lanes):
        open = wp.int32(0)
        for i in range(step):
            for j in range(step):
                if key[step * y + i, step * x + j] == empty:
                    open = wp.int32(1)
        uv = wp.vec3f(float(x) + 0.5, float(y) + 0.5, 1.0)
        a, d = start * uv, ahead * uv
        slope = d[1]
        if wp.abs(slope) < 1.0e-9:
            slope = 1.0e-9
        z = 1.0 + (height - a[1]) / slope
        if open != 0 and z > 1.0e-3 and z < 1.0e4:
            p = a + (z - 1.0) * d
            distance = wp.length(p - centre) / radius
            full = full_ambient
            got = full_ambient
            if distance < 6.0:
                gx = wp.clamp(((p[0] - centre[0]) / half + 1.0) * 0.5 * float(grid.shape[1]) - 0.5, 0.0, float(grid.shape[1] - 1))
                gy = wp.clamp(((p[2] - centre[2]) / half + 1.0) * 0.5 * float(grid.shape[0]) - 0.5, 0.0, float(grid.shape[0] - 1))
                x0, y0 = int(gx), int(gy)
                x1, y1 = wp.min(x0 + 1, grid.shape[1] - 1), wp.min(y0 + 1, grid.shape[0] - 1)
                fx, fy = gx - float(x0), gy - float(y0)
                got = (1.0 - fy) * ((1.0 - fx) * grid[y0, x0] + fx * grid[y0, x1]) + fy * ((1.0 - fx) * grid[y1, x0] + fx * grid[y1, x1])
            for k in range(lamps.direction.shape[0]):
                arriving = wp.max(lamps.direction[k][1], 0.0) * lamps.colour[k]
                seen = wp.float32(1.0)
                if lamps.shadow[k] >= 0 and distance < 6.0:
                    soft = lamps.soft[k]
                    q = p + lamps.lift * up
                    seen = lit_at(q, up, lamps.rows, lamps.shadow[k], lamps.depth, lamps.disc, soft[0], soft[1], soft[2], turn_at(x, y), lamps.fade)
                full += arriving
                got += seen * arriving
            base = canvas[y, x]
            if opaque == 0:
                canvas[y, x] = wp.cw_mul(base, wp.cw_div(got, wp.max(full, wp.vec3f(1.0e-6, 1.0e-6, 1.0e-6))))
            else:
                light = exposure * wp.cw_mul(albedo, got)
                own = wp.vec3f(shoulder(light[0]), shoulder(light[1]), shoulder(light[2]))
                fade = wp.clamp((distance - 2.5) / 6.0, 0.0, 1.0)
                fade = fade * fade * (3.0 - 2.0 * fade)
                canvas[y, x] = own + fade * (base - own)
