// The loops of sharpened cosine similarity. This file is compiled once for each instruction set; see models/onnx/native/build.py.
//
// A layer is computed a tile of outputs at a time. What the tile sees of the images is copied, with its zero padding, into
// memory that stays in the cache, in an order in which every tap of the kernels reads neighbouring floats: where there are
// strides, every stride-th pixel lies in a plane of its own, a "phase". Products with six kernels at a time are kept in
// registers; norms, pooling, sharpening, gain and bias follow while they are at hand. Sharpening rises with the cosine, so
// pooling comes first, and the power is taken of what is left.
//
// No templates of the standard library are used here: a linker might keep their copy for an instruction set that the
// processor lacks.

#include "kernels.h"

#include <cstdlib>
#include <new>

#include "elementary.h"

namespace SCS_LEVEL {
namespace {

using scs::Layer;

constexpr int BLOCK = 6;  // kernels whose products are summed at once
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int WIDTH = 4;  // vectors of patches, likewise; BLOCK * WIDTH sums fit into 32 registers
#else
constexpr int WIDTH = 2;  // and into 16
#endif
#ifdef __AVX512F__
constexpr int AT_ONCE = 8;  // vectors that are sharpened at once
#else
constexpr int AT_ONCE = 4;
#endif
constexpr int POOLED = 4;  // vectors that make one of pooled outputs: upper row, lower row, and the same further on

constexpr float ENERGY_FLOOR = 1e-12f;
constexpr float EPS = 1e-6f;

constexpr int64_t TILE_FLOATS = 3 << 15;  // of a copy, so that it stays in a core's own cache
constexpr int64_t TILE_COLUMNS = 64;
constexpr int64_t JOBS = 8;             // that are enough to keep cores busy
constexpr int64_t JOB_WORK = 1 << 18;   // multiplications of vectors that are worth a job
constexpr int64_t LEAST_WORK = 1 << 15;  // and where there would be few jobs

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

// Memory of a thread, kept from one run to the next.
struct Memory {
    char* start = nullptr;
    size_t size = 0;
    ~Memory() { std::free(start); }
};

// Hands out pieces of memory: once, without any, to add up how much is needed, and again to get it.
class Pieces {
   public:
    explicit Pieces(char* start) : start_(start) {}

    template <class T>
    T* take(int64_t count) {
        T* piece = start_ ? reinterpret_cast<T*>(start_ + used_) : nullptr;
        used_ += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
        return piece;
    }

    size_t used() const { return used_; }

   private:
    char* start_;
    size_t used_ = 0;
};

char* thread_memory(size_t size) {
    static thread_local Memory memory;
    if (memory.size < size) {
        std::free(memory.start);
        memory.start = static_cast<char*>(std::aligned_alloc(64, (size + 63) / 64 * 64));
        memory.size = memory.start ? size : 0;
        if (!memory.start) throw std::bad_alloc();
    }
    return memory.start;
}

// ---- sharpening ----

template <int COUNT>
SCS_INLINE void reciprocal_norms(const Vec* energy, float q, Vec* reciprocal) {
    Vec floored[COUNT];
    for (int i = 0; i < COUNT; i++) floored[i] = energy[i] + ENERGY_FLOOR;
    reciprocals_of_root_plus<COUNT>(floored, q, reciprocal);
}

struct Sharpening {
    float exponent_less_one, gain, bias;

    Sharpening() = default;

