// AVX-512 helpers shared by the kernels: bf16 <-> fp32, 2^x, and the bf16 product of one register tile.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

using bf16 = uint16_t;
using index_t = std::ptrdiff_t;

inline __m512 load(const bf16* p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
}
inline __m512 load(const bf16* p, __mmask16 mask) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p)), 16));
}
inline __m256i round_bf16(__m512 v) { return (__m256i)_mm512_cvtneps_pbh(v); }
inline void store(bf16* p, __m512 v) { _mm256_storeu_si256((__m256i*)p, round_bf16(v)); }
inline bf16 to_bf16(float v) { return (bf16)_mm256_extract_epi16(round_bf16(_mm512_set1_ps(v)), 0); }
inline float to_float(bf16 v) {
  uint32_t bits = (uint32_t)v << 16;
  float f;
  __builtin_memcpy(&f, &bits, 4);
  return f;
}

// The dwords (low[i], high[i]) of two rows of 16 numbers: how vdpbf16ps wants its right operand.
inline __m512i pair(__m256i low, __m256i high) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(low), _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
}

// A mask of the first n of 16 lanes.
inline __mmask16 first(index_t n) { return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1); }

// Turns 16 rows of 16 dwords into columns, in registers.
inline void transpose(__m512i x[16]) {
  __m512i y[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4)
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
      x[i + 2 * k] = _mm512_unpacklo_epi64(y[i + k], y[i + k + 2]);
      x[i + 2 * k + 1] = _mm512_unpackhi_epi64(y[i + k], y[i + k + 2]);
    }
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) {
    const __m512i a = _mm512_shuffle_i32x4(x[k], x[k + 4], 0x88), b = _mm512_shuffle_i32x4(x[k], x[k + 4], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(x[k + 8], x[k + 12], 0x88), d = _mm512_shuffle_i32x4(x[k + 8], x[k + 12], 0xdd);
    y[k] = _mm512_shuffle_i32x4(a, c, 0x88);
    y[k + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
    y[k + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
    y[k + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) x[i] = y[i];
}

// 2^x, relative error 2e-7: 2^round(x) times the series of e^(ln2·f) for |f| <= 1/2. Exponents below -126 give 0 or subnormals.
inline __m512 exp2(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(1.5403530e-4f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.3333558e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.6181291e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5504109e-2f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4022651e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9314718e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

constexpr float LOG2E = 1.4426950408889634f;
constexpr float LN2 = 0.6931471805599453f;

inline __m512 sigmoid(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0f);
  return _mm512_div_ps(one, _mm512_add_ps(one, exp2(_mm512_mul_ps(x, _mm512_set1_ps(-LOG2E)))));
}

// Scratch of one thread, aligned to cache lines and kept between calls.
struct Scratch {
  char* base = nullptr;
  size_t capacity = 0, used = 0;
  ~Scratch() { std::free(base); }
  void reserve(size_t bytes) {
    used = 0;
    if (bytes <= capacity) return;
    std::free(base);
    capacity = (bytes + 4095) / 4096 * 4096;
    base = (char*)std::aligned_alloc(4096, capacity);
  }
  template <class T>
  T* take(size_t count) {
    T* p = (T*)(base + used);
    used += (count * sizeof(T) + 63) / 64 * 64;
    return p;
  }
};
