#include "settings/op.h"

#include <string.h>

namespace opcache {

namespace {

struct Word {
  const char *word;
  OpSet ops;
};

const Word kListWords[] = {
    {"activation", 1u << (kActivation + kBackward)},
    {"batch_norm", 1u << (kBatchNorm + kBackward)},
    {"convolution", 1u << (kConvolution + kBackward)},
    {"deconvolution", 1u << (kDeconvolution + kBackward)},
    {"fully_connected", 1u << (kFullyConnected + kBackward)},
    {"lrn", 1u << (kLRN + kBackward)},
    {"pooling", 1u << (kPooling + kBackward)},
    {"softmax", 1u << kSoftmax},
    {"reorder", 1u << kReorder},
    {"sum", 1u << kSum},
    {"concat", 1u << kConcat},
    {"forward", 0},
};

const Word *find_word(const char *text, size_t length) {
  for (const Word &w : kListWords) {
    if (strlen(w.word) == length && strncmp(w.word, text, length) == 0) return &w;
  }
  return nullptr;
}

}  // namespace

const char kScopeWords[] =
    "off, backward, all, or a comma list of activation, batch_norm, convolution, deconvolution, "
    "fully_connected, lrn, pooling, softmax, reorder, sum, concat, and forward to include the "
    "forward primitives of the listed operators";

const char *op_name(Op op) {
  static const char *const kNames[kOpCount] = {
      "Activation",
      "BatchNorm",
      "Convolution",
      "Deconvolution",
      "FullyConnected",
      "LRN",
      "Pooling",
      "_backward_Activation",
      "_backward_BatchNorm",
      "_backward_Convolution",
      "_backward_Deconvolution",
      "_backward_FullyConnected",
      "_backward_LRN",
      "_backward_Pooling",
      "softmax",
      "reorder",
      "sum",
      "Concat",
      "memory",
      "other",
  };
  return kNames[op];
}

bool parse_scope(const char *text, OpSet *ops, char *bad, unsigned bad_size) {
  *ops = kNoOps;
  if (strcmp(text, "off") == 0) return true;
  if (strcmp(text, "backward") == 0) {
    *ops = kScopeBackward;
    return true;
  }
  if (strcmp(text, "all") == 0) {
    *ops = kAllOps;
    return true;
  }
  OpSet listed = kNoOps;
  bool forward = false;
  for (const char *at = text;;) {
    const char *comma = strchr(at, ',');
    const size_t length = comma != nullptr ? static_cast<size_t>(comma - at) : strlen(at);
    const Word *word = find_word(at, length);
    if (word == nullptr) {
      const size_t shown = length < bad_size - 1 ? length : bad_size - 1;
      memcpy(bad, at, shown);
      bad[shown] = '\0';
      return false;
    }
    listed |= word->ops;
    forward = forward || word->ops == 0;
    if (comma == nullptr) break;
    at = comma + 1;
  }
  if (forward) listed |= (listed & kAllBackward) >> kBackward;
  *ops = listed;
  return true;
}

}  // namespace opcache