    Sharpening(const Layer& layer, int64_t kernel) {
        exponent_less_one = layer.exponents[kernel] - 1.0f;
        gain = layer.gains ? layer.gains[kernel] : 1.0f;
        bias = layer.biases ? layer.biases[kernel] : 0.0f;
        if (layer.pool > 1) gain = __builtin_fabsf(gain);  // its sign is in the kernel
    }
};

// Cosines become similarities. NaN and infinity come through by the factor `cosine`.
template <int COUNT, class Each>
SCS_INLINE void sharpen_all(const Each* const* sharpening, Vec* cosine) {
    Vec x[COUNT], y[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = absolute(cosine[i]) + EPS;
    log2_of_normal<COUNT>(x, y);
    for (int i = 0; i < COUNT; i++) x[i] = y[i] * sharpening[i]->exponent_less_one;
    exp2_within_range<COUNT>(x, y);
    for (int i = 0; i < COUNT; i++) cosine[i] = cosine[i] * y[i] * sharpening[i]->gain + sharpening[i]->bias;
}

// From products and energies to similarities.
template <int COUNT, class Each>
SCS_INLINE void sharpen_products(const Each* const* sharpening, float q, Vec* dot, const Vec* energy) {
    Vec reciprocal[COUNT];
    reciprocal_norms<COUNT>(energy, q, reciprocal);
    for (int i = 0; i < COUNT; i++) dot[i] *= reciprocal[i];
    sharpen_all<COUNT>(sharpening, dot);
}

// ---- how a layer is cut up ----

enum Way {
    TILES,  // any window, and energies alone
    PIXELS  // kernels of one pixel
};

struct Plan {
    int64_t group_channels, group_kernels, window, taps, blocks;
    int64_t pixels;  // of an output map
    Way way;
    int64_t step[2], reach[2];  // pixels between neighbouring outputs, and from an output's first tap to its last
    // Tiles: images, rows and columns of output, and rows and columns of a phase.
    int64_t images, rows, columns, phase_rows, phase_columns, phase_size;
    int64_t row_tiles, column_tiles;
    bool whole;  // a tile is a whole image, or several
    int64_t vectors;  // of a tile, at most
    int64_t units;    // tiles; PIXELS: vectors of outputs
    int64_t units_per_job, unit_jobs, kernel_jobs, jobs;

    Plan(const Layer& l, bool energy_alone) {
        group_channels = l.channels / l.group;
        group_kernels = energy_alone ? 0 : l.kernels / l.group;
        window = l.window.size[0] * l.window.size[1];
        taps = group_channels * window;
        blocks = parts(group_kernels, BLOCK);
        pixels = l.out_height * l.out_width;
        bool plain = window == 1;
        for (int axis = 0; axis < 2; axis++) {
            step[axis] = l.window.stride[axis];
            reach[axis] = l.window.dilation[axis] * (l.window.size[axis] - 1);
            plain = plain && step[axis] == 1 && l.window.pad_before[axis] == 0 && l.window.pad_after[axis] == 0;
        }
        way = TILES;
        if (!energy_alone && plain) way = PIXELS;
        cut_tiles(l);
        units = parts(l.images, images) * row_tiles * column_tiles;
        if (way == PIXELS) units = parts(l.images * pixels, LANES);
        share_out(l);
    }

   private:
    int64_t tile_size(const Layer& l) const {
        int64_t size = (l.pool * rows + reach[0] / step[0]) * (l.pool * columns + reach[1] / step[1]);
        return (group_channels + 1) * step[0] * step[1] * size;
    }

    int64_t tiles(const Layer& l) const {
        return parts(l.images, images) * parts(l.out_height, rows) * parts(l.out_width, columns) * l.group;
    }

    void cut_tiles(const Layer& l) {
        images = 1;
        rows = most(1, l.out_height);
        columns = most(1, least(l.out_width, TILE_COLUMNS));
        while (rows > 1 && tile_size(l) > TILE_FLOATS) rows = parts(rows, 2);
        if (way == TILES) {
            if (rows == l.out_height && columns == l.out_width)
                images = most(1, least(l.images, least(TILE_FLOATS / tile_size(l), 16 * LANES / most(pixels, 1))));
            // Where there are few tiles smaller ones, as long as they fill vectors.
            while (images > 1 && tiles(l) < JOBS) images = parts(images, 2);
            int64_t enough = 2 * WIDTH * LANES / (l.pool * l.pool);
            while (rows > 1 && tiles(l) < JOBS && rows * columns >= enough) rows = parts(rows, 2);
        }
        row_tiles = parts(l.out_height, rows);
        column_tiles = parts(l.out_width, columns);
        whole = row_tiles * column_tiles == 1;
        phase_rows = l.pool * rows + reach[0] / step[0];
        phase_columns = l.pool * columns + reach[1] / step[1];
        phase_size = images * phase_rows * phase_columns;
        vectors = images * rows * parts(l.pool * columns, LANES);
    }

    void share_out(const Layer& l) {
        units_per_job = unit_jobs = kernel_jobs = 1;
        jobs = 0;
        if (units == 0 || pixels == 0 || l.channels == 0 || (blocks == 0 && l.kernels > 0 && l.group == 0)) return;
        int64_t each = taps * most(1, group_kernels);
        int64_t unit_work = most(1, parts(l.images * pixels * l.pool * l.pool, LANES) * each / units);
        units_per_job = most(1, JOB_WORK / unit_work);
        if (parts(units, units_per_job) < JOBS) units_per_job = most(most(1, LEAST_WORK / unit_work), units / JOBS);
        if (way == PIXELS && l.pool == 1) units_per_job = parts(units_per_job, WIDTH) * WIDTH;
        unit_jobs = parts(units, units_per_job);
        if (blocks > 1 && unit_jobs * l.group < JOBS) {
            int64_t job_work = unit_work * least(units, units_per_job);
            kernel_jobs = most(1, least(blocks, least(parts(JOBS, unit_jobs * l.group), job_work / LEAST_WORK)));
        }
        jobs = unit_jobs * kernel_jobs * l.group;
    }
};

// ---- tiles ----

struct Segment {
    uint32_t lanes;
    int64_t output;  // where the first of them goes, from the tile's first image's map of the first kernel on
};

// Neighbouring patches; those between the end of one row of outputs and the start of the next are computed in vain.
struct Vector {
    int64_t position[POOLED];  // of its first patch; pooled, of each of the vectors that it is made of
    int32_t first_segment, segments;
};

constexpr uint32_t ALL = LANES == 32 ? ~0u : (1u << (LANES % 32)) - 1;

SCS_INLINE void store_segments(const Vector& vector, const Segment* segments, float* y, Vec value) {
    const Segment* segment = segments + vector.first_segment;
    if (vector.segments == 1 && segment->lanes == ALL) return store(y + segment->output, value);
    for (int32_t s = 0; s < vector.segments; s++) store_chosen(y + segment[s].output, value, segment[s].lanes);
}

struct Tile {
    int64_t image, images, row, rows, column, columns;

    Tile(const Layer& l, const Plan& plan, int64_t unit) {
        image = row = column = 0;
        if (plan.whole) {
            image = unit * plan.images;
        } else {
            column = unit % plan.column_tiles * plan.columns;
            row = unit / plan.column_tiles % plan.row_tiles * plan.rows;
            image = unit / plan.column_tiles / plan.row_tiles * plan.images;
        }
        columns = least(plan.columns, l.out_width - column);
        rows = least(plan.rows, l.out_height - row);
        images = least(plan.images, l.images - image);
    }
};

// The vectors of a tile, and where their lanes go. Maps of two images are `image_stride` apart.
int64_t list_vectors(
    const Layer& l, const Plan& plan, const Tile& tile, int64_t image_stride, Vector* vectors, Segment* segments
) {
    int64_t found = 0, covered = 0;
    int32_t last = -1;
    for (int64_t i = 0; i < tile.images; i++)
        for (int64_t r = 0; r < tile.rows; r++) {
            int64_t start = (i * plan.phase_rows + r) * plan.phase_columns;
            int64_t output = i * image_stride + (tile.row + r) * l.out_width + tile.column;
            for (int64_t c = 0; c < tile.columns;) {
                bool fresh = found == 0 || start + c >= covered;
                if (fresh) {
                    vectors[found++] = {{start + c}, last + 1, 0};
                    covered = start + c + LANES;
                }
                Vector& vector = vectors[found - 1];
                int64_t lane = start + c - vector.position[0];
                int64_t run = least(tile.columns - c, LANES - lane);
                uint32_t lanes = ((1u << run) - 1) << lane;
                if (!fresh && r > 0 && tile.columns == l.out_width) {  // goes on where the row above has ended
                    segments[last].lanes |= lanes;
                } else {
                    segments[++last] = {lanes, output + c};
                    vector.segments++;
                }
                c += run;
            }
        }
    return found;
}

// The same where 2x2 outputs become one. A vector of pooled outputs comes of four: LANES columns of two rows are half of it.
int64_t list_pooled_vectors(
    const Layer& l, const Plan& plan, const Tile& tile, int64_t image_stride, Vector* vectors, Segment* segments
) {
    constexpr int64_t HALF = LANES / 2;
    int64_t halves = 0;
    int32_t last = -1;
    for (int64_t i = 0; i < tile.images; i++)
        for (int64_t r = 0; r < tile.rows; r++)
            for (int64_t c = 0; c < tile.columns; c += HALF) {
                int64_t upper = (i * plan.phase_rows + 2 * r) * plan.phase_columns + 2 * c;
                Vector& vector = vectors[halves / 2];
                int64_t second = halves % 2;
                if (!second) vector = {{}, last + 1, 0};
                for (int64_t side = second; side < 2; side++) {  // the second half is the first until there is another
                    vector.position[2 * side] = upper;
                    vector.position[2 * side + 1] = upper + plan.phase_columns;
                }
                uint32_t lanes = ((1u << least(HALF, tile.columns - c)) - 1) << (second * HALF);
                int64_t output = i * image_stride + (tile.row + r) * l.out_width + tile.column + c;
                bool joins = second && (c > 0 || (r > 0 && tile.columns == l.out_width));
                if (joins) {
                    segments[last].lanes |= lanes;
                } else {
                    segments[++last] = {lanes, output};
                    vector.segments++;
                }
                halves++;
            }
    return (halves + 1) / 2;
}

SCS_INLINE void copy_run(const float* from, int64_t count, float* to) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) store(to + i, load(from + i));
    if (i < count) store_some(to + i, load_some(from + i, static_cast<int>(count - i)), static_cast<int>(count - i));
}

// One phase of one row of an image: every step-th pixel from `column` on, zeros beyond the image.
void copy_row(const float* row, int64_t width, int64_t column, int64_t step, int64_t count, float* to) {
    int64_t before = least(count, column < 0 ? parts(-column, step) : 0);
    int64_t until = most(before, least(count, column < width ? parts(width - column, step) : 0));
    for (int64_t i = 0; i < before; i++) to[i] = 0;
    if (step == 1)
        copy_run(row + column + before, until - before, to + before);
    else
        for (int64_t i = before; i < until; i++) to[i] = row[column + i * step];
    for (int64_t i = until; i < count; i++) to[i] = 0;
}

// A tile's copy of its images: [channel][phase down][phase across][image][row][column].
void copy_tile(
    const Layer& l, const Plan& plan, const Tile& tile, const float* x, int64_t first_channel, int64_t channels, float* to
) {
    for (int64_t c = 0; c < channels; c++)
        for (int64_t down = 0; down < plan.step[0]; down++)
            for (int64_t across = 0; across < plan.step[1]; across++) {
                if (down > plan.reach[0] || across > plan.reach[1]) {  // no tap ever looks there
                    to += plan.phase_size;
                    continue;
                }
                int64_t column = l.pool * tile.column * plan.step[1] + across - l.window.pad_before[1];
                for (int64_t i = 0; i < plan.images; i++) {
                    const float* image = x + ((tile.image + i) * l.channels + first_channel + c) * l.height * l.width;
                    for (int64_t r = 0; r < plan.phase_rows; r++, to += plan.phase_columns) {
                        int64_t row = (l.pool * tile.row + r) * plan.step[0] + down - l.window.pad_before[0];
                        if (row >= 0 && row < l.height && i < tile.images)
                            copy_row(image + row * l.width, l.width, column, plan.step[1], plan.phase_columns, to);
                        else
                            for (int64_t j = 0; j < plan.phase_columns; j++) to[j] = 0;
                    }
                }
            }
}

// Where a tile is a whole image without strides: the same into a copy whose padding is zero already.
void copy_images(
    const Layer& l, const Plan& plan, const Tile& tile, const float* x, int64_t first_channel, int64_t channels, float* to
) {
    int64_t rows = least(l.height, plan.phase_rows - l.window.pad_before[0]);
    int64_t columns = least(l.width, plan.phase_columns - l.window.pad_before[1]);
    if (rows <= 0 || columns <= 0) return;
    to += l.window.pad_before[0] * plan.phase_columns + l.window.pad_before[1];
    for (int64_t c = 0; c < channels; c++, to += plan.phase_size)
        for (int64_t i = 0; i < tile.images; i++) {
            const float* image = x + ((tile.image + i) * l.channels + first_channel + c) * l.height * l.width;
            float* copy = to + i * plan.phase_rows * plan.phase_columns;
            for (int64_t r = 0; r < rows; r++) copy_run(image + r * l.width, columns, copy + r * plan.phase_columns);
        }
}

// Where each tap finds its pixel, from a patch's position on.
void list_offsets(const Layer& l, const Plan& plan, int64_t channels, int32_t* offsets) {
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < l.window.size[0]; i++)
            for (int64_t j = 0; j < l.window.size[1]; j++) {
                int64_t down = l.window.dilation[0] * i, across = l.window.dilation[1] * j;
                int64_t phase = down % plan.step[0] * plan.step[1] + across % plan.step[1];
                int64_t at = (c * plan.step[0] * plan.step[1] + phase) * plan.phase_size;
                at += down / plan.step[0] * plan.phase_columns + across / plan.step[1];
                *offsets++ = static_cast<int32_t>(at);
            }
}

