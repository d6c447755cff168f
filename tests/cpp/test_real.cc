// Against a real libmkldnn.so.0 of any release: every kind of primitive is made directly, and
// through the library with other buffers. The outputs must be the same bits, and the counters must
// say that the last time nothing was made.
#include <dlfcn.h>

#include "real_session.h"

using namespace real_session;

namespace {

const int kOnes[] = {1, 1};
const int kTwos[] = {2, 2};
const int kThrees[] = {3, 3};
const int kZeros[] = {0, 0};

struct Convolution {
  int groups;
  bool bias;
  int channels;
  bool plain;  // the caller's layouts, else whatever the implementation likes

  mkldnn_memory_desc_t src, weights, bias_md, dst;
  mkldnn_convolution_desc_t forward;

  Convolution(int g, bool b, int c = 16, bool p = false)
      : groups(g), bias(b), channels(c), plain(p) {
    const int out = 32, per_group = channels / groups;
    const Dims w =
        groups == 1 ? Dims{out, channels, 3, 3} : Dims{groups, out / groups, per_group, 3, 3};
    src = plain ? tensor({2, channels, 8, 8}, formats().nchw) : any({2, channels, 8, 8});
    weights = plain ? tensor(w, groups == 1 ? formats().oihw : formats().goihw) : any(w);
    bias_md = tensor({out}, mkldnn_x);
    dst = plain ? tensor({2, out, 8, 8}, formats().nchw) : any({2, out, 8, 8});
    CHECK_OK(mkldnn_convolution_forward_desc_init(
        &forward, mkldnn_forward_training, mkldnn_convolution_direct, &src, &weights,
        bias ? &bias_md : nullptr, &dst, kOnes, kOnes, kOnes, mkldnn_padding_zero));
  }
  void run_forward(Session *s) const { s->run(s->operation(&forward)); }
  void run_backward_data(Session *s) const {
    mkldnn_convolution_desc_t d;
    CHECK_OK(mkldnn_convolution_backward_data_desc_init(&d, mkldnn_convolution_direct, &src,
                                                        &weights, &dst, kOnes, kOnes, kOnes,
                                                        mkldnn_padding_zero));
    s->run(s->operation(&d, s->operation(&forward)));
  }
  void run_backward_weights(Session *s) const {
    mkldnn_convolution_desc_t d;
    CHECK_OK(mkldnn_convolution_backward_weights_desc_init(
        &d, mkldnn_convolution_direct, &src, &weights, bias ? &bias_md : nullptr, &dst, kOnes,
        kOnes, kOnes, mkldnn_padding_zero));
    s->run(s->operation(&d, s->operation(&forward)));
  }
};

void pooling(Session *s, mkldnn_alg_kind_t algorithm) {
  const mkldnn_memory_desc_t src = tensor({2, 16, 8, 8}, formats().nChw8c),
                             dst = tensor({2, 16, 4, 4}, formats().nChw8c);
  mkldnn_pooling_desc_t forward, backward;
  CHECK_OK(mkldnn_pooling_forward_desc_init(&forward, mkldnn_forward_training, algorithm, &src,
                                            &dst, kTwos, kThrees, kZeros, kOnes,
                                            mkldnn_padding_zero));
  CHECK_OK(mkldnn_pooling_backward_desc_init(&backward, algorithm, &src, &dst, kTwos, kThrees,
                                             kZeros, kOnes, mkldnn_padding_zero));
  const mkldnn_primitive_desc_t hint = s->operation(&forward);
  const std::vector<Data> results = s->run(hint);
  if (results.size() > 1) {
    s->run(s->operation(&backward, hint), {{1, results[1]}});  // the workspace
  } else {
    s->run(s->operation(&backward, hint));
  }
}

void eltwise(Session *s, mkldnn_alg_kind_t algorithm, float alpha) {
  const mkldnn_memory_desc_t data = tensor({2, 16, 5, 7}, formats().nchw);
  mkldnn_eltwise_desc_t forward, backward;
  CHECK_OK(mkldnn_eltwise_forward_desc_init(&forward, mkldnn_forward_training, algorithm, &data,
                                            alpha, 0));
  CHECK_OK(mkldnn_eltwise_backward_desc_init(&backward, algorithm, &data, &data, alpha, 0));
  const mkldnn_primitive_desc_t hint = s->operation(&forward);
  s->run(hint);
  s->run(s->operation(&backward, hint));
}

void lrn(Session *s) {
  const mkldnn_memory_desc_t data = tensor({2, 16, 6, 6}, formats().nChw8c);
  mkldnn_lrn_desc_t forward, backward;
  CHECK_OK(mkldnn_lrn_forward_desc_init(&forward, mkldnn_forward_training,
                                        algorithms().lrn_across_channels, &data, 5, 1e-4f, 0.75f,
                                        1.0f));
  CHECK_OK(mkldnn_lrn_backward_desc_init(&backward, algorithms().lrn_across_channels, &data, &data,
                                         5, 1e-4f, 0.75f, 1.0f));
  const mkldnn_primitive_desc_t hint = s->operation(&forward);
  const std::vector<Data> results = s->run(hint);
  const mkldnn_primitive_desc_t pd = s->operation(&backward, hint);
  if (results.size() > 1) {
    s->run(pd, {{2, results[1]}});  // the workspace
  } else {
    s->run(pd);
  }
}

void batch_norm(Session *s) {
  const mkldnn_memory_desc_t data = tensor({4, 16, 6, 6}, formats().nChw8c);
  mkldnn_batch_normalization_desc_t forward, backward;
  CHECK_OK(mkldnn_batch_normalization_forward_desc_init(&forward, mkldnn_forward_training, &data,
                                                        1e-3f, mkldnn_use_scaleshift));
  CHECK_OK(mkldnn_batch_normalization_backward_desc_init(&backward, mkldnn_backward, &data, &data,
                                                         1e-3f, mkldnn_use_scaleshift));
  const mkldnn_primitive_desc_t hint = s->operation(&forward);
  const std::vector<Data> results = s->run(hint);
  const mkldnn_primitive_desc_t pd = s->operation(&backward, hint);
  if (s->status() != mkldnn_success) return;
  REQUIRE(results.size() == 3);
  s->run(pd, {{1, results[1]}, {2, results[2]}});  // mean and variance
}

struct InnerProduct {
  mkldnn_memory_desc_t src = tensor({4, 24}, mkldnn_nc), weights = tensor({10, 24}, formats().oi),
                       bias = tensor({10}, mkldnn_x), dst = tensor({4, 10}, mkldnn_nc);
  mkldnn_inner_product_desc_t forward;
  InnerProduct() {
    CHECK_OK(mkldnn_inner_product_forward_desc_init(&forward, mkldnn_forward_training, &src,
                                                    &weights, &bias, &dst));
  }
};

}  // namespace

