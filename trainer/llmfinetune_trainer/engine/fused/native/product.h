// C = A·B (or C += A·B) with bf16 operands and fp32 sums, on tiles that live in registers.
//
// A is read as dwords of two neighbours along k: A[row * row_stride + k * k_stride]. B holds such dwords for 16·n columns
// side by side: B[k * ldb + column]. Six rows by 64 columns fill 24 of the 32 registers.
#pragma once
#include "simd.h"

struct Left {
  const uint32_t* data;
  index_t row_stride, k_stride;
};
struct Right {
  const uint32_t* data;
  index_t ld;
};
struct Out {
  float* data;
  index_t ld;
};

template <int ROWS, int VECTORS, bool ACCUMULATE>
inline void tile(const uint32_t* a, index_t row_stride, index_t k_stride, const uint32_t* b, index_t ldb, float* c, index_t ldc,
                 index_t depth) {
  __m512 sum[ROWS][VECTORS];
  for (int r = 0; r < ROWS; r++)
    for (int v = 0; v < VECTORS; v++) sum[r][v] = ACCUMULATE ? _mm512_loadu_ps(c + r * ldc + 16 * v) : _mm512_setzero_ps();
  for (index_t k = 0; k < depth; k++) {
    __m512i column[VECTORS];
    for (int v = 0; v < VECTORS; v++) column[v] = _mm512_loadu_si512(b + k * ldb + 16 * v);
    for (int r = 0; r < ROWS; r++) {
      const __m512i row = _mm512_set1_epi32((int)a[r * row_stride + k * k_stride]);
      for (int v = 0; v < VECTORS; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)row, (__m512bh)column[v]);
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int v = 0; v < VECTORS; v++) _mm512_storeu_ps(c + r * ldc + 16 * v, sum[r][v]);
}

template <int VECTORS, bool ACCUMULATE>
inline void column_panel(Left a, const uint32_t* b, index_t ldb, float* c, index_t ldc, index_t rows, index_t depth) {
  index_t r = 0;
  for (; r + 6 <= rows; r += 6)
    tile<6, VECTORS, ACCUMULATE>(a.data + r * a.row_stride, a.row_stride, a.k_stride, b, ldb, c + r * ldc, ldc, depth);
  const uint32_t* rest = a.data + r * a.row_stride;
  float* out = c + r * ldc;
  switch (rows - r) {
    case 5: return tile<5, VECTORS, ACCUMULATE>(rest, a.row_stride, a.k_stride, b, ldb, out, ldc, depth);
    case 4: return tile<4, VECTORS, ACCUMULATE>(rest, a.row_stride, a.k_stride, b, ldb, out, ldc, depth);
    case 3: return tile<3, VECTORS, ACCUMULATE>(rest, a.row_stride, a.k_stride, b, ldb, out, ldc, depth);
    case 2: return tile<2, VECTORS, ACCUMULATE>(rest, a.row_stride, a.k_stride, b, ldb, out, ldc, depth);
    case 1: return tile<1, VECTORS, ACCUMULATE>(rest, a.row_stride, a.k_stride, b, ldb, out, ldc, depth);
  }
}

// rows x columns product over 2·depth; columns is a multiple of 16.
template <bool ACCUMULATE>
inline void product(Left a, Right b, Out c, index_t rows, index_t columns, index_t depth) {
  index_t n = 0;
  for (; n + 64 <= columns; n += 64) column_panel<4, ACCUMULATE>(a, b.data + n, b.ld, c.data + n, c.ld, rows, depth);
  switch ((columns - n) / 16) {
    case 3: return column_panel<3, ACCUMULATE>(a, b.data + n, b.ld, c.data + n, c.ld, rows, depth);
    case 2: return column_panel<2, ACCUMULATE>(a, b.data + n, b.ld, c.data + n, c.ld, rows, depth);
    case 1: return column_panel<1, ACCUMULATE>(a, b.data + n, b.ld, c.data + n, c.ld, rows, depth);
  }
}