// ---- products ----

// Sums over the taps for KERNELS kernels and VECTORS vectors of patches, [kernel][vector]. There is at least one tap.
template <int KERNELS, int VECTORS>
void multiply(int64_t taps, const float* const* patches, const int32_t* offsets, const float* w, float* sums) {
    Vec sum[KERNELS][VECTORS];
    const float* at[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        at[v] = patches[v];
        for (int k = 0; k < KERNELS; k++) sum[k][v] = Vec{};
    }
    int64_t t = 0;
    do {
        Vec pixels[VECTORS];
        for (int v = 0; v < VECTORS; v++) pixels[v] = load(at[v] + offsets[t]);
        for (int k = 0; k < KERNELS; k++) {
            Vec weight = splat(w[t * KERNELS + k]);
            for (int v = 0; v < VECTORS; v++) sum[k][v] += weight * pixels[v];
        }
    } while (++t < taps);
    for (int k = 0; k < KERNELS; k++)
        for (int v = 0; v < VECTORS; v++) store(sums + (k * VECTORS + v) * LANES, sum[k][v]);
}

typedef void (*Multiply)(int64_t, const float* const*, const int32_t*, const float*, float*);

template <int VECTORS>
Multiply multiplier(int64_t kernels) {
    static const Multiply choices[BLOCK] = {multiply<1, VECTORS>, multiply<2, VECTORS>, multiply<3, VECTORS>,
                                            multiply<4, VECTORS>, multiply<5, VECTORS>, multiply<6, VECTORS>};
    return choices[kernels - 1];
}

