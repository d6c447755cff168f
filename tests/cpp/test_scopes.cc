// Scopes: what is kept when the user lists operators, and what everything else is.
#include <map>

#include "workload.h"

using namespace workload;

#define ASSUME "MKLDNN_OPCACHE_ASSUME=v0.17.4"

namespace {

// Calls every operator three times; the names of those whose primitives were reused.
std::string reused(mkldnn_engine_t engine) {
  std::string names;
  for (int what = 0; what < kShuffle; ++what) {
    const What w = static_cast<What>(what);
    call(engine, w, 4);
    const long made = primitives_made_by([&] {
      call(engine, w, 4, 10);
      call(engine, w, 4, 20);
    });
    CHECK_TEXT(made == 0 || made == 2, name_of(w) << " " << made);
    static const char *const kShort[kShuffle] = {
        "relu-fwd",     "relu-bwd",   "bn-fwd",  "bn-bwd",     "conv-fwd", "conv-data",
        "conv-weights", "deconv-fwd", "ip-data", "ip-weights", "lrn-bwd",  "pool-bwd",
        "softmax",      "reorder",    "sum",     "concat"};
    if (made == 0) names += std::string(names.empty() ? "" : " ") + kShort[what];
  }
  return names;
}

void check_scope(const char *expected) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] { CHECK_EQ(reused(engine), expected); });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

}  // namespace

TEST(all, ASSUME, "MKLDNN_OPCACHE=all") {
  check_scope(
      "relu-fwd relu-bwd bn-fwd bn-bwd conv-fwd conv-data conv-weights deconv-fwd ip-data "
      "ip-weights "
      "lrn-bwd pool-bwd softmax reorder sum concat");
}

TEST(unset_is_all, ASSUME) {
  check_scope(
      "relu-fwd relu-bwd bn-fwd bn-bwd conv-fwd conv-data conv-weights deconv-fwd ip-data "
      "ip-weights "
      "lrn-bwd pool-bwd softmax reorder sum concat");
}

// A forward convolution without bias may be Deconvolution's data gradient, so it is kept.
TEST(backward, ASSUME, "MKLDNN_OPCACHE=backward") {
  check_scope(
      "relu-bwd bn-bwd conv-fwd conv-data conv-weights ip-data ip-weights lrn-bwd pool-bwd");
}

TEST(one_operator, ASSUME, "MKLDNN_OPCACHE=batch_norm") { check_scope("bn-bwd"); }

TEST(several_operators, ASSUME, "MKLDNN_OPCACHE=pooling,activation,lrn") {
  check_scope("relu-bwd lrn-bwd pool-bwd");
}

TEST(fully_connected, ASSUME, "MKLDNN_OPCACHE=fully_connected") {
  check_scope("ip-data ip-weights");
}

TEST(forward_word, ASSUME, "MKLDNN_OPCACHE=activation,forward") {
  check_scope("relu-fwd relu-bwd");
}

TEST(helpers, ASSUME, "MKLDNN_OPCACHE=softmax,reorder,sum,concat") {
  check_scope("softmax reorder sum concat");
}

TEST(convolution_only, ASSUME, "MKLDNN_OPCACHE=convolution") {
  check_scope("conv-data conv-weights");
}

// MXNet's Deconvolution backward: a forward convolution is its data gradient, and the weight
// gradient takes that convolution for its hint.
static void deconvolution_backward(mkldnn_engine_t engine, int first) {
  const mkldnn_memory_desc_t data = image(4), weights = image(3);
  const int ones[] = {1, 1}, zeros[] = {0, 0};
  mkldnn_convolution_desc_t forward, backward;
  CHECK_OK(mkldnn_convolution_forward_desc_init(&forward, mkldnn_forward_training,
                                                mkldnn_convolution_direct, &data, &weights, nullptr,
                                                &data, ones, zeros, zeros, mkldnn_padding_zero));
  CHECK_OK(mkldnn_convolution_backward_weights_desc_init(&backward, mkldnn_convolution_direct,
                                                         &data, &weights, nullptr, &data, ones,
                                                         zeros, zeros, mkldnn_padding_zero));
  mkldnn_primitive_desc_t data_pd = nullptr, weights_pd = nullptr;
  CHECK_OK(mkldnn_primitive_desc_create(&data_pd, &forward, engine, nullptr));
  {
    Bound gradient(engine, data_pd, first);
    CHECK_OK(mkldnn_primitive_desc_create(&weights_pd, &backward, engine, data_pd));
    Bound weight_gradient(engine, weights_pd, first + 10);
    gradient.run();
    weight_gradient.run();
  }
  CHECK_OK(mkldnn_primitive_desc_destroy(weights_pd));
  CHECK_OK(mkldnn_primitive_desc_destroy(data_pd));
}

