// Products of vectors of patches with six kernels at a time, kept in registers until they are similarities.

#pragma once

#include "patches.h"
#include "sharpening.h"

namespace SCS_LEVEL {
namespace {

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
                for (int64_t t = 0; t < taps; t++) energy += taps_of[t] / l.unit * (taps_of[t] / l.unit);
                float norm = __builtin_sqrtf(energy + ENERGY_FLOOR / (l.unit * l.unit)) * l.unit + l.q;
                // Pooling looks for the largest, also where a negative gain would make it the smallest.
                if (l.pool > 1 && l.gains && l.gains[kernel] < 0) norm = -norm;
                for (int64_t t = 0; t < taps; t++) packed[t * kernels + k] = taps_of[t] / norm;
            }
            packed += kernels * taps;
        }
}

// How many vectors of patches, of those that are left, products are taken with at once.
int64_t vectors_together(const Layer& l, int64_t left) {
    if (l.pool > 1) return 1;
    int64_t together = least(WIDTH, left);
    return together == 3 ? 2 : together;
}

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
                waiting[held++] = layer.pool_by_magnitude ? largest_by_magnitude(cosine) : largest(cosine);
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

}  // namespace
}  // namespace SCS_LEVEL