struct Products {
    const Layer& layer;
    const Plan& plan;
    const float* packed;  // of this group, as all that follows
    int64_t first_kernel, first_block, last_block;
    float* y;
    const int32_t* offsets;
    const Segment* segments;
    const Sharpening* sharpenings;

    // All kernels of this job with `count` vectors of patches, at most WIDTH, or with one pooled vector.
    void operator()(const Vector* vectors, int64_t count, const float* const* patches, const Vec* reciprocal, float* to) const {
        if (layer.pool > 1)
            pooled(vectors[0], patches, reciprocal, to);
        else if (count == 4)
            plain<WIDTH>(vectors, patches, reciprocal, to);
        else if (count == 2)
            plain<2>(vectors, patches, reciprocal, to);
        else
            plain<1>(vectors, patches, reciprocal, to);
    }

   private:
    template <int VECTORS>
    void plain(const Vector* vectors, const float* const* patches, const Vec* reciprocal, float* to) const {
        alignas(64) float sums[(BLOCK * WIDTH + AT_ONCE) * LANES] = {};
        for (int64_t block = first_block; block < last_block; block++) {
            int64_t kernels = least(BLOCK, plan.group_kernels - block * BLOCK);
            const float* w = packed + block * BLOCK * plan.taps;
            float* maps = to + block * BLOCK * plan.pixels;
            for (int64_t k = 0; k < kernels; k++)  // so that there is no waiting for them afterwards
                for (int v = 0; v < VECTORS; v++)
                    __builtin_prefetch(maps + k * plan.pixels + segments[vectors[v].first_segment].output, 1);
            multiplier<VECTORS>(kernels)(plan.taps, patches, offsets, w, sums);
            int count = static_cast<int>(kernels) * VECTORS;
            for (int i = 0; i < count; i += AT_ONCE) {
                Vec cosine[AT_ONCE];
                const Sharpening* each[AT_ONCE];
                for (int j = 0; j < AT_ONCE; j++) {  // beyond the last one, what is in `sums` is sharpened in vain
                    cosine[j] = load(sums + (i + j) * LANES) * reciprocal[(i + j) % VECTORS];
                    each[j] = sharpenings + block * BLOCK + least(i + j, count - 1) / VECTORS;
                }
                sharpen_all<AT_ONCE>(each, cosine);
                for (int j = 0; j < least(AT_ONCE, count - i); j++)
                    store_segments(vectors[(i + j) % VECTORS], segments, maps + (i + j) / VECTORS * plan.pixels, cosine[j]);
            }
        }
    }

