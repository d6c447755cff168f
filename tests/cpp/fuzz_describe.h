// Descriptions for the fake that differ in one field or in none: of each kind there is a plain one,
// and for every field others that differ only there. Shapes need not fit; the fake does not look.
#ifndef OPCACHE_TESTS_FUZZ_DESCRIBE_H_
#define OPCACHE_TESTS_FUZZ_DESCRIBE_H_

#include <mkldnn.h>
#include <stdint.h>

namespace fuzz {

// Any operation's description; begins as garbage, never twice the same.
union OpDesc {
  mkldnn_convolution_desc_t convolution;
  mkldnn_eltwise_desc_t eltwise;
  mkldnn_softmax_desc_t softmax;
  mkldnn_pooling_desc_t pooling;
  mkldnn_lrn_desc_t lrn;
  mkldnn_batch_normalization_desc_t batch_norm;
  mkldnn_inner_product_desc_t inner_product;
  mkldnn_shuffle_desc_t shuffle;
  int words[sizeof(mkldnn_convolution_desc_t) / sizeof(int)];
  OpDesc();
};

enum Pass { kForward, kBackwardData, kBackwardWeights, kPasses };

// Which field differs from the plain description and how; field 255 .. 128: none.
struct Variation {
  uint8_t field;
  uint8_t value;
};

// A description of one of the kinds (by number, modulo how many there are).
void describe(int kind, Pass pass, Variation variation, OpDesc *d);
mkldnn_memory_desc_t describe_memory(Variation variation);

}  // namespace fuzz

#endif  // OPCACHE_TESTS_FUZZ_DESCRIBE_H_