TEST(convolution_forward) {
  for (const bool bias : {false, true}) {
    compare("Convolution", [&](Session *s) { Convolution(1, bias).run_forward(s); });
  }
}

TEST(convolution_backward_data) {
  for (const int groups : {1, 2}) {
    compare("_backward_Convolution",
            [&](Session *s) { Convolution(groups, true).run_backward_data(s); });
  }
}

TEST(convolution_backward_weights) {
  for (const bool bias : {false, true}) {
    compare("_backward_Convolution",
            [&](Session *s) { Convolution(1, bias).run_backward_weights(s); });
  }
}

TEST(convolution_with_groups) {
  compare("Convolution", [](Session *s) { Convolution(2, true).run_forward(s); });
  compare("_backward_Convolution",
          [](Session *s) { Convolution(2, true).run_backward_weights(s); });
}

TEST(convolution_depthwise) {
  const auto all = [](Session *s) {
    const Convolution c(32, false, 32);
    c.run_forward(s);
    c.run_backward_data(s);
    c.run_backward_weights(s);
  };
  compare("_backward_Convolution", all);
}

TEST(convolution_in_plain_layouts) {
  const auto all = [](Session *s) {
    const Convolution c(1, true, 3, true);
    c.run_forward(s);
    c.run_backward_data(s);
    c.run_backward_weights(s);
  };
  compare("_backward_Convolution", all);
}

TEST(deconvolution) {
  compare("Deconvolution", [](Session *s) {
    const mkldnn_memory_desc_t src = any({2, 16, 6, 6}), weights = any({8, 16, 3, 3}),
                               dst = any({2, 8, 8, 8});
    mkldnn_deconvolution_desc_t d;
    CHECK_OK(mkldnn_deconvolution_forward_desc_init(
        &d, mkldnn_forward_training, algorithms().deconvolution_direct, &src, &weights, nullptr,
        &dst, kOnes, kZeros, kZeros, mkldnn_padding_zero));
    s->run(s->operation(&d));
  });
}

TEST(pooling_max) {
  for (const char *op : {"Pooling", "_backward_Pooling"}) {
    compare(op, [](Session *s) { pooling(s, algorithms().pooling_max); });
  }
}

TEST(pooling_avg) {
  compare("_backward_Pooling",
          [](Session *s) { pooling(s, algorithms().pooling_avg_exclude_padding); });
  compare("_backward_Pooling",
          [](Session *s) { pooling(s, algorithms().pooling_avg_include_padding); });
}

TEST(eltwise_relu) {
  for (const char *op : {"Activation", "_backward_Activation"}) {
    compare(op, [](Session *s) { eltwise(s, algorithms().relu, 0.0f); });
  }
  compare("_backward_Activation", [](Session *s) { eltwise(s, algorithms().relu, 0.25f); });
}

TEST(eltwise_tanh) {
  compare("_backward_Activation", [](Session *s) { eltwise(s, algorithms().tanh, 0.0f); });
}

TEST(local_response_normalisation) {
  for (const char *op : {"LRN", "_backward_LRN"}) compare(op, lrn);
}

TEST(batch_normalisation) {
  for (const char *op : {"BatchNorm", "_backward_BatchNorm"}) compare(op, batch_norm);
}