    void pooled(const Vector& vector, const float* const* patches, const Vec* reciprocal, float* to) const {
        constexpr int PARTS = POOLED / WIDTH;
        alignas(64) float sums[PARTS][BLOCK * WIDTH * LANES];
        Vec waiting[AT_ONCE + BLOCK] = {};  // for enough of them to be sharpened at once
        int64_t held = 0, sharpened = first_block * BLOCK, end = least(last_block * BLOCK, plan.group_kernels);
        for (int64_t block = first_block; block < last_block; block++) {
            int64_t kernels = least(BLOCK, plan.group_kernels - block * BLOCK);
            const float* w = packed + block * BLOCK * plan.taps;
            for (int part = 0; part < PARTS; part++)
                multiplier<WIDTH>(kernels)(plan.taps, patches + part * WIDTH, offsets, w, sums[part]);
            for (int64_t k = 0; k < kernels; k++) {
                Vec cosine[POOLED];
                for (int v = 0; v < POOLED; v++)
                    cosine[v] = load(sums[v / WIDTH] + (k * WIDTH + v % WIDTH) * LANES) * reciprocal[v];
                if (layer.pool_by_magnitude) {
                    Vec left = larger_magnitude(cosine[0], cosine[1]), right = larger_magnitude(cosine[2], cosine[3]);
                    waiting[held++] = larger_magnitude(unzip<false>(left, right), unzip<true>(left, right));
                } else {
                    Vec left = larger(cosine[0], cosine[1]), right = larger(cosine[2], cosine[3]);
                    waiting[held++] = larger(unzip<false>(left, right), unzip<true>(left, right));
                }
            }
            while (held >= AT_ONCE || (held > 0 && sharpened + held == end)) {
                const Sharpening* each[AT_ONCE];
                for (int i = 0; i < AT_ONCE; i++) each[i] = sharpenings + least(sharpened + i, end - 1);
                sharpen_all<AT_ONCE>(each, waiting);
                int64_t ready = least(AT_ONCE, held);
                for (int64_t i = 0; i < ready; i++)
                    store_segments(vector, segments, to + (sharpened + i) * plan.pixels, waiting[i]);
                for (int i = 0; i < BLOCK; i++) waiting[i] = waiting[i + AT_ONCE];
                sharpened += ready;
                held -= ready;
            }
        }
    }
};

