// Against a real libmkldnn.so.0 of any release: every kind of primitive is made directly, and
// through the library with other buffers. The outputs must be the same bits, and the counters must
// say that the last time nothing was made.
#include <dlfcn.h>

#include "owned.h"
#include "real_session.h"

using namespace real_session;

namespace {

const Pass kForward = operation::kForward, kBackwardData = operation::kBackwardData,
           kBackwardWeights = operation::kBackwardWeights;

typedef std::vector<Operation> Operations;

// `plain`: in the caller's layouts, else whatever the implementation likes.
Operation convolution(int groups, bool bias, int channels = 16, bool plain = false) {
  const int out = 32;
  const Dims w =
      groups == 1 ? Dims{out, channels, 3, 3} : Dims{groups, out / groups, channels / groups, 3, 3};
  const auto in_format = [=](const Dims &dims, int format) {
    return plain ? tensor(dims, format) : any(dims);
  };
  Operation op =
      operation::convolution(in_format({2, channels, 8, 8}, formats().nchw),
                             in_format(w, groups == 1 ? formats().oihw : formats().goihw),
                             in_format({2, out, 8, 8}, formats().nchw))
          .window(3, 1, 1);
  return bias ? op.biased(tensor({out}, mkldnn_x)) : op;
}

Operation pooling(mkldnn_alg_kind_t algorithm) {
  return operation::pooling(algorithm, tensor({2, 16, 8, 8}, formats().nChw8c),
                            tensor({2, 16, 4, 4}, formats().nChw8c))
      .window(3, 2, 0, 1);
}

Operation eltwise(mkldnn_alg_kind_t algorithm, float alpha = 0) {
  return operation::eltwise(algorithm, tensor({2, 16, 5, 7}, formats().nchw), alpha);
}

Operation inner_product() {
  return operation::inner_product(tensor({4, 24}, mkldnn_nc), tensor({10, 24}, formats().oi),
                                  tensor({4, 10}, mkldnn_nc))
      .biased(tensor({10}, mkldnn_x));
}

Operation batch_norm() { return operation::batch_norm(tensor({4, 16, 6, 6}, formats().nChw8c)); }

Operation softmax(int axis) {
  Operation op = operation::softmax(tensor({4, 37}, mkldnn_nc), axis);
  op.forward = mkldnn_forward_inference;
  return op;
}

// One operation after the other, under each of the names, which have bars between them. Every run
// makes its own.
void compare_passes(const char *names, const std::vector<Pass> &passes,
                    const std::function<Operations()> &make) {
  for (const std::string &name : check::split(names)) {
    for (size_t i = 0; i < make().size(); ++i) {
      compare(name.c_str(), [&](Session *s) { s->run(make()[i], passes); });
    }
  }
}

const std::vector<Pass> kAhead = {kForward}, kData = {kBackwardData}, kWeights = {kBackwardWeights},
                        kBoth = {kForward, kBackwardData},
                        kAll = {kForward, kBackwardData, kBackwardWeights};

}  // namespace

#define PASSES_TEST(name, names, passes, ...)                              \
  TEST(name) {                                                             \
    compare_passes(names, passes, [] { return Operations{__VA_ARGS__}; }); \
  }

PASSES_TEST(convolution_forward, "Convolution", kAhead, convolution(1, false), convolution(1, true))
PASSES_TEST(convolution_backward_data, "_backward_Convolution", kData, convolution(1, true),
            convolution(2, true))
PASSES_TEST(convolution_backward_weights, "_backward_Convolution", kWeights, convolution(1, false),
            convolution(1, true), convolution(2, true))
PASSES_TEST(convolution_with_groups, "Convolution", kAhead, convolution(2, true))
PASSES_TEST(convolution_depthwise, "_backward_Convolution", kAll, convolution(32, false, 32))
PASSES_TEST(convolution_in_plain_layouts, "_backward_Convolution", kAll,
            convolution(1, true, 3, true))
PASSES_TEST(deconvolution, "Deconvolution", kAhead,
            operation::layers(operation::kDeconvolution, algorithms().deconvolution_direct,
                              any({2, 16, 6, 6}), any({8, 16, 3, 3}), any({2, 8, 8, 8})))
PASSES_TEST(pooling_max, "Pooling|_backward_Pooling", kBoth, pooling(algorithms().pooling_max))
PASSES_TEST(pooling_avg, "_backward_Pooling", kBoth,
            pooling(algorithms().pooling_avg_exclude_padding),
            pooling(algorithms().pooling_avg_include_padding))
PASSES_TEST(eltwise_relu, "Activation|_backward_Activation", kBoth, eltwise(algorithms().relu),
            eltwise(algorithms().relu, 0.25f))
