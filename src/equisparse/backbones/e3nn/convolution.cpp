// Fused convolution of equivariant networks on a CPU: edge product and sum per atom in one loop over the edges.
//
// For an edge e from atom s to atom t, and a path with input irrep of A components, output irrep of C components and
// `mul` channels u, the message is  w[e,u] * sum_i M[e,i,k] x[s,u,i],  and z[t,u,k] is the sum of the messages of all
// edges. M are the Clebsch-Gordan coefficients contracted with the spherical harmonics of the edge. The function is
// linear in each of x, M and w, so its derivatives of first and second order are sums of the same kind.
//
// Inside, channels are the fastest axis, padded to whole vectors; no tensor of messages is stored.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace {

constexpr int BYTES = 64;
#ifdef SINGLE
typedef float real;
#else
typedef double real;
#endif
constexpr int LANES = BYTES / sizeof(real);
typedef real vec __attribute__((vector_size(64)));

// One path; `x`, `w` and `z` are offsets in vectors, `m` and `stride` in entries.
struct Path { int64_t x, m, stride, w, z, blocks, inputs, outputs; };
// `mul` channels of `dim` components of one irrep (or weights, with one component): where they are outside, and inside.
struct Part { int64_t outside, inside, mul, dim; };

struct Free { void operator()(void* pointer) const { std::free(pointer); } };
typedef std::unique_ptr<vec, Free> Buffer;

Buffer buffer(int64_t vectors) {
    void* pointer = nullptr;
    if (posix_memalign(&pointer, BYTES, std::max<int64_t>(vectors, 1) * BYTES)) throw std::bad_alloc();
    return Buffer(static_cast<vec*>(pointer));
}

Buffer zeros(int64_t vectors) {
    Buffer rows = buffer(vectors);
    std::memset(static_cast<void*>(rows.get()), 0, vectors * BYTES);
    return rows;
}

// Number of lanes of a part inside: its channels, padded to whole vectors.
int64_t width(const Part& part) { return (part.mul + LANES - 1) / LANES * LANES; }

template <int D> void pack_part(const real* from, real* to, int64_t mul, int64_t width) {
    for (int64_t u = 0; u < mul; ++u)
        for (int i = 0; i < D; ++i) to[i * width + u] = from[u * D + i];
}

template <int D> void unpack_part(const real* from, real* to, int64_t mul, int64_t width) {
    for (int64_t u = 0; u < mul; ++u)
        for (int i = 0; i < D; ++i) to[u * D + i] = from[i * width + u];
}

// Component by component, padded.
void pack(const real* from, vec* to, const Part* parts, int64_t n_parts) {
    for (const Part* part = parts; part < parts + n_parts; ++part) {
        const real* source = from + part->outside;
        real* target = reinterpret_cast<real*>(to + part->inside);
        switch (part->dim) {
            case 1: std::memcpy(target, source, part->mul * sizeof(real)); break;
            case 3: pack_part<3>(source, target, part->mul, width(*part)); break;
            case 5: pack_part<5>(source, target, part->mul, width(*part)); break;
            case 7: pack_part<7>(source, target, part->mul, width(*part)); break;
        }
    }
}

void unpack(const vec* from, real* to, const Part* parts, int64_t n_parts) {
    for (const Part* part = parts; part < parts + n_parts; ++part) {
        const real* source = reinterpret_cast<const real*>(from + part->inside);
        real* target = to + part->outside;
        switch (part->dim) {
            case 1: std::memcpy(target, source, part->mul * sizeof(real)); break;
            case 3: unpack_part<3>(source, target, part->mul, width(*part)); break;
            case 5: unpack_part<5>(source, target, part->mul, width(*part)); break;
            case 7: unpack_part<7>(source, target, part->mul, width(*part)); break;
        }
    }
}

typedef real half_vec __attribute__((vector_size(BYTES / 2)));
typedef real quarter_vec __attribute__((vector_size(BYTES / 4)));

// Sum of the lanes.
inline real total(const vec& value) {
    half_vec halves[2];
    std::memcpy(halves, &value, BYTES);
    const half_vec half = halves[0] + halves[1];
    quarter_vec quarters[2];
    std::memcpy(quarters, &half, BYTES / 2);
    const quarter_vec quarter = quarters[0] + quarters[1];
    real sum = quarter[0] + quarter[1];
    for (int i = 2; i < LANES / 4; ++i) sum += quarter[i];
    return sum;
}