// ---- layers ----

int64_t packed_size(const Layer& l) { return l.kernels * (l.channels / l.group) * l.window.size[0] * l.window.size[1]; }

// [group][block of kernels][tap][kernel]
void pack(const Layer& l, const float* w, float* packed) {
    int64_t taps = l.channels / l.group * l.window.size[0] * l.window.size[1];
    int64_t group_kernels = l.kernels / l.group;
    for (int64_t g = 0; g < l.group; g++)
        for (int64_t first = 0; first < group_kernels; first += BLOCK) {
            int64_t kernels = least(BLOCK, group_kernels - first);
            for (int64_t k = 0; k < kernels; k++) {
                int64_t kernel = g * group_kernels + first + k;
                const float* taps_of = w + kernel * taps;
                float energy = 0;
                for (int64_t t = 0; t < taps; t++) energy += taps_of[t] * taps_of[t];
                float norm = __builtin_sqrtf(energy + ENERGY_FLOOR) + l.q;
                // Pooling looks for the largest, also where a negative gain would make it the smallest.
                if (l.pool > 1 && l.gains && l.gains[kernel] < 0) norm = -norm;
                for (int64_t t = 0; t < taps; t++) packed[t * kernels + k] = taps_of[t] / norm;
            }
            packed += kernels * taps;
        }
}

// Sums of squares over the channels of a tile's copy.
void sum_squares(int64_t channels, int64_t size, const float* copy, float* squares) {
    for (int64_t i = 0; i < size; i += LANES) {
        Vec sum = {};
        for (int64_t c = 0; c < channels; c++) {
            Vec pixels = load(copy + c * size + i);
            sum += pixels * pixels;
        }
        store(squares + i, sum);
    }
}

Vec sum_window(int64_t taps, const float* squares, const int32_t* offsets) {
    Vec sum = {};
    for (int64_t t = 0; t < taps; t++) sum += load(squares + offsets[t]);
    return sum;
}

void list_sharpenings(const Layer& l, int64_t first_kernel, int64_t kernels, Sharpening* sharpenings) {
    for (int64_t k = 0; k < kernels; k++) sharpenings[k] = Sharpening(l, first_kernel + k);
}

// The memory of a job on tiles, and its way from tile to tile.
struct Room {
    const Layer& layer;
    const Plan& plan;
    float *copy, *squares;
    Sharpening* sharpenings;  // of a group's kernels
    int32_t *offsets, *square_offsets;
    Vector* vectors;
    Segment* segments;
    int64_t size;  // of a channel of the copy
    int64_t image_stride, listed_images = 0, count = 0;

    Room(const Layer& l, const Plan& p, int64_t stride) : layer(l), plan(p), image_stride(stride) {
        size = plan.step[0] * plan.step[1] * plan.phase_size;
        Pieces measured(nullptr);
        take(measured);
        Pieces pieces(thread_memory(measured.used()));
        take(pieces);
        list_offsets(l, plan, plan.group_channels, offsets);
        list_offsets(l, plan, 1, square_offsets);
        // Vectors reach past the end of a copy. What they find there is thrown away, but has to be numbers.
        int64_t used = plan.group_channels * size;
        for (int64_t i = simple() ? 0 : used; i < used + 2 * LANES; i++) copy[i] = 0;
        for (int64_t i = 0; i < 2 * LANES; i++) squares[size + i] = 0;
    }

    // Copies what a tile sees of a group of channels, and lists its vectors.
    void enter(const Tile& tile, const float* x, int64_t first_channel) {
        (simple() ? copy_images : copy_tile)(layer, plan, tile, x, first_channel, plan.group_channels, copy);
        if (plan.whole && tile.images == listed_images) return;
        count = (layer.pool > 1 ? list_pooled_vectors : list_vectors)(
            layer, plan, tile, image_stride, vectors, segments
        );
        listed_images = tile.images;
    }

   private:
    bool simple() const { return plan.whole && plan.step[0] == 1 && plan.step[1] == 1; }

    void take(Pieces& pieces) {
        copy = pieces.take<float>(plan.group_channels * size + 2 * LANES);
        squares = pieces.take<float>(size + 2 * LANES);
        sharpenings = pieces.take<Sharpening>(plan.group_kernels);
        offsets = pieces.take<int32_t>(plan.taps);
        square_offsets = pieces.take<int32_t>(plan.window);
        vectors = pieces.take<Vector>(plan.vectors);
        segments = pieces.take<Segment>(plan.vectors + plan.images * plan.rows);
    }
};