// MXNet 1.3 to 1.5 never send FullyConnected's backward here: this is its proof.
TEST(fully_connected_backward) {
  compare("_backward_FullyConnected", [](Session *s) {
    const InnerProduct ip;
    mkldnn_inner_product_desc_t d;
    CHECK_OK(mkldnn_inner_product_backward_data_desc_init(&d, &ip.src, &ip.weights, &ip.dst));
    s->run(s->operation(&d, s->operation(&ip.forward)));
  });
  compare("_backward_FullyConnected", [](Session *s) {
    const InnerProduct ip;
    mkldnn_inner_product_desc_t d;
    CHECK_OK(mkldnn_inner_product_backward_weights_desc_init(&d, &ip.src, &ip.weights, &ip.bias,
                                                             &ip.dst));
    s->run(s->operation(&d, s->operation(&ip.forward)));
  });
}

TEST(fully_connected_forward) {
  compare("FullyConnected", [](Session *s) {
    const InnerProduct ip;
    s->run(s->operation(&ip.forward));
  });
}

// The axis stands elsewhere in each release's description.
TEST(softmax) {
  for (const int axis : {1, 0}) {
    compare("softmax", [=](Session *s) {
      const mkldnn_memory_desc_t data = tensor({4, 37}, mkldnn_nc);
      mkldnn_softmax_desc_t d;
      CHECK_OK(mkldnn_softmax_forward_desc_init(&d, mkldnn_forward_inference, &data, axis));
      s->run(s->operation(&d));
    });
  }
}

TEST(reorder) {
  for (const int format : {formats().nhwc, formats().nChw8c}) {
    const int channels = format == formats().nChw8c ? some_channels() : 3;
    compare("reorder", [=](Session *s) {
      const auto from = s->memory(tensor({2, channels, 5, 5}, formats().nchw));
      const auto to = s->memory(tensor({2, channels, 5, 5}, format));
      s->run(s->keep([&](mkldnn_primitive_desc_t *pd) {
        return s->api().reorder_primitive_desc_create_v2(pd, from, to, nullptr);
      }));
    });
  }
}

TEST(reorder_with_scales) {
  std::string first;
  for (const float scale : {0.5f, 40.0f}) {
    compare("reorder", [&](Session *s) {
      const auto from = s->memory(tensor({2, 8, 5, 5}, formats().nchw));
      const auto to = s->memory(tensor({2, 8, 5, 5}, formats().nhwc, mkldnn_s8));
      mkldnn_primitive_attr_t attr = nullptr;
      CHECK_OK(mkldnn_primitive_attr_create(&attr));
      CHECK_OK(mkldnn_primitive_attr_set_output_scales(attr, 1, 0, &scale));
      CHECK_OK(mkldnn_primitive_attr_set_int_output_round_mode(attr, mkldnn_round_nearest));
      s->run(s->keep([&](mkldnn_primitive_desc_t *pd) {
        return s->api().reorder_primitive_desc_create_v2(pd, from, to, attr);
      }));
      CHECK_OK(mkldnn_primitive_attr_destroy(attr));
      if (first.empty()) first = s->bits();
      CHECK((s->bits() == first) == (scale == 0.5f));  // the scale does something
    });
  }
}

TEST(sum) {
  compare("sum", [](Session *s) {
    const auto md = tensor({2, 8, 5, 5}, formats().nchw);
    const auto in = s->memory(md);
    const float scales[] = {1.0f, 0.5f, 2.0f};
    const_mkldnn_primitive_desc_t inputs[] = {in, in, in};
    s->run(s->keep([&](mkldnn_primitive_desc_t *pd) {
      return s->api().sum_primitive_desc_create(pd, &md, 3, scales, inputs);
    }));
  });
}

TEST(concat) {
  compare("Concat", [](Session *s) {
    const auto a = s->memory(tensor({2, 8, 5, 5}, formats().nchw)),
               b = s->memory(tensor({2, 16, 5, 5}, formats().nChw8c));
    const_mkldnn_primitive_desc_t inputs[] = {a, b, a};
    s->run(s->keep([&](mkldnn_primitive_desc_t *pd) {
      return s->api().concat_primitive_desc_create(pd, nullptr, 3, 1, inputs);
    }));
  });
}

// Every implementation, through an iterator, is the one that it is without the cache.
TEST(iterator_over_implementations) {
  std::vector<std::string> names;
  std::vector<std::string> bits;
  for (int round = 0; round < 3; ++round) {
    const Api &api = round == 0 ? direct() : through();
    const Convolution conv(1, true);
    mkldnn_primitive_desc_iterator_t it = nullptr;
    CHECK_OK(api.primitive_desc_iterator_create_v2(&it, &conv.forward, nullptr, engine(), nullptr));
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
  void *handle = dlopen("libmkldnn.so.0", RTLD_NOLOAD | RTLD_LAZY);
  const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(handle, "omp_set_num_threads"));
  REQUIRE(set_threads != nullptr);
  for (const int threads : {2, 1, 3, 2}) {
    set_threads(threads);
    compare("_backward_BatchNorm", batch_norm, [&] { set_threads(threads); });
  }
}
