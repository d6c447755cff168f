// Each release's numbers, written from its headers and not from the library.
#pragma once

#include <string.h>

#include <string>
#include <vector>

#include "api0/abi.h"
#include "check.h"

namespace key_fixture {

using opcache::Abi;

// A release's numbers, from its mkldnn_types.h.
struct Release {
  const char *version;
  int convolution, deconvolution, eltwise, softmax, pooling, lrn, batch_norm, inner_product, sum;
  int nchw, wino, format_last;
  std::vector<int> packed, rnn_data;
  size_t wino_bytes;  // of mkldnn_wino_desc_t
  size_t eltwise_bytes, softmax_bytes, softmax_axis;
  bool softmax_diff;
  int convolution_query;
};

inline const std::vector<Release> kReleases = {
    {"v0.14", 7,  8,        9,  10, 11,  12,  13,  14,    6, 5,
     66,      67, {62, 64}, {}, 40, 848, 424, 416, false, 66},
    {"v0.17.4", 8,   9,          10, 11, 12,  13,  14,  15,   7, 7,
     109,       112, {110, 111}, {}, 48, 848, 832, 824, true, 67},
    {"v0.19", 8,   9,     10,       11, 12,  13,  14,  15,   7, 7,
     143,     145, {144}, {28, 29}, 48, 840, 832, 824, true, 67},
};
inline const Abi &abi_of(const Release &release) {
  for (const Abi &abi : opcache::kAbis) {
    if (strcmp(abi.version, release.version) == 0) return abi;
  }
  check::fail(__FILE__, __LINE__, std::string(release.version) + " is not in the library's table");
  check::give_up();
}

}  // namespace key_fixture
