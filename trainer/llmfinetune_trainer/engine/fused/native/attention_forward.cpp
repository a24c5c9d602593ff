// Causal attention of packed documents that may share a prefix.
//
// Nothing is kept for the backward pass but the log-sum-exp of each row (base 2, scale included).
#include <cmath>
#include <limits>

#include "documents.h"

namespace {

// Softmax of one row of scores over its first `valid` keys; zeros follow. Returns the row's sum; lse in base 2.
float softmax_row(const float* scores, bf16* weights, index_t valid, index_t width, float scale, float* lse) {
  __m512 top = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  for (index_t j = 0; j < valid; j += 16) top = _mm512_mask_max_ps(top, first(valid - j), top, _mm512_loadu_ps(scores + j));
  const float max = _mm512_reduce_max_ps(top) * scale;
  const __m512 factor = _mm512_set1_ps(scale), shift = _mm512_set1_ps(-max);
  __m512 sums = _mm512_setzero_ps();
  for (index_t j = 0; j < width; j += 16) {
    const __m512 p = _mm512_maskz_mov_ps(first(valid - j), exp2(_mm512_fmadd_ps(_mm512_loadu_ps(scores + j), factor, shift)));
    sums = _mm512_add_ps(sums, p);
    store(weights + j, p);
  }
  const float sum = _mm512_reduce_add_ps(sums);
  *lse = max + std::log2(sum);
  return sum;
}

void forward_item(const bf16* qkv, const Shape& s, const Document& d, index_t kv, float scale, bf16* out, index_t ldo, float* lse,
                  Scratch& scratch) {
  const index_t width = padded(d.keys());
  scratch.reserve(4 * (width * s.size + BLOCK * width + BLOCK * width / 2 + BLOCK * s.size) + 1024);
  uint32_t* keys = scratch.take<uint32_t>(s.size / 2 * width);
  uint32_t* values = scratch.take<uint32_t>(width / 2 * s.size);
  float* scores = scratch.take<float>(BLOCK * width);
  bf16* weights = scratch.take<bf16>(BLOCK * width);
  float* mixed = scratch.take<float>(BLOCK * s.size);
  pack_transposed(qkv + s.key_column(kv), s, d, keys, width);
  pack_pairs(qkv + s.value_column(kv), s, d, values, width);
  for (index_t p = 0; p < d.length; p += BLOCK) {
    const index_t rows = std::min(BLOCK, d.length - p), used = padded(d.prefix + p + rows);
    for (index_t head = kv * s.group(); head < (kv + 1) * s.group(); head++) {
      const bf16* query = qkv + (d.start + p) * s.ld + head * s.size;
      product<false>(rows_of(query, s.ld), {keys, width}, {scores, width}, rows, used, s.size / 2);
      float sums[BLOCK];
      for (index_t r = 0; r < rows; r++)
        sums[r] = softmax_row(scores + r * width, weights + r * width, d.prefix + p + r + 1, used, scale,
                              lse + (d.start + p + r) * s.heads + head);
      product<false>(rows_of(weights, width), {values, s.size}, {mixed, s.size}, rows, s.size, used / 2);
      for (index_t r = 0; r < rows; r++)
        for (index_t i = 0; i < s.size; i += 16)
          store(out + (d.start + p + r) * ldo + head * s.size + i,
                _mm512_mul_ps(_mm512_loadu_ps(mixed + r * s.size + i), _mm512_set1_ps(1.0f / sums[r])));
    }
  }
}

}  // namespace

extern "C" {

// out[row, head · size] for documents (starts, lengths); with prefix > 0 document 0 is what all others see.
void attention(const bf16* qkv, index_t ld, const int64_t* starts, const int64_t* lengths, index_t documents, index_t prefix,
               index_t heads, index_t kv_heads, index_t size, float scale, bf16* out, index_t ldo, float* lse) {
  const Shape shape{heads, kv_heads, size, ld};
#pragma omp parallel
  {
    static thread_local Scratch scratch;
#pragma omp for schedule(dynamic)
    for (index_t item = 0; item < documents * kv_heads; item++)
      forward_item(qkv, shape, document(starts, lengths, item / kv_heads, prefix), item % kv_heads, scale * LOG2E, out, ldo, lse, scratch);
  }
}
}
