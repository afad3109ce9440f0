// The loops of sharpened cosine similarity. This file is compiled once for each instruction set; see build.sh.
//
// A layer is computed a tile of outputs at a time. What the tile sees of the images is copied, with its zero padding, into
// memory that stays in the cache, in an order in which every tap of the kernels reads neighbouring floats: strides, and the
// four outputs that a pooled one is chosen from, become planes of their own ("phases"). Products with six kernels at a time
// are kept in registers; norms, sharpening, gain, bias and pooling follow while they are at hand. Sharpening rises with the
// cosine, so pooling comes first, and the power is taken of what is left.
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
constexpr int PHASES = 4;  // outputs of which a pooled one is chosen

constexpr float ENERGY_FLOOR = 1e-12f;
constexpr float EPS = 1e-6f;

constexpr int64_t TILE_FLOATS = 1 << 16;  // of a copy, so that it stays in a core's own cache
constexpr int64_t TILE_COLUMNS = 64;
constexpr int64_t JOBS = 8;             // that are enough to keep cores busy
constexpr int64_t JOB_WORK = 1 << 15;   // vector multiplications that are worth a job
constexpr int64_t LEAST_WORK = 1 << 13;

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

SCS_INLINE Vec reciprocal_norm(Vec energy, float q) { return 1.0f / (square_root(energy + ENERGY_FLOOR) + q); }

struct Sharpening {
    Vec exponent_less_one, gain, bias;

    Sharpening(const Layer& layer, int64_t kernel) {
        exponent_less_one = splat(layer.exponents[kernel] - 1.0f);
        gain = splat(layer.gains ? layer.gains[kernel] : 1.0f);
        bias = splat(layer.biases ? layer.biases[kernel] : 0.0f);
    }

    // NaN and infinity come through by the factor `cosine`.
    SCS_INLINE Vec of(const Sharpening& s, Vec cosine) {
        Vec factor = exp2_within_range(s.exponent_less_one * log2_of_normal(absolute(cosine) + EPS));
        return cosine * factor * s.gain + s.bias;
    }
};

// ---- how a layer is cut up ----

struct Plan {
    int64_t group_channels, group_kernels, taps, blocks, pixels;
    bool pointwise, depthwise;
    int64_t step[2], reach[2];  // pixels between neighbouring outputs, and from an output's first tap to its last
    // Tiles of images, rows and columns of output; rows and columns of a phase.
    int64_t images, rows, columns, phase_rows, phase_columns;
    int64_t image_tiles, row_tiles, column_tiles;
    int64_t vectors;  // of a tile, at most
    int64_t units;    // tiles; where there are none, vectors of pixels
    int64_t units_per_job, unit_jobs, kernel_jobs, jobs;