TEST(deconvolution_only, ASSUME, "MKLDNN_OPCACHE=deconvolution") {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] {
    CHECK_EQ(primitives_made_by([&] { deconvolution_backward(engine, 0); }), 2);
    CHECK_EQ(primitives_made_by([&] { deconvolution_backward(engine, 100); }), 0);
    CHECK_EQ(primitives_made_by([&] { deconvolution_backward(engine, 200); }), 0);
    const Stats stats;
    CHECK_EQ(stats["operators/_backward_Deconvolution/primitives_avoided"], 4);
    CHECK_EQ(stats["operators/_backward_Convolution/primitives_avoided"], 0);
    // Convolution's own backward is not in scope.
    CHECK_EQ(primitives_made_by([&] { call(engine, kConvolutionBackwardWeights, 4); }), 1);
    CHECK_EQ(primitives_made_by([&] { call(engine, kConvolutionBackwardWeights, 4); }), 1);
    CHECK_EQ(primitives_made_by([&] { call(engine, kConvolutionBackwardData, 4); }), 1);
    CHECK_EQ(primitives_made_by([&] { call(engine, kConvolutionBackwardData, 4); }), 1);
  });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
}

TEST(deconvolution_in_scope_backward, ASSUME, "MKLDNN_OPCACHE=backward") {
  on_thread([] {
    Engine engine;
    deconvolution_backward(engine.handle, 0);
    CHECK_EQ(primitives_made_by([&] { deconvolution_backward(engine.handle, 100); }), 0);
    CHECK(Stats()["operators/_backward_Deconvolution/primitives_avoided"] > 0);
    // Convolution backward: a hint nobody makes a primitive of.
    call(engine.handle, kConvolutionBackwardWeights, 4);
    CHECK_EQ(primitives_made_by([&] { call(engine.handle, kConvolutionBackwardWeights, 4); }), 0);
    CHECK(Stats()["operators/_backward_Convolution/primitives_avoided"] > 0);
  });
  check_no_misuse();
}

TEST(off_passes_everything, ASSUME, "MKLDNN_OPCACHE=off") {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  std::map<std::string, int> calls;
  for (int what = 0; what < kShuffle; ++what) {
    const What w = static_cast<What>(what);
    for (int round = 0; round < 3; ++round) {
      CHECK_EQ(primitives_made_by([&] { call(engine, w, 4, 10 * round); }), 1);
      ++calls[name_of(w)];
    }
    CHECK_EQ(fake_live(kFakePrimitive), 0);
    CHECK_EQ(fake_live(kFakeDescriptor), 0);
    CHECK_EQ(fake_live(kFakeMemory), 0);
  }
  // Unknown kinds are nobody's business when the cache is off.
  call(engine, kShuffle, 4);
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_all_gone();
  const Stats stats;
  CHECK_EQ(stats["active"], 0);
  CHECK_EQ(stats.text("scope"), "off");
  CHECK_EQ(stats["bypasses"], 0);
  CHECK_EQ(stats["totals/primitives_avoided"], 0);
  CHECK_EQ(stats["totals/descriptors_avoided"], 0);
  // What it would have saved is measured all the same.
  for (const auto &entry : calls) {
    CHECK_EQ(stats["operators/" + entry.first + "/primitives_created"], entry.second);
    CHECK(stats["operators/" + entry.first + "/create_ns"] > 0);
    CHECK(stats["operators/" + entry.first + "/destroy_ns"] > 0);
  }
}