PASSES_TEST(eltwise_tanh, "_backward_Activation", kBoth, eltwise(algorithms().tanh))
PASSES_TEST(local_response_normalisation, "LRN|_backward_LRN", kBoth,
            operation::lrn(algorithms().lrn_across_channels,
                           tensor({2, 16, 6, 6}, formats().nChw8c)))
PASSES_TEST(batch_normalisation, "BatchNorm|_backward_BatchNorm", kBoth, batch_norm())
PASSES_TEST(fully_connected_forward, "FullyConnected", kAhead, inner_product())

// MXNet 1.3 to 1.5 never send FullyConnected's backward here: this is its proof.
TEST(fully_connected_backward) {
  for (const auto &passes : {kData, kWeights}) {
    compare_passes("_backward_FullyConnected", passes, [] { return Operations{inner_product()}; });
  }
}

// The axis stands elsewhere in each release's description.
PASSES_TEST(softmax, "softmax", kAhead, softmax(1), softmax(0))

TEST(reorder) {
  for (const int format : {formats().nhwc, formats().nChw8c}) {
    const int channels = format == formats().nChw8c ? some_channels() : 3;
    compare("reorder", [=](Session *s) {
      const auto from = s->memory(tensor({2, channels, 5, 5}, formats().nchw));
      const auto to = s->memory(tensor({2, channels, 5, 5}, format));
      s->run(s->reorder(from, to));
    });
  }
}

TEST(reorder_with_scales) {
  std::string first;
  for (const float scale : {0.5f, 40.0f}) {
    compare("reorder", [&](Session *s) {
      const auto from = s->memory(tensor({2, 8, 5, 5}, formats().nchw));
      const auto to = s->memory(tensor({2, 8, 5, 5}, formats().nhwc, mkldnn_s8));
      Attr attr;
#ifndef API1
      attr.round(mkldnn_round_nearest);
#endif
      s->run(s->reorder(from, to, attr.scale(scale)));
      if (first.empty()) first = s->bits();
      CHECK((s->bits() == first) == (scale == 0.5f));  // the scale does something
    });
  }
}

TEST(sum) {
  compare("sum", [](Session *s) {
    const auto md = tensor({2, 8, 5, 5}, formats().nchw);
    const auto in = s->memory(md);
    s->run(s->sum(&md, {1.0f, 0.5f, 2.0f}, {in, in, in}));
  });
}

TEST(concat) {
  compare("Concat", [](Session *s) {
    const auto a = s->memory(tensor({2, 8, 5, 5}, formats().nchw)),
               b = s->memory(tensor({2, 16, 5, 5}, formats().nChw8c));
    s->run(s->concat(nullptr, 1, {a, b, a}));
  });
}

// Every implementation, through an iterator, is the one that it is without the cache.
TEST(iterator_over_implementations) {
  std::vector<std::string> names;
  std::vector<std::string> bits;
  for (int round = 0; round < 3; ++round) {
    const Api &api = round == 0 ? direct() : through();
    operation::OpDesc d;
    CHECK_OK(convolution(1, true).describe(kForward, &d));
    mkldnn_primitive_desc_iterator_t it = nullptr;
#ifdef API1
    CHECK_OK(api.primitive_desc_iterator_create(&it, &d, nullptr, engine(), nullptr));
#else
    CHECK_OK(api.primitive_desc_iterator_create_v2(&it, &d, nullptr, engine(), nullptr));
#endif
    size_t n = 0;
    do {
      mkldnn_primitive_desc_t pd = api.primitive_desc_iterator_fetch(it);
      REQUIRE(pd != nullptr);
      const char *name = nullptr;
      CHECK_OK(mkldnn_primitive_desc_query(pd, mkldnn_query_impl_info_str, 0, &name));
      {
        Session s(api);
        s.run(pd);
        if (round == 0) {
          names.push_back(name);
          bits.push_back(s.bits());
        }
        REQUIRE(n < names.size());
        CHECK_EQ(names[n], name);
        CHECK(s.bits() == bits[n]);
      }
      CHECK_OK(api.primitive_desc_destroy(pd));
      ++n;
    } while (api.primitive_desc_iterator_next(it) == mkldnn_success);
    CHECK_EQ(n, names.size());
    CHECK(api.primitive_desc_iterator_fetch(it) == nullptr);
    CHECK_OK(api.primitive_desc_iterator_destroy(it));
  }
  CHECK(names.size() > 1);
}

// More threads, another team: another description.
TEST(openmp_threads_changed_in_the_run) {
  void *handle = dlopen(MKLDNN_LIBRARY, RTLD_NOLOAD | RTLD_LAZY);
  const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(handle, "omp_set_num_threads"));
  REQUIRE(set_threads != nullptr);
  for (const int threads : {2, 1, 3, 2}) {
    set_threads(threads);
    compare(
        "_backward_BatchNorm", [](Session *s) { s->run(batch_norm(), kBoth); },
        [&] { set_threads(threads); });
  }
}