    Plan(const Layer& l, bool energy_alone) {
        const auto& window = l.window;
        group_channels = l.channels / l.group;
        group_kernels = energy_alone ? 0 : l.kernels / l.group;
        taps = group_channels * window.size[0] * window.size[1];
        blocks = parts(group_kernels, BLOCK);
        pixels = l.out_height * l.out_width;
        bool plain = window.size[0] * window.size[1] * window.stride[0] * window.stride[1] == 1;
        for (int axis = 0; axis < 2; axis++) {
            plain = plain && window.pad_before[axis] == 0 && window.pad_after[axis] == 0;
            step[axis] = window.stride[axis] * l.pool;
            reach[axis] = window.stride[axis] * (l.pool - 1) + window.dilation[axis] * (window.size[axis] - 1);
        }
        depthwise = !energy_alone && l.pool == 1 && group_channels == 1 && group_kernels == 1;
        pointwise = !energy_alone && plain && l.pool == 1 && !depthwise;
        int64_t outputs = l.images * pixels * l.pool * l.pool;
        int64_t work = parts(outputs, LANES) * taps * (energy_alone ? 1 : group_kernels) * (depthwise ? 4 : 1);

        columns = least(l.out_width, TILE_COLUMNS);
        rows = l.out_height;
        images = 1;
        while (rows > 1 && tile_floats() > TILE_FLOATS) rows = parts(rows, 2);
        if (rows == l.out_height && columns == l.out_width && !depthwise)
            images = most(1, least(l.images, least(TILE_FLOATS / tile_floats(), 16 * LANES / most(pixels, 1))));
        // With few tiles, smaller ones, as long as they fill vectors.
        while (images > 1 && count(l) < JOBS) images = parts(images, 2);
        if (!depthwise)
            while (rows > 1 && count(l) < JOBS && rows * columns >= 2 * WIDTH * LANES / (l.pool * l.pool))
                rows = parts(rows, 2);
        image_tiles = parts(l.images, images);
        row_tiles = parts(l.out_height, rows);
        column_tiles = parts(l.out_width, columns);
        phase_rows = rows + reach[0] / step[0];
        phase_columns = columns + reach[1] / step[1];
        vectors = images * rows * parts(columns, LANES);
        units = pointwise ? parts(l.images * pixels, LANES) : image_tiles * row_tiles * column_tiles;
        if (depthwise) units *= l.channels;
        units_per_job = 1;
        unit_jobs = kernel_jobs = 1;
        jobs = 0;
        if (units == 0 || outputs == 0) return;

        int64_t unit_work = most(1, work * (depthwise ? l.channels : 1) / units);
        units_per_job = most(1, JOB_WORK / unit_work);
        if (parts(units, units_per_job) < JOBS)
            units_per_job = most(most(1, LEAST_WORK / unit_work), units / JOBS);
        if (pointwise) units_per_job = parts(units_per_job, WIDTH) * WIDTH;
        unit_jobs = parts(units, units_per_job);
        if (!depthwise && !energy_alone && unit_jobs * l.group < JOBS) {
            int64_t job_work = unit_work * least(units, units_per_job);
            kernel_jobs = most(1, least(blocks, least(parts(JOBS, unit_jobs * l.group), job_work / LEAST_WORK)));
        }
        jobs = unit_jobs * kernel_jobs * (depthwise ? 1 : l.group);
    }

   private:
    int64_t tile_floats() const {
        return (group_channels + 1) * step[0] * step[1] * (rows + reach[0] / step[0]) * (columns + reach[1] / step[1]);
    }

    int64_t count(const Layer& l) const {
        return parts(l.images, images) * parts(l.out_height, rows) * parts(l.out_width, columns) * l.group;
    }
};

// ---- tiles ----

struct Segment {
    uint32_t lanes;
    int64_t output;  // where the first of them goes, for the first kernel of the group
};

// Neighbouring patches; those between the end of one row of outputs and the start of the next are computed in vain.
struct Vector {
    int64_t position;
    int32_t first_segment, segments;
};

struct Tile {
    int64_t image, images, row, rows, column, columns;

    Tile(const Layer& l, const Plan& plan, int64_t unit) {
        column = unit % plan.column_tiles * plan.columns;
        row = unit / plan.column_tiles % plan.row_tiles * plan.rows;
        image = unit / plan.column_tiles / plan.row_tiles * plan.images;
        columns = least(plan.columns, l.out_width - column);
        rows = least(plan.rows, l.out_height - row);
        images = least(plan.images, l.images - image);
    }
};

void store_segments(const Vector& vector, const Segment* segments, float* y, Vec value) {
    for (int32_t s = vector.first_segment; s < vector.first_segment + vector.segments; s++) {
        if (segments[s].lanes == (1u << LANES) - 1)
            store(y + segments[s].output, value);
        else
            store_chosen(y + segments[s].output, value, segments[s].lanes);
    }
}

