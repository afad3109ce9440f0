// Elementary functions on vectors of floats, for loops that a compiler turns into a dozen instructions a vector.
//
// A file that includes this is compiled once for each instruction set (see models/onnx/native/build.py), with SCS_LEVEL naming it: everything
// lies in a namespace of that name, so that no linker can give one processor the instructions of another.

#pragma once

#include <cstdint>

#ifdef __AVX__
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns of its own intrinsics
#endif
#include <immintrin.h>
#endif

#ifndef SCS_LEVEL
#error "SCS_LEVEL names the instruction set that is compiled for"
#endif

namespace SCS_LEVEL {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef int32_t Int __attribute__((vector_size(4 * LANES)));

#define SCS_INLINE static inline __attribute__((always_inline))

SCS_INLINE Vec splat(float value) { return value - Vec{}; }

SCS_INLINE Vec load(const float* from) {
    Vec value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

SCS_INLINE void store(float* to, Vec value) { __builtin_memcpy(to, &value, sizeof value); }

// The first `count` lanes; the others are 0, and their memory is not touched.
SCS_INLINE Vec load_some(const float* from, int count) {
#if defined(__AVX512F__)
    return (Vec)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
#else
    float lanes[LANES] = {};
    for (int i = 0; i < count; i++) lanes[i] = from[i];
    return load(lanes);
#endif
}

SCS_INLINE void store_some(float* to, Vec value, int count) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)value);
#else
    float lanes[LANES];
    store(lanes, value);
    for (int i = 0; i < count; i++) to[i] = lanes[i];
#endif
}

// The lanes whose bits are set, one after the other in memory.
SCS_INLINE void store_chosen(float* to, Vec value, uint32_t chosen) {
#if defined(__AVX512F__)
    __m512 packed = _mm512_maskz_compress_ps((__mmask16)chosen, (__m512)value);
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << __builtin_popcount(chosen)) - 1), packed);
#else
    float lanes[LANES];
    store(lanes, value);
    for (int i = 0; i < LANES; i++)
        if (chosen >> i & 1) *to++ = lanes[i];
#endif
}

SCS_INLINE Vec absolute(Vec x) { return (Vec)((Int)x & 0x7fffffff); }

SCS_INLINE Vec square_root(Vec x) {
#if defined(__AVX512F__)
    return (Vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX__)
    return (Vec)_mm256_sqrt_ps((__m256)x);
#else
    Vec y = x;
    for (int i = 0; i < LANES; i++) y[i] = __builtin_sqrtf(x[i]);
    return y;
#endif
}

// The functions below take COUNT vectors at once and go through them step by step: a processor looks too few instructions
// ahead to see by itself that there is something to do while a chain of multiplications waits for its last result.

// 1 / (unit * sqrt(x) + q), for 0 < x < infinity and q >= 0, to 2e-7 of its value.
template <int COUNT>
SCS_INLINE void reciprocals_of_root_plus(const Vec* x, float unit, float q, Vec* y) {
#if defined(__AVX512F__)
    // Estimates of 14 bits and a step of Newton's method each take less time than the divider.
    Vec root[COUNT], sum[COUNT];
    for (int i = 0; i < COUNT; i++) y[i] = (Vec)_mm512_rsqrt14_ps((__m512)x[i]);
    for (int i = 0; i < COUNT; i++) root[i] = x[i] * y[i];
    for (int i = 0; i < COUNT; i++) sum[i] = root[i] * (1.5f * unit - 0.5f * unit * root[i] * y[i]) + q;
    for (int i = 0; i < COUNT; i++) y[i] = (Vec)_mm512_rcp14_ps((__m512)sum[i]);
    for (int i = 0; i < COUNT; i++) y[i] = y[i] * (2.0f - sum[i] * y[i]);
#else
    for (int i = 0; i < COUNT; i++) y[i] = 1.0f / (square_root(x[i]) * unit + q);
#endif
}

// Of two values the one of larger magnitude; of opposites the positive one.
SCS_INLINE Vec larger_magnitude(Vec a, Vec b) {
#if defined(__AVX512F__)
    return (Vec)_mm512_range_ps((__m512)a, (__m512)b, 7);
#else
    Vec high = a > b ? a : b;
    Vec low = a > b ? b : a;
    return high >= -low ? high : low;
#endif
}

SCS_INLINE Vec larger(Vec a, Vec b) { return a > b ? a : b; }

