// Patches of images in the order in which products read them.
//
// What a tile of outputs sees of the images is copied, with its zero padding, into memory that stays in the cache, so that
// every tap of the kernels reads neighbouring floats: where there are strides, every stride-th pixel lies in a plane of its
// own, a "phase".

#pragma once

#include <cstdlib>
#include <new>

#include "plan.h"
#include "sharpening.h"

namespace SCS_LEVEL {
namespace {

constexpr int POOLED = 4;  // vectors that make one of pooled outputs: upper row, lower row, and the same further on

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

// The memory of a job on tiles.
struct Workspace {
    const Layer& layer;
    const Plan& plan;
    float *copy, *squares;
    Sharpening* sharpenings;  // of a group's kernels
    int32_t *offsets, *square_offsets;
    Vector* vectors;
    Segment* segments;
    int64_t size;  // of a channel of the copy
    int64_t image_stride, listed_images = 0, count = 0;

    Workspace(const Layer& l, const Plan& p, int64_t stride) : layer(l), plan(p), image_stride(stride) {
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
    void read(const Tile& tile, const float* x, int64_t first_channel) {
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

}  // namespace
}  // namespace SCS_LEVEL