template <int A, int C> struct Kernel {
    static void value(const Path& p, const vec* x, const real* m, const vec* w, vec* z) {
        const int64_t n = p.blocks, s = p.stride;
        for (int64_t b = 0; b < n; ++b) {
            vec xs[A];
            for (int i = 0; i < A; ++i) xs[i] = x[i * n + b];
            const vec wb = w[b];
            for (int k = 0; k < C; ++k) {
                vec t = xs[0] * m[k];
                for (int i = 1; i < A; ++i) t += xs[i] * m[i * s + k];
                z[k * n + b] += wb * t;
            }
        }
    }
    // Derivatives by x, m and w of the product of z with g.
    static void gradient(const Path& p, const vec* x, const real* m, const vec* w, const vec* g, vec* gx, real* gm,
                         vec* gw) {
        const int64_t n = p.blocks, s = p.stride;
        vec sums[A * C] = {};
        for (int64_t b = 0; b < n; ++b) {
            vec xs[A], gxs[A] = {}, gws = {};
            for (int i = 0; i < A; ++i) xs[i] = x[i * n + b];
            const vec wb = w[b];
            for (int k = 0; k < C; ++k) {
                const vec gk = g[k * n + b], h = wb * gk;
                vec t = xs[0] * m[k];
                for (int i = 1; i < A; ++i) t += xs[i] * m[i * s + k];
                gws += gk * t;
                for (int i = 0; i < A; ++i) {
                    gxs[i] += h * m[i * s + k];
                    sums[i * C + k] += xs[i] * h;
                }
            }
            for (int i = 0; i < A; ++i) gx[i * n + b] += gxs[i];
            gw[b] = gws;
        }
        for (int i = 0; i < A; ++i)
            for (int k = 0; k < C; ++k) gm[i * s + k] = total(sums[i * C + k]);
    }
    // Derivatives by g, x, m and w of the product of (gx, gm, gw) with (ax, am, aw).
    static void second(const Path& p, const vec* x, const real* m, const vec* w, const vec* g, const vec* ax,
                       const real* am, const vec* aw, vec* dg, vec* dx, real* dm, vec* dw) {
        const int64_t n = p.blocks, s = p.stride;
        vec sums[A * C] = {};
        for (int64_t b = 0; b < n; ++b) {
            vec xs[A], as[A], dxs[A] = {}, dws = {};
            for (int i = 0; i < A; ++i) { xs[i] = x[i * n + b]; as[i] = ax[i * n + b]; }
            const vec wb = w[b], ab = aw[b];
            for (int k = 0; k < C; ++k) {
                const vec gk = g[k * n + b], wg = wb * gk, ag = ab * gk;
                vec t = xs[0] * m[k], q = as[0] * m[k] + xs[0] * am[k];
                for (int i = 1; i < A; ++i) {
                    t += xs[i] * m[i * s + k];
                    q += as[i] * m[i * s + k] + xs[i] * am[i * s + k];
                }
                dg[k * n + b] += wb * q + ab * t;
                dws += gk * q;
                for (int i = 0; i < A; ++i) {
                    dxs[i] += wg * am[i * s + k] + ag * m[i * s + k];
                    sums[i * C + k] += wg * as[i] + ag * xs[i];
                }
            }
            for (int i = 0; i < A; ++i) dx[i * n + b] += dxs[i];
            dw[b] = dws;
        }
        for (int i = 0; i < A; ++i)
            for (int k = 0; k < C; ++k) dm[i * s + k] = total(sums[i * C + k]);
    }
};

template <typename Call> inline void dispatch(const Path& p, const Call& call) {
    switch (p.inputs * 8 + p.outputs) {
#define CASE(A, C) case A * 8 + C: return call(Kernel<A, C>());
#define ROW(A) CASE(A, 1) CASE(A, 3) CASE(A, 5) CASE(A, 7)
        ROW(1) ROW(3) ROW(5) ROW(7)
    }
}

struct Shape {
    int64_t atoms, edges, threads;
    int64_t x_size, m_size, w_size, z_size;        // entries of a row outside
    int64_t x_vectors, w_vectors, z_vectors;       // vectors of a row inside
    int64_t n_paths, n_x, n_w, n_z;                // lengths of the tables
};

struct Tables { const Path* paths; const Part* x; const Part* w; const Part* z; };