void similarity_of_tiles(
    const Layer& l, const Plan& plan, int64_t group, int64_t first, int64_t last, const float* x, Products products
) {
    Room room(l, plan, l.kernels * plan.pixels);
    list_sharpenings(l, products.first_kernel, plan.group_kernels, room.sharpenings);
    products.offsets = room.offsets;
    products.segments = room.segments;
    products.sharpenings = room.sharpenings;
    for (int64_t unit = first; unit < last; unit++) {
        Tile tile(l, plan, unit);
        room.enter(tile, x, group * plan.group_channels);
        sum_squares(plan.group_channels, room.size, room.copy, room.squares);
        float* y = products.y + tile.image * room.image_stride;
        for (int64_t i = 0; i < room.count;) {
            int64_t together = l.pool > 1 ? 1 : least(WIDTH, room.count - i);
            if (together == 3) together = 2;
            const Vector* vectors = room.vectors + i;
            Vec energy[POOLED] = {}, reciprocal[POOLED];
            const float* patches[POOLED];
            for (int64_t v = 0; v < (l.pool > 1 ? POOLED : together); v++) {
                int64_t position = l.pool > 1 ? vectors[0].position[v] : vectors[v].position[0];
                patches[v] = room.copy + position;
                energy[v] = sum_window(plan.window, room.squares + position, room.square_offsets);
            }
            reciprocal_norms<POOLED>(energy, l.q, reciprocal);
            products(vectors, together, patches, reciprocal, y);
            i += together;
        }
    }
}

// Kernels of one pixel. Outputs are counted through from one image to the next, and the pixels that belong to `together`
// vectors of them (or, pooled, to one) are copied next to each other: [channel][vector].
void similarity_of_pixels(
    const Layer& l, const Plan& plan, int64_t group, int64_t first, int64_t last, const float* x, Products products
) {
    int64_t channels = plan.group_channels, size = l.height * l.width, total = l.images * plan.pixels;
    float* copy = nullptr;
    int32_t* offsets = nullptr;
    Sharpening* sharpenings = nullptr;
    size_t needed = 0;
    for (int pass = 0; pass < 2; pass++) {
        Pieces pieces(pass ? thread_memory(needed) : nullptr);
        copy = pieces.take<float>(channels * POOLED * LANES);
        offsets = pieces.take<int32_t>(channels);
        sharpenings = pieces.take<Sharpening>(plan.group_kernels);
        needed = pieces.used();
    }
    Segment segments[POOLED * LANES];
    Vector vectors[POOLED];
    const float* patches[POOLED];
    list_sharpenings(l, products.first_kernel, plan.group_kernels, sharpenings);
    products.offsets = offsets;
    products.segments = segments;
    products.sharpenings = sharpenings;
    x += group * channels * size;
    for (int64_t unit = first; unit < last;) {
        int64_t together = l.pool > 1 ? 1 : least(WIDTH, last - unit);
        if (together == 3) together = 2;
        int64_t width = (l.pool > 1 ? POOLED : together) * LANES;
        if ((unit + together) * LANES > total)
            for (int64_t i = 0; i < channels * width; i++) copy[i] = 0;
        int32_t segment = 0;
        for (int64_t v = 0; v < together; v++) {
            vectors[v] = {{}, segment, 0};
            for (int64_t lane = 0; lane < LANES;) {
                int64_t output = (unit + v) * LANES + lane;
                if (output >= total) break;
                int64_t image = output / plan.pixels, at = output % plan.pixels;
                int64_t run = least(LANES - lane, plan.pixels - at);
                segments[segment++] = {((1u << run) - 1) << lane, image * l.kernels * plan.pixels + at};
                vectors[v].segments++;
                const float* from = x + image * l.channels * size;
                if (l.pool == 1) {
                    for (int64_t c = 0; c < channels; c++) copy_run(from + c * size + at, run, copy + c * width + v * LANES + lane);
                } else {
                    // Pixels of an upper row go to the first vector or the third, those below them to the one after.
                    for (int64_t done = 0; done < run;) {
                        int64_t row = (at + done) / l.out_width, column = (at + done) % l.out_width;
                        int64_t place = 2 * (lane + done);
                        int64_t count = least(2 * least(run - done, l.out_width - column), LANES - place % LANES);
                        const float* upper = from + 2 * row * l.width + 2 * column;
                        float* to = copy + place / LANES * 2 * LANES + place % LANES;
                        for (int64_t c = 0; c < channels; c++) {
                            copy_run(upper + c * size, count, to + c * width);
                            copy_run(upper + c * size + l.width, count, to + c * width + LANES);
                        }
                        done += count / 2;
                    }
                }
                lane += run;
            }
        }
        for (int64_t c = 0; c < channels; c++) offsets[c] = static_cast<int32_t>(c * width);
        Vec energy[POOLED] = {}, reciprocal[POOLED];
        for (int64_t v = 0; v < width / LANES; v++) {
            patches[v] = copy + v * LANES;
            for (int64_t c = 0; c < channels; c++) {
                Vec pixels = load(patches[v] + c * width);
                energy[v] += pixels * pixels;
            }
        }
        reciprocal_norms<POOLED>(energy, l.q, reciprocal);
        products(vectors, together, patches, reciprocal, products.y);
        unit += together;
    }
}

