// C = A·B (+ bias) of bf16 matrices with fp32 sums, for processors whose widest bf16 unit is the 512-bit vector.
//
// A panel of B, up to 64 columns wide, is packed into the second-level cache of the core that multiplies by it; rows of A pass by,
// six at a time, and their 6 x 64 sums stay in registers. Weights keep the layout that the model gave them, and exist once.
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "simd.h"

namespace {

constexpr index_t TILE = 6;
constexpr index_t DEEPEST = 3072;    // numbers along k that a packed panel holds: 384 KiB
constexpr index_t MOST_ROWS = 2048;  // rows of a task, whose partial sums are held where k takes several panels
constexpr index_t PIECES = 8;        // row ranges that the last panels fall into, so that no thread waits long for another
constexpr index_t FEWEST_ROWS = 96;  // of such a range: packing a panel for fewer costs too much
constexpr index_t AHEAD = 16;        // numbers along k by which a panel is fetched ahead of its use
constexpr index_t LINE = 32;         // numbers in a cache line

struct Operands {
  const bf16 *a, *b, *bias;
  bf16* c;
  index_t lda, ldb, ldc, rows, columns, depth;
  bool transposed;  // B is [columns, depth], else [depth, columns]
};

// out[k / 2][column] = (B[k][column], B[k + 1][column]) of a panel from B's columns as rows; zero past the last column.
template <int VECTORS>
void pack_columns(const bf16* b, index_t ldb, index_t columns, index_t depth, uint32_t* out) {
  constexpr index_t PANEL = 16 * VECTORS;
  for (index_t n = 0; n < PANEL; n += 16)
    for (index_t k = 0; k < depth; k += 32) {
      const __mmask16 inside = first((depth - k) / 2);
      __m512i x[16];
      for (index_t i = 0; i < 16; i++)
        x[i] = n + i < columns ? _mm512_maskz_loadu_epi32(inside, b + (n + i) * ldb + k) : _mm512_setzero_si512();
      transpose(x);
      for (index_t i = 0; i < 16 && k + 2 * i < depth; i++) _mm512_store_si512(out + (k / 2 + i) * PANEL + n, x[i]);
    }
}

// The same from B's rows; zero past the last row of an odd depth.
template <int VECTORS>
void pack_rows(const bf16* b, index_t ldb, index_t columns, index_t depth, uint32_t* out) {
  constexpr index_t PANEL = 16 * VECTORS;
  for (index_t k = 0; k < depth; k += 2)
    for (index_t n = 0; n < PANEL; n += 16) {
      const __mmask16 inside = first(columns - n);
      const __m256i low = _mm256_maskz_loadu_epi16(inside, b + k * ldb + n);
      const __mmask16 both = k + 1 < depth ? inside : 0;
      const __m256i high = _mm256_maskz_loadu_epi16(both, b + (k + 1) * ldb + n);
      _mm512_store_si512(out + k / 2 * PANEL + n, pair(low, high));
    }
}

// Where a tile's sums begin and end: nothing, a bias or earlier panels' sums; later panels or the result.
struct Ends {
  const bf16* bias;
  float* partial;
  bool resumes, last;
  bf16* c;
  index_t ldc, columns;
};

// These rows' next line into the first cache, and the next tile's into the second: processors do not foresee a row's end.
template <int ROWS>
inline void fetch_rows(const bf16* a, index_t lda) {
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++) {
    _mm_prefetch((const char*)(a + r * lda + LINE), _MM_HINT_T0);
    _mm_prefetch((const char*)(a + (r + ROWS) * lda), _MM_HINT_T1);
  }
}

template <int ROWS, int VECTORS>
inline void tile(const bf16* a, index_t lda, const uint32_t* panel, index_t depth, const Ends& ends) {
  constexpr index_t PANEL = 16 * VECTORS;
  __m512 sum[ROWS][VECTORS];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++)
      sum[r][v] = ends.resumes ? _mm512_loadu_ps(ends.partial + r * PANEL + 16 * v)
                  : ends.bias  ? load(ends.bias + 16 * v, first(ends.columns - 16 * v))
                               : _mm512_setzero_ps();
  for (index_t k = 0; k < depth; k += 2) {
    if (k % LINE == 0) fetch_rows<ROWS>(a + k, lda);
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) _mm_prefetch((const char*)(panel + (k + AHEAD) * (PANEL / 2) + 16 * v), _MM_HINT_T0);
    __m512i column[VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) column[v] = _mm512_load_si512(panel + k * (PANEL / 2) + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++) {
      int both;
      std::memcpy(&both, a + r * lda + k, 4);
      const __m512i row = _mm512_set1_epi32(both);
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)row, (__m512bh)column[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++)
      if (ends.last)
        _mm256_mask_storeu_epi16(ends.c + r * ends.ldc + 16 * v, first(ends.columns - 16 * v), round_bf16(sum[r][v]));
      else
        _mm512_storeu_ps(ends.partial + r * PANEL + 16 * v, sum[r][v]);
}