Tables tables(const Shape& s, const int64_t* table) {
    Tables t;
    t.paths = reinterpret_cast<const Path*>(table);
    t.x = reinterpret_cast<const Part*>(table + 8 * s.n_paths);
    t.w = t.x + s.n_x;
    t.z = t.w + s.n_w;
    return t;
}

Buffer packed(const real* from, int64_t rows, int64_t size, int64_t vectors, const Part* parts, int64_t n) {
    Buffer to = zeros(rows * vectors);
    for (int64_t row = 0; row < rows; ++row) pack(from + row * size, to.get() + row * vectors, parts, n);
    return to;
}

// Edges of one thread: [from, to).
struct Range { int64_t from, to; };

Range edges_of(const Shape& s, int64_t thread) {
    return {s.edges * thread / s.threads, s.edges * (thread + 1) / s.threads};
}

// Rows that the threads sum into: each has its own, for the range of atoms that its edges touch. The edges of a frame
// follow one another, so most threads touch the atoms of a few frames.
class Sums {
public:
    Sums(const Shape& s, int64_t vectors, const int64_t* atoms) : shape(s), vectors(vectors), atoms_of(s.threads) {
        int64_t rows = 0;
        for (int64_t thread = 0; thread < s.threads; ++thread) {
            const Range edges = edges_of(s, thread);
            Atoms& own = atoms_of[thread];
            for (int64_t e = edges.from; e < edges.to; ++e) {
                own.from = std::min(own.from, atoms[e]);
                own.to = std::max(own.to, atoms[e] + 1);
            }
            own.start = rows;
            rows += std::max<int64_t>(own.to - own.from, 0);
        }
        memory = buffer(rows * vectors);
    }
    void clear(int64_t thread) {
        const Atoms& own = atoms_of[thread];
        if (own.to > own.from) std::memset(row(thread, own.from), 0, (own.to - own.from) * vectors * BYTES);
    }
    vec* row(int64_t thread, int64_t atom) const {
        const Atoms& own = atoms_of[thread];
        return memory.get() + (own.start + atom - own.from) * vectors;
    }
    void write(real* to, int64_t size, const Part* parts, int64_t n) {
#pragma omp parallel for num_threads(shape.threads)
        for (int64_t atom = 0; atom < shape.atoms; ++atom) {
            vec* sum = nullptr;
            for (int64_t thread = 0; thread < shape.threads; ++thread) {
                if (atom < atoms_of[thread].from || atom >= atoms_of[thread].to) continue;
                vec* own = row(thread, atom);
                if (sum)
                    for (int64_t v = 0; v < vectors; ++v) sum[v] += own[v];
                else
                    sum = own;
            }
            if (sum) unpack(sum, to + atom * size, parts, n);
            else std::memset(to + atom * size, 0, size * sizeof(real));
        }
    }

private:
    struct Atoms { int64_t from = INT64_MAX, to = 0, start = 0; };
    const Shape& shape;
    const int64_t vectors;
    std::vector<Atoms> atoms_of;
    Buffer memory;
};

// Call `edges(range, thread)` for the edges of each thread.
template <typename Edges> void for_edges(const Shape& s, const Edges& edges) {
#pragma omp parallel for num_threads(s.threads) schedule(static, 1)
    for (int64_t thread = 0; thread < s.threads; ++thread) edges(edges_of(s, thread), thread);
}

}  // namespace

