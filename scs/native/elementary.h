// Elementary functions on vectors of floats, for loops that a compiler turns into a dozen instructions a vector.
//
// A file that includes this is compiled once for each instruction set (see build.sh), with SCS_LEVEL naming it: everything
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

// Of two values the one of larger magnitude; of opposites the positive one.
SCS_INLINE Vec larger_magnitude(Vec a, Vec b) {
    Vec high = a > b ? a : b;
    Vec low = a > b ? b : a;
    return high >= -low ? high : low;
}

SCS_INLINE Vec larger(Vec a, Vec b) { return a > b ? a : b; }

// Base-2 logarithm of a normal positive number, to 1.5e-7 absolute. What it gives for others is finite, and for NaN and
// infinity, too: for those take log2.
SCS_INLINE Vec log2_of_normal(Vec x) {
    // The polynomial is the minimax one of log2(1.5 + g) for |g| <= 0.5, 4e-8 off.
#if defined(__AVX512F__)
    Vec exponent = (Vec)_mm512_getexp_ps((__m512)x);
    Vec mantissa = (Vec)_mm512_getmant_ps((__m512)x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
#else
    Int bits = (Int)x;
    Vec exponent = __builtin_convertvector((bits >> 23) - 127, Vec);
    Vec mantissa = (Vec)((bits & 0x7fffff) | 0x3f800000);
#endif
    Vec g = mantissa - 1.5f;
    Vec y = g * -0.009088909f + 0.01477881f;
    y = y * g - 0.020578751f;
    y = y * g + 0.037462898f;
    y = y * g - 0.07129975f;
    y = y * g + 0.14252637f;
    y = y * g - 0.32059684f;
    y = y * g + 0.961796f;
    return y * g + (exponent + 0.5849625f);
}

// 2 to the power of x, to 2.5e-7 of its value where that is normal. Beyond, it is very small or very large; for NaN it may be
// anything: there take exp2.
SCS_INLINE Vec exp2_within_range(Vec x) {
#if defined(__AVX512F__)
    Vec f = (Vec)_mm512_reduce_ps((__m512)x, 0);
    Vec whole = x - f;
#else
    x = x < -126.0f ? splat(-126.0f) : x;
    x = x > 127.99999f ? splat(127.99999f) : x;
    // Adding 1.5 * 2^23 leaves the nearest whole number in the lowest bits.
    Vec shifted = x + 12582912.0f;
    Vec f = x - (shifted - 12582912.0f);
#endif
    // The minimax polynomial of 2^f for |f| <= 0.5, 7e-8 off.
    Vec y = f * 0.0013276472f + 0.009675542f;
    y = y * f + 0.05550713f;
    y = y * f + 0.2402212f;
    y = y * f + 0.69314694f;
    y = y * f + 1.0000001f;
#if defined(__AVX512F__)
    return (Vec)_mm512_scalef_ps((__m512)y, (__m512)whole);
#else
    return (Vec)((Int)y + ((Int)shifted << 23));
#endif
}

// Base-2 logarithm of any x >= 0: -infinity for 0 and what is not normal, infinity and NaN for themselves.
SCS_INLINE Vec log2(Vec x) {
    Vec y = log2_of_normal(x);
    y = x < 1.17549435e-38f ? splat(-__builtin_inff()) : y;
    return x < __builtin_inff() ? y : x;
}

// 2 to the power of any x: 0 where that is not normal, infinity where it is too large, NaN for NaN.
SCS_INLINE Vec exp2(Vec x) {
    Vec y = exp2_within_range(x);
    y = x < -126.0f ? Vec{} : y;
    y = x >= 128.0f ? splat(__builtin_inff()) : y;
    return x == x ? y : x;
}

}  // namespace SCS_LEVEL