// The lanes of even number, of a and then of b; or those of odd number.
template <bool ODD>
SCS_INLINE Vec unzip(Vec a, Vec b) {
#if defined(__AVX512F__)
    constexpr int o = ODD;
    const __m512i from = _mm512_setr_epi32(
        o, o + 2, o + 4, o + 6, o + 8, o + 10, o + 12, o + 14, o + 16, o + 18, o + 20, o + 22, o + 24, o + 26, o + 28, o + 30
    );
    return (Vec)_mm512_permutex2var_ps((__m512)a, from, (__m512)b);
#elif defined(__AVX2__)
    __m256d pairs = (__m256d)_mm256_shuffle_ps((__m256)a, (__m256)b, ODD ? 0xdd : 0x88);
    return (Vec)_mm256_permute4x64_pd(pairs, 0xd8);
#else
    Vec both[2] = {a, b}, chosen;
    for (int i = 0; i < LANES; i++) chosen[i] = both[2 * i / LANES][2 * i % LANES + ODD];
    return chosen;
#endif
}

// Base-2 logarithms of normal positive numbers, to 1.5e-7 absolute. For others, NaN and infinity too, they may be anything:
// there take log2.
template <int COUNT>
SCS_INLINE void log2_of_normal(const Vec* x, Vec* y) {
    Vec exponent[COUNT], g[COUNT];
    for (int i = 0; i < COUNT; i++) {
#if defined(__AVX512F__)
        exponent[i] = (Vec)_mm512_getexp_ps((__m512)x[i]);
        g[i] = (Vec)_mm512_getmant_ps((__m512)x[i], _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src) - 1.5f;
#else
        exponent[i] = __builtin_convertvector(((Int)x[i] >> 23) - 127, Vec);
        g[i] = (Vec)(((Int)x[i] & 0x7fffff) | 0x3f800000) - 1.5f;
#endif
    }
    // The minimax polynomial of log2(1.5 + g) for |g| <= 0.5, 4e-8 off.
    constexpr float terms[] = {0.01477881f, -0.020578751f, 0.037462898f, -0.07129975f, 0.14252637f, -0.32059684f, 0.961796f};
    for (int i = 0; i < COUNT; i++) y[i] = g[i] * -0.009088909f + terms[0];
    for (int j = 1; j < 7; j++)
        for (int i = 0; i < COUNT; i++) y[i] = y[i] * g[i] + terms[j];
    for (int i = 0; i < COUNT; i++) y[i] = y[i] * g[i] + (exponent[i] + 0.5849625f);
}

// 2 to the powers of x, to 2.5e-7 of their value where that is normal. Beyond, they are very small or very large; for NaN they
// may be anything: there take exp2.
template <int COUNT>
SCS_INLINE void exp2_within_range(const Vec* x, Vec* y) {
    Vec f[COUNT], whole[COUNT];
    for (int i = 0; i < COUNT; i++) {
#if defined(__AVX512F__)
        f[i] = (Vec)_mm512_reduce_ps((__m512)x[i], 0);
        whole[i] = x[i] - f[i];
#else
        Vec within = x[i] < -126.0f ? splat(-126.0f) : x[i];
        within = within > 127.99999f ? splat(127.99999f) : within;
        whole[i] = within + 12582912.0f;  // 1.5 * 2^23 leaves the nearest whole number in the lowest bits
        f[i] = within - (whole[i] - 12582912.0f);
#endif
    }
    // The minimax polynomial of 2^f for |f| <= 0.5, 7e-8 off.
    constexpr float terms[] = {0.009675542f, 0.05550713f, 0.2402212f, 0.69314694f, 1.0000001f};
    for (int i = 0; i < COUNT; i++) y[i] = f[i] * 0.0013276472f + terms[0];
    for (int j = 1; j < 5; j++)
        for (int i = 0; i < COUNT; i++) y[i] = y[i] * f[i] + terms[j];
    for (int i = 0; i < COUNT; i++) {
#if defined(__AVX512F__)
        y[i] = (Vec)_mm512_scalef_ps((__m512)y[i], (__m512)whole[i]);
#else
        y[i] = (Vec)((Int)y[i] + ((Int)whole[i] << 23));
#endif
    }
}

// Base-2 logarithm of any x >= 0: -infinity for 0 and what is not normal, infinity and NaN for themselves.
SCS_INLINE Vec log2(Vec x) {
    Vec y;
    log2_of_normal<1>(&x, &y);
    y = x < 1.17549435e-38f ? splat(-__builtin_inff()) : y;
    return x < __builtin_inff() ? y : x;
}

// 2 to the power of any x: 0 where that is not normal, infinity where it is too large, NaN for NaN.
SCS_INLINE Vec exp2(Vec x) {
    Vec y;
    exp2_within_range<1>(&x, &y);
    y = x < -126.0f ? Vec{} : y;
    y = x >= 128.0f ? splat(__builtin_inff()) : y;
    return x == x ? y : x;
}

}  // namespace SCS_LEVEL
