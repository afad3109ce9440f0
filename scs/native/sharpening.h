// From products of patches and kernels to similarities: norms, the largest of 2x2, the power, gain and bias.

#pragma once

#include "plan.h"

namespace SCS_LEVEL {
namespace {

#ifdef __AVX512F__
constexpr int AT_ONCE = 8;  // vectors that are sharpened at once
#else
constexpr int AT_ONCE = 4;
#endif

constexpr float ENERGY_FLOOR = 1e-12f;
constexpr float EPS = 1e-6f;

template <int COUNT>
SCS_INLINE void reciprocal_norms(const Vec* energy, float unit, float q, Vec* reciprocal) {
    Vec floored[COUNT];
    for (int i = 0; i < COUNT; i++) floored[i] = energy[i] + ENERGY_FLOOR / (unit * unit);
    reciprocals_of_root_plus<COUNT>(floored, unit, q, reciprocal);
    // Energies beyond float32 make similarities 0, as in torch and ONNX; the estimates above make NaN of infinity.
    for (int i = 0; i < COUNT; i++) reciprocal[i] = floored[i] == __builtin_inff() ? Vec{} : reciprocal[i];
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
SCS_INLINE void sharpen_products(const Each* const* sharpening, float unit, float q, Vec* dot, const Vec* energy) {
    Vec reciprocal[COUNT];
    reciprocal_norms<COUNT>(energy, unit, q, reciprocal);
    for (int i = 0; i < COUNT; i++) dot[i] *= reciprocal[i];
    sharpen_all<COUNT>(sharpening, dot);
}

// The largest of every 2x2 values: upper row, lower row, and the same further on, of twice as many columns as lanes.
SCS_INLINE Vec largest(const Vec* rows) {
    Vec left = larger(rows[0], rows[1]), right = larger(rows[2], rows[3]);
    return larger(unzip<false>(left, right), unzip<true>(left, right));
}

SCS_INLINE Vec largest_by_magnitude(const Vec* rows) {
    Vec left = larger_magnitude(rows[0], rows[1]), right = larger_magnitude(rows[2], rows[3]);
    return larger_magnitude(unzip<false>(left, right), unzip<true>(left, right));
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
            sharpen_products<AT_ONCE>(each, l.unit, l.q, dots, squares);
            for (int j = 0; j < AT_ONCE; j++) store(y + at + i + j * LANES, dots[j]);
        }
        for (; i < pixels; i += LANES) {
            int count = static_cast<int>(least(LANES, pixels - i));
            Vec dots = load_some(dot + at + i, count), squares = load_some(energies + i, count);
            sharpen_products<1>(each, l.unit, l.q, &dots, &squares);
            store_some(y + at + i, dots, count);
        }
    }
}

}  // namespace
}  // namespace SCS_LEVEL
