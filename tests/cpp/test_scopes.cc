// Scopes: what is kept when the user lists operators, and what everything else is.
#include <map>

#include "workload.h"

using namespace workload;

namespace {

// Calls every operator three times; the names of those whose primitives were reused.
std::string reused(mkldnn_engine_t engine) {
  static const char *const kShort[kShuffle] = {
      " relu-fwd",     " relu-bwd",   " bn-fwd",  " bn-bwd",     " conv-fwd", " conv-data",
      " conv-weights", " deconv-fwd", " ip-data", " ip-weights", " lrn-bwd",  " pool-bwd",
      " softmax",      " reorder",    " sum",     " concat"};
  std::string names;
  for (const What w : known_kinds()) {
    call(engine, w, 4);
    const long made = made_by_call(engine, w, 4, 10) + made_by_call(engine, w, 4, 20);
    CHECK_TEXT(made == 0 || made == 2, name_of(w) << " " << made);
    if (made == 0) names += kShort[w];
  }
  return names;
}

const char kEverything[] =
    " relu-fwd relu-bwd bn-fwd bn-bwd conv-fwd conv-data conv-weights deconv-fwd ip-data ip-weights"
    " lrn-bwd pool-bwd softmax reorder sum concat";

}  // namespace

#define SCOPE_TEST(name, scope, expected) \
  CACHED_TEST(name, SCOPE(scope)) { CHECK_EQ(reused(engine), expected); }

CACHED_TEST(unset_is_all) { CHECK_EQ(reused(engine), kEverything); }
SCOPE_TEST(all, "all", kEverything)
// A forward convolution without bias may be Deconvolution's data gradient, so it is kept.
SCOPE_TEST(backward, "backward",
           " relu-bwd bn-bwd conv-fwd conv-data conv-weights ip-data ip-weights lrn-bwd pool-bwd")
SCOPE_TEST(one_operator, "batch_norm", " bn-bwd")
SCOPE_TEST(several_operators, "pooling,activation,lrn", " relu-bwd lrn-bwd pool-bwd")
SCOPE_TEST(fully_connected, "fully_connected", " ip-data ip-weights")
SCOPE_TEST(forward_word, "activation,forward", " relu-fwd relu-bwd")
SCOPE_TEST(helpers, "softmax,reorder,sum,concat", " softmax reorder sum concat")
SCOPE_TEST(convolution_only, "convolution", " conv-data conv-weights")

// MXNet's Deconvolution backward: a forward convolution is its data gradient, and the weight
// gradient takes that convolution for its hint.
static void deconvolution_backward(mkldnn_engine_t engine, int first) {
  const Described data_pd(engine, kConvolutionForward, 4);
  operation::OpDesc backward;
  CHECK_OK(operation_of(kConvolutionForward, 4).describe(operation::kBackwardWeights, &backward));
  Bound gradient(engine, data_pd, first);
  const Described weights_pd(engine, backward, data_pd);
  Bound weight_gradient(engine, weights_pd, first + 10);
  gradient.run();
  weight_gradient.run();
}

CACHED_TEST(deconvolution_only, SCOPE("deconvolution")) {
  CHECK_EQ(primitives_made_by([&] { deconvolution_backward(engine, 0); }), 2);
  CHECK_EQ(primitives_made_by([&] { deconvolution_backward(engine, 100); }), 0);
  CHECK_EQ(primitives_made_by([&] { deconvolution_backward(engine, 200); }), 0);
  const Stats stats;
  CHECK_EQ(stats["operators/_backward_Deconvolution/primitives_avoided"], 4);
  CHECK_EQ(stats["operators/_backward_Convolution/primitives_avoided"], 0);
  // Convolution's own backward is not in scope.
  CHECK_EQ(made_by_call(engine, kConvolutionBackwardWeights, 4), 1);
  CHECK_EQ(made_by_call(engine, kConvolutionBackwardWeights, 4), 1);
  CHECK_EQ(made_by_call(engine, kConvolutionBackwardData, 4), 1);
  CHECK_EQ(made_by_call(engine, kConvolutionBackwardData, 4), 1);
}

CACHED_TEST(deconvolution_in_scope_backward, SCOPE("backward")) {
  deconvolution_backward(engine, 0);
  CHECK_EQ(primitives_made_by([&] { deconvolution_backward(engine, 100); }), 0);
  CHECK(Stats()["operators/_backward_Deconvolution/primitives_avoided"] > 0);
  // Convolution backward: a hint nobody makes a primitive of.
  call(engine, kConvolutionBackwardWeights, 4);
  CHECK_EQ(made_by_call(engine, kConvolutionBackwardWeights, 4), 0);
  CHECK(Stats()["operators/_backward_Convolution/primitives_avoided"] > 0);
}

CACHED_TEST(off_passes_everything, SCOPE("off")) {
  keeps_nothing(engine);
  // Unknown kinds are nobody's business when the cache is off.
  call(engine, kShuffle, 4);
  CHECK_EQ(fake_live(kFakeMemory), 0);
  const Stats stats;
  CHECK_EQ(stats["active"], 0);
  CHECK_EQ(stats.text("scope"), "off");
  CHECK_EQ(stats["bypasses"], 0);
  CHECK_EQ(stats["totals/primitives_avoided"], 0);
  CHECK_EQ(stats["totals/descriptors_avoided"], 0);
  // What it would have saved is measured all the same.
  std::map<std::string, int> calls;
  for (const What what : known_kinds()) calls[name_of(what)] += 3;
  for (const auto &entry : calls) {
    const std::string path = "operators/" + entry.first;
    CHECK_EQ(stats[path + "/primitives_created"], entry.second);
    CHECK(stats[path + "/create_ns"] > 0);
    CHECK(stats[path + "/destroy_ns"] > 0);
  }
}
