// A random primitive of each kind.
#include <dlfcn.h>
#include <math.h>

#include "fuzz_case.h"

namespace fuzz {

using namespace real_session;

// A function that the fake, which this is linked with, has not.
#define FUZZ_REAL(name) reinterpret_cast<decltype(&name)>(dlsym(RTLD_DEFAULT, #name))

// Transposed: source and output change places.
void Case::convolution(bool transposed) {
  const int groups = of({1, 1, 1, 1, 2, 4}), wide = of({1, 2, 3, 8, 16});
  const bool depthwise = one_in(6);
  const int g = depthwise ? of({4, 8, 16}) : groups;
  const int in = depthwise ? g : g * wide, out = depthwise ? g : g * of({1, 3, 8, 16});
  const int n = 1 + below(2), size = 4 + below(5), kernel = 1 + below(3), stride = 1 + below(2);
  const int pad = below(2), dilation = one_in(5) && !transposed ? 1 : 0;
  const int reach = (kernel - 1) * (dilation + 1) + 1;
  const int to =
      transposed ? (size - 1) * stride + reach - 2 * pad : (size + 2 * pad - reach) / stride + 1;
  const int right = transposed ? pad : (to - 1) * stride + reach - size - pad;
  if (to < 1) return note("too small");
  const bool integers = !transposed && one_in(8), bias = one_in(2);
  const Dims weight_dims =
      g == 1 ? Dims{out, in, kernel, kernel} : Dims{g, out / g, in / g, kernel, kernel};
  const int plain_weights = g == 1 ? formats().oihw : formats().goihw;
  const auto src = describe({n, in, size, size}, any_or_image(), formats().nchw,
                            integers ? mkldnn_u8 : mkldnn_f32);
  const auto weights = describe(weight_dims, one_in(3) ? plain_weights : int{mkldnn_any},
                                plain_weights, integers ? mkldnn_s8 : mkldnn_f32);
  const auto b = describe({out}, mkldnn_x, mkldnn_x, integers ? mkldnn_s32 : mkldnn_f32);
  const auto dst =
      describe({n, out, to, to}, any_or_image(), formats().nchw,
               integers ? of({mkldnn_u8, mkldnn_s8, mkldnn_s32, mkldnn_f32}) : mkldnn_f32);
  const int strides[] = {stride, stride}, dilates[] = {dilation, dilation}, left[] = {pad, pad},
            rights[] = {right, right};
  const mkldnn_alg_kind_t alg = transposed  ? algorithms().deconvolution_direct
                                : one_in(6) ? mkldnn_convolution_winograd
                                            : mkldnn_convolution_direct;
  const mkldnn_prop_kind_t prop = of({mkldnn_forward_training, mkldnn_forward_scoring});
  OpDesc forward, backward;
  const auto *with_bias = bias ? &b : nullptr;
  if (!ok(transposed ? mkldnn_deconvolution_forward_desc_init(&forward.convolution, prop, alg, &src,
                                                              &weights, with_bias, &dst, strides,
                                                              left, rights, mkldnn_padding_zero)
                     : FUZZ_REAL(mkldnn_dilated_convolution_forward_desc_init)(
                           &forward.convolution, prop, alg, &src, &weights, with_bias, &dst,
                           strides, dilates, left, rights, mkldnn_padding_zero))) {
    return;
  }
  const int pass = below(3);
  Attr attr;
  if (pass == 0 && one_in(3)) add_post_ops(&attr);
  if (integers) add_scales(&attr);
  const auto hint = make(&forward, nullptr, attr.handle);
  if (pass == 0 || integers) {
    s_.run(hint);
    return;
  }
  const mkldnn_status_t status =
      pass == 1 ? (transposed ? mkldnn_deconvolution_backward_data_desc_init(
                                    &backward.convolution, alg, &src, &weights, &dst, strides, left,
                                    rights, mkldnn_padding_zero)
                              : FUZZ_REAL(mkldnn_dilated_convolution_backward_data_desc_init)(
                                    &backward.convolution, alg, &src, &weights, &dst, strides,
                                    dilates, left, rights, mkldnn_padding_zero))
                : (transposed ? mkldnn_deconvolution_backward_weights_desc_init(
                                    &backward.convolution, alg, &src, &weights, with_bias, &dst,
                                    strides, left, rights, mkldnn_padding_zero)
                              : FUZZ_REAL(mkldnn_dilated_convolution_backward_weights_desc_init)(
                                    &backward.convolution, alg, &src, &weights, with_bias, &dst,
                                    strides, dilates, left, rights, mkldnn_padding_zero));
  if (ok(status)) s_.run(make(&backward, hint));
}

void Case::inner_product() {
  const int n = 1 + below(4), in = of({1, 3, 8, 16, 17}), out = of({1, 5, 10, 16}), size = 2;
  const bool flat = one_in(2), bias = one_in(2), any = one_in(2);
  const auto src = flat ? describe({n, in}, mkldnn_nc, mkldnn_nc)
                        : image({n, in, size, size}, any ? int{mkldnn_any} : formats().nchw);
  const auto weights =
      flat
          ? describe({out, in}, any ? int{mkldnn_any} : formats().oi, formats().oi)
          : describe({out, in, size, size}, any ? int{mkldnn_any} : formats().oihw, formats().oihw);
  const auto b = describe({out}, mkldnn_x, mkldnn_x);
  const auto dst = describe({n, out}, mkldnn_nc, mkldnn_nc);
  OpDesc forward, backward;
  if (!ok(mkldnn_inner_product_forward_desc_init(&forward.inner_product, mkldnn_forward_training,
                                                 &src, &weights, bias ? &b : nullptr, &dst))) {
    return;
  }
  const auto hint = make(&forward);
  const int pass = below(3);
  if (pass == 0) {
    s_.run(hint);
  } else if (ok(pass == 1
                    ? mkldnn_inner_product_backward_data_desc_init(&backward.inner_product, &src,
                                                                   &weights, &dst)
                    : mkldnn_inner_product_backward_weights_desc_init(
                          &backward.inner_product, &src, &weights, bias ? &b : nullptr, &dst))) {
    s_.run(make(&backward, hint));
  }
}

void Case::pooling() {
  const int n = 1 + below(2), c = of({1, 3, 8, 16, 32}), size = 4 + below(5), kernel = 2 + below(2);
  const int stride = 1 + below(2), pad = below(2), to = (size + 2 * pad - kernel) / stride + 1;
  const int right = (to - 1) * stride + kernel - size - pad, format = image_format();
  const auto src = image({n, c, size, size}, format),
             dst = image({n, c, to, to}, one_in(4) ? int{mkldnn_any} : format),
             // The reference implementation leaves "any" as it is when it goes back.
      diff_dst = image({n, c, to, to}, format);
  const int strides[] = {stride, stride}, kernels[] = {kernel, kernel}, left[] = {pad, pad},
            rights[] = {right, right};
  const auto alg = of({algorithms().pooling_max, algorithms().pooling_avg_include_padding,
                       algorithms().pooling_avg_exclude_padding});
  const auto prop = one_in(4) ? mkldnn_forward_scoring : mkldnn_forward_training;
  OpDesc forward, backward;
  if (!ok(mkldnn_pooling_forward_desc_init(&forward.pooling, prop, alg, &src, &dst, strides,
                                           kernels, left, rights, mkldnn_padding_zero))) {
    return;
  }
  const auto hint = make(&forward);
  const std::vector<Data> results = s_.run(hint);
  if (prop == mkldnn_forward_scoring || results.empty() || one_in(2)) return;
  if (!ok(mkldnn_pooling_backward_desc_init(&backward.pooling, alg, &src, &diff_dst, strides,
                                            kernels, left, rights, mkldnn_padding_zero))) {
    return;
  }
  const auto pd = make(&backward, hint);
  std::map<int, Data> given;
  if (results.size() > 1) given[1] = results[1];  // where the maxima were
  s_.run(pd, given);
}

void Case::lrn() {
  const auto data =
      image({1 + below(2), of({8, 16, 32}), 3 + below(4), 3 + below(4)}, image_format());
  const auto alg = of({algorithms().lrn_across_channels, algorithms().lrn_across_channels,
                       algorithms().lrn_within_channel});
  const int size = of({5, 3});
  const float alpha = of({1e-4f, 1.0f}), beta = of({0.75f, 0.5f}), k = of({1.0f, 2.0f});
  const auto prop = of({mkldnn_forward_training, mkldnn_forward_scoring});
  OpDesc forward, backward;
  if (!ok(mkldnn_lrn_forward_desc_init(&forward.lrn, prop, alg, &data, size, alpha, beta, k))) {
    return;
  }
  const auto hint = make(&forward);
  const std::vector<Data> results = s_.run(hint);
  if (results.size() < 2) return;  // without a workspace it cannot go back
  if (!ok(mkldnn_lrn_backward_desc_init(&backward.lrn, alg, &data, &data, size, alpha, beta, k))) {
    return;
  }
  s_.run(make(&backward, hint), {{2, results[1]}});
}

void Case::batch_norm() {
  const auto data =
      image({1 + below(3), of({3, 8, 16, 32}), 3 + below(4), 3 + below(4)}, image_format());
  const float epsilon = of({1e-3f, 1e-5f});
  const unsigned flags = of({0u, 1u, 2u, 3u});
  const bool global = (flags & mkldnn_use_global_stats) != 0;
  const auto prop = of({mkldnn_forward_training, mkldnn_forward_scoring});
  OpDesc forward, backward;
  if (!ok(mkldnn_batch_normalization_forward_desc_init(&forward.batch_norm, prop, &data, epsilon,
                                                       flags))) {
    return;
  }
  const auto hint = make(&forward);
  if (s_.status() != mkldnn_success) return;
  std::map<int, Data> given;
  if (global) {
    for (const int i : {1, 2}) {
      given[i] = s_.new_buffer(s_.api().primitive_desc_query_pd(hint, mkldnn_query_input_pd, i));
      float *at = static_cast<float *>(given[i]->data);
      for (size_t j = 0; j < given[i]->bytes / sizeof(float); ++j) at[j] = fabsf(at[j]);
    }
  }
  const std::vector<Data> results = s_.run(hint, given);
  if (!global && results.size() == 3) {
    given[1] = results[1];
    given[2] = results[2];
  }
  if (given.empty() || prop != mkldnn_forward_training) return;
  if (!ok(mkldnn_batch_normalization_backward_desc_init(&backward.batch_norm,
                                                        of({mkldnn_backward, mkldnn_backward_data}),
                                                        &data, &data, epsilon, flags))) {
    return;
  }
  s_.run(make(&backward, hint), given);
}

void Case::eltwise() {
  const Algorithms &a = algorithms();
  const auto alg = of({a.relu, a.relu, a.tanh, a.logistic, a.elu, a.square, a.abs, a.sqrt, a.linear,
                       a.bounded_relu, a.soft_relu});
  const float alpha = of({0.0f, 0.25f, 1.0f}), beta = of({0.0f, 0.5f});
  const auto data =
      one_in(4) ? describe({1 + below(4), 1 + below(40)}, mkldnn_nc, mkldnn_nc)
                : image({1 + below(2), of({3, 8, 16, 17}), 3 + below(4), 5}, image_format());
  OpDesc forward, backward;
  if (!ok(mkldnn_eltwise_forward_desc_init(&forward.eltwise, mkldnn_forward_training, alg, &data,
                                           alpha, beta))) {
    return;
  }
  const auto hint = make(&forward);
  if (one_in(2)) {
    s_.run(hint);
  } else if (ok(mkldnn_eltwise_backward_desc_init(&backward.eltwise, alg, &data, &data, alpha,
                                                  beta))) {
    s_.run(make(&backward, hint));
  }
}

void Case::softmax() {
  const bool flat = one_in(2);
  const auto data = flat ? describe({1 + below(5), 1 + below(40)}, mkldnn_nc, mkldnn_nc)
                         : image({2, of({3, 8}), 3, 1 + below(4)}, formats().nchw);
  OpDesc d;
  if (ok(mkldnn_softmax_forward_desc_init(&d.softmax, mkldnn_forward_inference, &data,
                                          below(flat ? 2 : 4)))) {
    s_.run(make(&d));
  }
}

void Case::reorder() {
  const Dims dims = {1 + below(2), of({3, 8, 16, 17}), 3 + below(3), 4};
  const auto type = of({mkldnn_f32, mkldnn_f32, mkldnn_s8, mkldnn_u8, mkldnn_s32});
  const auto from = s_.memory(describe(dims, image_format(), formats().nchw));
  const auto to = s_.memory(describe(dims, image_format(), formats().nchw, type));
  Attr attr;
  if (one_in(4)) {
    CHECK_OK(mkldnn_primitive_attr_create(&attr.handle));
    mkldnn_post_ops_t post_ops = nullptr;
    CHECK_OK(mkldnn_post_ops_create(&post_ops));
    CHECK_OK(mkldnn_post_ops_append_sum(post_ops, of({1.0f, 0.5f})));
    CHECK_OK(mkldnn_primitive_attr_set_post_ops(attr.handle, post_ops));
    CHECK_OK(mkldnn_post_ops_destroy(post_ops));
  }
  if (one_in(3)) add_scales(&attr);
  s_.run(noted(s_.keep([&](mkldnn_primitive_desc_t *pd) {
    return s_.api().reorder_primitive_desc_create_v2(pd, from, to, attr.handle);
  })));
}

void Case::sum() {
  const Dims dims = {1 + below(2), of({3, 8, 16}), 3 + below(3), 4};
  const int format = image_format(), n = 1 + below(4);
  std::vector<const_mkldnn_primitive_desc_t> inputs;
  std::vector<float> scales;
  for (int i = 0; i < n; ++i) {
    inputs.push_back(s_.memory(image(dims, one_in(6) ? image_format() : format)));
    scales.push_back(of({1.0f, 1.0f, 0.5f, -2.0f}));
  }
  const auto output = image(dims, of({format, image_format(), int{mkldnn_any}}));
  const bool given = one_in(2);
  s_.run(noted(s_.keep([&](mkldnn_primitive_desc_t *pd) {
    return s_.api().sum_primitive_desc_create(pd, given ? &output : nullptr, n, scales.data(),
                                              inputs.data());
  })));
}

void Case::concat() {
  const int n = 1 + below(4), dimension = one_in(2) ? 1 : below(4), format = image_format();
  const Dims base = {2, of({8, 16}), 3, 4};
  std::vector<const_mkldnn_primitive_desc_t> inputs;
  Dims whole = base;
  whole[static_cast<size_t>(dimension)] = 0;
  for (int i = 0; i < n; ++i) {
    Dims dims = base;
    int &varied = dims[static_cast<size_t>(dimension)];
    varied = dimension == 1 ? of({8, 16, 3}) : 1 + below(3);
    whole[static_cast<size_t>(dimension)] += varied;
    inputs.push_back(s_.memory(image(dims, one_in(6) ? image_format() : format)));
  }
  const auto output = image(whole, of({format, image_format(), int{mkldnn_any}}));
  const bool given = one_in(2);
  s_.run(noted(s_.keep([&](mkldnn_primitive_desc_t *pd) {
    return s_.api().concat_primitive_desc_create(pd, given ? &output : nullptr, n, dimension,
                                                 inputs.data());
  })));
}

// A part of a memory, reordered; that part's layout differs from another's in an offset only.
void Case::view() {
  const int part = 8 * below(2);
  const auto parent = s_.memory(image({2, 16, 4, 4}, of({formats().nchw, formats().nChw8c})));
  const int dims[] = {2, 8, 4, 4}, offsets[] = {0, part, 0, 0};
  mkldnn_primitive_desc_t view = nullptr;
  if (!ok(mkldnn_view_primitive_desc_create(&view, parent, dims, offsets))) return;
  const auto from = s_.api().primitive_desc_query_pd(view, mkldnn_query_dst_pd, 0);
  const auto to = s_.memory(image({2, 8, 4, 4}, image_format()));
  const auto pd = noted(s_.keep([&](mkldnn_primitive_desc_t *made) {
    return s_.api().reorder_primitive_desc_create_v2(made, from, to, nullptr);
  }));
  // The view's data begin where its parent's do.
  if (s_.status() == mkldnn_success) s_.run(pd, {{0, s_.new_buffer(parent)}});
  s_.api().primitive_desc_destroy(view);
}

}  // namespace fuzz