int64_t list_vectors(
    const Layer& l, const Plan& plan, const Tile& tile, int64_t image_stride, Vector* vectors, Segment* segments
) {
    int64_t found = 0, positions_used = 0;
    int32_t last = -1;
    for (int64_t i = 0; i < tile.images; i++)
        for (int64_t r = 0; r < tile.rows; r++) {
            int64_t start = (i * plan.phase_rows + r) * plan.phase_columns;
            int64_t output = (tile.image + i) * image_stride + (tile.row + r) * l.out_width + tile.column;
            for (int64_t c = 0; c < tile.columns;) {
                bool fresh = found == 0 || start + c >= positions_used;
                if (fresh) {
                    vectors[found++] = {start + c, last + 1, 0};
                    positions_used = start + c + LANES;
                }
                Vector& vector = vectors[found - 1];
                int64_t lane = start + c - vector.position;
                int64_t run = least(tile.columns - c, LANES - lane);
                uint32_t lanes = ((1u << run) - 1) << lane;
                bool joins = !fresh && c == 0 && r > 0 && tile.columns == l.out_width;
                if (joins) {
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

template <int STEP>
void copy_every(int64_t count, const float* from, float* to) {
    for (int64_t i = 0; i < count; i++) to[i] = from[i * STEP];
}

// One phase of one row of an image: every step[1]-th pixel from `column` on, zeros beyond the image.
void copy_row(const float* row, int64_t width, int64_t column, int64_t step, int64_t count, float* to) {
    int64_t before = least(count, column < 0 ? parts(-column, step) : 0);
    int64_t until = least(count, column < width ? parts(width - column, step) : 0);
    if (until < before) until = before;
    for (int64_t i = 0; i < before; i++) to[i] = 0;
    const float* from = row + column + before * step;
    if (until > before) {
        if (step == 1)
            copy_every<1>(until - before, from, to + before);
        else if (step == 2)
            copy_every<2>(until - before, from, to + before);
        else
            for (int64_t i = 0; i < until - before; i++) to[before + i] = from[i * step];
    }
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
                    to += plan.images * plan.phase_rows * plan.phase_columns;
                    continue;
                }
                int64_t column = tile.column * plan.step[1] + across - l.window.pad_before[1];
                for (int64_t i = 0; i < plan.images; i++) {
                    const float* image = x + ((tile.image + i) * l.channels + first_channel + c) * l.height * l.width;
                    for (int64_t r = 0; r < plan.phase_rows; r++, to += plan.phase_columns) {
                        int64_t row = (tile.row + r) * plan.step[0] + down - l.window.pad_before[0];
                        if (row >= 0 && row < l.height && i < tile.images)
                            copy_row(image + row * l.width, l.width, column, plan.step[1], plan.phase_columns, to);
                        else
                            for (int64_t j = 0; j < plan.phase_columns; j++) to[j] = 0;
                    }
                }
            }
}

// Where each tap finds its pixel, from a patch's position on: [tap][phase of pooling].
void list_offsets(const Layer& l, const Plan& plan, int64_t channels, int32_t* offsets) {
    int64_t plane = plan.images * plan.phase_rows * plan.phase_columns;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < l.window.size[0]; i++)
            for (int64_t j = 0; j < l.window.size[1]; j++)
                for (int64_t a = 0; a < l.pool; a++)
                    for (int64_t b = 0; b < l.pool; b++) {
                        int64_t down = l.window.stride[0] * a + l.window.dilation[0] * i;
                        int64_t across = l.window.stride[1] * b + l.window.dilation[1] * j;
                        int64_t phase = down % plan.step[0] * plan.step[1] + across % plan.step[1];
                        int64_t at = (c * plan.step[0] * plan.step[1] + phase) * plane;
                        at += down / plan.step[0] * plan.phase_columns + across / plan.step[1];
                        *offsets++ = static_cast<int32_t>(at);
                    }
}

// ---- products ----

// Sums over the taps for KERNELS kernels and VECTORS vectors of patches, [kernel][vector]. Pooled, the vectors are phases of
// the same patches, and every tap has an offset for each.
template <int KERNELS, int VECTORS, bool POOLED>
void multiply(int64_t taps, const float* const* patches, const int32_t* offsets, const float* w, float* sums) {
    Vec sum[KERNELS][VECTORS] = {};
    const float* at[VECTORS];
    for (int v = 0; v < VECTORS; v++) at[v] = patches[POOLED ? 0 : v];
    for (int64_t t = 0; t < taps; t++) {
        Vec pixels[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            pixels[v] = load(at[v] + (POOLED ? offsets[t * PHASES + v] : offsets[t]));
        for (int k = 0; k < KERNELS; k++) {
            Vec weight = splat(w[t * KERNELS + k]);
            for (int v = 0; v < VECTORS; v++) sum[k][v] += weight * pixels[v];
        }
    }
    for (int k = 0; k < KERNELS; k++)
        for (int v = 0; v < VECTORS; v++) store(sums + (k * VECTORS + v) * LANES, sum[k][v]);
}

typedef void (*Multiply)(int64_t, const float* const*, const int32_t*, const float*, float*);

template <int VECTORS, bool POOLED>
Multiply multiplier(int64_t kernels) {
    static const Multiply choices[BLOCK] = {multiply<1, VECTORS, POOLED>, multiply<2, VECTORS, POOLED>,
                                            multiply<3, VECTORS, POOLED>, multiply<4, VECTORS, POOLED>,
                                            multiply<5, VECTORS, POOLED>, multiply<6, VECTORS, POOLED>};
    return choices[kernels - 1];
}

struct Products {
    const Layer& layer;
    const Plan& plan;
    const float* packed;  // of this group
    int64_t first_kernel, first_block, last_block;
    const int32_t* offsets;
    const Segment* segments;
    float* y;

    // VECTORS vectors of patches with all kernels of this job.
    template <int VECTORS>
    void plain(const Vector* vectors, const float* const* patches, const Vec* reciprocal) const {
        alignas(64) float sums[BLOCK * WIDTH * LANES];
        for (int64_t block = first_block; block < last_block; block++) {
            int64_t kernels = least(BLOCK, plan.group_kernels - block * BLOCK);
            const float* w = packed + block * BLOCK * plan.taps;
            multiplier<VECTORS, false>(kernels)(plan.taps, patches, offsets, w, sums);
            for (int64_t k = 0; k < kernels; k++) {
                int64_t kernel = block * BLOCK + k;
                Sharpening sharpening(layer, first_kernel + kernel);
                float* plane = y + kernel * plan.pixels;
                for (int v = 0; v < VECTORS; v++) {
                    Vec cosine = load(sums + (k * VECTORS + v) * LANES) * reciprocal[v];
                    store_segments(vectors[v], segments, plane, Sharpening::of(sharpening, cosine));
                }
            }
        }
    }

    // One vector of pooled outputs with all kernels of this job.
    void pooled(const Vector& vector, const float* patches, const Vec* reciprocal) const {
        alignas(64) float sums[PHASES / WIDTH][BLOCK * WIDTH * LANES];
        for (int64_t block = first_block; block < last_block; block++) {
            int64_t kernels = least(BLOCK, plan.group_kernels - block * BLOCK);
            const float* w = packed + block * BLOCK * plan.taps;
            for (int part = 0; part < PHASES / WIDTH; part++)
                multiplier<WIDTH, true>(kernels)(plan.taps, &patches, offsets + part * WIDTH, w, sums[part]);
            for (int64_t k = 0; k < kernels; k++) {
                int64_t kernel = block * BLOCK + k;
                Vec cosine[PHASES];
                for (int v = 0; v < PHASES; v++)
                    cosine[v] = load(sums[v / WIDTH] + (k * WIDTH + v % WIDTH) * LANES) * reciprocal[v];
                Vec best;
                if (layer.pool_by_magnitude)
                    best = larger_magnitude(
                        larger_magnitude(cosine[0], cosine[1]), larger_magnitude(cosine[2], cosine[3])
                    );
                else
                    best = larger(larger(cosine[0], cosine[1]), larger(cosine[2], cosine[3]));
                Sharpening sharpening(layer, first_kernel + kernel);
                sharpening.gain = absolute(sharpening.gain);  // its sign is in the kernel
                store_segments(vector, segments, y + kernel * plan.pixels, Sharpening::of(sharpening, best));
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

Vec sum_window(int64_t taps, int64_t stride, const float* squares, const int32_t* offsets) {
    Vec sum = {};
    for (int64_t t = 0; t < taps; t++) sum += load(squares + offsets[t * stride]);
    return sum;
}

// The memory of a job on tiles.
struct Room {
    float *copy, *squares;
    int32_t *offsets, *square_offsets;
    Vector* vectors;
    Segment* segments;
    int64_t size, window;

    Room(const Layer& l, const Plan& plan) {
        window = l.window.size[0] * l.window.size[1];
        size = plan.step[0] * plan.step[1] * plan.images * plan.phase_rows * plan.phase_columns;
        Pieces measured(nullptr);
        take(l, plan, measured);
        Pieces pieces(thread_memory(measured.used()));
        take(l, plan, pieces);
        // Vectors reach past the end of a copy; what they find there is thrown away, but has to be numbers.
        for (int64_t i = 0; i < 2 * LANES; i++) copy[plan.group_channels * size + i] = squares[size + i] = 0;
    }

   private:
    void take(const Layer& l, const Plan& plan, Pieces& pieces) {
        int64_t phases = l.pool * l.pool;
        copy = pieces.take<float>(plan.group_channels * size + 2 * LANES);
        squares = pieces.take<float>(size + 2 * LANES);
        offsets = pieces.take<int32_t>(plan.taps * phases);
        square_offsets = pieces.take<int32_t>(window * phases);
        vectors = pieces.take<Vector>(plan.vectors);
        segments = pieces.take<Segment>(plan.vectors + plan.images * plan.rows);
    }
};

void similarity_of_tiles(
    const Layer& l, const Plan& plan, int64_t group, int64_t first, int64_t last, const float* x, Products products
) {
    Room room(l, plan);
    int64_t phases = l.pool * l.pool;
    list_offsets(l, plan, plan.group_channels, room.offsets);
    list_offsets(l, plan, 1, room.square_offsets);
    products.offsets = room.offsets;
    products.segments = room.segments;
    for (int64_t unit = first; unit < last; unit++) {
        Tile tile(l, plan, unit);
        copy_tile(l, plan, tile, x, group * plan.group_channels, plan.group_channels, room.copy);
        sum_squares(plan.group_channels, room.size, room.copy, room.squares);
        int64_t count = list_vectors(l, plan, tile, l.kernels * plan.pixels, room.vectors, room.segments);
        Vec reciprocal[PHASES];
        const float* patches[WIDTH];
        for (int64_t i = 0; i < count;) {
            int64_t together = phases > 1 ? 1 : least(WIDTH, count - i);
            if (together == 3) together = 2;
            const Vector* vectors = room.vectors + i;
            for (int64_t v = 0; v < together; v++) {
                patches[v] = room.copy + vectors[v].position;
                for (int64_t phase = 0; phase < phases; phase++) {
                    const float* squares = room.squares + vectors[v].position;
                    Vec energy = sum_window(room.window, phases, squares, room.square_offsets + phase);
                    reciprocal[v + phase] = reciprocal_norm(energy, l.q);
                }
            }
            if (phases > 1)
                products.pooled(vectors[0], patches[0], reciprocal);
            else if (together == 4)
                products.plain<WIDTH>(vectors, patches, reciprocal);
            else if (together == 2)
                products.plain<2>(vectors, patches, reciprocal);
            else
                products.plain<1>(vectors, patches, reciprocal);
            i += together;
        }
    }
}

// Kernels of one pixel: patches are the images' own pixels, counted through from one image to the next.
void similarity_of_pixels(
    const Layer& l, const Plan& plan, int64_t group, int64_t first, int64_t last, const float* x, Products products
) {
    int64_t channels = plan.group_channels;
    float* copy = nullptr;
    int32_t* offsets = nullptr;
    size_t needed = 0;
    for (int pass = 0; pass < 2; pass++) {
        Pieces pieces(pass ? thread_memory(needed) : nullptr);
        copy = pieces.take<float>(channels * WIDTH * LANES);
        offsets = pieces.take<int32_t>(channels);
        needed = pieces.used();
    }
    Segment segments[WIDTH * LANES];
    products.offsets = offsets;
    products.segments = segments;
    x += group * channels * plan.pixels;
    int64_t image_size = l.channels * plan.pixels, pixels = l.images * plan.pixels;
    for (int64_t unit = first; unit < last;) {
        int64_t together = least(WIDTH, last - unit);
        if (together == 3) together = 2;
        Vector vectors[WIDTH];
        const float* patches[WIDTH];
        Vec energy[WIDTH] = {};
        int32_t segment = 0;
        for (int64_t v = 0; v < together; v++) {
            patches[v] = copy + v * LANES;
            vectors[v] = {0, segment, 0};
            for (int64_t lane = 0; lane < LANES;) {
                int64_t pixel = (unit + v) * LANES + lane;
                if (pixel >= pixels) break;
                int64_t image = pixel / plan.pixels, at = pixel % plan.pixels;
                int64_t run = least(LANES - lane, plan.pixels - at);
                segments[segment++] = {((1u << run) - 1) << lane, image * l.kernels * plan.pixels + at};
                vectors[v].segments++;
                const float* from = x + image * image_size + at;
                float* to = copy + v * LANES + lane;
                if (run == LANES)
                    for (int64_t c = 0; c < channels; c++) {
                        Vec values = load(from + c * plan.pixels);
                        store(to + c * together * LANES, values);
                        energy[v] += values * values;
                    }
                else
                    for (int64_t c = 0; c < channels; c++)
                        for (int64_t i = 0; i < run; i++) to[c * together * LANES + i] = from[c * plan.pixels + i];
                lane += run;
            }
            if (vectors[v].segments != 1 || segments[segment - 1].lanes != (1u << LANES) - 1) {
                int64_t filled = least(LANES, pixels - (unit + v) * LANES);
                for (int64_t c = 0; c < channels; c++) {
                    float* at = copy + (c * together + v) * LANES;
                    for (int64_t i = filled; i < LANES; i++) at[i] = 0;
                    energy[v] += load(at) * load(at);
                }
            }
        }
        for (int64_t c = 0; c < channels; c++) offsets[c] = static_cast<int32_t>(c * together * LANES);
        Vec reciprocal[WIDTH];
        for (int64_t v = 0; v < together; v++) reciprocal[v] = reciprocal_norm(energy[v], l.q);
        if (together == 4)
            products.plain<WIDTH>(vectors, patches, reciprocal);
        else if (together == 2)
            products.plain<2>(vectors, patches, reciprocal);
        else
            products.plain<1>(vectors, patches, reciprocal);
        unit += together;
    }
}

void sharpen_plane(const Sharpening& sharpening, int64_t pixels, float q, const float* dot, const float* energy, float* y) {
    int64_t i = 0;
    for (; i + LANES <= pixels; i += LANES)
        store(y + i, Sharpening::of(sharpening, load(dot + i) * reciprocal_norm(load(energy + i), q)));
    if (i < pixels) {
        int left = static_cast<int>(pixels - i);
        Vec cosine = load_some(dot + i, left) * reciprocal_norm(load_some(energy + i, left), q);
        store_some(y + i, Sharpening::of(sharpening, cosine), left);
    }
}

// One kernel a channel. A unit is one channel of a tile.
void similarity_of_channels(
    const Layer& l, const Plan& plan, int64_t first, int64_t last, const float* x, const float* packed, float* y
) {
    Room room(l, plan);
    list_offsets(l, plan, 1, room.offsets);
    int64_t tiles = plan.row_tiles * plan.column_tiles, count = 0;
    for (int64_t unit = first; unit < last; unit++) {
        int64_t image = unit / tiles / l.channels, channel = unit / tiles % l.channels;
        Tile tile(l, plan, unit % tiles);
        tile.image = image;
        tile.images = 1;
        copy_tile(l, plan, tile, x, channel, 1, room.copy);
        tile.image = 0;
        if (tiles > 1 || unit == first) count = list_vectors(l, plan, tile, 0, room.vectors, room.segments);
        Sharpening sharpening(l, channel);
        const float* w = packed + channel * room.window;
        float* plane = y + (image * l.channels + channel) * plan.pixels;
        for (int64_t i = 0; i < count; i++) {
            const float* patches = room.copy + room.vectors[i].position;
            Vec dot = {}, energy = {};
            for (int64_t t = 0; t < room.window; t++) {
                Vec pixels = load(patches + room.offsets[t]);
                dot += w[t] * pixels;
                energy += pixels * pixels;
            }
            Vec cosine = dot * reciprocal_norm(energy, l.q);
            store_segments(room.vectors[i], room.segments, plane, Sharpening::of(sharpening, cosine));
        }
    }
}

int64_t similarity_jobs(const Layer& l) { return Plan(l, false).jobs; }

void similarity(const Layer& l, int64_t job, const float* x, const float* packed, float* y) {
    Plan plan(l, false);
    int64_t group = job / (plan.unit_jobs * plan.kernel_jobs);
    int64_t part = job % plan.kernel_jobs;
    int64_t first = job / plan.kernel_jobs % plan.unit_jobs * plan.units_per_job;
    int64_t last = least(plan.units, first + plan.units_per_job);
    if (plan.depthwise) return similarity_of_channels(l, plan, first, last, x, packed, y);
    int64_t first_kernel = group * plan.group_kernels;
    Products products = {l,
                         plan,
                         packed + first_kernel * plan.taps,
                         first_kernel,
                         plan.blocks * part / plan.kernel_jobs,
                         plan.blocks * (part + 1) / plan.kernel_jobs,
                         nullptr,
                         nullptr,
                         y + first_kernel * plan.pixels};
    if (plan.pointwise)
        similarity_of_pixels(l, plan, group, first, last, x, products);
    else
        similarity_of_tiles(l, plan, group, first, last, x, products);
}

int64_t energy_jobs(const Layer& l) { return Plan(l, true).jobs; }

void energy(const Layer& l, int64_t job, const float* x, float* energies) {
    Plan plan(l, true);
    int64_t group = job / plan.unit_jobs;
    int64_t first = job % plan.unit_jobs * plan.units_per_job;
    int64_t last = least(plan.units, first + plan.units_per_job);
    Room room(l, plan);
    list_offsets(l, plan, 1, room.square_offsets);
    for (int64_t unit = first; unit < last; unit++) {
        Tile tile(l, plan, unit);
        copy_tile(l, plan, tile, x, group * plan.group_channels, plan.group_channels, room.copy);
        sum_squares(plan.group_channels, room.size, room.copy, room.squares);
        int64_t count = list_vectors(l, plan, tile, l.group * plan.pixels, room.vectors, room.segments);
        for (int64_t i = 0; i < count; i++) {
            const float* squares = room.squares + room.vectors[i].position;
            Vec sum = sum_window(room.window, 1, squares, room.square_offsets);
            store_segments(room.vectors[i], room.segments, energies + group * plan.pixels, sum);
        }
    }
}

void sharpen(
    const Layer& l, int64_t plane, int64_t first, int64_t pixels, bool own_energies, const float* dot, const float* energy,
    float* y
) {
    for (int64_t k = 0; k < l.kernels; k++) {
        const float* energies = energy + (own_energies ? k * plane : 0) + first;
        sharpen_plane(Sharpening(l, k), pixels, l.q, dot + k * plane + first, energies, y + k * plane + first);
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