template <int VECTORS>
void tile_of(index_t rows, const bf16* a, index_t lda, const uint32_t* panel, index_t depth, const Ends& ends) {
  switch (rows) {
    case 1: return tile<1, VECTORS>(a, lda, panel, depth, ends);
    case 2: return tile<2, VECTORS>(a, lda, panel, depth, ends);
    case 3: return tile<3, VECTORS>(a, lda, panel, depth, ends);
    case 4: return tile<4, VECTORS>(a, lda, panel, depth, ends);
    case 5: return tile<5, VECTORS>(a, lda, panel, depth, ends);
    default: return tile<TILE, VECTORS>(a, lda, panel, depth, ends);
  }
}

// Packs `depth` numbers along k, from k on, of the panel that begins at a column.
template <int VECTORS>
void pack(const Operands& o, index_t column, index_t k, index_t depth, uint32_t* panel) {
  const index_t columns = std::min<index_t>(16 * VECTORS, o.columns - column);
  if (o.transposed)
    pack_columns<VECTORS>(o.b + column * o.ldb + k, o.ldb, columns, depth, panel);
  else
    pack_rows<VECTORS>(o.b + k * o.ldb + column, o.ldb, columns, depth, panel);
}

// Rows from..to of a panel's columns of C. `packed` is the column whose panel the scratch still holds, as earlier rows left it.
template <int VECTORS>
void part(const Operands& o, index_t column, index_t from, index_t to, Scratch& scratch, index_t& packed) {
  constexpr index_t PANEL = 16 * VECTORS;
  const index_t pairs = (o.depth + 1) / 2, blocks = (o.depth + DEEPEST - 1) / DEEPEST, block = (pairs + blocks - 1) / blocks * 2;
  const index_t columns = std::min(PANEL, o.columns - column);
  scratch.reserve(4 * (block / 2 * PANEL + (blocks > 1 ? (to - from) * PANEL : 0)) + 128);
  uint32_t* panel = scratch.take<uint32_t>(block / 2 * PANEL);
  float* partial = scratch.take<float>(blocks > 1 ? (to - from) * PANEL : 0);
  for (index_t k = 0; k < o.depth; k += block) {
    const index_t depth = std::min(block, o.depth - k);
    if (packed != column) pack<VECTORS>(o, column, k, depth, panel);
    for (index_t r = from; r < to; r += TILE)
      tile_of<VECTORS>(std::min(TILE, to - r), o.a + r * o.lda + k, o.lda, panel, depth,
              {o.bias ? o.bias + column : nullptr, partial + (r - from) * PANEL, k > 0, k + depth == o.depth,
               o.c + r * o.ldc + column, o.ldc, columns});
  }
  packed = blocks == 1 ? column : -1;
}

// Panels are dealt out whole as long as there are many, the last ones in pieces.
template <int VECTORS>
void multiply(const Operands& o) {
  constexpr index_t PANEL = 16 * VECTORS;
  const index_t panels = (o.columns + PANEL - 1) / PANEL, threads = omp_get_max_threads();
  const index_t chunks = (o.rows + MOST_ROWS - 1) / MOST_ROWS, most = std::clamp<index_t>(o.rows / FEWEST_ROWS, 1, PIECES * chunks);
  const index_t pieces = threads > 1 ? std::max(most, chunks) : chunks;
  const index_t whole = panels - std::min(panels, threads + panels % threads);
#pragma omp parallel
  {
    static thread_local Scratch scratch;
    index_t packed = -1;
#pragma omp for schedule(dynamic)
    for (index_t task = 0; task < whole * chunks + (panels - whole) * pieces; task++) {
      const bool early = task < whole * chunks;
      const index_t number = early ? task : task - whole * chunks, ranges = early ? chunks : pieces;
      const index_t panel = (early ? 0 : whole) + number / ranges, range = number % ranges;
      const index_t size = (o.rows + ranges * TILE - 1) / (ranges * TILE) * TILE, from = range * size;
      if (from < o.rows) part<VECTORS>(o, panel * PANEL, from, std::min(o.rows, from + size), scratch, packed);
    }
  }
}

}  // namespace

extern "C" {

// Of an odd depth, B lies in rows, and behind each row of A is a zero.
void matmul(const bf16* a, index_t lda, const bf16* b, index_t ldb, int transposed, const bf16* bias, bf16* c, index_t ldc,
            index_t rows, index_t columns, index_t depth) {
  const Operands operands{a, b, bias, c, lda, ldb, ldc, rows, columns, depth, transposed != 0};
  switch (std::min<index_t>(4, (columns + 15) / 16)) {
    case 1: return multiply<1>(operands);
    case 2: return multiply<2>(operands);
    case 3: return multiply<3>(operands);
    default: return multiply<4>(operands);
  }
}
}