extern "C" {

int value(const int64_t* shape, const int64_t* table, const int64_t* source, const int64_t* target, const real* x,
           const real* m, const real* w, real* z) try {
    const Shape& s = *reinterpret_cast<const Shape*>(shape);
    const Tables t = tables(s, table);
    const Buffer xs = packed(x, s.atoms, s.x_size, s.x_vectors, t.x, s.n_x);
    const Buffer weights = zeros(s.threads * s.w_vectors);
    Sums zs(s, s.z_vectors, target);
    for_edges(s, [&](Range edges, int64_t thread) {
        zs.clear(thread);
        vec* ws = weights.get() + thread * s.w_vectors;
        for (int64_t e = edges.from; e < edges.to; ++e) {
            pack(w + e * s.w_size, ws, t.w, s.n_w);
            const vec* xe = xs.get() + source[e] * s.x_vectors;
            const real* me = m + e * s.m_size;
            vec* ze = zs.row(thread, target[e]);
            for (int64_t p = 0; p < s.n_paths; ++p) {
                const Path& path = t.paths[p];
                dispatch(path, [&](auto kernel) {
                    kernel.value(path, xe + path.x, me + path.m, ws + path.w, ze + path.z);
                });
            }
        }
    });
    zs.write(z, s.z_size, t.z, s.n_z);
    return 0;
} catch (const std::bad_alloc&) {
    return 1;
}

int gradient(const int64_t* shape, const int64_t* table, const int64_t* source, const int64_t* target, const real* x,
              const real* m, const real* w, const real* g, real* gx, real* gm, real* gw) try {
    const Shape& s = *reinterpret_cast<const Shape*>(shape);
    const Tables t = tables(s, table);
    const Buffer xs = packed(x, s.atoms, s.x_size, s.x_vectors, t.x, s.n_x);
    const Buffer gs = packed(g, s.atoms, s.z_size, s.z_vectors, t.z, s.n_z);
    const Buffer weights = zeros(2 * s.threads * s.w_vectors);
    Sums gxs(s, s.x_vectors, source);
    for_edges(s, [&](Range edges, int64_t thread) {
        gxs.clear(thread);
        vec* ws = weights.get() + 2 * thread * s.w_vectors;
        vec* gws = ws + s.w_vectors;
        for (int64_t e = edges.from; e < edges.to; ++e) {
            pack(w + e * s.w_size, ws, t.w, s.n_w);
            const vec* xe = xs.get() + source[e] * s.x_vectors;
            const vec* ge = gs.get() + target[e] * s.z_vectors;
            const int64_t me = e * s.m_size;
            vec* gxe = gxs.row(thread, source[e]);
            for (int64_t p = 0; p < s.n_paths; ++p) {
                const Path& path = t.paths[p];
                dispatch(path, [&](auto kernel) {
                    kernel.gradient(path, xe + path.x, m + me + path.m, ws + path.w, ge + path.z, gxe + path.x,
                                    gm + me + path.m, gws + path.w);
                });
            }
            unpack(gws, gw + e * s.w_size, t.w, s.n_w);
        }
    });
    gxs.write(gx, s.x_size, t.x, s.n_x);
    return 0;
} catch (const std::bad_alloc&) {
    return 1;
}

int second(const int64_t* shape, const int64_t* table, const int64_t* source, const int64_t* target, const real* x,
            const real* m, const real* w, const real* g, const real* ax, const real* am, const real* aw, real* dg,
            real* dx, real* dm, real* dw) try {
    const Shape& s = *reinterpret_cast<const Shape*>(shape);
    const Tables t = tables(s, table);
    const Buffer xs = packed(x, s.atoms, s.x_size, s.x_vectors, t.x, s.n_x);
    const Buffer axs = packed(ax, s.atoms, s.x_size, s.x_vectors, t.x, s.n_x);
    const Buffer gs = packed(g, s.atoms, s.z_size, s.z_vectors, t.z, s.n_z);
    const Buffer weights = zeros(3 * s.threads * s.w_vectors);
    Sums dxs(s, s.x_vectors, source), dgs(s, s.z_vectors, target);
    for_edges(s, [&](Range edges, int64_t thread) {
        dxs.clear(thread);
        dgs.clear(thread);
        vec* ws = weights.get() + 3 * thread * s.w_vectors;
        vec *aws = ws + s.w_vectors, *dws = aws + s.w_vectors;
        for (int64_t e = edges.from; e < edges.to; ++e) {
            pack(w + e * s.w_size, ws, t.w, s.n_w);
            pack(aw + e * s.w_size, aws, t.w, s.n_w);
            const int64_t xe = source[e] * s.x_vectors, ze = target[e] * s.z_vectors, me = e * s.m_size;
            vec *dxe = dxs.row(thread, source[e]), *dge = dgs.row(thread, target[e]);
            for (int64_t p = 0; p < s.n_paths; ++p) {
                const Path& path = t.paths[p];
                const int64_t xp = xe + path.x, zp = ze + path.z, mp = me + path.m;
                dispatch(path, [&](auto kernel) {
                    kernel.second(path, xs.get() + xp, m + mp, ws + path.w, gs.get() + zp, axs.get() + xp,
                                  am + mp, aws + path.w, dge + path.z, dxe + path.x, dm + mp, dws + path.w);
                });
            }
            unpack(dws, dw + e * s.w_size, t.w, s.n_w);
        }
    });
    dxs.write(dx, s.x_size, t.x, s.n_x);
    dgs.write(dg, s.z_size, t.z, s.n_z);
    return 0;
} catch (const std::bad_alloc&) {
    return 1;
}

}  // extern "C"