int64_t similarity_jobs(const Layer& l) { return Plan(l, false).jobs; }

void similarity(const Layer& l, int64_t job, const float* x, const float* packed, float* y) {
    Plan plan(l, false);
    int64_t group = job / (plan.unit_jobs * plan.kernel_jobs);
    int64_t part = job % plan.kernel_jobs;
    int64_t first = job / plan.kernel_jobs % plan.unit_jobs * plan.units_per_job;
    int64_t last = least(plan.units, first + plan.units_per_job);
    int64_t first_kernel = group * plan.group_kernels;
    int64_t first_block = plan.blocks * part / plan.kernel_jobs;
    int64_t last_block = plan.blocks * (part + 1) / plan.kernel_jobs;
    Products products = {
        l,       plan,   packed + first_kernel * plan.taps, first_kernel, first_block, last_block, y + first_kernel * plan.pixels,
        nullptr, nullptr, nullptr
    };
    auto way = plan.way == PIXELS ? similarity_of_pixels : similarity_of_tiles;
    way(l, plan, group, first, last, x, products);
}

int64_t energy_jobs(const Layer& l) { return Plan(l, true).jobs; }

void energy(const Layer& l, int64_t job, const float* x, float* energies) {
    Plan plan(l, true);
    int64_t group = job / plan.unit_jobs;
    int64_t first = job % plan.unit_jobs * plan.units_per_job;
    int64_t last = least(plan.units, first + plan.units_per_job);
    Room room(l, plan, l.group * plan.pixels);
    for (int64_t unit = first; unit < last; unit++) {
        Tile tile(l, plan, unit);
        room.enter(tile, x, group * plan.group_channels);
        sum_squares(plan.group_channels, room.size, room.copy, room.squares);
        float* to = energies + tile.image * room.image_stride + group * plan.pixels;
        for (int64_t i = 0; i < room.count; i++) {
            const float* squares = room.squares + room.vectors[i].position[0];
            store_segments(room.vectors[i], room.segments, to, sum_window(plan.window, squares, room.square_offsets));
        }
    }
}

void sharpen(
    const Layer& l, int64_t plane, int64_t first, int64_t pixels, bool own_energies, const float* dot, const float* energy,
    float* y
) {
    for (int64_t k = 0; k < l.kernels; k++) {
        Sharpening sharpening(l, k);
        const Sharpening* each[AT_ONCE];
        for (auto& one : each) one = &sharpening;
        const float* energies = energy + (own_energies ? k * plane : 0) + first;
        int64_t at = k * plane + first, i = 0;
        for (; i + AT_ONCE * LANES <= pixels; i += AT_ONCE * LANES) {
            Vec dots[AT_ONCE], squares[AT_ONCE];
            for (int j = 0; j < AT_ONCE; j++) {
                dots[j] = load(dot + at + i + j * LANES);
                squares[j] = load(energies + i + j * LANES);
            }
            sharpen_products<AT_ONCE>(each, l.q, dots, squares);
            for (int j = 0; j < AT_ONCE; j++) store(y + at + i + j * LANES, dots[j]);
        }
        for (; i < pixels; i += LANES) {
            int count = static_cast<int>(least(LANES, pixels - i));
            Vec dots = load_some(dot + at + i, count), squares = load_some(energies + i, count);
            sharpen_products<1>(each, l.q, &dots, &squares);
            store_some(y + at + i, dots, count);
        }
    }
}

template <Vec (*FUNCTION)(Vec)>
void map(int64_t count, const float* x, float* y) {
    for (int64_t i = 0; i < count; i += LANES) {
        int left = static_cast<int>(least(LANES, count - i));
        store_some(y + i, FUNCTION(load_some(x + i, left)), left);
    }
}

Vec log2_of(Vec x) { return log2(x); }
Vec exp2_of(Vec x) { return exp2(x); }

}  // namespace

#define SCS_TEXT(name) SCS_QUOTED(name)
#define SCS_QUOTED(name) #name
extern const scs::Kernels table;
const scs::Kernels table = {
    SCS_TEXT(SCS_LEVEL), LANES,  packed_size, pack,    similarity_jobs, similarity,
    energy_jobs,         energy, sharpen,     map<log2_of>, map<exp2_of>,
};

}  // namespace SCS_LEVEL
